#include "ballista/sim/simulation.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <set>
#include <span>
#include <thread>

#include "ballista/sim/rows.h"

namespace ballista::sim {
namespace {

// Four of them (500, 1000, ...) with 1,000 executors and 100,000 tasks.
constexpr uint64_t kAllSeeds = 2000;
constexpr int kThreads = 2;

// Fewer where a seed costs much: under sanitizers.
uint64_t Seeds() {
  const char* text = std::getenv("BALLISTA_SIMULATION_SEEDS");
  return text == nullptr ? kAllSeeds : std::strtoull(text, nullptr, 10);
}

// As many of a test's own seeds as Seeds() is of all; two, for those that alternate.
uint64_t Share(uint64_t seeds) {
  return std::min(seeds, std::max<uint64_t>(2, seeds * Seeds() / kAllSeeds));
}

// What all seeds together have met with.
struct Sum {
  std::mutex mutex;
  std::map<std::string, uint64_t> counts;
  std::vector<std::string> violations;

  void Add(uint64_t seed, const SimulationReport& report) {
    const std::lock_guard lock(mutex);
    for (const std::string& violation : report.violations) {
      violations.push_back(
          fmt::format("{}\n  replay: build/bin/sim --seed {}", violation, seed));
    }
    counts["finished"] += report.jobs_finished;
    counts["failed"] += report.jobs_failed;
    counts["split"] += report.tasks_split;
    counts["skipped"] += report.tasks_skipped;
    counts["copied"] += report.tasks_copied;
    counts["drained"] += report.drained;
    counts["scheduler crashes"] += report.scheduler_crashes;
    counts["results reopened"] += report.results_reopened;
    counts["launches failed"] += report.launches_failed;
    counts["fetches failed"] += report.fetches_failed;
    for (const auto& [fault, times] : report.faults) counts[fault] += times;
    for (const auto& [cause, jobs] : report.failures) counts[cause] += jobs;
  }
};

TEST(Simulation, EveryJobEndsAsItMustUnderFaultsOfEveryKind) {
  const uint64_t seeds = Seeds();
  Sum sum;
  std::atomic<uint64_t> next = 1;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      // The longest first.
      for (uint64_t n = next++; n <= seeds; n = next++) {
        const uint64_t large = seeds / 500;
        const uint64_t rest = n - large;
        const uint64_t seed = n <= large ? n * 500 : rest + (rest - 1) / 499;
        sum.Add(seed, Simulate(OptionsForSeed(seed)));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& violation : sum.violations) ADD_FAILURE() << violation;
  EXPECT_GT(sum.counts["finished"], sum.counts["failed"]);  // faults are the exception
  if (seeds < kAllSeeds) return;
  // One seed alone need not have met with these.
  for (const char* what : {"split",
                           "skipped",
                           "copied",
                           "drained",
                           "scheduler crashes",
                           "launches failed",
                           "fetches failed",
                           "killed by a task",
                           "user error",
                           "cancelled",
                           "its deadline",
                           "no executor",
                           "a task failed too often",
                           "inputs could not be fetched",
                           "executors were lost too often",
                           "the result was lost",
                           "nobody read its result",
                           "the result was lost while it was read",
                           "results reopened",
                           "the queue was full",
                           "a loss where nothing is run twice"}) {
    EXPECT_GT(sum.counts[what], 10u) << what;
  }
  for (int kind = 0; kind < kExecutorFaults; ++kind) {
    const std::string name(NameOf(static_cast<ExecutorFault>(kind)));
    EXPECT_GT(sum.counts[name], 100u) << name;
  }
  for (const auto& [what, count] : sum.counts) {
    RecordProperty(what, static_cast<int>(count));
  }
}

TEST(Simulation, IsAFunctionOfItsSeed) {
  constexpr std::array<uint64_t, 4> kSeeds = {2, 27, 34, 152};
  for (const uint64_t seed : std::span(kSeeds).first(Share(kSeeds.size()))) {
    const SimulationReport first = Simulate(OptionsForSeed(seed));
    const SimulationReport second = Simulate(OptionsForSeed(seed));
    EXPECT_EQ(first.trace, second.trace) << "seed " << seed;
    EXPECT_EQ(first.steps, second.steps) << "seed " << seed;
  }
}

TEST(Simulation, FinishesEverythingWhenNothingGoesWrong) {
  for (uint64_t seed = 300; seed < 300 + Share(40); ++seed) {
    SimulationOptions options;
    options.seed = seed;
    const SimulationReport report = Simulate(options);
    EXPECT_EQ(report.jobs_finished, options.jobs) << "seed " << seed;
    EXPECT_EQ(report.jobs_failed, 0u);
    EXPECT_TRUE(report.violations.empty()) << "seed " << seed;
  }
}

// Executors that leave in order, one after the other and several at once, cost no job,
// and no task is run a second time.
TEST(Simulation, LosesNothingWhenExecutorsLeaveInOrder) {
  uint64_t drained = 0;
  const uint64_t seeds = Share(40);
  for (uint64_t seed = 400; seed < 400 + seeds; ++seed) {
    SimulationOptions options;
    options.seed = seed;
    options.executors = 8;
    options.jobs = 20;
    options.patient_drains = true;
    options.faults.kinds = {ExecutorFault::kDrain};
    options.faults.interval = std::chrono::seconds(4);
    const SimulationReport report = Simulate(options);
    EXPECT_EQ(report.jobs_finished, options.jobs) << "seed " << seed;
    EXPECT_EQ(report.tasks_repeated, 0u) << "seed " << seed;
    EXPECT_TRUE(report.violations.empty())
        << "seed " << seed << ": " << report.violations.front();
    drained += report.drained;
  }
  EXPECT_GT(drained, seeds * 5 / 2);
}

// With six executors, one kind of fault now and then. What may be lost with an executor
// is a part of a result of which the client has some rows and not all.
TEST(Simulation, EachKindOfFaultCostsOnlyWhatItMust) {
  const std::string kLostWhileRead = "the result was lost while it was read";
  const std::map<ExecutorFault, std::set<std::string>> allowed = {
      {ExecutorFault::kCrash, {kLostWhileRead}},
      {ExecutorFault::kRestart, {kLostWhileRead}},
      {ExecutorFault::kCut, {kLostWhileRead}},
      {ExecutorFault::kDeaf, {kLostWhileRead}},
      {ExecutorFault::kMute, {kLostWhileRead}},
      {ExecutorFault::kPause, {kLostWhileRead}},
      {ExecutorFault::kLinks, {}},
      {ExecutorFault::kSick, {}},
      {ExecutorFault::kSlow, {}},
      {ExecutorFault::kDrain, {kLostWhileRead}},
  };
  for (const auto& [kind, causes] : allowed) {
    for (uint64_t seed = 1; seed <= Share(40); ++seed) {
      SimulationOptions options;
      options.seed = seed;
      options.executors = 6;
      options.faults.kinds = {kind};
      options.faults.interval = std::chrono::seconds(15);
      options.faults.speculation = seed % 2 == 0 ? 1 : 0;
      const SimulationReport report = Simulate(options);
      for (const std::string& violation : report.violations) {
        ADD_FAILURE() << NameOf(kind) << ", seed " << seed << ": " << violation;
      }
      for (const auto& [cause, jobs] : report.failures) {
        EXPECT_TRUE(causes.contains(cause))
            << NameOf(kind) << ", seed " << seed << ": " << jobs << " jobs: " << cause;
      }
    }
  }
}

// A task that kills its executors, or fails on each of them, ends its own job alone.
TEST(Simulation, PoisonEndsItsOwnJobAlone) {
  uint64_t poisoned = 0;
  const uint64_t seeds = Share(60);
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    SimulationOptions options;
    options.seed = seed;
    options.executors = 6;
    options.faults.poison_kills = seed % 2 == 0 ? 0.1 : 0;
    options.faults.poison_fails = seed % 2 == 1 ? 0.1 : 0;
    const SimulationReport report = Simulate(options);
    EXPECT_TRUE(report.violations.empty())
        << "seed " << seed << ": " << report.violations.front();
    for (const auto& [cause, jobs] : report.failures) {
      if (cause == "the result was lost while it was read") continue;
      EXPECT_TRUE(cause == "a task failed too often" ||
                  cause == "executors were lost too often")
          << "seed " << seed << ": " << cause;
      poisoned += jobs;
    }
    EXPECT_EQ(report.innocents_failed, 0u) << "seed " << seed;
  }
  if (seeds == 60) {
    EXPECT_GT(poisoned, 20u);
  }
}

// The simulation can only find what its rows show: the result changes when one partition
// is read apart from its counterpart, or one row is missing from a broadcast.
TEST(SimulatedRows, ShowRowsThatWereMissedOrMisplaced) {
  StageShape join;
  join.stage_id = 0;
  join.hashed = {true, true, false};
  join.whole = {false, false, true};
  auto run = [&](const InputRows& left, const InputRows& right, const InputRows& all) {
    Digest digest;
    digest.Add(ComputeRows(join, {left, right, all}, {}));
    return digest;
  };
  Digest together = run({{1, 2}, {3}}, {{4}, {5}}, {{6, 7}});
  Digest by_partition = run({{1, 2}, {}}, {{4}, {}}, {{6, 7}});
  const Digest other = run({{}, {3}}, {{}, {5}}, {{7, 6}});
  by_partition.count += other.count;
  by_partition.sum += other.sum;
  EXPECT_EQ(by_partition, together);
  EXPECT_NE(run({{1, 2}, {3}}, {{5}, {4}}, {{6, 7}}), together);
  EXPECT_NE(run({{1, 2}, {3}}, {{4}, {5}}, {{6}}), together);
  EXPECT_NE(run({{1}, {3}}, {{4}, {5}}, {{6, 7}}), together);
}

}  // namespace
}  // namespace ballista::sim
