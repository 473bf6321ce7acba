#include "ballista/planner/adaptive_planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ballista/planner/graph_checker.h"
#include "ballista/planner/test_plans_internal.h"

namespace ballista::planner {
namespace {

using namespace testing;  // NOLINT: the builders are the vocabulary of these tests
using job::JobGraph;
using job::StageInput;

constexpr double kBig = 1e7;
constexpr StageProgress kSmall = {true, true, 10, 1000};
constexpr StageProgress kLarge = {true, true, 10000000, 1000000000};

JobGraph Planned(Node root, const PlannerOptions& options) {
  auto graph = PlanJob(PlanOf(std::move(root)), options);
  EXPECT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(graph->single_task_reason(), "");
  return *std::move(graph);
}

PlannerOptions FiftyExecutors() {
  PlannerOptions options = TwoExecutors();
  options.executors = 50;
  return options;
}

Node SortedSums(double groups) {
  const Node scan = BigintScan("t", 2, kBig);
  return SortOf(
      AggregateOf(scan, {0}, {AggregateCall("sum", Bigint(), {Column(scan, 1)})}, groups),
      1);
}

const job::Stage& Result(const JobGraph& graph) {
  return graph.stages(static_cast<int>(graph.result_stage()));
}

TEST(AdaptivePlannerTest, SmallRestIsOneTask) {
  const auto graph = Planned(SortedSums(1e6), TwoExecutors());
  ASSERT_EQ(graph.stages_size(), 3);  // partial, final, sort
  const auto better = ReplanJob(graph, {kSmall, {}, {}}, TwoExecutors());
  ASSERT_TRUE(better);
  const auto& result = Result(*better);
  EXPECT_EQ(result.id(), 2u);
  EXPECT_EQ(result.parallelism(), job::SINGLE_TASK);
  ASSERT_EQ(result.inputs_size(), 1);
  EXPECT_EQ(result.inputs(0).stages(0), 0u);
  EXPECT_EQ(result.inputs(0).mode(), StageInput::ALL);
  EXPECT_TRUE(result.fragment().has_sort());
  EXPECT_TRUE(result.fragment().inputs(0).has_aggregate());
  EXPECT_TRUE(CheckRunningGraph(*better).ok());
}

TEST(AdaptivePlannerTest, SmallRestWithATableThatEachTaskReadsIsOneTask) {
  PlannerOptions options = TwoExecutors();
  options.single_task_threshold = 8 << 20;
  const Node scan = BigintScan("t", 2, kBig);
  const Node sums =
      AggregateOf(scan, {0}, {AggregateCall("sum", Bigint(), {Column(scan, 1)})}, 1e6);
  const auto graph = Planned(
      SortOf(JoinOf(Join::INNER, sums, BigintScan("nation", 2, 25), {{0, 0}}, 1e6), 1),
      options);
  ASSERT_EQ(graph.stages_size(), 3);  // partial, final and join, sort
  const auto better = ReplanJob(graph, {kSmall, {}, {}}, options);
  ASSERT_TRUE(better);
  EXPECT_EQ(Result(*better).parallelism(), job::SINGLE_TASK);
  EXPECT_EQ(Result(*better).inputs_size(), 1);
  const Node& join = Result(*better).fragment().inputs(0);
  ASSERT_TRUE(join.has_join());
  EXPECT_EQ(join.inputs(1).scan().files_size(), 1);
}

TEST(AdaptivePlannerTest, ScansThatEachTaskReadsKeepTheirFilesWhenAStageIsTakenIn) {
  PlannerOptions options = FiftyExecutors();
  options.single_task_threshold = 8 << 20;
  const Node fact = BigintScan("fact", 2, kBig);
  const Node named = JoinOf(
      Join::INNER,
      FilterOf(fact,
               Compare(plan::Comparison::LESS, Column(fact, 0), plan::BigintLiteral(1))),
      BigintScan("nation", 2, 25), {{1, 0}}, kBig);
  const auto graph = Planned(
      JoinOf(Join::INNER, named, BigintScan("dim", 2, kBig), {{0, 0}}, kBig), options);
  ASSERT_EQ(graph.stages_size(), 3);
  const auto better = ReplanJob(graph, {kSmall, {}, {}}, options);
  ASSERT_TRUE(better);
  ASSERT_EQ(Result(*better).scans_size(), 1);
  EXPECT_EQ(Result(*better).scans(0).splits(0).path(), "/data/fact.parquet");
  EXPECT_TRUE(CheckRunningGraph(*better).ok());
}

TEST(AdaptivePlannerTest, LargeRestIsLeftAlone) {
  const auto graph = Planned(SortedSums(1e6), TwoExecutors());
  EXPECT_FALSE(ReplanJob(graph, {kLarge, {}, {}}, TwoExecutors()));
  EXPECT_FALSE(ReplanJob(graph, {{true, false, 0, 0}, {}, {}}, TwoExecutors()));
}

TEST(AdaptivePlannerTest, StartedStagesStand) {
  const auto graph = Planned(SortedSums(1e6), TwoExecutors());
  EXPECT_FALSE(ReplanJob(graph, {kSmall, {true, false, 0, 0}, {}}, TwoExecutors()));
}

Node FilteredJoin(Join::Type type) {
  const Node fact = BigintScan("fact", 2, kBig);
  return JoinOf(type,
                FilterOf(fact, Compare(plan::Comparison::LESS, Column(fact, 0),
                                       plan::BigintLiteral(1))),
                BigintScan("dim", 2, kBig), {{0, 0}}, kBig);
}

TEST(AdaptivePlannerTest, SmallBuildSideIsBroadcast) {
  const auto graph = Planned(FilteredJoin(Join::INNER), FiftyExecutors());
  ASSERT_EQ(graph.stages_size(), 3);
  // Stage 0 is the right side.
  ASSERT_THAT(graph.stages(0).description(), ::testing::HasSubstr("dim"));
  const auto better = ReplanJob(graph, {kSmall, {}, {}}, FiftyExecutors());
  ASSERT_TRUE(better);
  const auto& result = Result(*better);
  EXPECT_EQ(result.parallelism(), job::MANY_TASKS);
  ASSERT_EQ(result.scans_size(), 1);
  EXPECT_EQ(result.scans(0).splits(0).path(), "/data/fact.parquet");
  ASSERT_EQ(result.inputs_size(), 1);
  EXPECT_EQ(result.inputs(0).mode(), StageInput::ALL);
  EXPECT_TRUE(result.fragment().inputs(0).has_filter());
}

TEST(AdaptivePlannerTest, BroadcastsThatWouldBeWrongOrForbiddenAreNot) {
  const auto full = Planned(FilteredJoin(Join::FULL), FiftyExecutors());
  EXPECT_FALSE(ReplanJob(full, {kSmall, {}, {}}, FiftyExecutors()));
  const auto inner = Planned(FilteredJoin(Join::INNER), FiftyExecutors());
  EXPECT_FALSE(ReplanJob(inner, {kLarge, {}, {}}, FiftyExecutors()));
  PlannerOptions never = FiftyExecutors();
  never.broadcast_threshold = 0;
  EXPECT_FALSE(ReplanJob(inner, {kSmall, {}, {}}, never));
}

TEST(AdaptivePlannerTest, PartitioningThatIsNeededAboveStays) {
  // The window counts on the join's partitioning by key.
  const auto graph =
      Planned(WindowOf(FilteredJoin(Join::INNER), {{0}}), FiftyExecutors());
  ASSERT_EQ(graph.stages_size(), 3);
  EXPECT_FALSE(ReplanJob(graph, {kSmall, {}, {}}, FiftyExecutors()));
}

}  // namespace
}  // namespace ballista::planner
