#include "ballista/base/disk_space.h"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

namespace ballista {
namespace {

// From linux/magic.h.
constexpr int64_t kTmpfs = 0x01021994;
constexpr int64_t kRamfs = 0x858458f6;
constexpr int64_t kOverlay = 0x794c7630;

}  // namespace

int64_t FreeDiskBytes(const std::string& folder) {
  struct statvfs found {};
  if (::statvfs(folder.c_str(), &found) != 0) return 0;
  return static_cast<int64_t>(found.f_bavail) * static_cast<int64_t>(found.f_frsize);
}

std::string WhyPoorForSpilling(const std::string& folder, int64_t wanted_bytes) {
  struct statfs found {};
  if (::statfs(folder.c_str(), &found) != 0) return "it cannot be read";
  const auto type = static_cast<int64_t>(static_cast<uint32_t>(found.f_type));
  if (type == kTmpfs || type == kRamfs) {
    return "it is in memory (tmpfs): what is written there to save memory takes memory";
  }
  if (type == kOverlay) {
    return "it is in a container's own layer (overlay), which is slow and small; mount a "
           "disk";
  }
  const int64_t free = FreeDiskBytes(folder);
  if (free >= wanted_bytes) return "";
  return fmt::format("only {} MiB are free there", free >> 20);
}

}  // namespace ballista
