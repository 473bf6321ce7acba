// The folders that an executor keeps its files in.
#pragma once

#include <arrow/result.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "ballista/config/settings.h"

namespace ballista::config {

// Owns the folders for the life of a process. A fresh temporary folder (an empty
// --work-dir) is removed with all it holds by the destructor; named ones stay. Movable.
class WorkDir {
 public:
  // Makes the folders of the option `work-dir` and checks that they can be written to.
  // Error: Invalid, one sentence naming option and source.
  static arrow::Result<WorkDir> Open(const Settings& settings);

  WorkDir(WorkDir&& other) noexcept
      : paths_(std::exchange(other.paths_, {})), temporary_(other.temporary_) {}
  WorkDir& operator=(WorkDir&&) = delete;
  ~WorkDir();

  // Absolute; at least one.
  const std::vector<std::filesystem::path>& paths() const { return paths_; }
  const std::filesystem::path& path() const { return paths_.front(); }
  // The one with the most free space now.
  const std::filesystem::path& roomiest() const;
  // A line in the log for each folder that is in memory, in a container's layer or has
  // less than `wanted_bytes` free.
  void WarnOfPoorOnes(int64_t wanted_bytes) const;

 private:
  WorkDir(std::vector<std::filesystem::path> paths, bool temporary)
      : paths_(std::move(paths)), temporary_(temporary) {}

  std::vector<std::filesystem::path> paths_;
  bool temporary_;
};

// The folders of a --work-dir: "a,b" is two. Spaces around a name are no part of it.
std::vector<std::string> SplitFolders(const std::string& text);

}  // namespace ballista::config
