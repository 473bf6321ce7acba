#include "ballista/planner/graph_checker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ballista/planner/test_plans_internal.h"

namespace ballista::planner {
namespace {

using namespace testing;  // NOLINT: the builders are the vocabulary of these tests
using ::testing::HasSubstr;

job::JobGraph Good(Node root, int64_t broadcast_threshold = 0) {
  PlannerOptions options = TwoExecutors();
  options.broadcast_threshold = broadcast_threshold;
  auto graph = PlanJob(PlanOf(std::move(root)), options);
  EXPECT_TRUE(graph.ok()) << graph.status();
  return *graph;
}

Node BigJoin(Join::Type type) {
  return JoinOf(type, BigintScan("l", 2, 1e7), BigintScan("r", 2, 1e7), {{0, 0}}, 1e7);
}

void ExpectRefused(const job::JobGraph& graph, const std::string& why) {
  const auto status = CheckGraph(graph);
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.message(), HasSubstr(why));
}

TEST(GraphCheckerTest, SidesHashedByOtherColumns) {
  auto graph = Good(BigJoin(Join::INNER));
  ASSERT_TRUE(CheckGraph(graph).ok());
  graph.mutable_stages(0)->mutable_output()->set_keys(0, 1);
  ExpectRefused(graph, "matching rows of the two sides are in different tasks");
}

TEST(GraphCheckerTest, SidesOfUnlikePartitionCounts) {
  auto graph = Good(BigJoin(Join::INNER));
  graph.mutable_stages(0)->mutable_output()->set_partitions(3);
  ExpectRefused(graph, "matching rows of the two sides are in different tasks");
}

TEST(GraphCheckerTest, PreservedSideIsBroadcast) {
  auto graph = Good(BigJoin(Join::LEFT));
  auto* result = graph.mutable_stages(static_cast<int>(graph.result_stage()));
  result->mutable_inputs(0)->set_mode(job::StageInput::ALL);
  ExpectRefused(graph, "come up twice");
}

TEST(GraphCheckerTest, NullAwareMarkIsPartitioned) {
  auto graph = Good(BigJoin(Join::MARK));
  ASSERT_TRUE(CheckGraph(graph).ok());
  auto* result = graph.mutable_stages(static_cast<int>(graph.result_stage()));
  result->mutable_fragment()->mutable_join()->set_mark_kind(Join::MARK_NULL_AWARE);
  ExpectRefused(graph, "null-aware");
}

TEST(GraphCheckerTest, PartialSumsAreTheResult) {
  const Node scan = BigintScan("t", 2, 1e7);
  auto graph = Good(
      AggregateOf(scan, {0}, {AggregateCall("sum", Bigint(), {Column(scan, 1)})}, 5));
  ASSERT_EQ(graph.stages_size(), 2);
  auto* result = graph.mutable_stages(1);
  result->set_parallelism(job::MANY_TASKS);
  result->mutable_inputs(0)->set_mode(job::StageInput::PARTITIONED);
  ExpectRefused(graph, "misses some");
}

TEST(GraphCheckerTest, DistinctRowsOfPartsForAJoinThatCountsThem) {
  auto graph = Good(JoinOf(Join::SEMI, BigintScan("l", 1, 1e6), BigintScan("r", 1, 1e7),
                           {{0, 0}}, 1e6));
  bool found = false;
  plan::VisitNodes(graph.mutable_stages(graph.stages_size() - 1)->mutable_fragment(),
                   [&](Node* node) {
                     if (!node->has_join()) return;
                     found = true;
                     node->mutable_join()->set_type(Join::INNER);
                   });
  ASSERT_TRUE(found);
  ExpectRefused(graph, "partial results that nothing combines");
}

TEST(GraphCheckerTest, MedianOfAPart) {
  const Node scan = BigintScan("t", 2, 1e7);
  auto graph = Good(
      AggregateOf(scan, {0}, {AggregateCall("sum", Bigint(), {Column(scan, 1)})}, 5));
  graph.mutable_stages(0)
      ->mutable_fragment()
      ->mutable_aggregate()
      ->mutable_aggregates(0)
      ->mutable_aggregate()
      ->set_name("median");
  ExpectRefused(graph, "without partial results");
}

TEST(GraphCheckerTest, LocalTopIsTheResult) {
  auto graph = Good(SortOf(BigintScan("t", 1, 1e7), 0, 3));
  graph.mutable_stages()->RemoveLast();
  graph.set_result_stage(0);
  graph.mutable_stages(0)->mutable_output()->set_is_result(true);
  ExpectRefused(graph, "partial results");
}

TEST(GraphCheckerTest, ConstantsInEveryTaskOfAUnion) {
  auto graph =
      Good(SetOf(plan::SetOperation::UNION, true, {BigintScan("a", 1, 1e7), OneRow(1)}));
  auto* result = graph.mutable_stages(static_cast<int>(graph.result_stage()));
  result->mutable_inputs(0)->set_mode(job::StageInput::ALL);
  ExpectRefused(graph, "some inputs are whole");
}

TEST(GraphCheckerTest, WindowOverAPart) {
  auto graph = Good(WindowOf(BigintScan("t", 2, 1e7), {{0}}));
  graph.mutable_stages(0)->mutable_output()->set_keys(0, 1);
  ExpectRefused(graph, "a window over a part");
}

TEST(GraphCheckerTest, StageThatNothingReads) {
  auto graph = Good(BigJoin(Join::INNER));
  job::Stage copy = graph.stages(0);
  *graph.add_stages() = copy;
  graph.mutable_stages(3)->set_id(3);
  ExpectRefused(graph, "nothing reads it");
}

TEST(GraphCheckerTest, SplitOfThePreservingSide) {
  auto graph = Good(BigJoin(Join::LEFT));
  auto* result = graph.mutable_stages(static_cast<int>(graph.result_stage()));
  EXPECT_TRUE(result->inputs(0).splittable());
  EXPECT_FALSE(result->inputs(1).splittable());
  result->mutable_inputs(1)->set_splittable(true);
  ExpectRefused(graph, "come up twice");
}

TEST(GraphCheckerTest, SplitBelowAnAggregateThatIsComplete) {
  const Node join = BigJoin(Join::INNER);
  auto graph = Good(AggregateOf(join, {0}, {AggregateCall("count_star", Bigint())}, 1e6));
  auto* result = graph.mutable_stages(static_cast<int>(graph.result_stage()));
  ASSERT_TRUE(result->fragment().has_aggregate());
  EXPECT_FALSE(result->inputs(0).splittable());
  result->mutable_inputs(0)->set_splittable(true);
  ExpectRefused(graph, "its partial results would be the job's");
}

TEST(GraphCheckerTest, SplitOfAWholeInput) {
  auto graph = Good(BigJoin(Join::INNER));
  auto* result = graph.mutable_stages(static_cast<int>(graph.result_stage()));
  result->mutable_inputs(1)->set_mode(job::StageInput::ALL);
  ExpectRefused(graph, "no partitions to split");
}

TEST(GraphCheckerTest, SplitNextToRowsThatMayDiffer) {
  auto graph = Good(BigJoin(Join::INNER));
  auto* result = graph.mutable_stages(static_cast<int>(graph.result_stage()));
  Node* read = result->mutable_fragment()->mutable_inputs(1);
  const Node plain = *read;
  *read = AggregateOf(plain, {0},
                      {AggregateCall("any_value", Bigint(), {Column(plain, 1)})}, 1e6);
  result->mutable_inputs(1)->set_splittable(false);
  ExpectRefused(graph, "may see different rows");
  result->mutable_inputs(0)->set_splittable(false);
  EXPECT_TRUE(CheckGraph(graph).ok()) << CheckGraph(graph);
}

TEST(GraphCheckerTest, RowLimitThatIsNotTheFragments) {
  auto graph = Good(LimitOf(BigintScan("t", 1, 1e7), 10));
  ASSERT_EQ(graph.stages(0).row_limit(), 10u);
  graph.mutable_stages(0)->set_row_limit(9);
  ExpectRefused(graph, "not its own limit");
}

}  // namespace
}  // namespace ballista::planner
