#include "ballista/base/machine_resources.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace ballista {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMachine = 8ULL << 30;

// A root folder with files of proc and sys.
class MachineResourcesTest : public testing::Test {
 protected:
  MachineResourcesTest() {
    std::string name = (fs::temp_directory_path() / "machine.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    root_ = name;
    Write("proc/meminfo", "MemFree: 12 kB\nMemTotal:        8388608 kB\n");
  }
  ~MachineResourcesTest() override { fs::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text << "\n";
  }

  fs::path root_;
};

TEST_F(MachineResourcesTest, MachineWithoutLimits) {
  EXPECT_EQ(AvailableMemory(root_), kMachine);
  Write("proc/self/cgroup", "0::/");
  Write("sys/fs/cgroup/memory.max", "max");
  Write("sys/fs/cgroup/cpu.max", "max 100000");
  EXPECT_EQ(AvailableMemory(root_), kMachine);
  EXPECT_EQ(AvailableCores(root_), AvailableCores("/nowhere"));
}

TEST_F(MachineResourcesTest, TheLeastOfNestedGroupsOfVersion2) {
  Write("proc/self/cgroup", "0::/outer/inner");
  Write("sys/fs/cgroup/outer/memory.max", "1073741824");
  Write("sys/fs/cgroup/outer/inner/memory.max", "2147483648");
  Write("sys/fs/cgroup/outer/inner/cpu.max", "50000 100000");
  EXPECT_EQ(AvailableMemory(root_), 1ULL << 30);
  EXPECT_EQ(AvailableCores(root_), 1U);
}

TEST_F(MachineResourcesTest, GroupsOfVersion1) {
  Write("proc/self/cgroup", "4:memory:/app\n3:cpu,cpuacct:/app\n0::/");
  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
  Write("sys/fs/cgroup/memory/app/memory.limit_in_bytes", "536870912");
  Write("sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us", "20000");
  Write("sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_period_us", "100000");
  EXPECT_EQ(AvailableMemory(root_), 512ULL << 20);
  EXPECT_EQ(AvailableCores(root_), 1U);
}

// In a container the path is the host's, and the mount is the container's own group.
TEST_F(MachineResourcesTest, PathOfTheHostInAContainer) {
  Write("proc/self/cgroup", "4:memory:/docker/0123\n0::/docker/0123");
  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456");
  EXPECT_EQ(AvailableMemory(root_), 256ULL << 20);
}

TEST_F(MachineResourcesTest, FilesThatMakeNoSenseSetNoLimit) {
  Write("proc/self/cgroup", "nonsense\n0::/../../x");
  Write("sys/fs/cgroup/memory.max", "lots");
  Write("sys/fs/cgroup/cpu.max", "-1 0");
  EXPECT_EQ(AvailableMemory(root_), kMachine);
  EXPECT_GE(AvailableCores(root_), 1U);
}

TEST_F(MachineResourcesTest, ThisMachine) {
  EXPECT_GT(AvailableMemory(), 64ULL << 20);
  EXPECT_GE(AvailableCores(), 1U);
}

}  // namespace
}  // namespace ballista
