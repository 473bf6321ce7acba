// The folder that an executor keeps its files in.
#pragma once

#include <arrow/result.h>

#include <filesystem>
#include <utility>

#include "ballista/config/settings.h"

namespace ballista::config {

// Owns the folder for the life of a process. A fresh temporary folder (an empty
// --work-dir) is removed with all it holds by the destructor; a named one stays. Movable.
class WorkDir {
 public:
  // Makes the folder of the option `work-dir` and checks that it can be written to.
  // Error: Invalid, one sentence naming option and source.
  static arrow::Result<WorkDir> Open(const Settings& settings);

  WorkDir(WorkDir&& other) noexcept
      : path_(std::exchange(other.path_, {})), temporary_(other.temporary_) {}
  WorkDir& operator=(WorkDir&&) = delete;
  ~WorkDir();

  // Absolute.
  const std::filesystem::path& path() const { return path_; }

 private:
  WorkDir(std::filesystem::path path, bool temporary)
      : path_(std::move(path)), temporary_(temporary) {}

  std::filesystem::path path_;
  bool temporary_;
};

}  // namespace ballista::config
