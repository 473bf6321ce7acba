#include "ballista/client/shell/output.h"

#include <arrow/io/buffered.h>
#include <arrow/util/io_util.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "ballista/client/shell/query_watch.h"

namespace ballista::shell {
namespace {

constexpr int64_t kBufferBytes = int64_t{256} << 10;

// Arrow's own stream asks the system for its position, which a pipe has not.
class DescriptorStream : public arrow::io::OutputStream {
 public:
  explicit DescriptorStream(int file_descriptor) : file_descriptor_(file_descriptor) {}
  ~DescriptorStream() override { (void)Close(); }

  using arrow::io::OutputStream::Write;
  arrow::Status Write(const void* data, int64_t bytes) override {
    const auto* next = static_cast<const char*>(data);
    while (bytes > 0) {
      const auto written = write(file_descriptor_, next, static_cast<size_t>(bytes));
      if (written < 0) {
        if (errno == EINTR) continue;
        return arrow::internal::IOErrorFromErrno(errno, "cannot write the result");
      }
      next += written;
      bytes -= written;
      position_ += written;
    }
    return arrow::Status::OK();
  }

  arrow::Result<int64_t> Tell() const override { return position_; }
  bool closed() const override { return file_descriptor_ < 0; }

  arrow::Status Close() override {
    if (file_descriptor_ < 0) return arrow::Status::OK();
    const int outcome = close(file_descriptor_);
    file_descriptor_ = -1;
    if (outcome == 0) return arrow::Status::OK();
    return arrow::internal::IOErrorFromErrno(errno, "cannot write the result");
  }

 private:
  int file_descriptor_;
  int64_t position_ = 0;
};

arrow::Result<std::shared_ptr<arrow::io::OutputStream>> Buffered(int file_descriptor) {
  return arrow::io::BufferedOutputStream::Create(
      kBufferBytes, arrow::default_memory_pool(),
      std::make_shared<DescriptorStream>(file_descriptor));
}

}  // namespace

arrow::Result<std::unique_ptr<Output>> Output::StandardOutput() {
  auto output = std::make_unique<Output>();
  // A descriptor of its own, for closing it is not the end of standard output.
  const int file_descriptor = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
  if (file_descriptor < 0) return arrow::Status::IOError("standard output is closed");
  ARROW_ASSIGN_OR_RAISE(output->stream_, Buffered(file_descriptor));
  output->is_terminal_ = isatty(STDOUT_FILENO) != 0;
  return output;
}

arrow::Result<std::unique_ptr<Output>> Output::File(const std::string& path) {
  auto output = std::make_unique<Output>();
  const int file_descriptor =
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file_descriptor < 0) {
    return arrow::internal::IOErrorFromErrno(errno, "cannot write the file '", path, "'");
  }
  ARROW_ASSIGN_OR_RAISE(output->stream_, Buffered(file_descriptor));
  output->is_file_ = true;
  return output;
}

int Output::width() const {
  return is_terminal_ ? TerminalWidth(STDOUT_FILENO) : 0;
}

}  // namespace ballista::shell
