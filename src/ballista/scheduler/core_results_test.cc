// Results of which a part is lost before it is read, or while it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ballista/base/status.h"
#include "ballista/scheduler/core_fixture_internal.h"

namespace ballista::scheduler {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ResultsTest : public CoreTest {
 protected:
  // scan (hashed) -> the result, in several tasks
  static job::JobGraph TwoStages() {
    GraphBuilder builder;
    const uint32_t scan = builder.Scan(4);
    builder.Hash(scan, 8);
    builder.Read({scan}, job::StageInput::PARTITIONED, job::MANY_TASKS);
    return builder.Build();
  }

  // A task at each of "a" and "b" for each stage, all of which have finished.
  void Run(const job::JobGraph& graph, JobOptions options = {}) {
    Join("a", 2);
    Join("b", 2);
    Submit("j", graph, "s", options);
    FinishAll();
    ASSERT_TRUE(finished_.contains("j"));
    ASSERT_THAT(finished_["j"].parts, SizeIs(2));
  }

  // Position of the part that the executor keeps.
  uint32_t PartOf(const std::string& executor) {
    for (const ResultPart& part : finished_["j"].parts) {
      if (part.executor.executor_id() == executor) return part.task_index;
    }
    ADD_FAILURE() << "nothing is at " << executor;
    return 0;
  }

  std::vector<std::string> Running() const {
    std::vector<std::string> names;
    for (const Launched& task : running_) names.push_back(Name(task.id()));
    return names;
  }

