#include "ballista/executor/job_owners.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ballista/executor/task_reports.h"

namespace ballista::executor {
namespace {

control::TaskStatus StatusOf(const std::string& job_id, uint32_t index) {
  control::TaskStatus status;
  status.mutable_id()->set_job_id(job_id);
  status.mutable_id()->set_task_index(index);
  return status;
}

TEST(JobOwners, OrdersWithAStaleTokenDoNotCount) {
  JobOwners owners;
  ASSERT_TRUE(owners.NoteLaunch("j", 1, "a").ok());
  EXPECT_FALSE(owners.IsStale("j", 1));
  owners.Adopt("j", 2, "b");
  EXPECT_EQ(owners.OwnerOf("j"), "b");
  EXPECT_TRUE(owners.IsStale("j", 1));
  const auto late = owners.NoteLaunch("j", 1, "a");
  EXPECT_TRUE(late.IsInvalid());
  EXPECT_THAT(late.message(), ::testing::HasSubstr("its token is 2, not 1"));
  EXPECT_EQ(owners.OwnerOf("j"), "b");
  ASSERT_TRUE(owners.NoteLaunch("j", 2, "b").ok());
  // A message that came late.
  owners.Adopt("j", 1, "a");
  EXPECT_EQ(owners.OwnerOf("j"), "b");
}

TEST(JobOwners, TokensOutliveTheirJobs) {
  JobOwners owners;
  ASSERT_TRUE(owners.NoteLaunch("j", 1, "a").ok());
  owners.Adopt("j", 2, "b");
  owners.Forget("j");
  EXPECT_EQ(owners.OwnerOf("j"), "");
  EXPECT_TRUE(owners.NoteLaunch("j", 1, "a").IsInvalid());
  EXPECT_TRUE(owners.IsStale("j", 1));
  // Also where nothing of the job has ever been here.
  owners.Adopt("elsewhere", 2, "b");
  EXPECT_EQ(owners.OwnerOf("elsewhere"), "");
  EXPECT_TRUE(owners.NoteLaunch("elsewhere", 1, "a").IsInvalid());
  EXPECT_TRUE(owners.NoteLaunch("elsewhere", 2, "b").ok());
}

TEST(JobOwners, WithoutTokensNothingIsStale) {
  JobOwners owners;
  ASSERT_TRUE(owners.NoteLaunch("j", 0, "a").ok());
  owners.Replace("a", "a2");
  EXPECT_EQ(owners.OwnerOf("j"), "a2");
  EXPECT_THAT(owners.JobsOf("a2"), ::testing::ElementsAre("j"));
  owners.Forget("j");
  EXPECT_TRUE(owners.NoteLaunch("j", 0, "a").ok());
  EXPECT_FALSE(owners.IsStale("j", 0));
}

TEST(TaskReports, FollowTheJobToItsNextOwner) {
  JobOwners owners;
  TaskReports reports(&owners);
  ASSERT_TRUE(owners.NoteLaunch("j", 1, "a").ok());
  ASSERT_TRUE(owners.NoteLaunch("k", 1, "b").ok());
  reports.Add(StatusOf("j", 0));
  reports.Add(StatusOf("j", 1));
  reports.Add(StatusOf("k", 0));
  reports.Add(StatusOf("ended", 0));
  EXPECT_FALSE(reports.HasAny(""));
  auto batch = reports.Next("a", 1);
  ASSERT_EQ(batch.statuses.size(), 1);
  EXPECT_EQ(batch.statuses[0].id().task_index(), 0);
  // It was not delivered: the next owner gets both.
  owners.Adopt("j", 2, "b");
  EXPECT_FALSE(reports.HasAny("a"));
  batch = reports.Next("b", 10);
  EXPECT_EQ(batch.statuses.size(), 3);
  reports.Delivered(batch);
  EXPECT_FALSE(reports.HasAny("b"));
  reports.Add(StatusOf("j", 2));
  reports.DropJob("j");
  EXPECT_FALSE(reports.HasAny("b"));
}

}  // namespace
}  // namespace ballista::executor
