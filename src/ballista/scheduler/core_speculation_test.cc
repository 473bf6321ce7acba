#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ballista/base/status.h"
#include "ballista/scheduler/core_fixture_internal.h"

namespace ballista::scheduler {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

// A stage of four tasks; three of them finish after 2 s each, at a, b and c.
class SpeculationTest : public CoreTest {
 protected:
  void Begin(JobOptions options = {}, job::JobGraph graph = OneScan(4)) {
    for (const char* id : {"a", "b", "c", "d"}) Join(id);
    options.speculation.enabled = true;
    Submit("j", std::move(graph), "s", options);
    ASSERT_EQ(running_.size(), 4u);
    After(seconds(2));
    for (const char* id : {"a", "b", "c"}) Finish(TakeAt(id), 10);
    EXPECT_TRUE(running_.size() == 1);
    slow_ = running_.front();
    EXPECT_EQ(slow_.executor, "d");
  }
  void After(Time time) {
    now_ += time;
    if (core_->NextDeadline() <= now_) Send(Tick{});
    Consistent();
  }
  void Consistent() { EXPECT_THAT(core_->FindInconsistencies(), ElementsAre()); }
  // The task is late: it has run for more than twice 2 s.
  void BeLate() {
    After(seconds(3));
    ASSERT_EQ(running_.size(), 2u);
    copy_ = running_.back();
  }

