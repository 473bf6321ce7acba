#include "ballista/sim/simulation.h"

#include <gtest/gtest.h>

#include "ballista/sim/rows.h"

namespace ballista::sim {
namespace {

constexpr uint64_t kSeeds = 200;
constexpr uint64_t kSeedsATest = 10;

class SimulationTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  // What the seeds must have met with; one alone need not.
  static void TearDownTestSuite() {
    if (groups_ < kSeeds / kSeedsATest) return;  // not all were asked for
    EXPECT_GT(split_, 100u);
    EXPECT_GT(skipped_, 100u);
    EXPECT_GT(crashes_, 100u);
  }

  inline static uint64_t groups_ = 0;
  inline static uint64_t split_ = 0;
  inline static uint64_t skipped_ = 0;
  inline static uint64_t crashes_ = 0;
};

TEST_P(SimulationTest, EveryJobEndsAsItMust) {
  uint64_t finished = 0;
  uint64_t failed = 0;
  ++groups_;
  for (uint64_t seed = GetParam(); seed < GetParam() + kSeedsATest; ++seed) {
    const SimulationReport report = Simulate(OptionsForSeed(seed));
    for (const std::string& violation : report.violations) {
      ADD_FAILURE() << violation << "\n  replay: build/bin/sim --seed " << seed;
    }
    finished += report.jobs_finished;
    failed += report.jobs_failed;
    split_ += report.tasks_split;
    skipped_ += report.tasks_skipped;
    crashes_ += report.scheduler_crashes;
  }
  EXPECT_GT(finished, failed);  // faults are the exception
}

INSTANTIATE_TEST_SUITE_P(Seeds, SimulationTest,
                         ::testing::Range<uint64_t>(1, kSeeds + 1, kSeedsATest));

TEST(Simulation, IsAFunctionOfItsSeed) {
  for (uint64_t seed : {2, 27, 34, 152}) {
    const SimulationReport first = Simulate(OptionsForSeed(seed));
    const SimulationReport second = Simulate(OptionsForSeed(seed));
    EXPECT_EQ(first.trace, second.trace) << "seed " << seed;
    EXPECT_EQ(first.steps, second.steps) << "seed " << seed;
  }
}

TEST(Simulation, FinishesEverythingWhenNothingGoesWrong) {
  for (uint64_t seed = 300; seed < 340; ++seed) {
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
  for (uint64_t seed = 400; seed < 440; ++seed) {
    SimulationOptions options;
    options.seed = seed;
    options.executors = 8;
    options.jobs = 20;
    options.only_drains = true;
    options.fault_interval = std::chrono::seconds(4);
    const SimulationReport report = Simulate(options);
    EXPECT_EQ(report.jobs_finished, options.jobs) << "seed " << seed;
    EXPECT_EQ(report.tasks_repeated, 0u) << "seed " << seed;
    EXPECT_TRUE(report.violations.empty())
        << "seed " << seed << ": " << report.violations.front();
    drained += report.drained;
  }
  EXPECT_GT(drained, 100u);
}

TEST(Simulation, RunsAThousandExecutorsAndAHundredThousandTasks) {
  const SimulationReport report = Simulate(OptionsForSeed(50));
  EXPECT_GE(report.tasks_launched, 100000u);
  EXPECT_GT(report.executors_lost, 100u);
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
