#include "ballista/catalog/upload_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "ballista/base/disk_space.h"
#include "ballista/base/ids.h"
#include "ballista/base/status.h"

namespace ballista::catalog {
namespace {

// Others write to the disk, too: the state of the scheduler, its log.
constexpr int64_t kLeftFree = int64_t{256} << 20;

struct Parts {
  std::string id;
  std::string file;
};

// Of "ballista-upload://<id>/<file>"; the parts are empty where it is none.
Parts Split(const std::string& path) {
  if (!IsUploadPath(path)) return {};
  const auto rest = path.substr(kUploadScheme.size());
  const auto slash = rest.find('/');
  if (slash == std::string::npos) return {};
  Parts parts{rest.substr(0, slash), rest.substr(slash + 1)};
  if (parts.file.find('/') != std::string::npos) return {};
  return parts;
}

}  // namespace

// ---------------------------------------------------------------------- one upload

Upload::~Upload() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
  int64_t bytes = 0;
  for (const auto& [path, size] : kept_) bytes += size;
  store_->Give(bytes);
}

arrow::Result<std::string> Upload::NewFile() {
  const std::lock_guard lock(mutex_);
  return fmt::format("{}/{}.parquet", folder_, files_++);
}

arrow::Result<std::string> Upload::Keep(const std::string& file) {
  std::error_code error;
  const auto size = static_cast<int64_t>(std::filesystem::file_size(file, error));
  if (error) {
    return arrow::Status::IOError("the file ", file,
                                  " of an upload cannot be read: ", error.message());
  }
  const auto taken = store_->Take(size);
  if (!taken.ok()) {
    std::filesystem::remove(file, error);
    return taken;
  }
  auto path = std::string(kUploadScheme) + id_ + "/" +
              std::filesystem::path(file).filename().string();
  const std::lock_guard lock(mutex_);
  kept_[path] = size;
  return path;
}

void Upload::Remove(const std::string& path) {
  int64_t bytes = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found = kept_.find(path);
    if (found == kept_.end()) return;
    bytes = found->second;
    kept_.erase(found);
  }
  std::error_code ignored;
  std::filesystem::remove(folder_ + "/" + Split(path).file, ignored);
  store_->Give(bytes);
}

// ---------------------------------------------------------------------- all of them

arrow::Result<std::shared_ptr<UploadStore>> UploadStore::Make(const std::string& root,
                                                              int64_t quota) {
  ARROW_ASSIGN_OR_RAISE(auto folder, WorkFolder::Create(root));
  return std::shared_ptr<UploadStore>(new UploadStore(std::move(folder), quota));
}

arrow::Result<std::shared_ptr<Upload>> UploadStore::Begin() {
  const auto id = NewId();
  const auto folder = folder_->path() + "/" + id;
  if (::mkdir(folder.c_str(), 0700) != 0) {
    return arrow::Status::IOError("no folder for an upload can be made in ",
                                  folder_->path(), ": ", std::strerror(errno));
  }
  std::shared_ptr<Upload> upload(new Upload(shared_from_this(), id, folder));
  const std::lock_guard lock(mutex_);
  std::erase_if(all_, [](const auto& entry) { return entry.second.expired(); });
  all_[id] = upload;
  return upload;
}

void UploadStore::Publish(std::shared_ptr<Upload> upload, const std::string& owner) {
  const std::lock_guard lock(mutex_);
  const auto id = upload->id();
  published_[id] = {owner, std::move(upload)};
}

void UploadStore::Retain(const std::string& owner,
                         const std::function<bool(const std::string&)>& in_use) {
  std::vector<std::shared_ptr<Upload>> dropped;  // they end without the lock
  const std::lock_guard lock(mutex_);
  for (auto entry = published_.begin(); entry != published_.end();) {
    if (entry->second.owner == owner && !in_use(entry->first)) {
      dropped.push_back(std::move(entry->second.upload));
      entry = published_.erase(entry);
    } else {
      ++entry;
    }
  }
}

