#include "ballista/history/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "ballista/history/slow_log.h"

namespace ballista::history {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

profile::QueryProfile Raw(const std::string& id, int tasks = 2, uint64_t age_us = 0) {
  profile::QueryProfile raw;
  raw.set_format(1);
  raw.mutable_job()->set_job_id(id);
  raw.mutable_job()->set_state(profile::JOB_STATE_FINISHED);
  raw.mutable_job()->set_statement("SELECT " + id);
  raw.mutable_job()->set_age_us(age_us);
  const auto age = std::chrono::microseconds(age_us);
  const auto submitted = std::chrono::system_clock::now() - age;
  raw.mutable_job()->set_submitted_ms(static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(submitted.time_since_epoch())
          .count()));
  auto* stage = raw.add_stages();
  for (int i = 0; i < tasks; ++i) {
    auto* task = stage->add_task_list();
    task->set_index(static_cast<uint32_t>(i));
    task->set_state(profile::TASK_STATE_FINISHED);
    task->set_started_us(1);
    task->mutable_metrics()->set_elapsed_us(static_cast<uint64_t>(i));
  }
  return raw;
}

std::vector<std::string> Ids(const History& history) {
  std::vector<std::string> ids;
  for (const auto& one : history.Summaries()) ids.push_back(one->job_id());
  return ids;
}

void Wait(const History& history) {
  history.WaitUntilIdle(std::chrono::seconds(20));
}

TEST(History, KeepsTheLastOnes) {
  std::map<std::string, std::string> stored;
  const HistoryStore store{[&](const auto& id, auto bytes) { stored[id] = bytes; },
                           [&](const auto& id) { stored.erase(id); }};
  {
    History history({.max_jobs = 2}, store);
    for (const char* id : {"a", "b", "c"}) history.Add(Raw(id), {});
    Wait(history);
    EXPECT_THAT(Ids(history), ElementsAre("b", "c"));
    EXPECT_TRUE(history.Find("a").status().IsKeyError());
    const auto found = history.Find("c");
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ((*found)->stages(0).task_list_size(), 2);
    EXPECT_EQ((*found)->stages(0).time_us().max(), 1u);
    EXPECT_GT((*found)->job().submitted_ms(), 1'000'000'000'000u);
  }
  EXPECT_EQ(stored.size(), 2u);
  // Another process goes on with it; what is no profile is dropped there, too.
  stored["broken"] = "9\nnonsense";
  stored["huge"] = "99999999999\nx";
  History next({.max_jobs = 10}, store);
  next.Load({stored.begin(), stored.end()});
  EXPECT_THAT(Ids(next), ElementsAre("b", "c"));
  EXPECT_EQ(stored.size(), 2u);
  EXPECT_TRUE(next.Find("b").ok());
}

TEST(History, HasAJobFromTheMomentItIsAdded) {
  std::promise<void> go;
  const auto may_go = go.get_future().share();
  const HistoryStore slow{[&](const auto&, auto) { may_go.wait(); }, {}};
  History history({.max_jobs = 2}, slow);
  for (const char* id : {"a", "b", "c"}) {
    history.Add(Raw(id), {});
    ASSERT_EQ(Ids(history).back(), id);
  }
  EXPECT_THAT(Ids(history), ElementsAre("a", "b", "c"));
  go.set_value();
  Wait(history);
  EXPECT_THAT(Ids(history), ElementsAre("b", "c"));
}

TEST(History, DropsWhatIsOldOrTooMuch) {
  History by_age({.max_age = std::chrono::seconds(10)}, {});
  by_age.Add(Raw("old", 2, 60'000'000), {});
  by_age.Add(Raw("new"), {});
  Wait(by_age);
  EXPECT_THAT(Ids(by_age), ElementsAre("new"));

  History by_bytes({.max_bytes = 3000}, {});
  for (int i = 0; i < 50; ++i) by_bytes.Add(Raw("j" + std::to_string(i)), {});
  Wait(by_bytes);
  EXPECT_LE(by_bytes.bytes(), 3000u);
  EXPECT_GT(by_bytes.size(), 1u);
  EXPECT_LT(by_bytes.size(), 50u);

  History none({.max_jobs = 0}, {});
  none.Add(Raw("a"), {});
  Wait(none);
  EXPECT_EQ(none.size(), 0u);
}

TEST(History, GivesUpTheTasksOfAHugeJob) {
  History history({.max_bytes = size_t{1} << 30}, {});
  profile::QueryProfile huge = Raw("huge", 100'000);
  for (auto& task : *huge.mutable_stages(0)->mutable_task_list()) {
    task.set_executor_id(std::string(100, 'e'));
  }
  history.Add(std::move(huge), {});
  Wait(history);
  const auto found = history.Find("huge");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ((*found)->stages(0).task_list_size(), 0);
  EXPECT_EQ((*found)->stages(0).time_us().max(), 99'999u);
}

TEST(SlowLog, SaysWhereTheTimeWent) {
  profile::QueryProfile profile;
  auto* job = profile.mutable_job();
  job->set_job_id("j1");
  job->set_state(profile::JOB_STATE_FINISHED);
  job->set_statement("SELECT  *\n\tFROM t");
  job->set_elapsed_us(12'000'000);
  job->set_queued_us(5'000'000);
  job->set_spilled_bytes(5 << 20);
  job->set_stages(2);
  job->set_tasks(9);
  auto* stage = profile.add_stages();
  stage->set_id(0);
  stage->set_started_us(5'000'000);
  stage->set_ended_us(11'000'000);
  stage->set_finished(8);
  stage->set_skew(7.5);
  stage->mutable_time_us()->set_max(6'000'000);
  const std::string line = SlowQueryLine(profile);
  EXPECT_THAT(line, HasSubstr("Slow query j1 (finished): 12.00 s, 2 stages, 9 tasks"));
  EXPECT_THAT(line, HasSubstr("stage 0 6.00 s (8 tasks)"));
  EXPECT_THAT(line, HasSubstr("5.00 s in the queue"));
  EXPECT_THAT(line, HasSubstr("took 7.5 times the median"));
  EXPECT_THAT(line, HasSubstr("MiB spilled"));
  EXPECT_THAT(line, HasSubstr("SELECT * FROM t"));
  EXPECT_THAT(line, ::testing::Not(HasSubstr("\n")));
}

}  // namespace
}  // namespace ballista::history
