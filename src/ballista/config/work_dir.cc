#include "ballista/config/work_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

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

}  // namespace

arrow::Result<WorkDir> WorkDir::Open(const Settings& settings) {
  const auto& text = settings.Text(kOption);
  if (text.empty()) {
    ARROW_ASSIGN_OR_RAISE(auto folder, MakeTemporary(settings));
    return WorkDir(std::move(folder), true);
  }
  std::error_code error;
  const auto folder = fs::absolute(text, error);
  if (!error) fs::create_directories(folder, error);
  if (error) {
    return settings.Refuse(kOption, "the folder cannot be made: " + error.message());
  }
  if (const int reason = TryToWrite(folder); reason != 0) {
    return settings.Refuse(kOption, fmt::format("the folder cannot be written to: {}",
                                                std::strerror(reason)));
  }
  return WorkDir(folder, false);
}

WorkDir::~WorkDir() {
  if (!temporary_ || path_.empty()) return;
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace ballista::config
