// Tables whose rows clients have uploaded and that are too large to be held in memory:
// files in a folder of the scheduler, which executors read by UploadReader's paths.
//
// An upload's files go with the last who has it: the store, as long as a table of the
// catalog is made of it, and the queries that read it. They all go with the process.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ballista/base/upload_reader.h"
#include "ballista/base/work_folder.h"

namespace ballista::catalog {

class UploadStore;

// The files of one table. Thread-safe.
class Upload {
 public:
  ~Upload();
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  const std::string& id() const { return id_; }
  // Of a file that is about to be written. Errors: IOError.
  arrow::Result<std::string> NewFile();
  // It is written: others may read it by the path that this gives. Errors:
  // ResourcesExhausted (DISK) where it is over the quota, and it is removed then.
  arrow::Result<std::string> Keep(const std::string& file);
  // Takes back what Keep has given.
  void Remove(const std::string& path);

 private:
  friend class UploadStore;
  Upload(std::shared_ptr<UploadStore> store, std::string id, std::string folder)
      : store_(std::move(store)), id_(std::move(id)), folder_(std::move(folder)) {}

  const std::shared_ptr<UploadStore> store_;
  const std::string id_;
  const std::string folder_;
  std::mutex mutex_;
  uint64_t files_ = 0;                   // ever made
  std::map<std::string, int64_t> kept_;  // bytes, by path
};

// Thread-safe.
class UploadStore : public UploadReader,
                    public std::enable_shared_from_this<UploadStore> {
 public:
  // Below `root`, in a folder that dies with the process. `quota`: bytes on disk of all
  // uploads; beside that some of the disk is always left free. Errors: IOError.
  static arrow::Result<std::shared_ptr<UploadStore>> Make(const std::string& root,
                                                          int64_t quota);

  // Of nobody yet. Errors: IOError.
  arrow::Result<std::shared_ptr<Upload>> Begin();

  // A table is made of it. `owner`: the session that alone sees it; empty: all do.
  void Publish(std::shared_ptr<Upload> upload, const std::string& owner);
  // Drops those of `owner` whose ids `in_use` does not know.
  void Retain(const std::string& owner,
              const std::function<bool(const std::string&)>& in_use);
  // Drops all of them.
  void Clear();
  bool empty() const;
  // Null: it is gone, or that is no path of one.
  std::shared_ptr<Upload> Find(const std::string& path) const;
  // Paths of files of uploads in SQL text, each up to the quote that ends it.
  static std::vector<std::string> PathsIn(const std::string& text);
  // Ids of the uploads that a text names.
  static std::vector<std::string> IdsIn(const std::string& text);

  // Where the file is in this process's file system. Errors: as of Stat.
  arrow::Result<std::string> LocalPath(const std::string& path) const;
  arrow::Result<File> Stat(const std::string& path) override;
  arrow::Result<std::string> Read(const std::string& path, int64_t offset,
                                  int64_t length) override;

  int64_t used_bytes() const;

 private:
  friend class Upload;
  struct Published {
    std::string owner;
    std::shared_ptr<Upload> upload;
  };

  UploadStore(std::unique_ptr<WorkFolder> folder, int64_t quota)
      : folder_(std::move(folder)), quota_(quota) {}
  arrow::Status Take(int64_t bytes);
  void Give(int64_t bytes);

  const std::unique_ptr<WorkFolder> folder_;
  const int64_t quota_;
  mutable std::mutex mutex_;
  int64_t used_ = 0;
  std::map<std::string, std::weak_ptr<Upload>> all_;  // by id
  std::map<std::string, Published> published_;        // by id
};

}  // namespace ballista::catalog