  void ExpectAllAt(const std::string& executor) {
    for (const ResultPart& part : finished_["j"].parts) {
      EXPECT_EQ(part.executor.executor_id(), executor);
      EXPECT_TRUE(core_->IsResultPart("j", part.task_index, part.attempt));
    }
    EXPECT_EQ(finished_["j"].rows, 160u);
    EXPECT_THAT(core_->FindInconsistencies(), IsEmpty());
  }
};

TEST_F(ResultsTest, ComputesAgainWhatIsLostBeforeItIsRead) {
  Run(OneScan(4));
  const uint32_t lost = PartOf("a");
  Lose("a");
  EXPECT_THAT(reopened_, ElementsAre("j"));
  EXPECT_EQ(core_->Outline("j", now_).job().state(), profile::JOB_STATE_RUNNING);
  EXPECT_THAT(Running(), ElementsAre(fmt::format("j/0/{}/1", lost)));
  EXPECT_THAT(core_->FindInconsistencies(), IsEmpty());
  FinishAll();
  ExpectAllAt("b");
  Send(JobReleased{"j"});
  EXPECT_TRUE(core_->IsIdle());
  EXPECT_THAT(failed_, IsEmpty());
}

TEST_F(ResultsTest, OneThatWasSentHoldsNobodyAndCanBeReadAgain) {
  Run(OneScan(4));
  EXPECT_GT(core_->OutputBytes("j"), 0u);
  EXPECT_EQ(core_->OutputBytes("another"), 0u);
  Send(JobResultRead{"j", 0, false});
  Send(JobResultRead{"j", 1, true});
  EXPECT_FALSE(core_->MayLeave("a", "a#1") && core_->MayLeave("b", "b#1"));
  Send(JobResultRead{"j", kWholeResult, false});
  EXPECT_TRUE(core_->MayLeave("a", "a#1"));
  EXPECT_TRUE(core_->MayLeave("b", "b#1"));
  Lose("a");
  EXPECT_THAT(reopened_, IsEmpty());
  // The client comes back: what is gone is computed again.
  Send(JobResultRead{"j", 0, false});
  EXPECT_THAT(reopened_, ElementsAre("j"));
  FinishAll();
  ExpectAllAt("b");
  Send(JobReleased{"j"});
  EXPECT_TRUE(core_->IsIdle());
  EXPECT_THAT(failed_, IsEmpty());
}

TEST_F(ResultsTest, ComputesAgainWhatALostPartNeeds) {
  Run(TwoStages());
  Lose("a");
  // Of the scan, what was at "a"; then the part.
  ASSERT_THAT(running_, SizeIs(1));
  EXPECT_EQ(running_[0].id().stage_id(), 0u);
  Finish(TakeFirst());
  ASSERT_THAT(running_, SizeIs(1));
  EXPECT_EQ(running_[0].id().stage_id(), 1u);
  FinishAll();
  ExpectAllAt("b");
}

TEST_F(ResultsTest, ComputesNothingAgainThatWasRead) {
  Run(TwoStages());
  Send(JobResultRead{"j", 0, true});
  Send(JobResultRead{"j", 1, false});
  const std::string first = finished_["j"].parts[0].executor.executor_id();
  Lose(first);
  EXPECT_THAT(running_, IsEmpty());
  EXPECT_THAT(reopened_, IsEmpty());
  EXPECT_THAT(core_->FindInconsistencies(), IsEmpty());
  // It may join again, and go for good: nobody needs it.
  EXPECT_TRUE(core_->MayLeave(first, ""));
  EXPECT_FALSE(core_->MayLeave(finished_["j"].parts[1].executor.executor_id(), ""));
  Send(JobReleased{"j"});
  EXPECT_TRUE(core_->IsIdle());
}

TEST_F(ResultsTest, LeavesThePartAloneOfWhichRowsWereGiven) {
  Run(OneScan(4));
  Send(JobResultRead{"j", 0, true});
  Lose(finished_["j"].parts[0].executor.executor_id());
  EXPECT_THAT(reopened_, IsEmpty());
  EXPECT_THAT(running_, IsEmpty());
  // The other one is lost, too: that one comes back, and the first stays as it is.
  Join("c", 2);
  Lose(finished_["j"].parts[1].executor.executor_id());
  EXPECT_THAT(reopened_, ElementsAre("j"));
  EXPECT_THAT(Running(), ElementsAre("j/0/1/1"));
  FinishAll();
  EXPECT_THAT(finished_["j"].parts, SizeIs(2));
  EXPECT_EQ(finished_["j"].parts[1].executor.executor_id(), "c");
  EXPECT_EQ(finished_["j"].rows, 160u);
  EXPECT_THAT(core_->FindInconsistencies(), IsEmpty());
}

TEST_F(ResultsTest, ComputesReadPartsAgainForAClientThatBeginsAgain) {
  Run(OneScan(4));
  Send(JobResultRead{"j", 1, true});
  Lose(finished_["j"].parts[0].executor.executor_id());
  ASSERT_THAT(reopened_, IsEmpty());
  Send(JobResultRead{"j", 0, false});
  EXPECT_THAT(reopened_, ElementsAre("j"));
  EXPECT_THAT(Running(), ElementsAre("j/0/0/1"));
  FinishAll();
  EXPECT_TRUE(core_->IsResultPart("j", 0, 1));
}

TEST_F(ResultsTest, MixesNoRowsOfTwoRunsOfWhatMayComeOutDifferently) {
  job::JobGraph graph = TwoStages();
  graph.mutable_stages(0)->mutable_fragment()->mutable_sample();
  Run(graph);
  // Nothing was given: all of the result is computed again.
  Lose("a");
  Join("a", 2);
  EXPECT_FALSE(core_->IsResultPart("j", PartOf("b"), 0));
  FinishAll();
  ASSERT_THAT(failed_, IsEmpty());
  for (const ResultPart& part : finished_["j"].parts) EXPECT_GT(part.attempt, 0u);
  // The client has a part of it.
  Send(JobResultRead{"j", 1, false});
  for (const char* executor : {"a", "b"}) Lose(executor);
  EXPECT_THAT(failed_["j"].message(), HasSubstr("while it was read"));
  EXPECT_THAT(failed_["j"].message(), HasSubstr("run the query again"));
  EXPECT_TRUE(core_->IsIdle());
}

TEST_F(ResultsTest, KeepsAWholePartOfWhatMayComeOutDifferentlyWhereItsInputIsThere) {
  job::JobGraph graph = TwoStages();
  graph.mutable_stages(1)->mutable_fragment()->mutable_sample();
  Run(graph);
  Send(JobResultRead{"j", 1, false});
  const ResultPart second = finished_["j"].parts[1];
  Send(ResultPartLost{"j", 1, second.attempt, "connection refused"});
  Send(ExecutorHeartbeat{"a", incarnations_["a"]});
  Send(ExecutorHeartbeat{"b", incarnations_["b"]});
  ASSERT_THAT(failed_, IsEmpty());
  EXPECT_THAT(Running(), ElementsAre("j/1/1/1"));
}

TEST_F(ResultsTest, PartsThatAreGivenOutAreReadInAnyOrder) {
  using enum ResultPartRead::Progress;
  Run(OneScan(4));
  Send(ResultGivenOut{"j"});
  EXPECT_FALSE(core_->AllPartsRead("j"));
  Send(ResultPartRead{"j", 1, kGoesOn});
  Send(ResultPartRead{"j", 1, kWhole});
  const std::string first = finished_["j"].parts[0].executor.executor_id();
  const std::string second = finished_["j"].parts[1].executor.executor_id();
  // What was read is not needed, and what was not is computed again.
  EXPECT_TRUE(core_->MayLeave(second, ""));
  EXPECT_FALSE(core_->MayLeave(first, ""));
  Join("c", 2);
  Lose(second);
  EXPECT_THAT(reopened_, IsEmpty());
  Lose(first);
  EXPECT_THAT(reopened_, ElementsAre("j"));
  EXPECT_THAT(Running(), ElementsAre("j/0/0/1"));
  FinishAll();
  EXPECT_TRUE(core_->IsResultPart("j", 0, 1));
  EXPECT_THAT(core_->FindInconsistencies(), IsEmpty());
  // Somebody reads the other one again.
  Send(ResultPartRead{"j", 1, kWanted});
  EXPECT_THAT(Running(), ElementsAre("j/0/1/1"));
  FinishAll();
  for (const uint32_t part : {1, 0}) {
    EXPECT_FALSE(core_->AllPartsRead("j"));
    Send(ResultPartRead{"j", part, kGoesOn});
    Send(ResultPartRead{"j", part, kWhole});
  }
  EXPECT_TRUE(core_->AllPartsRead("j"));
  Send(ResultPartRead{"j", 2, kWhole});  // there is none
  Send(JobReleased{"j"});
  EXPECT_TRUE(core_->IsIdle());
  EXPECT_THAT(failed_, IsEmpty());
}

TEST_F(ResultsTest, WhatWasGivenOutIsNotReplacedByOtherRows) {
  job::JobGraph graph = TwoStages();
  graph.mutable_stages(0)->mutable_fragment()->mutable_sample();
  Run(graph);
  Send(ResultGivenOut{"j"});
  Lose("a");
  EXPECT_THAT(failed_["j"].message(), HasSubstr("run the query again"));
  EXPECT_TRUE(core_->IsIdle());
}

TEST_F(ResultsTest, AReaderThatMayHaveGoneWithItsExecutorIsNotWaitedForLong) {
  Start({.executor_timeout = kNever, .result_ttl = seconds(300)});
  Run(OneScan(4));
  Send(ResultGivenOut{"j"});
  Send(ResultPartRead{"j", PartOf("a"), ResultPartRead::Progress::kGoesOn});
  now_ += seconds(301);
  Send(Tick{});
  ASSERT_THAT(failed_, IsEmpty());
  Lose("a");
  FinishAll();
  now_ += seconds(301);
  Send(Tick{});
  EXPECT_THAT(failed_["j"].message(), HasSubstr("--result-timeout"));
}

TEST_F(ResultsTest, GivesUpAPartThatCanNeverBeRead) {
  Start({.max_fetch_failures = 3});
  Run(OneScan(4));
  for (uint32_t attempt = 0; attempt < 3; ++attempt) {
    Send(ResultPartLost{"j", 1, attempt, "connection refused"});
    ASSERT_THAT(failed_, IsEmpty());
    // What is known already changes nothing.
    Send(ResultPartLost{"j", 1, attempt, "connection refused"});
    ASSERT_FALSE(running_.empty());  // and the other part, if it was there, too
    FinishAll();
    for (const char* id : {"a", "b"}) Send(ExecutorHeartbeat{id, incarnations_[id]});
  }
  Send(ResultPartLost{"j", 1, 3, "connection refused"});
  EXPECT_THAT(failed_["j"].message(), HasSubstr("could not be read"));
  EXPECT_TRUE(core_->IsIdle());
}

TEST_F(ResultsTest, RunsNothingTwiceForAResultWhereRetryIsOff) {
  Run(OneScan(4), {.retry = false});
  Lose("a");
  EXPECT_THAT(failed_["j"].message(), HasSubstr("nothing is run twice"));
  EXPECT_TRUE(core_->IsIdle());
}

TEST_F(ResultsTest, HasItsTimeOnceMore) {
  Run(OneScan(4), {.deadline = now_ + seconds(10)});
  now_ += seconds(20);
  for (const char* id : {"a", "b"}) Send(ExecutorHeartbeat{id, incarnations_[id]});
  Lose("a");
  ASSERT_THAT(reopened_, ElementsAre("j"));
  now_ += seconds(9);
  Send(Tick{});
  EXPECT_THAT(failed_, IsEmpty());
  EXPECT_LE(core_->NextDeadline(), now_ + seconds(1));
  now_ += seconds(1);
  Send(Tick{});
  EXPECT_THAT(failed_["j"].message(), HasSubstr("statement_timeout"));
}

TEST_F(ResultsTest, GoesOnAtOnceWhereOthersWait) {
  Start({.max_running_jobs = 1});
  Run(OneScan(4));
  Submit("k", OneScan(4));
  Submit("l", OneScan(4));
  Lose("a");
  Forget("a");
  EXPECT_EQ(RunningByJob()["j"], 1);
  EXPECT_EQ(RunningByJob()["l"], 0);
  FinishAll();
  EXPECT_TRUE(finished_.contains("l"));
  EXPECT_THAT(core_->FindInconsistencies(), IsEmpty());
}

}  // namespace
}  // namespace ballista::scheduler
