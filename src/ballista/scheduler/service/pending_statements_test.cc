#include "ballista/scheduler/service/pending_statements.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

namespace ballista::scheduler {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

PendingStatements::Work UntilGivenUp(std::atomic<bool>* given_up) {
  return
      [given_up](const std::function<bool()>& abandoned) -> arrow::Result<QueryHandle> {
        const auto end = std::chrono::steady_clock::now() + seconds(60);
        while (!abandoned() && std::chrono::steady_clock::now() < end) {
          std::this_thread::sleep_for(milliseconds(1));
        }
        *given_up = abandoned();
        return arrow::Status::Cancelled("given up");
      };
}

bool Comes(const std::atomic<bool>& what) {
  const auto end = std::chrono::steady_clock::now() + seconds(60);
  while (!what && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  return what;
}

TEST(PendingStatements, GivesTheOutcomeOnce) {
  PendingStatements pending(seconds(60));
  std::atomic<bool> go = false;
  const auto work = [&](const auto&) -> arrow::Result<QueryHandle> {
    Comes(go);
    QueryHandle handle;
    handle.id = "the query";
    return handle;
  };
  const auto id = pending.Begin(nullptr, {}, work).ValueOrDie();
  EXPECT_FALSE(pending.Wait(id, milliseconds(0))->handle.has_value());
  go = true;
  const auto outcome = pending.Wait(id, seconds(60)).ValueOrDie();
  ASSERT_TRUE(outcome.handle.has_value());
  EXPECT_EQ((*outcome.handle)->id, "the query");
  EXPECT_THAT(pending.Wait(id, milliseconds(0)).status().message(),
              HasSubstr("not known"));
}

TEST(PendingStatements, CancelledOnesGiveUp) {
  PendingStatements pending(seconds(60));
  std::atomic<bool> given_up = false;
  const auto id = pending.Begin(nullptr, {}, UntilGivenUp(&given_up)).ValueOrDie();
  EXPECT_TRUE(pending.Cancel(id));
  EXPECT_FALSE(pending.Cancel("another"));
  const auto outcome = pending.Wait(id, seconds(60)).ValueOrDie();
  ASSERT_TRUE(outcome.handle.has_value());
  EXPECT_EQ(outcome.handle->status().message(), "given up");
  EXPECT_TRUE(given_up);
}

TEST(PendingStatements, GiveUpWhereNobodyAsks) {
  PendingStatements pending(milliseconds(1));
  std::atomic<bool> given_up = false;
  ASSERT_TRUE(pending.Begin(nullptr, {}, UntilGivenUp(&given_up)).ok());
  EXPECT_TRUE(Comes(given_up));
}

TEST(PendingStatements, EndWithTheirOwner) {
  std::atomic<bool> given_up = false;
  {
    PendingStatements pending(seconds(60));
    ASSERT_TRUE(pending.Begin(nullptr, {}, UntilGivenUp(&given_up)).ok());
  }
  EXPECT_TRUE(given_up);
}

}  // namespace
}  // namespace ballista::scheduler
