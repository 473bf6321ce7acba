#include "ballista/config/work_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "ballista/base/disk_space.h"
#include "ballista/base/log.h"

namespace ballista::config {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOption = "work-dir";

// By doing it: permission bits say nothing about full or read-only file systems.
int TryToWrite(const fs::path& folder) {
  std::string probe = (folder / ".probe-XXXXXX").string();
  const int file = ::mkostemp(probe.data(), O_CLOEXEC);
  if (file < 0) return errno;
  const int error = ::write(file, "x", 1) == 1 ? 0 : errno;
  ::close(file);
  ::unlink(probe.c_str());
  return error;
}

arrow::Result<fs::path> MakeTemporary(const Settings& settings) {
  std::error_code error;
  const auto base = fs::temp_directory_path(error);
  std::string folder = (base / ".tmpXXXXXX").string();
  if (error || ::mkdtemp(folder.data()) == nullptr) {
    const auto reason = error ? error.message() : std::strerror(errno);
    return settings.Refuse(kOption,
                           fmt::format("no temporary folder can be made in {}: {}",
                                       error ? "$TMPDIR" : base.string(), reason));
  }
  return fs::absolute(folder);
}

// Makes the folder where it is missing.
arrow::Result<fs::path> MakeNamed(const Settings& settings, const std::string& name) {
  std::error_code error;
  const auto folder = fs::absolute(name, error);
  if (!error) fs::create_directories(folder, error);
  if (error) {
    return settings.Refuse(
        kOption, fmt::format("the folder cannot be made: {}: {}", name, error.message()));
  }
  if (const int reason = TryToWrite(folder); reason != 0) {
    return settings.Refuse(kOption, fmt::format("the folder cannot be written to: {}: {}",
                                                name, std::strerror(reason)));
  }
  return folder;
}

}  // namespace

std::vector<std::string> SplitFolders(const std::string& text) {
  std::vector<std::string> names;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    std::string name = text.substr(begin, end - begin);
    name.erase(0, name.find_first_not_of(' '));
    name.erase(name.find_last_not_of(' ') + 1);
    if (!name.empty()) names.push_back(std::move(name));
    begin = end + 1;
  }
  return names;
}

arrow::Result<WorkDir> WorkDir::Open(const Settings& settings) {
  std::vector<fs::path> folders;
  for (const auto& name : SplitFolders(settings.Text(kOption))) {
    ARROW_ASSIGN_OR_RAISE(auto folder, MakeNamed(settings, name));
    if (std::find(folders.begin(), folders.end(), folder) != folders.end()) {
      return settings.Refuse(kOption, "it names " + folder.string() + " twice");
    }
    folders.push_back(std::move(folder));
  }
  if (!folders.empty()) return WorkDir(std::move(folders), false);
  ARROW_ASSIGN_OR_RAISE(auto folder, MakeTemporary(settings));
  return WorkDir({std::move(folder)}, true);
}

const fs::path& WorkDir::roomiest() const {
  return *std::max_element(paths_.begin(), paths_.end(),
                           [](const fs::path& a, const fs::path& b) {
                             return FreeDiskBytes(a.string()) < FreeDiskBytes(b.string());
                           });
}

void WorkDir::WarnOfPoorOnes(int64_t wanted_bytes) const {
  for (const auto& path : paths_) {
    const auto why = WhyPoorForSpilling(path.string(), wanted_bytes);
    if (why.empty()) continue;
    LOG_WARN("executor", "The work folder {} is a poor place for spilled data: {}",
             path.string(), why);
  }
}

WorkDir::~WorkDir() {
  if (!temporary_ || paths_.empty()) return;
  std::error_code ignored;
  fs::remove_all(paths_.front(), ignored);
}

}  // namespace ballista::config
