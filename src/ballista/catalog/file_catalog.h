// Files as splits: what planning has to know about each file of a scan.
//
// Parquet footers are read once for a version of a file (path, size, modification time)
// and kept in an LRU cache; those that are missing are read in parallel. Thread-safe.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ballista/catalog/upload_store.h"
#include "ballista/plan.pb.h"

namespace ballista::catalog {

class FileCatalog {
 public:
  // Keeps what it knows about up to `capacity` parquet files.
  explicit FileCatalog(size_t capacity = 100000) : capacity_(capacity) {}

  // Knows the files of uploads, too. Before the first Describe.
  void SetUploads(std::shared_ptr<UploadStore> uploads) { uploads_ = std::move(uploads); }

  // The files as whole splits, in the order asked for. Paths of local files are absolute.
  // Parquet: with row groups, where the footer can be read. `format`: as Scan.format.
  // Errors: UserError (NOT_FOUND) for a file that is gone.
  arrow::Result<std::vector<plan::FileSplit>> Describe(
      const std::string& format, const std::vector<std::string>& paths);

  // Footers read so far, for tests.
  uint64_t footer_reads() const;

 private:
  struct Footer {
    uint64_t file_size = 0;
    int64_t modified_ns = 0;
    std::vector<uint64_t> row_group_ends;
  };
  struct Entry {
    std::string path;
    std::shared_ptr<const Footer> footer;
  };

  arrow::Result<plan::FileSplit> StatFile(const std::string& path) const;
  std::shared_ptr<const Footer> ReadFooter(const plan::FileSplit& file) const;
  std::shared_ptr<const Footer> Lookup(const plan::FileSplit& file);
  void Insert(const plan::FileSplit& file, std::shared_ptr<const Footer> footer);

  const size_t capacity_;
  std::shared_ptr<UploadStore> uploads_;  // null: there are none
  mutable std::mutex mutex_;
  std::list<Entry> by_age_;  // the most recently used first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_path_;
  uint64_t footer_reads_ = 0;
};

}  // namespace ballista::catalog
