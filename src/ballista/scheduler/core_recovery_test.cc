#include <gtest/gtest.h>

#include "ballista/scheduler/core_fixture_internal.h"

namespace ballista::scheduler {
namespace {

class RecoveryTest : public CoreTest {
 protected:
  void Recover(const std::string& job) {
    Send(JobRecovered{{job, "s", OneScan(1), {}}, {}, 1 << 16, {}});
  }
};

// Before it ended the scheduler may have had more jobs without a record of a stage than
// there are places in the queue now: those that ran, but had no slot yet.
TEST_F(RecoveryTest, RefusesNoJobBecauseTheQueueIsFull) {
  Start({.durable = true, .max_running_jobs = 1, .max_queued_jobs = 1});
  for (const char* job : {"a", "b", "c", "d"}) Recover(job);
  EXPECT_TRUE(failed_.empty());
  Submit("new", OneScan(1));
  EXPECT_TRUE(failed_.contains("new"));
  Join("e");
  for (const char* job : {"a", "b", "c", "d"}) {
    FinishAll();
    EXPECT_TRUE(finished_.contains(job));
    Send(JobReleased{job});
  }
  EXPECT_TRUE(core_->IsIdle());
}

}  // namespace
}  // namespace ballista::scheduler
