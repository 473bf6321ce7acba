#include "ballista/shuffle/output_file.h"

#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/util/compression.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "ballista/base/status.h"

namespace ballista::shuffle {
namespace {

bool HasDictionary(const arrow::DataType& type) {
  if (type.id() == arrow::Type::DICTIONARY) return true;
  for (const auto& field : type.fields()) {
    if (HasDictionary(*field->type())) return true;
  }
  return false;
}

bool HasDictionary(const arrow::Schema& schema) {
  for (const auto& field : schema.fields()) {
    if (HasDictionary(*field->type())) return true;
  }
  return false;
}

arrow::Status WriteError(const std::string& path, int error) {
  const std::string message =
      fmt::format("writing the shuffle file {} failed: {}", path, std::strerror(error));
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    return ResourcesExhaustedStatus(
        message + "; free space there, or give the executor another --work-dir",
        ResourcesExhausted::DISK, 0);
  }
  return arrow::Status::IOError(message);
}

arrow::Status WriteAt(int descriptor, const std::string& path, const uint8_t* data,
                      int64_t length, int64_t offset) {
  while (length > 0) {
    const ssize_t written =
        ::pwrite(descriptor, data, static_cast<size_t>(length), offset);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return WriteError(path, errno);
    data += written;
    length -= written;
    offset += written;
  }
  return arrow::Status::OK();
}

arrow::Status ReadAt(int descriptor, const std::string& path, uint8_t* data,
                     int64_t length, int64_t offset) {
  while (length > 0) {
    const ssize_t got = ::pread(descriptor, data, static_cast<size_t>(length), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      return arrow::Status::IOError(
          "reading the shuffle file ", path, " at ", offset,
          " failed: ", got == 0 ? "it is too short" : std::strerror(errno));
    }
    data += got;
    length -= got;
    offset += got;
  }
  return arrow::Status::OK();
}

arrow::Result<std::shared_ptr<arrow::Buffer>> EncodeStream(
    const arrow::RecordBatch& batch, const arrow::ipc::IpcWriteOptions& options) {
  ARROW_ASSIGN_OR_RAISE(auto sink, arrow::io::BufferOutputStream::Create());
  ARROW_ASSIGN_OR_RAISE(auto writer,
                        arrow::ipc::MakeStreamWriter(sink, batch.schema(), options));
  ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(batch));
  ARROW_RETURN_NOT_OK(writer->Close());
  return sink->Finish();
}

}  // namespace

arrow::Result<arrow::ipc::IpcWriteOptions> WriteOptions(
    arrow::Compression::type compression) {
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  options.use_threads = false;  // tasks and streams are parallel already
  if (compression != arrow::Compression::UNCOMPRESSED) {
    ARROW_ASSIGN_OR_RAISE(options.codec, arrow::util::Codec::Create(compression));
  }
  return options;
}

OutputFile::OutputFile(std::string path, int descriptor,
                       std::shared_ptr<arrow::Schema> schema,
                       arrow::ipc::IpcWriteOptions options,
                       std::shared_ptr<DiskShare> share)
    : path_(std::move(path)),
      descriptor_(descriptor),
      schema_(std::move(schema)),
      has_dictionaries_(HasDictionary(*schema_)),
      options_(std::move(options)),
      share_(std::move(share)) {}

OutputFile::~OutputFile() {
  Remove();
  ::close(descriptor_);
}

arrow::Result<std::shared_ptr<OutputFile>> OutputFile::Create(
    std::string path, std::shared_ptr<arrow::Schema> schema,
    arrow::Compression::type compression, std::shared_ptr<DiskShare> share) {
  ARROW_ASSIGN_OR_RAISE(auto options, WriteOptions(compression));
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) return WriteError(path, error.value());
  const int descriptor =
      ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (descriptor < 0) return WriteError(path, errno);
  return std::shared_ptr<OutputFile>(new OutputFile(std::move(path), descriptor,
                                                    std::move(schema), std::move(options),
                                                    std::move(share)));
}

arrow::Result<FilePosition> OutputFile::Write(const arrow::RecordBatch& batch) {
  std::shared_ptr<arrow::Buffer> bytes;
  if (has_dictionaries_) {
    ARROW_ASSIGN_OR_RAISE(bytes, EncodeStream(batch, options_));
  } else {
    ARROW_ASSIGN_OR_RAISE(bytes, arrow::ipc::SerializeRecordBatch(batch, options_));
  }
  ARROW_RETURN_NOT_OK(share_->Take(bytes->size()));
  // Several threads write pieces of one file side by side.
  const int64_t offset = end_.fetch_add(bytes->size());
  ARROW_RETURN_NOT_OK(WriteAt(descriptor_, path_, bytes->data(), bytes->size(), offset));
  return FilePosition{offset, bytes->size()};
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> OutputFile::Read(
    FilePosition position) const {
  ARROW_ASSIGN_OR_RAISE(auto bytes, ReadBytes(position));
  return Decode(std::move(bytes));
}

arrow::Result<std::shared_ptr<arrow::Buffer>> OutputFile::ReadBytes(
    FilePosition position) const {
  ARROW_ASSIGN_OR_RAISE(auto bytes, arrow::AllocateBuffer(position.length));
  ARROW_RETURN_NOT_OK(ReadAt(descriptor_, path_, bytes->mutable_data(), position.length,
                             position.offset));
  return std::shared_ptr<arrow::Buffer>(std::move(bytes));
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> OutputFile::Decode(
    std::shared_ptr<arrow::Buffer> piece) const {
  arrow::io::BufferReader reader(std::move(piece));
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.use_threads = false;
  if (has_dictionaries_) {
    ARROW_ASSIGN_OR_RAISE(auto stream,
                          arrow::ipc::RecordBatchStreamReader::Open(&reader, options));
    return stream->Next();
  }
  const arrow::ipc::DictionaryMemo no_dictionaries;
  return arrow::ipc::ReadRecordBatch(schema_, &no_dictionaries, options, &reader);
}

void OutputFile::Remove() {
  if (!removed_.exchange(true)) ::unlink(path_.c_str());
}

}  // namespace ballista::shuffle
