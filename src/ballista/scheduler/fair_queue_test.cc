#include <gtest/gtest.h>

#include <map>
#include <string>

#include "ballista/scheduler/fair_queue_internal.h"

namespace ballista::scheduler {
namespace {

class FairQueueTest : public ::testing::Test {
 protected:
  FairQueue::Entry* Ready(uint64_t job, const std::string& session) {
    auto* entry = &entries_[job];
    queue_.Add(entry, job, session);
    queue_.SetReady(entry, true);
    return entry;
  }

  // One task of the job whose turn it is runs.
  uint64_t Launch() {
    const uint64_t job = queue_.Next();
    queue_.TaskLaunched(&entries_[job]);
    return job;
  }

  FairQueue queue_{FairQueue::Served::kAtLaunch};
  std::map<uint64_t, FairQueue::Entry> entries_;
};

TEST_F(FairQueueTest, NobodyOvertakesAJobBetweenItsStages) {
  auto* old = Ready(1, "a");
  EXPECT_EQ(Launch(), 1u);
  queue_.SetReady(old, false);
  for (uint64_t job = 2; job < 50; ++job) Ready(job, "s" + std::to_string(job));
  // Its first stage is through.
  queue_.TaskEnded(old);
  queue_.SetReady(old, true);
  EXPECT_EQ(queue_.Position(*old), 0u);
  EXPECT_EQ(Launch(), 1u);
  queue_.SetReady(old, false);
  EXPECT_EQ(Launch(), 2u);
  // A session whose last job is gone comes as anybody else.
  queue_.TaskEnded(old);
  queue_.Remove(old);
  entries_.erase(1);
  auto* next = Ready(51, "a");
  EXPECT_EQ(queue_.Position(*next), 47u);
}

TEST(FairQueueOfJobs, LetsSessionsTakeTurns) {
  FairQueue queue(FairQueue::Served::kAtEnd);
  std::map<uint64_t, FairQueue::Entry> entries;
  const auto come = [&](uint64_t job, const std::string& session) {
    queue.Add(&entries[job], job, session);
    queue.SetReady(&entries[job], true);
  };
  const auto begin = [&] {
    const uint64_t job = queue.Next();
    queue.SetReady(&entries[job], false);
    queue.TaskLaunched(&entries[job]);
    return job;
  };
  const auto end = [&](uint64_t job) {
    queue.TaskEnded(&entries[job]);
    queue.Remove(&entries[job]);
  };
  for (uint64_t job = 1; job <= 3; ++job) come(job, "many");
  EXPECT_EQ(begin(), 1u);
  come(4, "one");
  end(1);
  EXPECT_EQ(begin(), 4u);
  // Those who keep coming do not pass by one that waits.
  come(5, "another");
  end(4);
  EXPECT_EQ(begin(), 2u);
  come(6, "and another");
  end(2);
  EXPECT_EQ(begin(), 5u);
  end(5);
  EXPECT_EQ(begin(), 6u);
  end(6);
  EXPECT_EQ(begin(), 3u);
}

TEST_F(FairQueueTest, WhoeverRunsLessGoesFirst) {
  Ready(1, "a");
  EXPECT_EQ(Launch(), 1u);
  EXPECT_EQ(Launch(), 1u);
  Ready(2, "b");
  Ready(3, "a");
  EXPECT_EQ(Launch(), 2u);
  EXPECT_EQ(Launch(), 2u);
  // As many of both sessions: the one served longer ago, and of it the job that has none.
  EXPECT_EQ(Launch(), 3u);
}

}  // namespace
}  // namespace ballista::scheduler
