#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "ballista/profile/complete.h"
#include "ballista/profile/json.h"

namespace ballista::profile {
namespace {

TaskProfile* AddTask(StageProfile* stage, uint64_t started, uint64_t elapsed,
                     uint64_t rows) {
  TaskProfile* task = stage->add_task_list();
  task->set_index(stage->task_list_size() - 1);
  task->set_state(TASK_STATE_FINISHED);
  task->set_started_us(started);
  task->set_elapsed_us(elapsed + 5);
  task->mutable_metrics()->set_elapsed_us(elapsed);
  task->mutable_metrics()->set_output_rows(rows);
  task->mutable_metrics()->set_input_bytes(10);
  task->mutable_metrics()->set_fetched_bytes(7);
  task->mutable_metrics()->set_local_bytes(3);
  return task;
}

TEST(Profile, SpreadsFiguresOverTheTasks) {
  QueryProfile profile;
  StageProfile* stage = profile.add_stages();
  stage->set_state(STAGE_STATE_COMPLETE);
  AddTask(stage, 100, 10, 5);
  AddTask(stage, 90, 10, 50);
  AddTask(stage, 120, 80, 1)->mutable_metrics()->set_spilled_bytes(99);
  stage->add_task_list()->set_state(TASK_STATE_SKIPPED);
  AddFigures(&profile);
  EXPECT_EQ(stage->rows_out().total(), 56u);
  EXPECT_EQ(stage->rows_out().min(), 1u);
  EXPECT_EQ(stage->rows_out().median(), 5u);
  EXPECT_EQ(stage->rows_out().max(), 50u);
  EXPECT_EQ(stage->started_us(), 90u);
  EXPECT_EQ(stage->ended_us(), 205u);
  EXPECT_DOUBLE_EQ(stage->skew(), 8.0);
  EXPECT_EQ(stage->fetched_bytes(), 21u);
  EXPECT_EQ(stage->local_bytes(), 9u);
  EXPECT_EQ(profile.job().spilled_bytes(), 99u);
  EXPECT_EQ(profile.job().exchanged_bytes(), 30u);
}

TEST(Profile, MergesOperatorsByPosition) {
  QueryProfile profile;
  StageProfile* stage = profile.add_stages();
  for (uint64_t rows : {3, 4}) {
    auto* metrics = AddTask(stage, 1, 1, 1)->mutable_metrics();
    for (const char* name : {"FILTER", "SCAN"}) {
      auto* one = metrics->add_operators();
      one->set_name(name);
      one->set_rows(rows);
    }
  }
  AddTask(stage, 1, 1, 1)->mutable_metrics()->add_operators()->set_name("OTHER");
  AddFigures(&profile);
  ASSERT_EQ(stage->operators_size(), 2);
  EXPECT_EQ(stage->operators(0).name(), "FILTER");
  EXPECT_EQ(stage->operators(0).rows().total(), 7u);
  EXPECT_EQ(stage->operators(1).tasks(), 2u);
}

TEST(Profile, IsJsonWithNumbersAndLowerCaseEnums) {
  JobSummary job;
  job.set_job_id("a\"\\\n\x01");
  job.set_state(JOB_STATE_RUNNING);
  job.set_result_rows(std::numeric_limits<uint64_t>::max());
  const std::string json = ToJson(job);
  EXPECT_THAT(json, ::testing::HasSubstr(R"("job_id":"a\"\\\n\u0001")"));
  EXPECT_THAT(json, ::testing::HasSubstr(R"("state":"running")"));
  EXPECT_THAT(json, ::testing::HasSubstr("\"result_rows\":18446744073709551615"));
  EXPECT_THAT(json, ::testing::HasSubstr(R"("ended":false)"));
  StageProfile stage;
  stage.set_skew(std::numeric_limits<double>::infinity());
  EXPECT_THAT(ToJson(stage), ::testing::HasSubstr("\"skew\":0"));
  EXPECT_THAT(ToJson(stage), ::testing::Not(::testing::HasSubstr("time_us")));
}

TEST(Profile, GivesUtf8WhateverTheTextHas) {
  // As it comes from places that do not check: cut sequences, surrogates, stray bytes.
  ErrorAnswer answer;
  answer.set_error("\xC3\xA9 \xC3 \xED\xA0\x80 \xFF \xF0\x9F\x98\x80");
  EXPECT_EQ(ToJson(answer),
            "{\"error\":\"\xC3\xA9 \xEF\xBF\xBD \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD "
            "\xEF\xBF\xBD \xF0\x9F\x98\x80\"}");
  EXPECT_EQ(Cut("a\xC3\xA9z", 2), "a");
  EXPECT_EQ(Cut("a\xC3\xA9z", 3), "a\xC3\xA9");
}

}  // namespace
}  // namespace ballista::profile
