#include "ballista/base/idle_release.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>

#include "ballista/base/process_memory.h"

namespace ballista {
namespace {

using std::chrono::milliseconds;

void WaitFor(const std::atomic<uint64_t>& counter, uint64_t value) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (counter < value && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  ASSERT_EQ(counter, value);
}

TEST(IdleRelease, ReleasesOnceForEachTimeOfUse) {
  std::atomic<uint64_t> uses{0};
  std::atomic<uint64_t> asked{0};
  std::atomic<uint64_t> released{0};
  const IdleRelease idle(
      [&] {
        ++asked;
        return uses.load();
      },
      [&] { ++released; }, milliseconds(2));
  WaitFor(released, 1);
  const uint64_t before = asked;
  WaitFor(asked, before + 5);
  EXPECT_EQ(released, 1u);
  ++uses;
  WaitFor(released, 2);
}

TEST(IdleRelease, DoesNotWhileThereIsSomethingToDo) {
  std::atomic<uint64_t> asked{0};
  std::atomic<uint64_t> released{0};
  const IdleRelease idle([&] { return ++asked; }, [&] { ++released; }, milliseconds(2));
  WaitFor(asked, 10);
  EXPECT_EQ(released, 0u);
}

TEST(IdleRelease, EndsAtOnce) {
  const auto begin = std::chrono::steady_clock::now();
  {
    const IdleRelease idle([] { return 0; }, [] {}, std::chrono::hours(1));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::minutes(1));
}

// Changed data, constants and code are all there after the pages of the last two went.
TEST(ProcessMemory, ReleasesCodeAndGoesOn) {
  static std::array<int, 4096> changed = {1};
  static constexpr std::array<int, 4096> kConstant = {7};
  changed.fill(3);
  const int64_t before = ResidentBytes();
  ReleaseCode();
  EXPECT_LT(ResidentBytes(), before - (1 << 20));
  EXPECT_EQ(std::accumulate(changed.begin(), changed.end(), 0), 3 * 4096);
  EXPECT_EQ(std::accumulate(kConstant.begin(), kConstant.end(), 0), 7);
}

}  // namespace
}  // namespace ballista
