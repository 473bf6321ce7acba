#include "ballista/sandbox/upload_files.h"

#include <algorithm>
#include <cstring>
#include <duckdb/common/virtual_file_system.hpp>
#include <string>
#include <utility>

namespace ballista::sandbox {
namespace {

using duckdb::FileHandle;
using duckdb::FileOpener;
using duckdb::idx_t;
using duckdb::optional_ptr;
using duckdb::string;

template <typename T>
T OrThrow(arrow::Result<T> result) {
  if (result.ok()) return std::move(result).ValueUnsafe();
  const auto& message = result.status().message();
  // One of these is tried again elsewhere, the other one is final.
  if (result.status().IsIOError()) throw duckdb::IOException(message);
  throw duckdb::InvalidInputException(message);
}

class UploadHandle : public FileHandle {
 public:
  UploadHandle(duckdb::FileSystem& system, const string& path,
               duckdb::FileOpenFlags flags, UploadReader::File file)
      : FileHandle(system, path, flags), file(file) {}
  void Close() override {}

  const UploadReader::File file;
  idx_t position = 0;
};

class UploadFileSystem : public duckdb::FileSystem {
 public:
  explicit UploadFileSystem(std::shared_ptr<UploadReader> reader)
      : reader_(std::move(reader)) {}

  string GetName() const override { return "BallistaUploads"; }
  bool CanHandleFile(const string& path) override { return IsUploadPath(path); }
  string CanonicalizePath(const string& path, optional_ptr<FileOpener>) override {
    return path;
  }
  string PathSeparator(const string&) override { return "/"; }

  duckdb::unique_ptr<FileHandle> OpenFile(const string& path, duckdb::FileOpenFlags flags,
                                          optional_ptr<FileOpener>) override {
    if (flags.OpenForWriting()) {
      throw duckdb::PermissionException("the files of uploads can only be read: " + path);
    }
    return duckdb::make_uniq<UploadHandle>(*this, path, flags,
                                           OrThrow(reader_->Stat(path)));
  }
  bool FileExists(const string& path, optional_ptr<FileOpener>) override {
    return reader_->Stat(path).ok();
  }
  bool DirectoryExists(const string&, optional_ptr<FileOpener>) override { return false; }
  duckdb::vector<duckdb::OpenFileInfo> Glob(const string& path, FileOpener*) override {
    return {duckdb::OpenFileInfo(path)};
  }

  void Read(FileHandle& handle, void* buffer, int64_t bytes, idx_t location) override {
    // What is asked for at once must not fill memory at the other side.
    auto* out = static_cast<char*>(buffer);
    for (int64_t done = 0; done < bytes;) {
      const int64_t piece = std::min(bytes - done, kPiece);
      const auto read = OrThrow(
          reader_->Read(handle.path, static_cast<int64_t>(location) + done, piece));
      std::memcpy(out + done, read.data(), read.size());
      done += piece;
    }
  }
  int64_t Read(FileHandle& handle, void* buffer, int64_t bytes) override {
    auto& file = handle.Cast<UploadHandle>();
    bytes = std::min(bytes, file.file.size - static_cast<int64_t>(file.position));
    if (bytes <= 0) return 0;
    Read(handle, buffer, bytes, file.position);
    file.position += static_cast<idx_t>(bytes);
    return bytes;
  }
  void Seek(FileHandle& handle, idx_t location) override {
    handle.Cast<UploadHandle>().position = location;
  }
  idx_t SeekPosition(FileHandle& handle) override {
    return handle.Cast<UploadHandle>().position;
  }
  bool CanSeek() override { return true; }
  bool OnDiskFile(FileHandle&) override { return false; }
  int64_t GetFileSize(FileHandle& handle) override {
    return handle.Cast<UploadHandle>().file.size;
  }
  duckdb::timestamp_t GetLastModifiedTime(FileHandle& handle) override {
    return duckdb::timestamp_t(handle.Cast<UploadHandle>().file.modified_us);
  }
  duckdb::FileType GetFileType(FileHandle&) override {
    return duckdb::FileType::FILE_TYPE_REGULAR;
  }

 private:
  static constexpr int64_t kPiece = int64_t{4} << 20;

  const std::shared_ptr<UploadReader> reader_;
};

}  // namespace

void ServeUploads(std::shared_ptr<UploadReader> reader, duckdb::DBConfig* config) {
  if (reader == nullptr) return;
  const bool confined = config->file_system != nullptr;
  if (!confined) config->file_system = duckdb::make_uniq<duckdb::VirtualFileSystem>();
  config->file_system->RegisterSubSystem(
      duckdb::make_uniq<UploadFileSystem>(std::move(reader)));
  if (confined) config->AddAllowedDirectory(string(kUploadScheme));
}

}  // namespace ballista::sandbox
