#include "ballista/base/machine_resources.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace ballista {
namespace {

namespace fs = std::filesystem;

// The first line of a file; nothing where it cannot be read.
std::optional<std::string> FirstLine(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

std::optional<double> Number(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (end == text.c_str()) return std::nullopt;
  return value;
}

// A controller's folders that hold this process, innermost first. Inside a container the
// path in proc/self/cgroup is often that of the host and not there; the folders above it
// lead to the mount itself, which is the container's own.
std::vector<fs::path> FoldersUpTo(const fs::path& mount, const std::string& cgroup) {
  std::vector<fs::path> folders;
  const auto relative = fs::path(cgroup).relative_path().lexically_normal();
  fs::path inner = mount;
  folders.push_back(inner);
  for (const auto& part : relative) {
    if (part.empty() || part == "." || part == "..") continue;
    inner /= part;
    folders.push_back(inner);
  }
  std::reverse(folders.begin(), folders.end());
  return folders;
}

bool HasController(const std::string& controllers, const std::string& name) {
  std::istringstream list(controllers);
  for (std::string one; std::getline(list, one, ',');) {
    if (one == name) return true;
  }
  return false;
}

// Calls `visit(folder, version)` for each cgroup folder that can limit `controller`.
void VisitCgroups(const fs::path& root, const std::string& controller,
                  const std::function<void(const fs::path&, int version)>& visit) {
  const fs::path mounts = root / "sys/fs/cgroup";
  std::ifstream cgroups(root / "proc/self/cgroup");
  // A line: number:controllers:path; version 2 has number 0 and no controllers.
  for (std::string line; std::getline(cgroups, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) {
      for (const auto& mount : {mounts, mounts / "unified"}) {
        for (const auto& folder : FoldersUpTo(mount, path)) visit(folder, 2);
      }
    } else if (HasController(controllers, controller)) {
      const auto mount =
          fs::exists(mounts / controllers) ? mounts / controllers : mounts / controller;
      for (const auto& folder : FoldersUpTo(mount, path)) visit(folder, 1);
    }
  }
}

std::optional<double> MachineMemory(const fs::path& root) {
  std::ifstream meminfo(root / "proc/meminfo");
  for (std::string line; std::getline(meminfo, line);) {
    if (!line.starts_with("MemTotal:")) continue;
    const auto kibibytes = Number(line.substr(sizeof("MemTotal:") - 1));
    if (kibibytes) return *kibibytes * 1024;
  }
  return std::nullopt;
}

// Cores that a cgroup's quota allows; nothing where it sets none.
std::optional<double> CpuQuota(const fs::path& folder, int version) {
  std::optional<double> quota;
  std::optional<double> period;
  if (version == 2) {
    std::istringstream line(FirstLine(folder / "cpu.max").value_or(""));
    std::string quota_text, period_text;
    line >> quota_text >> period_text;
    quota = Number(quota_text);
    period = Number(period_text);
  } else {
    quota = Number(FirstLine(folder / "cpu.cfs_quota_us").value_or(""));
    period = Number(FirstLine(folder / "cpu.cfs_period_us").value_or(""));
  }
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return *quota / *period;
}

uint32_t CoresOfAffinity() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  // Fails with more CPUs than the set has room for (1024).
  if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0) {
    return std::max(std::thread::hardware_concurrency(), 1U);
  }
  return static_cast<uint32_t>(CPU_COUNT(&cpus));
}

}  // namespace

uint64_t AvailableMemory(const fs::path& root) {
  std::optional<double> least = MachineMemory(root);
  VisitCgroups(root, "memory", [&](const fs::path& folder, int version) {
    const auto* file = version == 2 ? "memory.max" : "memory.limit_in_bytes";
    const auto limit = Number(FirstLine(folder / file).value_or(""));
    if (limit && *limit > 0) least = least ? std::min(*least, *limit) : *limit;
  });
  return least ? static_cast<uint64_t>(*least) : 0;
}

uint32_t AvailableCores(const fs::path& root) {
  uint32_t cores = CoresOfAffinity();
  VisitCgroups(root, "cpu", [&](const fs::path& folder, int version) {
    const auto quota = CpuQuota(folder, version);
    if (!quota || *quota >= cores) return;
    const auto whole = static_cast<uint32_t>(*quota);
    cores = whole + (*quota > whole ? 1 : 0);
  });
  return std::max(cores, 1U);
}

void RaiseOpenFileLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace ballista
