#include "ballista/scheduler/core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "ballista/base/status.h"
#include "ballista/scheduler/core_fixture_internal.h"

namespace ballista::scheduler {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

// ------------------------------------------------------------------------- running jobs

TEST_F(CoreTest, RunsStagesOneAfterTheOtherAndForgetsTheJob) {
  Join("a");
  Join("b");
  Submit("j", ThreeStages());
  ASSERT_EQ(running_.size(), 2u);  // one task an executor
  EXPECT_NE(running_[0].executor, running_[1].executor);
  EXPECT_EQ(running_[0].definition.scans(0).splits_size(), 2);
  FinishAll(80);
  ASSERT_TRUE(finished_.contains("j"));
  EXPECT_EQ(finished_["j"].rows, 80u);
  ASSERT_EQ(finished_["j"].parts.size(), 1u);
  EXPECT_EQ(finished_["j"].parts[0].stage_id, 2u);
  EXPECT_THAT(finished_["j"].parts[0].executor.host(), HasSubstr("host-"));
  EXPECT_FALSE(core_->IsIdle());
  const auto profile = core_->Profile("j", now_);
  EXPECT_EQ(profile.job().state(), profile::JOB_STATE_FINISHED);
  EXPECT_EQ(profile.job().finished_tasks(), 5u);
  EXPECT_EQ(profile.job().result_rows(), 80u);
  ASSERT_EQ(profile.stages_size(), 3);
  for (const auto& stage : profile.stages()) {
    EXPECT_EQ(stage.state(), profile::STAGE_STATE_COMPLETE);
    EXPECT_EQ(static_cast<int>(stage.finished()), stage.task_list_size());
    for (const auto& task : stage.task_list()) EXPECT_TRUE(task.has_metrics());
  }
  Send(JobReleased{"j"});
  EXPECT_THAT(removed_, ::testing::UnorderedElementsAre("a:j", "b:j"));
  EXPECT_TRUE(core_->IsIdle());
}

TEST_F(CoreTest, TellsTasksExactlyWhatToRead) {
  Join("a");
  Join("b");
  Submit("j", ThreeStages());
  Finish(TakeFirst(), 80);
  EXPECT_EQ(running_.size(), 1u);  // the consumers wait for all producers
  Finish(TakeFirst(), 160);
  ASSERT_EQ(running_.size(), 2u);
  uint64_t rows = 0;
  uint32_t partitions = 0;
  for (const Launched& task : running_) {
    const job::TaskInput& input = task.definition.inputs(0);
    EXPECT_EQ(input.outputs_size(), 2);
    partitions += input.last_partition() - input.first_partition();
    for (const auto& ref : input.outputs()) {
      rows += ref.rows();
      ASSERT_LT(ref.executor(), task.definition.executors_size());
      EXPECT_EQ(ref.bytes(), ref.rows() * 8);
    }
  }
  EXPECT_EQ(rows, 240u);
  EXPECT_EQ(partitions, 8u);
}

TEST_F(CoreTest, SendsOneLaunchForAllTasksOfOneExecutor) {
  Join("a", 4);
  Submit("j", OneScan(4), "s", {.tasks_per_stage = 4});
  EXPECT_EQ(running_.size(), 4u);
  EXPECT_EQ(launch_effects_, 1);
}

TEST_F(CoreTest, KeepsAnInlineResultAndDropsTheDataAtOnce) {
  Join("a");
  Submit("j", OneScan(1));
  Finish(TakeFirst(), 3, true);
  ASSERT_NE(finished_["j"].parts.at(0).inline_result, nullptr);
  EXPECT_EQ(*finished_["j"].parts[0].inline_result, "rows");
  EXPECT_THAT(removed_, ::testing::ElementsAre("a:j"));
  Lose("a");
  EXPECT_TRUE(failed_.empty());
  Send(JobReleased{"j"});
  EXPECT_TRUE(core_->IsIdle());
}

TEST_F(CoreTest, GivesOnePartForAnEmptyResultAndNoneForEmptyTasks) {
  Join("a");
  Join("b");
  Submit("empty", OneScan(2));
  FinishAll(0);
  EXPECT_EQ(finished_["empty"].parts.size(), 1u);
  Submit("half", OneScan(2));
  Finish(TakeFirst(), 7);
  Finish(TakeFirst(), 0);
  EXPECT_EQ(finished_["half"].parts.size(), 1u);
  EXPECT_EQ(finished_["half"].parts[0].rows, 7u);
}

TEST_F(CoreTest, NeverRunsStagesThatTheResultDoesNotNeed) {
  GraphBuilder builder;
  builder.Scan(1);
  const uint32_t used = builder.Scan(1);
  builder.Read({used}, job::StageInput::ALL, job::SINGLE_TASK);
  Join("a", 8);
  Submit("j", builder.Build());
  ASSERT_EQ(running_.size(), 1u);
  EXPECT_EQ(running_[0].id().stage_id(), used);
  FinishAll();
  EXPECT_TRUE(finished_.contains("j"));
}

TEST_F(CoreTest, RefusesAGraphThatIsNotSound) {
  Join("a");
  auto forward = ThreeStages();
  forward.mutable_stages(1)->mutable_inputs(0)->set_stages(0, 2);
  Submit("forward", forward);
  auto uneven = ThreeStages();
  uneven.mutable_stages(0)->mutable_output()->set_partitions(0);
  Submit("uneven", uneven);
  job::JobGraph empty;
  Submit("empty", empty);
  EXPECT_THAT(failed_["forward"].message(), HasSubstr("does not come before"));
  EXPECT_THAT(failed_["uneven"].message(), HasSubstr("number of partitions"));
  EXPECT_TRUE(failed_.contains("empty"));
  EXPECT_TRUE(core_->IsIdle());
}

// --------------------------------------------------------------------------- scheduling

TEST_F(CoreTest, SharesSlotsFairlyBetweenSessionsThenJobs) {
  Join("a", 8);
  JobOptions many{.tasks_per_stage = 100};
  Submit("x1", OneScan(100), "x", many);
  EXPECT_EQ(RunningByJob()["x1"], 8);
  Submit("x2", OneScan(100), "x", many);
  Submit("y1", OneScan(100), "y", many);
  for (int i = 0; i < 40; ++i) Finish(TakeFirst());
  EXPECT_EQ(RunningByJob()["y1"], 4);
  EXPECT_EQ(RunningByJob()["x1"], 2);
  EXPECT_EQ(RunningByJob()["x2"], 2);
}

TEST_F(CoreTest, RunsIndependentStagesAtOnce) {
  GraphBuilder builder;
  const uint32_t left = builder.Scan(1);
  const uint32_t right = builder.Scan(1);
  const uint32_t join = builder.Read({left}, job::StageInput::ALL, job::SINGLE_TASK);
  builder.Input(join, {right}, job::StageInput::ALL);
  Join("a", 2);
  Submit("j", builder.Build());
  EXPECT_EQ(running_.size(), 2u);
}

TEST_F(CoreTest, RunsATaskWhereMostOfItsInputIs) {
  GraphBuilder builder;
  const uint32_t scan = builder.Scan(3);
  builder.Read({scan}, job::StageInput::ALL, job::SINGLE_TASK);
  Join("a");
  Join("b");
  Join("c");
  Submit("j", builder.Build());
  for (const char* executor : {"a", "b", "c"}) {
    Finish(TakeAt(executor), executor == std::string("b") ? 1000 : 10);
  }
  ASSERT_EQ(running_.size(), 1u);
  EXPECT_EQ(running_[0].executor, "b");
}

TEST_F(CoreTest, GivesTheTasksOfAnExecutorThatIsBusyToOneThatIsFree) {
  Join("a");
  Submit("busy", OneScan(1));
  Join("b");
  Submit("j", OneScan(2));
  ASSERT_EQ(running_.size(), 2u);
  Finish(TakeAt("b"));
  EXPECT_EQ(running_.back().executor, "b");
  EXPECT_EQ(running_.back().id().job_id(), "j");
}

TEST_F(CoreTest, UsesAnExecutorThatJoinsLater) {
  Join("a");
  Submit("j", OneScan(4), "s", {.tasks_per_stage = 4});
  EXPECT_EQ(running_.size(), 1u);
  Join("b", 2);
  EXPECT_EQ(running_.size(), 3u);
}

TEST_F(CoreTest, GivesADrainingExecutorNoMoreTasks) {
  Join("a");
  Join("b");
  Submit("j", ThreeStages());
  Send(ExecutorDraining{"a", "a#1"});
  FinishAll();
  ASSERT_TRUE(finished_.contains("j"));
  EXPECT_EQ(finished_["j"].parts[0].executor.executor_id(), "b");
  EXPECT_EQ(core_->NumUsableExecutors(), 1u);
  Send(JobReleased{"j"});
  EXPECT_TRUE(core_->IsIdle());
}

// ----------------------------------------------------------------------------- failures

TEST_F(CoreTest, FailsAtOnceWhenTheStatementIsWrong) {
  Join("a");
  Join("b");
  Submit("j", OneScan(2));
  Launched other = running_[1];
  Fail(TakeFirst(), UserErrorStatus(UserError::RUNTIME, "division by zero", 7));
  ASSERT_TRUE(failed_.contains("j"));
  EXPECT_EQ(failed_["j"].message(), "division by zero");
  EXPECT_EQ(GetErrorDetail(failed_["j"])->user().position(), 7);
  EXPECT_THAT(cancelled_, ::testing::ElementsAre(Name(other.id())));
  EXPECT_THAT(removed_, ::testing::UnorderedElementsAre("a:j", "b:j"));
  EXPECT_TRUE(core_->IsIdle());
}

TEST_F(CoreTest, TriesAFailedTaskElsewhereUpToTheLimit) {
  for (const char* id : {"a", "b", "c", "d"}) Join(id);
  Submit("j", OneScan(1));
  std::set<std::string> tried;
  for (uint32_t attempt = 0; attempt < 4; ++attempt) {
    ASSERT_EQ(running_.size(), 1u);
    Launched task = TakeFirst();
    EXPECT_EQ(task.id().attempt(), attempt);
    EXPECT_TRUE(tried.insert(task.executor).second);
    Fail(task, ResourcesExhaustedStatus("no memory", ResourcesExhausted::MEMORY, 5));
  }
  EXPECT_THAT(failed_["j"].message(), HasSubstr("failure 4 of at most 4"));
  EXPECT_THAT(failed_["j"].message(), HasSubstr("no memory"));
  EXPECT_TRUE(GetErrorDetail(failed_["j"])->has_resources_exhausted());
  EXPECT_TRUE(core_->IsIdle());
}

TEST_F(CoreTest, WaitsForAnotherExecutorRatherThanRetryOnTheSame) {
  Join("a");
  Join("b");
  Submit("busy", OneScan(1));
  Launched busy = running_[0];
  Submit("j", OneScan(1));
  Launched task = Take([](const Launched& t) { return t.id().job_id() == "j"; });
  ASSERT_NE(task.executor, busy.executor);
  Fail(task, InternalStatus("odd"));
  EXPECT_EQ(running_.size(), 1u);  // its only other executor is busy
  Finish(TakeFirst());
  ASSERT_EQ(running_.size(), 1u);
  EXPECT_EQ(running_[0].executor, busy.executor);
}

TEST_F(CoreTest, RetriesOnTheOnlyExecutorThereIs) {
  Join("a");
  Submit("j", OneScan(1));
  Fail(TakeFirst(), InternalStatus("odd"));
  Finish(TakeFirst());
  EXPECT_TRUE(finished_.contains("j"));
}

TEST_F(CoreTest, IgnoresStaleAndRepeatedMessages) {
  Join("a");
  Join("b");
  Submit("j", OneScan(1));
  Launched first = TakeFirst();
  Fail(first, InternalStatus("odd"));
  Launched second = TakeFirst();
  Finish(first);  // an older attempt
  EXPECT_FALSE(finished_.contains("j"));
  Fail(first, UserErrorStatus(UserError::RUNTIME, "late"));
  EXPECT_TRUE(failed_.empty());
  Launched elsewhere = second;
  elsewhere.executor = first.executor;  // not who runs it
  Finish(elsewhere);
  EXPECT_FALSE(finished_.contains("j"));
  Finish(second, 5);
  Finish(second, 6);
  EXPECT_EQ(finished_["j"].rows, 5u);
  Submit("j", OneScan(1));
  EXPECT_TRUE(running_.empty());
}

TEST_F(CoreTest, RemovesWhatAnExecutorStillHasOfAnEndedJob) {
  Join("a");
  Submit("j", OneScan(1));
  Launched task = TakeFirst();
  Send(JobCancelled{"j", Cancelled::CLIENT, ""});
  EXPECT_EQ(GetErrorDetail(failed_["j"])->cancelled().reason(), Cancelled::CLIENT);
  EXPECT_THAT(cancelled_, ::testing::ElementsAre(Name(task.id())));
  removed_.clear();
  Finish(task);
  EXPECT_THAT(removed_, ::testing::ElementsAre("a:j"));
}

TEST_F(CoreTest, RunsTasksOfALostExecutorAgainWithoutCountingThem) {
  for (int i = 0; i < 6; ++i) Join(fmt::format("e{}", i));
  Submit("j", OneScan(1), "s", {.max_task_attempts = 1});
  for (uint32_t attempt = 0; attempt < 5; ++attempt) {
    Launched task = TakeFirst();
    EXPECT_EQ(task.id().attempt(), attempt);
    Lose(task.executor);
  }
  Finish(TakeFirst());
  EXPECT_TRUE(finished_.contains("j"));
}

TEST_F(CoreTest, FailsAJobWhoseTaskSeemsToKillExecutors) {
  for (int i = 0; i < 12; ++i) Join(fmt::format("e{}", i));
  Submit("j", OneScan(1));
  while (failed_.empty()) Lose(TakeFirst().executor);
  EXPECT_TRUE(GetErrorDetail(failed_["j"])->has_executor_lost());
  EXPECT_EQ(core_->Executors().size(), 12u - 9u);
}

TEST_F(CoreTest, ComputesLostOutputsAgainAsFarAsTheyAreNeeded) {
  Join("a");
  Join("b");
  Submit("j", ThreeStages());
  Finish(TakeFirst());
  Finish(TakeFirst());
  ASSERT_EQ(running_.size(), 2u);  // the middle stage
  Launched kept = TakeAt("b");
  Lose("a");
  Forget("a");
  EXPECT_TRUE(running_.empty());  // b is at work
  Finish(kept);
  // The scan's output that a had is first; then a's middle task; then the end.
  ASSERT_EQ(running_.size(), 1u);
  EXPECT_EQ(running_[0].id().stage_id(), 0u);
  EXPECT_EQ(running_[0].id().attempt(), 1u);
  Finish(TakeFirst());
  ASSERT_EQ(running_.size(), 1u);
  EXPECT_EQ(running_[0].id().stage_id(), 1u);
  for (const auto& ref : running_[0].definition.inputs(0).outputs()) {
    EXPECT_EQ(running_[0].definition.executors(ref.executor()).executor_id(), "b");
  }
  Finish(TakeFirst());
  Finish(TakeFirst());
  EXPECT_TRUE(finished_.contains("j"));
}

TEST_F(CoreTest, RestartsTheReadersOfAnOutputThatIsAnotherOneNow) {
  auto graph = ThreeStages();
  graph.mutable_stages(0)->mutable_fragment()->mutable_sample();
  Join("a");
  Join("b");
  Submit("j", graph);
  Finish(TakeFirst());
  Finish(TakeFirst());
  Finish(TakeAt("b"));  // has read a part of what a and b made
  Lose("a");
  Forget("a");
  ASSERT_EQ(running_.size(), 1u);
  EXPECT_EQ(running_[0].id().stage_id(), 0u);
  Finish(TakeFirst());
  std::set<uint32_t> middle;
  while (!running_.empty()) {
    if (running_[0].id().stage_id() == 1) middle.insert(running_[0].id().task_index());
    Finish(TakeFirst());
  }
  EXPECT_EQ(middle.size(), 2u);  // both, though one had finished on b
  EXPECT_TRUE(finished_.contains("j"));
}

TEST_F(CoreTest, LeavesLostOutputsThatNobodyNeeds) {
  GraphBuilder builder;
  const uint32_t scan = builder.Scan(2);
  const uint32_t middle = builder.Read({scan}, job::StageInput::ALL, job::SINGLE_TASK);
  builder.Read({middle}, job::StageInput::ALL, job::SINGLE_TASK);
  Join("a");
  Join("b");
  Submit("j", builder.Build());
  Finish(TakeAt("a"), 10);
  Finish(TakeAt("b"), 1000);
  ASSERT_EQ(running_[0].executor, "b");
  Finish(TakeAt("b"));
  ASSERT_EQ(running_.size(), 1u);
  ASSERT_EQ(running_[0].executor, "b");
  Lose("a");  // has only what has been read
  ASSERT_EQ(running_.size(), 1u);
  Finish(TakeFirst());
  EXPECT_TRUE(finished_.contains("j"));
}

TEST_F(CoreTest, ComputesAChainAgainWhenAllOfItIsLost) {
  GraphBuilder builder;
  uint32_t stage = builder.Scan(1);
  for (int i = 0; i < 3; ++i) {
    stage = builder.Read({stage}, job::StageInput::ALL, job::SINGLE_TASK);
  }
  Join("a");
  Submit("j", builder.Build());
  for (int i = 0; i < 3; ++i) Finish(TakeFirst());
  ASSERT_EQ(running_[0].id().stage_id(), 3u);
  Join("b");
  Lose("a");
  Forget("a");
  for (uint32_t expected = 0; expected < 4; ++expected) {
    ASSERT_EQ(running_.size(), 1u);
    EXPECT_EQ(running_[0].id().stage_id(), expected);
    Finish(TakeFirst());
  }
  EXPECT_TRUE(finished_.contains("j"));
}

TEST_F(CoreTest, ComputesAnOutputAgainThatCouldNotBeFetched) {
  Join("a");
  Join("b");
  Submit("j", ThreeStages());
  FinishAll();  // to the end: everything went well
  Submit("k", ThreeStages(), "s", {.max_task_attempts = 1});
  Finish(TakeFirst());
  Finish(TakeFirst());
  Launched reader = TakeFirst();
  const auto lost = reader.definition.inputs(0).outputs(0);
  Fail(reader, FetchFailedStatus("connection reset", Fetch(lost, "k")));
  EXPECT_TRUE(failed_.empty());  // not a failure of the reader
  Launched other = TakeFirst();
  EXPECT_EQ(other.id().stage_id(), 1u);  // the other reader goes on
  Launched again = TakeFirst();
  EXPECT_EQ(again.id().stage_id(), lost.stage_id());
  EXPECT_EQ(again.id().task_index(), lost.task_index());
  EXPECT_EQ(again.id().attempt(), lost.attempt() + 1);
  Finish(again);
  Fail(other, FetchFailedStatus("connection reset", Fetch(lost, "k")));  // the old one
  for (const Launched& task : running_) {
    ASSERT_EQ(task.id().stage_id(), 1u);  // nothing is computed a third time
    bool reads_new = false;
    for (const auto& ref : task.definition.inputs(0).outputs()) {
      reads_new |= ref.task_index() == lost.task_index() && ref.attempt() == 1;
    }
    EXPECT_TRUE(reads_new);
  }
  FinishAll();
  EXPECT_TRUE(finished_.contains("k"));
}

TEST_F(CoreTest, GivesUpWhenInputsCannotBeFetchedAgainAndAgain) {
  Join("a");
  Join("b");
  GraphBuilder builder;
  const uint32_t scan = builder.Scan(1);
  builder.Read({scan}, job::StageInput::ALL, job::SINGLE_TASK);
  Submit("j", builder.Build());
  int rounds = 0;
  while (failed_.empty() && rounds < 100) {
    Finish(TakeFirst());
    Launched reader = TakeFirst();
    const auto ref = reader.definition.inputs(0).outputs(0);
    Fail(reader, FetchFailedStatus("connection reset", Fetch(ref, "j")));
    ++rounds;
  }
  EXPECT_EQ(rounds, 9);
  EXPECT_TRUE(GetErrorDetail(failed_["j"])->has_fetch_failed());
  EXPECT_TRUE(core_->IsIdle());
}

TEST_F(CoreTest, TakesANewIncarnationAsAnotherExecutor) {
  Join("a");
  Submit("j", OneScan(1));
  Launched old = TakeFirst();
  Join("a", 1, "a#2");
  ASSERT_EQ(running_.size(), 1u);
  EXPECT_EQ(running_[0].id().attempt(), 1u);
  Send(TaskFinished{old.id(), "a", "a#1", {}, {}, nullptr});
  EXPECT_FALSE(finished_.contains("j"));
  Finish(TakeFirst());
  EXPECT_TRUE(finished_.contains("j"));
}

TEST_F(CoreTest, CancelsWhatAReturningExecutorRunsThatIsNotKnown) {
  Join("a");
  Join("b");
  Submit("j", OneScan(1));
  Launched task = TakeFirst();
  Send(ExecutorLost{task.executor, "", "no heartbeat"});
  control::ExecutorMetadata metadata;
  metadata.set_id(task.executor);
  metadata.set_incarnation(incarnations_[task.executor]);
  metadata.set_task_slots(1);
  Send(ExecutorRegistered{metadata, {task.id()}, {"j", "older"}});
  EXPECT_THAT(cancelled_, ::testing::ElementsAre(Name(task.id())));
  EXPECT_THAT(removed_, ::testing::ElementsAre(task.executor + ":older"));
  removed_.clear();
  Finish(TakeFirst());
  Send(JobReleased{"j"});
  EXPECT_THAT(removed_, ::testing::UnorderedElementsAre("a:j", "b:j"));
}

TEST_F(CoreTest, LaunchesElsewhereWhenAnExecutorCannotBeReached) {
  Join("a");
  Join("b");
  Submit("j", OneScan(1));
  Launched task = TakeFirst();
  Send(LaunchFailed{task.executor, "", {task.id()}, "connection refused"});
  EXPECT_THAT(cancelled_, ::testing::ElementsAre(Name(task.id())));
  EXPECT_EQ(core_->NumUsableExecutors(), 1u);
  ASSERT_EQ(running_.size(), 1u);
  EXPECT_NE(running_[0].executor, task.executor);
  Send(ExecutorHeartbeat{task.executor, incarnations_[task.executor]});
  EXPECT_EQ(core_->NumUsableExecutors(), 2u);
}

TEST_F(CoreTest, DrainsAnExecutorThatInterruptsATaskToShutDown) {
  Join("a");
  Join("b");
  Submit("j", OneScan(1), "s", {.max_task_attempts = 1});
  Fail(TakeFirst(), CancelledStatus("stopping", Cancelled::SHUTDOWN));
  EXPECT_EQ(core_->NumUsableExecutors(), 1u);
  Finish(TakeFirst());
  EXPECT_TRUE(finished_.contains("j"));
}

TEST_F(CoreTest, HoldsNoInterruptionAgainstATask) {
  Join("e0");
  Submit("j", OneScan(1), "s", {.max_task_attempts = 1});
  for (int i = 1; i <= 30; ++i) {
    Join(fmt::format("e{}", i));
    Fail(TakeFirst(), CancelledStatus("stopping", Cancelled::SHUTDOWN));
    Send(ExecutorStopped{fmt::format("e{}", i - 1), ""});
  }
  // Those that stop with the task still running count as little.
  for (int i = 31; i <= 60; ++i) {
    Join(fmt::format("e{}", i));
    const std::string left = running_.front().executor;
    Forget(left);
    Send(ExecutorStopped{left, ""});
  }
  Finish(TakeFirst());
  EXPECT_TRUE(finished_.contains("j"));
}

TEST_F(CoreTest, LetsADrainingExecutorLeaveWhenNobodyNeedsItsOutputs) {
  Join("a");
  Join("b");
  Submit("j", ThreeStages());
  Send(ExecutorDraining{"a", "a#1"});
  EXPECT_FALSE(core_->MayLeave("a", "a#1"));  // runs a task
  Finish(TakeAt("a"));
  EXPECT_FALSE(core_->MayLeave("a", "a#1"));  // its output has not been read
  Finish(TakeAt("b"));
  while (core_->Outline("j", now_).stages(1).finished() <
         core_->Outline("j", now_).stages(1).tasks()) {
    EXPECT_FALSE(core_->MayLeave("a", "a#1"));
    Finish(TakeAt("b"));
  }
  EXPECT_TRUE(core_->MayLeave("a", "a#1"));
  EXPECT_FALSE(core_->MayLeave("b", "b#1"));
  Send(ExecutorStopped{"a", "a#1"});
  Finish(TakeAt("b"), 80);
  ASSERT_TRUE(finished_.contains("j"));
  EXPECT_FALSE(core_->MayLeave("b", "b#1"));  // keeps the result
  Send(JobReleased{"j"});
  EXPECT_TRUE(core_->MayLeave("b", "b#1"));
  EXPECT_TRUE(core_->MayLeave("unknown", ""));
}

TEST_F(CoreTest, HoldsAnOutputThatIsKnownToBeGoneAgainstNoReader) {
  Join("e0");
  GraphBuilder builder;
  const uint32_t scan = builder.Scan(1);
  builder.Read({scan}, job::StageInput::ALL, job::SINGLE_TASK);
  Submit("j", builder.Build());
  for (int round = 0; round < 30; ++round) {
    // The executor that makes the output leaves while it is being read elsewhere.
    const std::string keeper = fmt::format("e{}", round);
    Send(ExecutorDraining{keeper, ""});
    Join(fmt::format("e{}", round + 1));
    Finish(TakeAt(keeper));
    Launched reader = TakeAt(fmt::format("e{}", round + 1));
    ASSERT_EQ(reader.id().stage_id(), 1u);
    Send(ExecutorStopped{keeper, ""});
    Fail(reader, FetchFailedStatus("connection reset",
                                   Fetch(reader.definition.inputs(0).outputs(0), "j")));
    ASSERT_TRUE(failed_.empty()) << failed_["j"].ToString();
  }
  FinishAll();
  EXPECT_TRUE(finished_.contains("j"));
}

TEST_F(CoreTest, FailsAJobWhoseResultIsLostWithTheLastExecutor) {
  Join("a");
  Submit("j", OneScan(1));
  Finish(TakeFirst());
  ASSERT_TRUE(finished_.contains("j"));
  Lose("a");
  EXPECT_EQ(reopened_.size(), 1u);
  now_ += CoreOptions().executor_wait;
  Send(Tick{});
  EXPECT_THAT(failed_["j"].message(), HasSubstr("no executor has taken tasks"));
  EXPECT_TRUE(core_->IsIdle());
}

TEST_F(CoreTest, RunsNothingTwiceWhereRetryIsOff) {
  JobOptions once{.retry = false};
  Join("a");
  Join("b");
  Submit("fails", OneScan(1), "s", once);
  Fail(TakeFirst(), InternalStatus("odd"));
  EXPECT_TRUE(failed_.contains("fails"));
  Submit("loses", ThreeStages(), "s", once);
  FinishAll();
  EXPECT_TRUE(finished_.contains("loses"));
  Submit("output", ThreeStages(), "s", once);
  Finish(TakeAt("a"));
  Lose("a");
  EXPECT_THAT(failed_["output"].message(), HasSubstr("nothing is run twice"));
}

TEST_F(CoreTest, CountsATaskWithoutItsPartitionSizesAsFailed) {
  Join("a");
  Submit("j", ThreeStages());
  Launched task = TakeFirst();
  TaskFinished event{task.id(), "a", "a#1", {}, {}, nullptr};
  Send(event);
  ASSERT_EQ(running_.size(), 1u);
  EXPECT_EQ(running_[0].id().attempt(), 1u);
}

// -------------------------------------------------------------------------- time passes

TEST_F(CoreTest, FailsJobsThatFindNoExecutorInTime) {
  Submit("j", OneScan(1));
  EXPECT_THAT(core_->WhyWaiting("j", now_), HasSubstr("an executor"));
  ASSERT_EQ(core_->NextDeadline(), now_ + seconds(60));
  now_ += seconds(59);
  Send(Tick{});
  EXPECT_TRUE(failed_.empty());
  now_ += seconds(1);
  Send(Tick{});
  EXPECT_THAT(failed_["j"].message(), HasSubstr("no executor has taken tasks for 60 s"));
}

TEST_F(CoreTest, RunsAWaitingJobWhenAnExecutorComesInTime) {
  Submit("j", OneScan(1));
  now_ += seconds(59);
  Join("a");
  ASSERT_EQ(running_.size(), 1u);
  now_ += seconds(5);
  Send(Tick{});
  EXPECT_TRUE(failed_.empty());
  EXPECT_THAT(core_->WhyWaiting("j", now_), HasSubstr("running tasks"));
}

TEST_F(CoreTest, LosesAnExecutorThatIsSilent) {
  Join("a");
  Join("b");
  Submit("j", OneScan(1));
  Launched task = TakeFirst();
  const std::string other = task.executor == "a" ? "b" : "a";
  now_ += seconds(20);
  Send(ExecutorHeartbeat{other, incarnations_[other]});
  now_ += seconds(10);
  Send(Tick{});
  EXPECT_FALSE(core_->HasExecutor(task.executor, ""));
  ASSERT_EQ(running_.size(), 1u);
  EXPECT_EQ(running_[0].executor, other);
  EXPECT_EQ(core_->NextDeadline(), now_ + seconds(20));
}

TEST_F(CoreTest, EndsAJobAtItsDeadlineAndAResultThatNobodyReads) {
  Join("a", 2);
  Submit("late", OneScan(1), "s", {.deadline = now_ + seconds(5)});
  Submit("unread", OneScan(1));
  Finish(Take([](const Launched& t) { return t.id().job_id() == "unread"; }));
  now_ += seconds(5);
  Send(ExecutorHeartbeat{"a", "a#1"});
  EXPECT_EQ(GetErrorDetail(failed_["late"])->cancelled().reason(), Cancelled::DEADLINE);
  for (int i = 0; i < 400; ++i) {
    now_ += seconds(10);
    Send(ExecutorHeartbeat{"a", "a#1"});
    if (i == 100) Send(JobResultRead{"unread"});
    if (i == 370) {
      EXPECT_FALSE(failed_.contains("unread"));
    }
  }
  EXPECT_TRUE(failed_.contains("unread") || core_->HasJob("unread"));
  now_ += seconds(3600);
  Send(ExecutorHeartbeat{"a", "a#1"});
  EXPECT_TRUE(failed_.contains("unread"));
  EXPECT_TRUE(core_->IsIdle());
}

TEST_F(CoreTest, KeepsAResultLongerOnceItsReaderHasCome) {
  Start({.executor_timeout = kNever,
         .result_ttl = seconds(10),
         .reader_ttl = seconds(100)});
  Join("a", 2);
  for (const char* job : {"read", "unread"}) {
    Submit(job, OneScan(1));
    Finish(Take([&](const Launched& t) { return t.id().job_id() == job; }));
  }
  now_ += seconds(9);
  Send(JobResultRead{"read"});
  EXPECT_THAT(core_->WhyWaiting("read", now_), HasSubstr("to read on in the result"));
  EXPECT_THAT(core_->WhyWaiting("unread", now_), HasSubstr("to come for the result"));
  now_ += seconds(1);
  Send(Tick{});
  EXPECT_THAT(failed_["unread"].message(), HasSubstr("--result-timeout"));
  now_ += seconds(98);
  Send(Tick{});
  EXPECT_TRUE(core_->HasJob("read"));
  now_ += seconds(1);
  Send(Tick{});
  EXPECT_THAT(failed_["read"].message(), HasSubstr("its reader took nothing"));
  EXPECT_TRUE(core_->IsIdle());
}

TEST_F(CoreTest, TellsWhichJobsMakeNoProgressAndWhatTheyWaitFor) {
  Start({.executor_timeout = kNever, .max_running_jobs = 2});
  Join("a", 1);
  Submit("first", OneScan(2));
  Submit("second", OneScan(1));
  Submit("third", OneScan(1));
  const Time start = now_;
  now_ += seconds(5);
  Send(Tick{});
  using Idle = std::vector<std::pair<std::string, Time>>;
  EXPECT_EQ(core_->Idle(start),
            (Idle{{"first", start}, {"second", start}, {"third", start}}));
  EXPECT_EQ(core_->Idle(start - seconds(1)), Idle{});
  EXPECT_THAT(core_->WhyWaiting("first", now_),
              HasSubstr("the longest is task 0 of stage 0 (attempt 0), for 5.0 s on "
                        "executor a at "));
  EXPECT_THAT(core_->WhyWaiting("second", now_), HasSubstr("a free slot"));
  EXPECT_THAT(core_->WhyWaiting("third", now_), HasSubstr("--max-running-jobs"));
  Finish(Take([](const Launched& t) { return t.id().job_id() == "first"; }));
  // The second has its slot, the third its place.
  EXPECT_EQ(core_->Idle(now_ - seconds(1)), Idle{});
}

TEST_F(CoreTest, BoundsTheNumberOfJobs) {
  Start({.max_jobs = 2});
  for (const char* job : {"a", "b", "c"}) Submit(job, OneScan(1));
  ASSERT_EQ(failed_.size(), 1u);
  EXPECT_EQ(GetErrorDetail(failed_["c"])->resources_exhausted().resource(),
            ResourcesExhausted::QUEUE);
}

TEST_F(CoreTest, LetsSessionsTakeTurnsInTheQueueOfJobs) {
  Start({.max_running_jobs = 1});
  Join("a", 8);
  for (const char* job : {"x1", "x2", "x3"}) Submit(job, OneScan(1), "x");
  for (const char* job : {"y1", "y2"}) Submit(job, OneScan(1), "y");
  EXPECT_EQ(core_->Outline("x1", now_).job().queue_position(), 0u);
  EXPECT_EQ(core_->Outline("y1", now_).job().queue_position(), 1u);
  EXPECT_EQ(core_->Outline("x2", now_).job().queue_position(), 2u);
  EXPECT_EQ(core_->Outline("y2", now_).job().queue_position(), 3u);
  EXPECT_EQ(core_->Outline("x3", now_).job().queue_position(), 4u);
  EXPECT_EQ(core_->Outline("x3", now_).job().state(), profile::JOB_STATE_QUEUED);
  EXPECT_THAT(core_->Outline("x3", now_).job().waiting_for(),
              HasSubstr("position 4 of 4"));
  for (const char* job : {"x1", "y1", "x2", "y2", "x3"}) {
    ASSERT_EQ(running_.size(), 1u);
    EXPECT_EQ(running_[0].id().job_id(), job);
    Finish(TakeFirst());
  }
  for (const char* job : {"x1", "y1", "x2", "y2", "x3"}) Send(JobReleased{job});
  EXPECT_TRUE(core_->IsIdle());
}

TEST_F(CoreTest, GivesThePlaceOfACancelledOrFailedJobToTheNext) {
  Start({.max_running_jobs = 2});
  Join("a", 8);
  for (const char* job : {"j1", "j2", "j3", "j4", "j5"}) Submit(job, OneScan(1), job);
  EXPECT_EQ(running_.size(), 2u);
  Send(JobCancelled{"j3", Cancelled::CLIENT, ""});  // was waiting
  Send(JobCancelled{"j1", Cancelled::CLIENT, ""});
  EXPECT_EQ(RunningByJob()["j4"], 1);
  Fail(Take([](const Launched& task) { return task.id().job_id() == "j2"; }),
       UserErrorStatus(UserError::RUNTIME, "division by zero"));
  EXPECT_EQ(RunningByJob()["j5"], 1);
  EXPECT_EQ(RunningByJob()["j3"], 0);
}

TEST_F(CoreTest, RefusesAJobWhenTheQueueIsFull) {
  Start({.max_running_jobs = 1, .max_queued_jobs = 2});
  Join("a");
  for (const char* job : {"j1", "j2", "j3", "j4"}) Submit(job, OneScan(1));
  ASSERT_EQ(failed_.size(), 1u);
  EXPECT_THAT(failed_["j4"].message(), HasSubstr("1 queries run and 2 wait"));
  EXPECT_EQ(GetErrorDetail(failed_["j4"])->resources_exhausted().resource(),
            ResourcesExhausted::QUEUE);
  Finish(TakeFirst());
  Submit("j5", OneScan(1));
  EXPECT_EQ(failed_.size(), 1u);
}

TEST_F(CoreTest, CountsTasksThatWaitForASlot) {
  Start({.max_running_jobs = 1});
  Join("a");
  Submit("j", OneScan(4), "s", {.tasks_per_stage = 4});
  Submit("queued", OneScan(4), "s", {.tasks_per_stage = 4});
  const auto waiting = [&](const char* job) {
    return core_->Outline(job, now_).job().pending_tasks();
  };
  EXPECT_EQ(waiting("j"), 3u);
  Finish(TakeFirst());
  EXPECT_EQ(waiting("j"), 2u);
  EXPECT_EQ(waiting("queued"), 0u);  // for its turn
}

TEST_F(CoreTest, ReportsProgress) {
  Join("a");
  Join("b");
  Submit("j", ThreeStages());
  Finish(TakeFirst(), 80);
  now_ += seconds(2);
  const auto progress = core_->Outline("j", now_);
  EXPECT_EQ(progress.job().state(), profile::JOB_STATE_RUNNING);
  EXPECT_EQ(progress.job().elapsed_us(), 2000000u);
  ASSERT_EQ(progress.stages_size(), 3);
  EXPECT_EQ(progress.stages(0).tasks(), 2u);
  EXPECT_EQ(progress.stages(0).running(), 1u);
  EXPECT_EQ(progress.stages(0).finished(), 1u);
  EXPECT_EQ(progress.stages(0).rows(), 80u);
  EXPECT_EQ(core_->Outline("?", now_).job().state(), profile::JOB_STATE_UNKNOWN);
}

// --------------------------------------------------------------------- planning again

// Runs the stage after the first as one task that reads everything.
class MakeSingle : public Replanner {
 public:
  std::optional<job::JobGraph> Replan(
      const job::JobGraph& graph, const std::vector<StageStatistics>& stages) override {
    ++calls;
    seen = stages;
    if (stages[1].state != StageStatistics::State::kWaiting) return std::nullopt;
    job::JobGraph changed = graph;
    changed.mutable_stages(1)->set_parallelism(job::SINGLE_TASK);
    changed.mutable_stages(1)->mutable_inputs(0)->set_mode(job::StageInput::ALL);
    if (drop_last) {
      changed.mutable_stages()->RemoveLast();
      changed.set_result_stage(1);
    }
    if (break_rules) changed.mutable_stages(0)->set_description("another");
    return changed;
  }
  int calls = 0;
  bool drop_last = false;
  bool break_rules = false;
  std::vector<StageStatistics> seen;
};

TEST_F(CoreTest, PlansTheRestAgainFromExactSizes) {
  MakeSingle replanner;
  replanner.drop_last = true;
  Start({}, &replanner);
  Join("a");
  Join("b");
  Submit("j", ThreeStages());
  Finish(TakeFirst(), 80);
  Finish(TakeFirst(), 160);
  EXPECT_EQ(replanner.calls, 1);
  EXPECT_EQ(replanner.seen[0].state, StageStatistics::State::kComplete);
  EXPECT_EQ(replanner.seen[0].rows, 240u);
  EXPECT_EQ(replanner.seen[0].partition_rows, std::vector<uint64_t>(8, 30));
  EXPECT_EQ(replanner.seen[1].state, StageStatistics::State::kWaiting);
  ASSERT_EQ(running_.size(), 1u);
  EXPECT_EQ(running_[0].definition.inputs(0).last_partition(), 8u);
  EXPECT_EQ(running_[0].definition.inputs(0).outputs_size(), 2);
  Finish(TakeFirst());
  EXPECT_TRUE(finished_.contains("j"));
  Send(JobReleased{"j"});
  EXPECT_TRUE(core_->IsIdle());
}

TEST_F(CoreTest, RefusesAPlanThatChangesWhatHasStarted) {
  MakeSingle replanner;
  replanner.break_rules = true;
  Start({}, &replanner);
  Join("a");
  Join("b");
  Submit("j", ThreeStages());
  Finish(TakeFirst());
  Finish(TakeFirst());
  EXPECT_EQ(running_.size(), 2u);
  FinishAll();
  EXPECT_TRUE(finished_.contains("j"));
}

// -------------------------------------------------------------- limits and skewed data

// A scan of which `limit` rows are enough, one task a file, and what gathers them.
job::JobGraph Limited(int files, uint64_t limit) {
  GraphBuilder builder;
  const uint32_t scan = builder.Scan(files);
  builder.Read({scan}, job::StageInput::ALL, job::SINGLE_TASK);
  auto graph = builder.Build();
  graph.mutable_stages(0)->set_row_limit(limit);
  graph.mutable_stages(0)->mutable_fragment()->mutable_limit();
  return graph;
}

TEST_F(CoreTest, StopsALimitedStageWhenItHasGivenEnough) {
  Join("a", 2);
  Join("b", 2);
  Submit("j", Limited(20, 10), "s", {.tasks_per_stage = 20});
  ASSERT_EQ(running_.size(), 4u);
  Finish(TakeFirst(), 6);
  EXPECT_TRUE(cancelled_.empty());
  Finish(TakeFirst(), 4);
  // Three are running then, and are told to stop; 15 never start.
  EXPECT_EQ(cancelled_.size(), 3u);
  std::erase_if(running_, [](const Launched& t) { return t.id().stage_id() == 0; });
  ASSERT_EQ(running_.size(), 1u);
  const Launched gather = TakeFirst();
  EXPECT_EQ(gather.definition.inputs(0).outputs_size(), 2);
  const auto progress = core_->Outline("j", now_);
  EXPECT_EQ(progress.stages(0).tasks(), 2u);
  EXPECT_EQ(progress.stages(0).finished(), 2u);
  EXPECT_EQ(progress.stages(0).skipped(), 18u);
  Finish(gather, 10);
  EXPECT_TRUE(finished_.contains("j"));
  Send(JobReleased{"j"});
  EXPECT_TRUE(core_->IsIdle());
}

TEST_F(CoreTest, RunsALimitedStageToItsEndWhereRowsAreFew) {
  Join("a", 2);
  Submit("j", Limited(6, 10), "s", {.tasks_per_stage = 6});
  for (int i = 0; i < 6; ++i) Finish(TakeFirst(), 1);
  ASSERT_EQ(running_.size(), 1u);
  EXPECT_EQ(TakeFirst().definition.inputs(0).outputs_size(), 6);
  EXPECT_TRUE(cancelled_.empty());
}

TEST_F(CoreTest, RunsSkippedTasksWhenRowsAreLost) {
  Join("a", 1);
  Join("b", 1);
  Submit("j", Limited(6, 10), "s", {.tasks_per_stage = 6});
  Finish(TakeAt("a"), 5);
  const Launched next = TakeAt("a");
  Finish(TakeAt("b"), 5);
  EXPECT_EQ(cancelled_.size(), 1u);
  EXPECT_EQ(cancelled_[0], Name(next.id()));
  // What was cancelled may still say that it has finished: too late.
  Finish(next, 9);
  const Launched gather = TakeFirst();
  ASSERT_EQ(gather.id().stage_id(), 1u);
  const std::string lost = gather.executor == "a" ? "b" : "a";
  Lose(lost);
  Forget(lost);
  // The gathering task goes on, but its input is incomplete if it has to run again.
  Fail(gather,
       FetchFailedStatus(
           "gone", Fetch(gather.definition.inputs(0).outputs(lost == "a" ? 0 : 1), "j")));
  // Five rows are left: the lost task and the skipped ones are wanted again.
  ASSERT_EQ(running_.size(), 1u);
  Finish(TakeFirst(), 3);
  Finish(TakeFirst(), 2);
  ASSERT_EQ(running_.size(), 1u);
  const Launched again = TakeFirst();
  EXPECT_EQ(again.id().stage_id(), 1u);
  uint64_t rows = 0;
  for (const auto& ref : again.definition.inputs(0).outputs()) rows += ref.rows();
  EXPECT_EQ(rows, 10u);
  Finish(again, 10);
  EXPECT_TRUE(finished_.contains("j"));
  Send(JobReleased{"j"});
  EXPECT_TRUE(core_->IsIdle());
}

TEST_F(CoreTest, ReportsTasksThatShareAPartition) {
  for (const char* id : {"a", "b"}) Join(id);
  auto graph = ThreeStages(2, 1);
  graph.mutable_stages(1)->mutable_inputs(0)->set_splittable(true);
  Submit("j", graph);
  FinishAll(800);
  uint32_t shared = 0;
  const auto profile = core_->Profile("j", now_);
  for (const auto& task : profile.stages(1).task_list()) {
    ++shared;
    EXPECT_EQ(task.pieces(), 2u);
    EXPECT_EQ(task.last_partition(), 1u);
  }
  EXPECT_EQ(shared, 2u);
}

TEST_F(CoreTest, SaysWhatEachJobWasWhenItIsForgotten) {
  CoreOptions options;
  options.profiles = true;
  Start(options);
  Join("a", 2);
  Submit("done", OneScan(2), "s", {.statement = "SELECT 1"});
  FinishAll(80);
  EXPECT_THAT(ended_, ::testing::IsEmpty());
  Send(JobReleased{"done"});
  ASSERT_EQ(ended_.size(), 1u);
  const auto& done = ended_[0].profile;
  EXPECT_EQ(done.job().job_id(), "done");
  EXPECT_EQ(done.job().state(), profile::JOB_STATE_FINISHED);
  EXPECT_EQ(done.job().statement(), "SELECT 1");
  EXPECT_TRUE(done.job().ended());
  EXPECT_EQ(ended_[0].graph.stages_size(), 1);

  Submit("bad", OneScan(2), "s", {.max_task_attempts = 2});
  const auto first = running_[0];
  Fail(TakeAt("a"), arrow::Status::IOError("no such file"));
  ASSERT_EQ(core_->Profile("bad", now_).errors_size(), 1);
  while (!failed_.contains("bad")) Fail(TakeAt("a"), arrow::Status::IOError("again"));
  ASSERT_EQ(ended_.size(), 2u);
  const auto& bad = ended_[1].profile;
  EXPECT_EQ(bad.job().state(), profile::JOB_STATE_FAILED);
  EXPECT_THAT(bad.job().error(), HasSubstr("again"));
  EXPECT_EQ(bad.errors(0).message(), "no such file");
  EXPECT_EQ(bad.errors(0).executor_id(), "a");
  EXPECT_EQ(bad.errors(0).task(), first.id().task_index());
  EXPECT_EQ(static_cast<int>(bad.job().failed_attempts()), bad.errors_size());
  EXPECT_EQ(core_->Profile("bad", now_).job().job_id(), "");
}

// ------------------------------------------------------------------------ bad executors

TEST_F(CoreTest, ExcludesAnExecutorWhereTasksFailThatRunElsewhere) {
  CoreOptions options;
  options.executor_timeout = kNever;
  Start(options);
  Join("good", 1);
  Join("bad", 1);
  Submit("j", OneScan(40), "s", {.tasks_per_stage = 40});
  int failures = 0;
  for (int i = 0; i < 20; ++i) {
    const auto at_bad = std::find_if(running_.begin(), running_.end(),
                                     [](const auto& t) { return t.executor == "bad"; });
    if (at_bad != running_.end()) {
      ++failures;
      Fail(TakeAt("bad"), InternalStatus("the disk is broken"));
    }
    Finish(TakeAt("good"), 1);
  }
  EXPECT_EQ(failures, 5);  // the one under way when it was excluded, too
  EXPECT_EQ(core_->NumUsableExecutors(), 1u);
  // After a while it gets another chance, and is out again at the first failure.
  now_ += seconds(60);
  Send(Tick{});
  EXPECT_EQ(core_->NumUsableExecutors(), 2u);
  Fail(TakeAt("bad"), InternalStatus("the disk is broken"));
  for (int i = 0; i < 2; ++i) Finish(TakeAt("good"), 1);
  EXPECT_EQ(core_->NumUsableExecutors(), 1u);
  // Without the good one, it is better than nothing.
  Lose("good");
  Forget("good");
  EXPECT_EQ(core_->NumUsableExecutors(), 1u);
  EXPECT_FALSE(running_.empty());
}

TEST_F(CoreTest, ExcludesNobodyForATaskThatFailsEverywhere) {
  for (const char* id : {"a", "b", "c"}) Join(id, 2);
  for (int job = 0; job < 5; ++job) {
    const std::string name = fmt::format("j{}", job);
    Submit(name, OneScan(1));
    while (!failed_.contains(name)) {
      Fail(TakeFirst(), InternalStatus("the reader cannot read this file"));
    }
    EXPECT_THAT(failed_[name].message(), HasSubstr("failure 4 of at most 4"));
  }
  EXPECT_EQ(core_->NumUsableExecutors(), 3u);
  // A wrong query fails at once.
  Submit("wrong", OneScan(1));
  Fail(TakeFirst(), UserErrorStatus(UserError::RUNTIME, "conversion error"));
  EXPECT_TRUE(failed_.contains("wrong"));
  EXPECT_TRUE(running_.empty());
}

}  // namespace
}  // namespace ballista::scheduler