  Launched slow_;
  Launched copy_;
};

TEST_F(SpeculationTest, RunsALateTaskASecondTimeElsewhere) {
  Begin();
  After(milliseconds(1900));
  EXPECT_EQ(running_.size(), 1u);  // not late yet
  EXPECT_LE(core_->NextDeadline(), now_ + milliseconds(110));
  After(milliseconds(200));
  ASSERT_EQ(running_.size(), 2u);
  EXPECT_NE(running_.back().executor, "d");
  EXPECT_EQ(running_.back().id().task_index(), slow_.id().task_index());
  EXPECT_EQ(running_.back().id().attempt(), 1u);
  EXPECT_EQ(core_->NumRunningTasks(), 2u);
  After(seconds(20));
  EXPECT_EQ(running_.size(), 2u);  // and not a third time
}

TEST_F(SpeculationTest, IsOffUnlessAskedFor) {
  for (const char* id : {"a", "b"}) Join(id);
  Submit("j", OneScan(2));
  After(seconds(1));
  Finish(TakeAt("a"), 10);
  After(seconds(25));
  EXPECT_EQ(running_.size(), 1u);
}

TEST_F(SpeculationTest, TakesTheCopyThatFinishesFirstAndStopsTheOther) {
  Begin();
  BeLate();
  Finish(copy_, 10);
  ASSERT_TRUE(finished_.contains("j"));
  EXPECT_EQ(finished_["j"].rows, 40u);
  EXPECT_THAT(cancelled_, ElementsAre(Name(slow_.id())));
  Consistent();
  // It had finished before it was told; its output is not wanted.
  cancelled_.clear();
  Finish(slow_, 10);
  EXPECT_THAT(cancelled_, ElementsAre(Name(slow_.id())));
  bool taken = false;
  for (const ResultPart& part : finished_["j"].parts) {
    EXPECT_NE(part.executor.executor_id(), "d");
    taken = taken || part.attempt == 1;
  }
  EXPECT_TRUE(taken);
  Send(JobReleased{"j"});
  EXPECT_TRUE(core_->IsIdle());
  EXPECT_THAT(removed_, ::testing::Contains("d:j"));
}

TEST_F(SpeculationTest, TakesTheFirstAttemptThatFinishesAfterAllAndStopsTheCopy) {
  Begin();
  BeLate();
  Finish(slow_, 10);
  ASSERT_TRUE(finished_.contains("j"));
  EXPECT_EQ(finished_["j"].rows, 40u);
  EXPECT_THAT(cancelled_, ElementsAre(Name(copy_.id())));
  Finish(copy_, 10);
  EXPECT_EQ(finished_["j"].rows, 40u);
  Send(JobReleased{"j"});
  EXPECT_TRUE(core_->IsIdle());
}

// Whoever was overtaken may stand still, and would hold up the next stage as well.
TEST_F(SpeculationTest, GivesNoTaskToWhoWasOvertakenUntilItIsHeardOf) {
  Begin({}, ThreeStages());
  BeLate();
  running_.clear();
  Finish(copy_);
  EXPECT_EQ(core_->NumUsableExecutors(), 3u);
  for (const Launched& task : running_) EXPECT_NE(task.executor, "d");
  Send(ExecutorHeartbeat{"d", "d#1"});
  EXPECT_EQ(core_->NumUsableExecutors(), 4u);
  FinishAll();
  EXPECT_TRUE(finished_.contains("j"));
}

TEST_F(SpeculationTest, GoesOnWithTheOtherAttemptWhenOneFailsOrIsLost) {
  Begin({.max_task_attempts = 1});
  BeLate();
  Fail(copy_, arrow::Status::IOError("the disk is full"));
  EXPECT_FALSE(failed_.contains("j"));
  Consistent();
  EXPECT_EQ(core_->NumRunningTasks(), 1u);
  running_.pop_back();
  Finish(TakeFirst(), 10);
  EXPECT_TRUE(finished_.contains("j"));
}

TEST_F(SpeculationTest, PromotesTheCopyOfALostAttempt) {
  Begin();
  BeLate();
  Lose("d");
  Consistent();
  EXPECT_EQ(core_->NumRunningTasks(), 1u);
  Finish(copy_, 10);
  ASSERT_TRUE(finished_.contains("j"));
  EXPECT_EQ(finished_["j"].rows, 40u);
}

TEST_F(SpeculationTest, LosesTheCopyAloneWithItsExecutor) {
  Begin();
  BeLate();
  Lose(copy_.executor);
  Consistent();
  // What it kept of the finished tasks is computed again; the late one runs on.
  Forget(copy_.executor);
  FinishAll(10);
  ASSERT_TRUE(finished_.contains("j"));
  EXPECT_EQ(finished_["j"].rows, 40u);
}

TEST_F(SpeculationTest, NumbersAttemptsAboveThoseOfCopies) {
  Begin();
  BeLate();
  Lose("d");
  Fail(copy_, arrow::Status::IOError("the disk is full"));
  Consistent();
  EXPECT_EQ(running_.back().id().attempt(), 2u);
}

TEST_F(SpeculationTest, StopsBothAttemptsWithTheJob) {
  Begin();
  BeLate();
  Send(JobCancelled{"j"});
  EXPECT_THAT(cancelled_,
              ::testing::UnorderedElementsAre(Name(slow_.id()), Name(copy_.id())));
  EXPECT_TRUE(core_->IsIdle());
}

TEST_F(SpeculationTest, TakesNoSlotThatAnotherTaskWants) {
  Begin();
  Submit("other", OneScan(8), "t", {.tasks_per_stage = 8});
  EXPECT_EQ(running_.size(), 4u);
  After(seconds(3));
  EXPECT_EQ(running_.size(), 4u);
  // Until the others are done.
  for (int i = 0; i < 8; ++i) {
    Finish(Take([](const Launched& task) { return task.id().job_id() == "other"; }));
  }
  EXPECT_EQ(running_.size(), 2u);
  EXPECT_EQ(running_.back().id().attempt(), 1u);
}

TEST_F(SpeculationTest, RunsNothingTwiceThatWritesFilesOrMustNotBe) {
  job::JobGraph graph = OneScan(4);
  graph.mutable_stages(0)->mutable_fragment()->mutable_write();
  Begin({}, graph);
  After(seconds(10));
  EXPECT_EQ(running_.size(), 1u);
}

TEST_F(SpeculationTest, RunsNothingTwiceWithoutRetries) {
  Begin({.retry = false});
  After(seconds(10));
  EXPECT_EQ(running_.size(), 1u);
}

// The late task may have read it in time, or will say so; another one could not.
TEST_F(SpeculationTest, RunsNothingTwiceWhoseInputIsBeingComputedAgain) {
  for (const char* id : {"a", "b", "c", "d"}) Join(id);
  JobOptions options;
  options.speculation.enabled = true;
  Submit("j", ThreeStages(), "s", options);
  FinishAll(80);
  finished_.clear();
  Send(JobReleased{"j"});
  Submit("k", ThreeStages(), "s", options);
  for (int i = 0; i < 4; ++i) Finish(TakeFirst());
  ASSERT_EQ(running_.size(), 4u);
  After(seconds(2));
  for (const char* id : {"a", "b", "c"}) Finish(TakeAt(id));
  Lose("a");
  Consistent();
  // Of the first stage; and what "a" had finished of the second one waits for it.
  ASSERT_EQ(running_.size(), 2u);
  EXPECT_EQ(running_.back().id().stage_id(), 0u);
  // That one may be late itself.
  After(seconds(10));
  for (const Launched& task : running_) {
    EXPECT_TRUE(task.id().stage_id() == 0 || task.id().attempt() == 0);
  }
  FinishAll();
  EXPECT_TRUE(finished_.contains("k"));
}

TEST_F(SpeculationTest, KeepsAnExecutorUntilItsCopyHasEnded) {
  Begin();
  BeLate();
  Send(ExecutorDraining{copy_.executor, copy_.executor + "#1"});
  EXPECT_FALSE(core_->MayLeave(copy_.executor, copy_.executor + "#1"));
}

}  // namespace
}  // namespace ballista::scheduler
