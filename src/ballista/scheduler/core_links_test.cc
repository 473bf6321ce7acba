// Executors that cannot read from each other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ballista/base/status.h"
#include "ballista/scheduler/core_fixture_internal.h"

namespace ballista::scheduler {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;

class LinksTest : public CoreTest {
 protected:
  // The task that reads at `reader` cannot get what `holder` has.
  void CannotRead(const std::string& reader, const std::string& holder) {
    const Launched task = TakeAt(reader);
    for (const job::TaskOutputRef& ref : task.definition.inputs(0).outputs()) {
      const auto position = static_cast<int>(ref.executor());
      if (task.definition.executors(position).executor_id() != holder) continue;
      return Fail(task, FetchFailedStatus("no answer", Fetch(ref, task.id().job_id())));
    }
    ADD_FAILURE() << "it reads nothing of " << holder;
  }
};

TEST_F(LinksTest, LeaveOutOneOfTwoExecutorsThatCannotReadFromEachOther) {
  for (const char* id : {"a", "b", "c"}) Join(id);
  Submit("j", ThreeStages(6, 12));
  for (const char* id : {"a", "b", "c"}) Finish(TakeAt(id), 120);
  ASSERT_EQ(running_.size(), 3u);
  CannotRead("a", "b");
  EXPECT_EQ(core_->NumUsableExecutors(), 2u);
  EXPECT_THAT(core_->FindInconsistencies(), ElementsAre());
  FinishAll(120);
  ASSERT_TRUE(finished_.contains("j"));
  Submit("k", ThreeStages());
  for (const Launched& task : running_) EXPECT_NE(task.executor, "b");
  FinishAll();
  now_ += seconds(20);
  for (const char* id : {"a", "b", "c"}) Send(ExecutorHeartbeat{id, incarnations_[id]});
  now_ += seconds(20);
  for (const char* id : {"a", "b", "c"}) Send(ExecutorHeartbeat{id, incarnations_[id]});
  now_ += seconds(21);
  Send(Tick{});
  EXPECT_EQ(core_->NumUsableExecutors(), 3u);
}

TEST_F(LinksTest, NeverLeaveOutTheLastExecutor) {
  for (const char* id : {"a", "b"}) Join(id);
  Submit("j", ThreeStages());
  for (const char* id : {"a", "b"}) Finish(TakeAt(id));
  CannotRead("a", "b");
  EXPECT_EQ(core_->NumUsableExecutors(), 1u);
  Lose("a");
  EXPECT_EQ(core_->NumUsableExecutors(), 1u);
  Forget("a");
  FinishAll();
  EXPECT_TRUE(finished_.contains("j"));
}

}  // namespace
}  // namespace ballista::scheduler
