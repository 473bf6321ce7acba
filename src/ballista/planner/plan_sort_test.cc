// Sorts by ranges: when they are chosen, what the graph looks like, and that the checker
// refuses what would be out of order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ballista/planner/adaptive_planner.h"
#include "ballista/planner/distributed_planner.h"
#include "ballista/planner/graph_checker.h"
#include "ballista/planner/test_plans_internal.h"

namespace ballista::planner {
namespace {

using namespace testing;  // NOLINT: the builders are the vocabulary of these tests
using job::JobGraph;
using job::Output;
using job::Stage;
using job::StageInput;
using ::testing::HasSubstr;

constexpr double kBig = 1e7;

JobGraph Planned(Node root, PlannerOptions options = TwoExecutors()) {
  auto graph = PlanJob(PlanOf(std::move(root)), options);
  EXPECT_TRUE(graph.ok()) << graph.status();
  if (!graph.ok()) return {};
  EXPECT_EQ(graph->single_task_reason(), "");
  return *std::move(graph);
}

const Stage& Result(const JobGraph& graph) {
  return graph.stages(static_cast<int>(graph.result_stage()));
}

bool HasRuns(const JobGraph& graph) {
  return graph.stages(0).output().kind() == Output::RANGE;
}

TEST(RangeSortTest, SortsEachShareAndMergesRanges) {
  const auto graph = Planned(SortOf(BigintScan("t", 2, kBig), 1));
  ASSERT_EQ(graph.stages_size(), 2);
  const auto& runs = graph.stages(0);
  EXPECT_TRUE(runs.fragment().has_sort());
  EXPECT_EQ(runs.parallelism(), job::MANY_TASKS);
  EXPECT_EQ(runs.output().kind(), Output::RANGE);
  EXPECT_TRUE(runs.output().ordered());
  ASSERT_EQ(runs.output().sort_keys_size(), 1);
  EXPECT_EQ(runs.output().sort_keys(0).expression().column(), 1u);
  EXPECT_EQ(Result(graph).parallelism(), job::MANY_TASKS);
  EXPECT_TRUE(Result(graph).output().ordered());
  ASSERT_EQ(Result(graph).inputs_size(), 1);
  EXPECT_EQ(Result(graph).inputs(0).mode(), StageInput::MERGE);
  EXPECT_EQ(Result(graph).inputs(0).merge_keys_size(), 1);
  EXPECT_THAT(plan::ToString(graph), HasSubstr("range exchange by #1"));
}

TEST(RangeSortTest, KeysThatAreNoColumnsTravelAndAreDropped) {
  Node sort = SortOf(BigintScan("t", 2, kBig), 0);
  auto* key = sort.mutable_sort()->mutable_keys(0);
  *key->mutable_expression() = plan::MakeCall(
      "+", Bigint(), {Column(sort.inputs(0), 0), Column(sort.inputs(0), 1)});
  key->set_descending(true);
  key->set_nulls_first(true);
  const auto graph = Planned(sort);
  ASSERT_TRUE(HasRuns(graph));
  EXPECT_EQ(graph.stages(0).fragment().types_size(), 3);
  EXPECT_EQ(graph.stages(0).output().sort_keys(0).expression().column(), 2u);
  EXPECT_TRUE(graph.stages(0).output().sort_keys(0).descending());
  EXPECT_TRUE(graph.stages(0).output().sort_keys(0).nulls_first());
  EXPECT_EQ(Result(graph).fragment().types_size(), 2);
}

TEST(RangeSortTest, SmallSortsAndTopsAreGathered) {
  EXPECT_FALSE(HasRuns(Planned(SortOf(BigintScan("t", 2, 1000), 0))));
  EXPECT_FALSE(HasRuns(Planned(SortOf(BigintScan("t", 2, kBig), 0, 10, 5))));
  PlannerOptions options = TwoExecutors();
  options.range_sort_threshold = 0;
  EXPECT_TRUE(HasRuns(Planned(SortOf(BigintScan("t", 2, 1000), 0), options)));
  options.range_sort_threshold = uint64_t{1} << 60;
  EXPECT_FALSE(HasRuns(Planned(SortOf(BigintScan("t", 2, kBig), 0), options)));
}

TEST(RangeSortTest, TypesWithoutSortKeyAreGathered) {
  Node scan = BigintScan("t", 2, kBig);
  *scan.mutable_types(1) = plan::ListType(Bigint());
  EXPECT_TRUE(HasRuns(Planned(SortOf(scan, 0))));
  EXPECT_FALSE(HasRuns(Planned(SortOf(scan, 1))));
}

TEST(RangeSortTest, OrderOfNoUseToWhatIsAboveIsGathered) {
  const Node sort = SortOf(BigintScan("t", 2, kBig), 0);
  const auto graph = Planned(DistinctOf(sort, 1000));
  EXPECT_FALSE(HasRuns(graph));
}

TEST(RangeSortTest, ALargeLimitIsTakenOfRunsRangesAndAll) {
  const auto graph = Planned(SortOf(BigintScan("t", 2, kBig), 0, 5000000, 7));
  ASSERT_EQ(graph.stages_size(), 3);
  EXPECT_EQ(graph.stages(0).fragment().sort().limit(), 5000007u);
  EXPECT_EQ(graph.stages(0).fragment().sort().offset(), 0u);
  const auto& ranges = graph.stages(1);
  EXPECT_EQ(ranges.parallelism(), job::MANY_TASKS);
  EXPECT_TRUE(ranges.output().ordered());
  EXPECT_EQ(ranges.fragment().limit().limit().literal().int_(), 5000007);
  EXPECT_EQ(Result(graph).parallelism(), job::SINGLE_TASK);
  EXPECT_EQ(Result(graph).inputs(0).mode(), StageInput::MERGE);
  EXPECT_EQ(Result(graph).inputs(0).merge_keys_size(), 0);
  EXPECT_EQ(Result(graph).fragment().limit().limit().literal().int_(), 5000000);
  EXPECT_EQ(Result(graph).fragment().limit().offset().literal().int_(), 7);
  EXPECT_TRUE(Result(graph).output().ordered());
}

TEST(RangeSortTest, SmallRunsAreSortedInOneTaskOnceKnown) {
  // An aggregate of which the estimate is large, and that turns out to be small.
  const Node scan = BigintScan("t", 2, kBig);
  const auto graph = Planned(SortOf(
      AggregateOf(scan, {0}, {AggregateCall("sum", Bigint(), {Column(scan, 1)})}, kBig),
      0));
  ASSERT_EQ(graph.stages_size(), 3);
  ASSERT_EQ(graph.stages(1).output().kind(), Output::RANGE);
  const auto planned =
      ReplanJob(graph, {{true, true, 100, 1600}, {}, {}}, TwoExecutors());
  ASSERT_TRUE(planned.has_value());
  EXPECT_EQ(Result(*planned).parallelism(), job::SINGLE_TASK);
  ASSERT_EQ(Result(*planned).inputs_size(), 1);
  EXPECT_EQ(Result(*planned).inputs(0).stages(0), 0u);
  EXPECT_EQ(Result(*planned).inputs(0).mode(), StageInput::ALL);
  EXPECT_TRUE(Result(*planned).fragment().has_sort());
}

void ExpectRefused(const JobGraph& graph, const std::string& why) {
  const auto status = CheckGraph(graph);
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.message(), HasSubstr(why));
}

TEST(RangeSortCheck, RefusesRunsThatAreNotSorted) {
  auto graph = Planned(SortOf(BigintScan("t", 2, kBig), 1));
  ASSERT_TRUE(CheckGraph(graph).ok());
  auto other = graph;
  other.mutable_stages(0)
      ->mutable_fragment()
      ->mutable_sort()
      ->mutable_keys(0)
      ->set_descending(true);
  ExpectRefused(other, "not sorted as it says");
  const Node unsorted = graph.stages(0).fragment().inputs(0);
  *graph.mutable_stages(0)->mutable_fragment() = unsorted;
  ExpectRefused(graph, "not sorted as it says");
}

TEST(RangeSortCheck, RefusesAMergeByOtherKeys) {
  auto graph = Planned(SortOf(BigintScan("t", 2, kBig), 1));
  graph.mutable_stages(1)->mutable_inputs(0)->mutable_merge_keys(0)->set_nulls_first(
      true);
  ExpectRefused(graph, "not in that order");
  EXPECT_FALSE(plan::ValidateGraph(graph).ok());
}

TEST(RangeSortCheck, RefusesRangesThatAreReadOutOfOrder) {
  auto graph = Planned(SortOf(BigintScan("t", 2, kBig), 1));
  auto* input = graph.mutable_stages(1)->mutable_inputs(0);
  input->set_mode(StageInput::PARTITIONED);
  input->clear_merge_keys();
  ExpectRefused(graph, "not in order one task after the other");
}

TEST(RangeSortCheck, RefusesFirstRowsOfOneRangeAsTheResult) {
  auto graph = Planned(SortOf(BigintScan("t", 2, kBig), 0, 5000000));
  // Each task would give its first rows, and nobody the first of all.
  graph.mutable_stages(1)->mutable_output()->set_is_result(true);
  graph.set_result_stage(1);
  graph.mutable_stages()->RemoveLast();
  ExpectRefused(graph, "partial results would be the job's");
}

}  // namespace
}  // namespace ballista::planner
