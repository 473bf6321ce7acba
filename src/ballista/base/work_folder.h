// The folder below a work_dir that holds the files of one process.
//
// Its name is new with each process; a lock file beside it says whether the process still
// lives. Create sweeps the folders of processes that are dead, however they ended; the
// destructor removes its own. Nothing else in the work_dir is touched.
#pragma once

#include <arrow/result.h>

#include <memory>
#include <string>

namespace ballista {

class WorkFolder {
 public:
  // Makes `root` too where it is missing. Errors: IOError.
  static arrow::Result<std::unique_ptr<WorkFolder>> Create(const std::string& root);

  ~WorkFolder();
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  const std::string& path() const { return path_; }
  int swept() const { return swept_; }  // folders of dead processes that were removed

 private:
  WorkFolder(std::string path, int lock, int swept)
      : path_(std::move(path)), lock_(lock), swept_(swept) {}

  const std::string path_;
  const int lock_;  // descriptor of the lock file: held while the process lives
  const int swept_;
};

}  // namespace ballista
