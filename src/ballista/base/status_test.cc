#include "ballista/base/status.h"

#include <gtest/gtest.h>

#include <vector>

namespace ballista {
namespace {

TEST(Status, EveryDetailSurvivesEncoding) {
  FetchFailed fetch;
  fetch.set_job_id("j");
  fetch.set_stage_id(3);
  fetch.set_task_index(4);
  fetch.set_attempt(2);
  fetch.set_executor_id("e");
  const std::vector<arrow::Status> statuses = {
      UserErrorStatus(UserError::BINDER, "no such column", 17),
      FetchFailedStatus("gone", fetch),
      ExecutorLostStatus("lost", "e1"),
      ResourcesExhaustedStatus("full", ResourcesExhausted::DISK, 1 << 20),
      CancelledStatus("stopped", Cancelled::DEADLINE),
      InternalStatus("a bug"),
  };
  for (const auto& status : statuses) {
    const auto back = DecodeStatus(EncodeStatus(status));
    EXPECT_EQ(back.code(), status.code());
    EXPECT_EQ(back.message(), status.message());
    ASSERT_NE(GetErrorDetail(back), nullptr) << status;
    EXPECT_EQ(GetErrorDetail(back)->SerializeAsString(),
              GetErrorDetail(status)->SerializeAsString());
  }
}

TEST(Status, PlainAndDamagedOnes) {
  EXPECT_TRUE(DecodeStatus(EncodeStatus(arrow::Status::OK())).ok());
  const auto plain = DecodeStatus(EncodeStatus(arrow::Status::IOError("disk")));
  EXPECT_TRUE(plain.IsIOError());
  EXPECT_EQ(GetErrorDetail(plain), nullptr);
  EXPECT_TRUE(GetErrorDetail(DecodeStatus("\xff\xff\xff"))->has_internal());
}

}  // namespace
}  // namespace ballista
