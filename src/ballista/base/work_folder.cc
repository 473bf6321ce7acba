#include "ballista/base/work_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>
#include <string_view>
#include <system_error>

#include "ballista/base/log.h"

namespace ballista {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "ballista-shuffle-";
constexpr std::string_view kLockSuffix = ".lock";

std::string NewName() {
  std::random_device random;
  std::string name(kPrefix);
  for (int i = 0; i < 4; ++i) name += fmt::format("{:08x}", random());
  return name;
}

// Opens and locks the file; -1 where another process holds it or it cannot be opened.
// Holding the lock of a file that was unlinked meanwhile counts for nothing.
int TryLock(const std::string& path, int extra_flags) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC | extra_flags, 0600);
  if (descriptor < 0) return -1;
  struct stat held {};
  struct stat named {};
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0 && ::fstat(descriptor, &held) == 0 &&
      ::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino) {
    return descriptor;
  }
  ::close(descriptor);
  return -1;
}

// Removes a folder and then its lock file, whose lock the caller holds.
void RemoveLocked(const std::string& folder, int lock) {
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  ::unlink((folder + std::string(kLockSuffix)).c_str());
  ::close(lock);
}

int Sweep(const std::string& root) {
  int swept = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    const std::string path = entry.path().string();
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || !name.ends_with(kLockSuffix)) continue;
    const int lock = TryLock(path, 0);
    if (lock < 0) continue;
    const std::string folder = path.substr(0, path.size() - kLockSuffix.size());
    LOG_INFO("base", "removing the files of a process that is gone: {}", folder);
    RemoveLocked(folder, lock);
    ++swept;
  }
  return swept;
}

}  // namespace

arrow::Result<std::unique_ptr<WorkFolder>> WorkFolder::Create(const std::string& root) {
  std::error_code error;
  fs::create_directories(root, error);
  if (error) {
    return arrow::Status::IOError("the folder ", root,
                                  " cannot be made: ", error.message());
  }
  const int swept = Sweep(root);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const std::string path = (fs::path(root) / NewName()).string();
    const int lock = TryLock(path + std::string(kLockSuffix), O_CREAT | O_EXCL);
    if (lock < 0) continue;
    if (::mkdir(path.c_str(), 0700) != 0) {
      const int failure = errno;
      RemoveLocked(path, lock);
      return arrow::Status::IOError("no folder can be made in ", root, ": ",
                                    std::strerror(failure));
    }
    return std::unique_ptr<WorkFolder>(new WorkFolder(path, lock, swept));
  }
  return arrow::Status::IOError("no lock file can be made in ", root,
                                ": is it writable?");
}

WorkFolder::~WorkFolder() {
  RemoveLocked(path_, lock_);
}

}  // namespace ballista
