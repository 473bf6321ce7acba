#include "ballista/executor/task_admission.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace ballista::executor {
namespace {

using namespace std::chrono_literals;

bool Never() {
  return false;
}

TEST(TaskAdmission, RoomLetsTasksBeginSideBySide) {
  TaskAdmission admission([] { return true; });
  const auto first = admission.Enter(Never);
  const auto second = admission.Enter(Never);
  EXPECT_TRUE(first);
  EXPECT_TRUE(second);
  EXPECT_TRUE(first.began_alone());
  EXPECT_FALSE(second.began_alone());
  EXPECT_EQ(admission.running(), 2);
}

TEST(TaskAdmission, WithoutRoomOneRunsAtATime) {
  std::atomic<bool> room{false};
  TaskAdmission admission([&] { return room.load(); });
  auto first = admission.Enter(Never);
  std::atomic<bool> began{false};
  std::thread other([&] {
    const auto permit = admission.Enter(Never);
    began = true;
  });
  std::this_thread::sleep_for(60ms);
  EXPECT_FALSE(began);
  first = {};
  other.join();
  EXPECT_TRUE(began);
}

TEST(TaskAdmission, AWaitingTaskBeginsWhenThereIsRoomAgain) {
  std::atomic<bool> room{false};
  TaskAdmission admission([&] { return room.load(); });
  const auto first = admission.Enter(Never);
  std::thread other([&] { const auto permit = admission.Enter(Never); });
  room = true;
  other.join();
}

TEST(TaskAdmission, AnAbandonedTaskStopsWaiting) {
  TaskAdmission admission([] { return false; });
  const auto first = admission.Enter(Never);
  EXPECT_FALSE(admission.Enter([] { return true; }));
  EXPECT_FALSE(admission.EnterAlone([] { return true; }));
  EXPECT_EQ(admission.running(), 1);
}

TEST(TaskAdmission, NothingBeginsBesideATaskThatRunsAlone) {
  TaskAdmission admission([] { return true; });
  auto alone = admission.EnterAlone(Never);
  EXPECT_TRUE(alone);
  std::atomic<bool> began{false};
  std::thread other([&] {
    const auto permit = admission.Enter(Never);
    began = true;
  });
  std::this_thread::sleep_for(60ms);
  EXPECT_FALSE(began);
  alone = {};
  other.join();
  EXPECT_TRUE(began);
}

TEST(TaskAdmission, ATaskThatWantsToRunAloneIsNotPassed) {
  TaskAdmission admission([] { return true; });
  auto first = admission.Enter(Never);
  std::atomic<bool> alone{false};
  std::atomic<bool> passed{false};
  std::thread lonely([&] {
    const auto permit = admission.EnterAlone(Never);
    alone = true;
    std::this_thread::sleep_for(30ms);
    EXPECT_FALSE(passed);
  });
  std::this_thread::sleep_for(30ms);
  std::thread later([&] {
    const auto permit = admission.Enter(Never);
    passed = true;
  });
  std::this_thread::sleep_for(30ms);
  EXPECT_FALSE(passed);
  first = {};
  lonely.join();
  later.join();
  EXPECT_TRUE(alone);
  EXPECT_TRUE(passed);
}

}  // namespace
}  // namespace ballista::executor
