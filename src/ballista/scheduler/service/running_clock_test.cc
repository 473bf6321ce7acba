#include "ballista/scheduler/service/running_clock.h"

#include <gtest/gtest.h>

#include <chrono>

namespace ballista::scheduler {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RunningClock, StandsStillWhileTheProcessDoesNotRun) {
  Time real{};
  RunningClock clock([&real] { return real; });
  EXPECT_EQ(clock.Check(true), Time::zero());
  real += milliseconds(400);
  EXPECT_EQ(clock.Check(true), Time::zero());
  EXPECT_EQ(clock.Now(), milliseconds(400));
  // Late, as on a busy machine.
  real += milliseconds(1400);
  EXPECT_EQ(clock.Check(true), Time::zero());
  EXPECT_EQ(clock.Now(), milliseconds(1800));
  real += seconds(60);
  EXPECT_EQ(clock.Check(true), seconds(60) - RunningClock::kInterval);
  EXPECT_EQ(clock.Now(), milliseconds(1800) + RunningClock::kInterval);
  EXPECT_EQ(clock.Until(clock.Now() + seconds(3)), seconds(3));
}

TEST(RunningClock, GoesOnWhereNobodyPromisedToLook) {
  Time real{};
  RunningClock clock([&real] { return real; });
  clock.Check(false);
  real += seconds(60);
  EXPECT_EQ(clock.Check(true), Time::zero());
  EXPECT_EQ(clock.Now(), seconds(60));
}

}  // namespace
}  // namespace ballista::scheduler
