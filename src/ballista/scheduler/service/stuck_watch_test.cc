#include "ballista/scheduler/service/stuck_watch.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace ballista::scheduler {
namespace {

using std::chrono::seconds;

// Checks when it is due until `end`, with jobs and their last progress as they are then.
std::vector<std::pair<std::string, Time>> Named(
    StuckWatch* watch, Time end, const std::vector<std::pair<std::string, Time>>& jobs) {
  std::vector<std::pair<std::string, Time>> named;
  while (watch->NextCheck() <= end) {
    const Time now = watch->NextCheck();
    const auto idle = [&](Time since) {
      std::vector<std::pair<std::string, Time>> found;
      for (const auto& job : jobs) {
        if (job.second <= since) found.push_back(job);
      }
      return found;
    };
    for (const auto& [job_id, since] : watch->Check(now, idle)) {
      named.emplace_back(job_id, now);
    }
  }
  return named;
}

TEST(StuckWatch, NamesEachJobOnceInTheTime) {
  StuckWatch watch(seconds(8));
  EXPECT_EQ(watch.NextCheck(), kNever);
  watch.Begin(seconds(10));
  const auto named = Named(&watch, seconds(40), {{"a", seconds(10)}, {"b", seconds(15)}});
  std::vector<Time> a;
  std::vector<Time> b;
  for (const auto& [job_id, when] : named) (job_id == "a" ? a : b).push_back(when);
  EXPECT_EQ(a, (std::vector<Time>{seconds(18), seconds(26), seconds(34)}));
  EXPECT_EQ(b, (std::vector<Time>{seconds(24), seconds(32), seconds(40)}));
}

TEST(StuckWatch, ProgressStartsTheTimeAgain) {
  StuckWatch watch(seconds(8));
  watch.Begin(seconds(0));
  EXPECT_EQ(Named(&watch, seconds(9), {{"a", seconds(0)}}).size(), 1);
  EXPECT_TRUE(Named(&watch, seconds(19), {{"a", seconds(12)}}).empty());
  EXPECT_EQ(Named(&watch, seconds(21), {{"a", seconds(12)}}).size(), 1);
}

TEST(StuckWatch, NothingWithoutLimit) {
  StuckWatch watch(Time::zero());
  watch.Begin(seconds(1));
  EXPECT_EQ(watch.NextCheck(), kNever);
}

}  // namespace
}  // namespace ballista::scheduler
