#include "ballista/catalog/file_catalog.h"

#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <thread>

#include "ballista/base/status.h"

namespace ballista::catalog {
namespace {

constexpr size_t kMaxReaders = 16;

bool IsRemote(const std::string& path) {
  return !IsUploadPath(path) && path.find("://") != std::string::npos &&
         path.rfind("file:", 0) != 0;
}

std::string LocalPath(const std::string& path) {
  if (path.rfind("file://", 0) == 0) return path.substr(7);
  return std::filesystem::absolute(path).lexically_normal().string();
}

// Runs body(0) ... body(count - 1) on a few threads.
void InParallel(size_t count, const std::function<void(size_t)>& body) {
  const size_t threads = std::min(count, kMaxReaders);
  if (threads <= 1) {
    for (size_t i = 0; i < count; ++i) body(i);
    return;
  }
  std::atomic<size_t> next{0};
  std::vector<std::thread> workers;
  for (size_t t = 0; t < threads; ++t) {
    workers.emplace_back([&] {
      for (size_t i = next++; i < count; i = next++) body(i);
    });
  }
  for (auto& worker : workers) worker.join();
}

}  // namespace

arrow::Result<plan::FileSplit> FileCatalog::StatFile(const std::string& path) const {
  plan::FileSplit split;
  if (IsUploadPath(path) && uploads_ != nullptr) {
    ARROW_ASSIGN_OR_RAISE(const auto file, uploads_->Stat(path));
    split.set_path(path);
    split.set_size_bytes(static_cast<uint64_t>(file.size));
    split.set_file_size(static_cast<uint64_t>(file.size));
    split.set_modified_ns(file.modified_us * 1000);
    return split;
  }
  if (IsRemote(path)) {
    split.set_path(path);
    return split;
  }
  const std::string local = LocalPath(path);
  struct stat info;
  if (::stat(local.c_str(), &info) != 0) {
    return UserErrorStatus(UserError::NOT_FOUND,
                           "cannot read the file " + local + ": " + std::strerror(errno));
  }
  split.set_path(local);
  split.set_size_bytes(static_cast<uint64_t>(info.st_size));
  split.set_file_size(static_cast<uint64_t>(info.st_size));
  split.set_modified_ns(static_cast<int64_t>(info.st_mtim.tv_sec) * 1000000000 +
                        info.st_mtim.tv_nsec);
  return split;
}

std::shared_ptr<const FileCatalog::Footer> FileCatalog::ReadFooter(
    const plan::FileSplit& file) const {
  auto footer = std::make_shared<Footer>();
  footer->file_size = file.file_size();
  footer->modified_ns = file.modified_ns();
  try {
    auto path = file.path();
    if (uploads_ != nullptr && IsUploadPath(path)) {
      path = uploads_->LocalPath(path).ValueOr(path);
    }
    const auto reader = parquet::ParquetFileReader::OpenFile(path, false);
    const auto metadata = reader->metadata();
    uint64_t end = 0;
    for (int i = 0; i < metadata->num_row_groups(); ++i) {
      end += static_cast<uint64_t>(metadata->RowGroup(i)->num_rows());
      footer->row_group_ends.push_back(end);
    }
  } catch (const std::exception&) {
    // Encrypted, or not understood by this reader: the file is one split, and the engine
    // that reads it has the last word.
  }
  return footer;
}

std::shared_ptr<const FileCatalog::Footer> FileCatalog::Lookup(
    const plan::FileSplit& file) {
  std::lock_guard lock(mutex_);
  const auto found = by_path_.find(file.path());
  if (found == by_path_.end()) return nullptr;
  auto footer = found->second->footer;
  if (footer->file_size != file.file_size() ||
      footer->modified_ns != file.modified_ns()) {
    return nullptr;
  }
  by_age_.splice(by_age_.begin(), by_age_, found->second);
  return footer;
}

void FileCatalog::Insert(const plan::FileSplit& file,
                         std::shared_ptr<const Footer> footer) {
  std::lock_guard lock(mutex_);
  ++footer_reads_;
  const auto found = by_path_.find(file.path());
  if (found != by_path_.end()) by_age_.erase(found->second);
  by_age_.push_front({file.path(), std::move(footer)});
  by_path_[file.path()] = by_age_.begin();
  while (by_path_.size() > capacity_) {
    by_path_.erase(by_age_.back().path);
    by_age_.pop_back();
  }
}

arrow::Result<std::vector<plan::FileSplit>> FileCatalog::Describe(
    const std::string& format, const std::vector<std::string>& paths) {
  std::vector<plan::FileSplit> files;
  files.reserve(paths.size());
  for (const auto& path : paths) {
    ARROW_ASSIGN_OR_RAISE(auto split, StatFile(path));
    files.push_back(std::move(split));
  }
  if (format != "parquet") return files;

  std::vector<std::shared_ptr<const Footer>> footers(paths.size());
  std::vector<size_t> missing;
  for (size_t i = 0; i < paths.size(); ++i) {
    if (IsRemote(paths[i])) continue;
    footers[i] = Lookup(files[i]);
    if (!footers[i]) missing.push_back(i);
  }
  InParallel(missing.size(),
             [&](size_t i) { footers[missing[i]] = ReadFooter(files[missing[i]]); });
  for (const size_t i : missing) Insert(files[i], footers[i]);

  for (size_t i = 0; i < paths.size(); ++i) {
    if (!footers[i] || footers[i]->row_group_ends.empty()) continue;
    const auto& ends = footers[i]->row_group_ends;
    files[i].set_total_rows(ends.back());
    for (const uint64_t end : ends) files[i].add_row_group_ends(end);
  }
  return files;
}

uint64_t FileCatalog::footer_reads() const {
  std::lock_guard lock(mutex_);
  return footer_reads_;
}

}  // namespace ballista::catalog
