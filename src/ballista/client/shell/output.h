// Where results go: standard output or a file.
#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include <memory>
#include <string>

namespace ballista::shell {

// Not thread-safe.
class Output {
 public:
  static arrow::Result<std::unique_ptr<Output>> StandardOutput();
  static arrow::Result<std::unique_ptr<Output>> File(const std::string& path);

  // Buffered. An error of the system carries its errno
  // (arrow::internal::ErrnoFromStatus).
  arrow::io::OutputStream* stream() { return stream_.get(); }
  bool is_terminal() const { return is_terminal_; }
  bool is_file() const { return is_file_; }
  // Of the terminal; 0 where it is none.
  int width() const;

  // Whether a result was written, for the formats that have room for one.
  bool holds_result = false;

  // Writes out and closes. To be called once.
  arrow::Status Close() { return stream_->Close(); }

 private:
  std::shared_ptr<arrow::io::OutputStream> stream_;
  bool is_terminal_ = false;
  bool is_file_ = false;
};

}  // namespace ballista::shell