void UploadStore::Clear() {
  std::map<std::string, Published> dropped;
  const std::lock_guard lock(mutex_);
  dropped.swap(published_);
}

bool UploadStore::empty() const {
  const std::lock_guard lock(mutex_);
  return published_.empty();
}

std::shared_ptr<Upload> UploadStore::Find(const std::string& path) const {
  const auto parts = Split(path);
  const std::lock_guard lock(mutex_);
  const auto found = all_.find(parts.id);
  return found == all_.end() ? nullptr : found->second.lock();
}

std::vector<std::string> UploadStore::PathsIn(const std::string& text) {
  std::vector<std::string> paths;
  for (size_t at = text.find(kUploadScheme); at != std::string::npos;
       at = text.find(kUploadScheme, at + 1)) {
    paths.push_back(text.substr(at, text.find('\'', at) - at));
  }
  return paths;
}

std::vector<std::string> UploadStore::IdsIn(const std::string& text) {
  std::vector<std::string> ids;
  for (const auto& path : PathsIn(text)) {
    const auto end = path.find('/', kUploadScheme.size());
    if (end == std::string::npos) continue;
    auto id = path.substr(kUploadScheme.size(), end - kUploadScheme.size());
    if (ids.empty() || ids.back() != id) ids.push_back(std::move(id));
  }
  return ids;
}

arrow::Result<std::string> UploadStore::LocalPath(const std::string& path) const {
  const auto upload = Find(path);
  if (upload == nullptr) return UploadGone(path);
  const std::lock_guard lock(upload->mutex_);
  if (upload->kept_.find(path) == upload->kept_.end()) return UploadGone(path);
  return upload->folder_ + "/" + Split(path).file;
}

arrow::Result<UploadReader::File> UploadStore::Stat(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(const auto local, LocalPath(path));
  struct stat info {};
  if (::stat(local.c_str(), &info) != 0) return UploadGone(path);
  return File{
      static_cast<int64_t>(info.st_size),
      static_cast<int64_t>(info.st_mtim.tv_sec) * 1000000 + info.st_mtim.tv_nsec / 1000};
}

arrow::Result<std::string> UploadStore::Read(const std::string& path, int64_t offset,
                                             int64_t length) {
  const auto hold = Find(path);
  ARROW_ASSIGN_OR_RAISE(const auto local, LocalPath(path));
  const int file = ::open(local.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return UploadGone(path);
  std::string bytes(static_cast<size_t>(length), '\0');
  int64_t done = 0;
  ssize_t got = 1;
  while (done < length && got > 0) {
    got = ::pread(file, bytes.data() + done, static_cast<size_t>(length - done),
                  offset + done);
    if (got > 0) done += got;
  }
  const int failure = got < 0 ? errno : 0;
  ::close(file);
  if (done == length) return bytes;
  return arrow::Status::IOError("the file ", path, " of an upload has no ", length,
                                " bytes from ", offset, " on", failure != 0 ? ": " : "",
                                failure != 0 ? std::strerror(failure) : "");
}

int64_t UploadStore::used_bytes() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

// The bytes are on the disk already.
arrow::Status UploadStore::Take(int64_t bytes) {
  if (FreeDiskBytes(folder_->path()) < kLeftFree) {
    return ResourcesExhaustedStatus(
        fmt::format(
            "the disk of the uploads, at {}, has less than {} MiB left; free space "
            "there, drop uploaded tables, or give the scheduler another "
            "--upload-dir",
            folder_->path(), kLeftFree >> 20),
        ResourcesExhausted::DISK, 0);
  }
  const std::lock_guard lock(mutex_);
  if (used_ + bytes > quota_) {
    return ResourcesExhaustedStatus(
        fmt::format("uploaded tables would take {} bytes on the scheduler's disk, of at "
                    "most {}; drop some, or raise the scheduler's --upload-quota",
                    used_ + bytes, quota_),
        ResourcesExhausted::DISK, static_cast<uint64_t>(quota_));
  }
  used_ += bytes;
  return arrow::Status::OK();
}

void UploadStore::Give(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  used_ -= bytes;
}

}  // namespace ballista::catalog
