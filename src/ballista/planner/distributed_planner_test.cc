#include "ballista/planner/distributed_planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "ballista/planner/graph_checker.h"
#include "ballista/planner/test_plans_internal.h"

namespace ballista::planner {
namespace {

using namespace testing;  // NOLINT: the builders are the vocabulary of these tests
using job::JobGraph;
using job::Output;
using job::Stage;
using job::StageInput;
using plan::Comparison;
using plan::SetOperation;

constexpr double kBig = 1e7;
constexpr double kSmall = 100;

JobGraph Planned(Node root, PlannerOptions options = TwoExecutors()) {
  const auto plan = PlanOf(std::move(root));
  EXPECT_TRUE(plan::Validate(plan).ok()) << plan::Validate(plan);
  auto graph = PlanJob(plan, options);
  EXPECT_TRUE(graph.ok()) << graph.status() << "\n" << plan::ToString(plan.root());
  if (!graph.ok()) return {};
  EXPECT_EQ(graph->names_size(), plan.names_size());
  return *std::move(graph);
}

const Stage& Result(const JobGraph& graph) {
  return graph.stages(static_cast<int>(graph.result_stage()));
}

int Count(const JobGraph& graph, Node::KindCase kind) {
  int count = 0;
  for (const auto& stage : graph.stages()) {
    plan::VisitNodes(stage.fragment(),
                     [&](const Node& n) { count += n.kind_case() == kind ? 1 : 0; });
  }
  return count;
}

int HashStages(const JobGraph& graph) {
  return static_cast<int>(
      std::count_if(graph.stages().begin(), graph.stages().end(),
                    [](const Stage& s) { return s.output().kind() == Output::HASH; }));
}

Expression Sum(const Node& input, uint32_t column) {
  return AggregateCall("sum", plan::MakeType(Type::HUGEINT), {Column(input, column)});
}

// ---- whole plans in one task

TEST(SingleTaskTest, OneExecutorRunsTheWholePlan) {
  PlannerOptions options = TwoExecutors();
  options.executors = 1;
  const Node scan = BigintScan("t", 2, kBig);
  const auto graph = Planned(AggregateOf(scan, {0}, {Sum(scan, 1)}, 5), options);
  ASSERT_EQ(graph.stages_size(), 1);
  EXPECT_EQ(Result(graph).parallelism(), job::SINGLE_TASK);
  EXPECT_EQ(graph.single_task_reason(), "the cluster has one executor");
  ASSERT_EQ(Result(graph).scans_size(), 1);
  EXPECT_EQ(Result(graph).scans(0).splits(0).path(), "/data/t.parquet");
}

TEST(SingleTaskTest, SmallInputIsOneTaskUpToTheThreshold) {
  PlannerOptions options = TwoExecutors();
  const Node scan = BigintScan("t", 1, 1000);  // 8000 bytes
  options.single_task_threshold = 8000;
  EXPECT_EQ(Result(Planned(scan, options)).parallelism(), job::SINGLE_TASK);
  options.single_task_threshold = 7999;
  EXPECT_EQ(Result(Planned(scan, options)).parallelism(), job::MANY_TASKS);
}

TEST(SingleTaskTest, NoScanIsOneTaskInOrder) {
  const auto graph = Planned(OneRow(1));
  EXPECT_EQ(Result(graph).parallelism(), job::SINGLE_TASK);
  EXPECT_TRUE(Result(graph).output().ordered());
  EXPECT_TRUE(Result(graph).output().is_result());
}

// ---- scans, filters, limits, sorts

TEST(RowWiseTest, ResultStaysSpread) {
  const Node scan = BigintScan("t", 2, kBig);
  const auto graph = Planned(
      FilterOf(scan, Compare(Comparison::LESS, Column(scan, 0), plan::BigintLiteral(5))));
  ASSERT_EQ(graph.stages_size(), 1);
  EXPECT_EQ(Result(graph).parallelism(), job::MANY_TASKS);
  EXPECT_FALSE(Result(graph).output().ordered());
}

TEST(SortTest, TopIsTakenByEachTaskAndAgain) {
  const auto graph = Planned(SortOf(BigintScan("t", 2, kBig), 0, 10, 5));
  ASSERT_EQ(graph.stages_size(), 2);
  const auto& local = graph.stages(0).fragment();
  ASSERT_TRUE(local.has_sort());
  EXPECT_EQ(local.sort().limit(), 15u);
  EXPECT_EQ(local.sort().offset(), 0u);
  EXPECT_EQ(Result(graph).fragment().sort().limit(), 10u);
  EXPECT_EQ(Result(graph).fragment().sort().offset(), 5u);
  EXPECT_TRUE(Result(graph).output().ordered());
  EXPECT_EQ(Result(graph).parallelism(), job::SINGLE_TASK);
}

TEST(SortTest, OrderSurvivesProjection) {
  const auto graph = Planned(Columns(SortOf(BigintScan("t", 2, kBig), 0), {1}));
  EXPECT_TRUE(Result(graph).output().ordered());
  EXPECT_EQ(Count(graph, Node::kSort), 1);
}

TEST(LimitTest, EachTaskStopsEarly) {
  const auto graph = Planned(LimitOf(BigintScan("t", 1, kBig), 10, 3));
  ASSERT_EQ(graph.stages_size(), 2);
  EXPECT_EQ(graph.stages(0).fragment().limit().limit().literal().int_(), 13);
  EXPECT_FALSE(graph.stages(0).fragment().limit().has_offset());
}

TEST(LimitTest, HugeOffsetDoesNotWrap) {
  const auto graph =
      Planned(LimitOf(BigintScan("t", 1, kBig), std::numeric_limits<int64_t>::max(),
                      std::numeric_limits<int64_t>::max()));
  EXPECT_GT(graph.stages(0).fragment().limit().limit().literal().int_(),
            int64_t{1} << 60);
}

// ---- aggregates

TEST(AggregateTest, FewGroupsArePartialThenGathered) {
  const Node scan = BigintScan("t", 2, kBig);
  const auto graph = Planned(
      AggregateOf(scan, {0}, {Sum(scan, 1), AggregateCall("count_star", Bigint())}, 5));
  ASSERT_EQ(graph.stages_size(), 2);
  EXPECT_EQ(Count(graph, Node::kAggregate), 2);
  EXPECT_EQ(HashStages(graph), 0);
  EXPECT_EQ(Result(graph).parallelism(), job::SINGLE_TASK);
  // Counts are summed, and stay BIGINT.
  const auto& final_step = Result(graph).fragment().aggregate();
  EXPECT_EQ(final_step.aggregates(1).aggregate().name(), "sum");
  EXPECT_EQ(final_step.aggregates(1).type().id(), Type::BIGINT);
}

TEST(AggregateTest, ManyGroupsArePartialThenHashed) {
  const Node scan = BigintScan("t", 2, kBig);
  const auto graph = Planned(AggregateOf(scan, {0}, {Sum(scan, 1)}, 1e6));
  ASSERT_EQ(graph.stages_size(), 2);
  EXPECT_EQ(Count(graph, Node::kAggregate), 2);
  EXPECT_EQ(graph.stages(0).output().kind(), Output::HASH);
  EXPECT_THAT(graph.stages(0).output().keys(), ::testing::ElementsAre(0));
  EXPECT_EQ(Result(graph).parallelism(), job::MANY_TASKS);
}

TEST(AggregateTest, UngroupedCountIsNeverNull) {
  const Node scan = BigintScan("t", 1, kBig);
  const auto graph =
      Planned(AggregateOf(scan, {}, {AggregateCall("count_star", Bigint())}, 1));
  const auto& root = Result(graph).fragment();
  ASSERT_TRUE(root.has_project());
  EXPECT_EQ(root.project().expressions(0).operator_().op(), plan::Operator::COALESCE);
}

TEST(AggregateTest, AverageSharesItsSumAndCount) {
  const Node scan = BigintScan("t", 2, kBig);
  const Type as_double = plan::MakeType(Type::DOUBLE);
  const auto graph = Planned(
      AggregateOf(scan, {0},
                  {Sum(scan, 1), AggregateCall("avg", as_double, {Column(scan, 1)}),
                   AggregateCall("count", Bigint(), {Column(scan, 1)})},
                  5));
  EXPECT_EQ(graph.stages(0).fragment().aggregate().aggregates_size(), 2);
  const auto& root = Result(graph).fragment();
  ASSERT_TRUE(root.has_project());
  EXPECT_EQ(root.project().expressions(2).call().name(), "/");
  EXPECT_EQ(root.types(2).id(), Type::DOUBLE);
}

TEST(AggregateTest, MedianMovesRawRows) {
  const Node scan = BigintScan("t", 3, kBig);
  const auto graph = Planned(AggregateOf(
      scan, {0},
      {AggregateCall("median", plan::MakeType(Type::DOUBLE), {Column(scan, 1)})}, 1e6));
  EXPECT_EQ(Count(graph, Node::kAggregate), 1);
  EXPECT_EQ(HashStages(graph), 1);
  // The third column is not carried along.
  EXPECT_EQ(graph.stages(0).fragment().types_size(), 2);
}

TEST(AggregateTest, UngroupedDistinctCountMeetsByItsArgument) {
  const Node scan = BigintScan("t", 2, kBig);
  const auto graph = Planned(AggregateOf(
      scan, {}, {AggregateCall("count", Bigint(), {Column(scan, 1)}, true), Sum(scan, 0)},
      1));
  ASSERT_EQ(graph.stages_size(), 3);
  EXPECT_EQ(HashStages(graph), 1);
  EXPECT_EQ(graph.stages(1).parallelism(), job::MANY_TASKS);
  EXPECT_TRUE(
      graph.stages(1).fragment().aggregate().aggregates(0).aggregate().distinct());
}

TEST(AggregateTest, TwoDistinctArgumentsAreGathered) {
  const Node scan = BigintScan("t", 2, kBig);
  const auto graph =
      Planned(AggregateOf(scan, {},
                          {AggregateCall("count", Bigint(), {Column(scan, 1)}, true),
                           AggregateCall("count", Bigint(), {Column(scan, 0)}, true)},
                          1));
  EXPECT_EQ(Count(graph, Node::kAggregate), 1);
  EXPECT_EQ(Result(graph).parallelism(), job::SINGLE_TASK);
}

// The distinct values of a column by another, of what a join is estimated to leave.
Node DistinctCount(double scanned, double left_over) {
  const Node join = JoinOf(Join::INNER, BigintScan("l", 2, scanned),
                           BigintScan("r", 1, kSmall), {{0, 0}}, left_over);
  return AggregateOf(
      join, {0}, {AggregateCall("count", Bigint(), {Column(join, 1)}, true)}, left_over);
}

TEST(AggregateTest, FewRowsByAGuessAreNotGathered) {
  EXPECT_EQ(HashStages(Planned(DistinctCount(kBig, 50))), 1);
  EXPECT_EQ(HashStages(Planned(DistinctCount(5e4, 50))), 0);
  // Few groups are an estimate of their own.
  const Node scan = BigintScan("t", 2, kBig);
  EXPECT_EQ(HashStages(Planned(AggregateOf(scan, {0}, {Sum(scan, 1)}, 50))), 0);
  EXPECT_EQ(HashStages(Planned(SortOf(LimitOf(scan, 50), 0))), 0);
}

TEST(AggregateTest, RollupCarriesTheSetAsAKey) {
  const Node scan = BigintScan("t", 3, kBig);
  Node rollup = AggregateOf(scan, {0, 1}, {Sum(scan, 2)}, 1e6);
  for (const auto& set : std::vector<std::vector<uint32_t>>{{0, 1}, {0}, {}}) {
    rollup.mutable_aggregate()->add_grouping_sets()->mutable_groups()->Add(set.begin(),
                                                                           set.end());
  }
  const auto graph = Planned(rollup);
  ASSERT_EQ(graph.stages_size(), 2);
  EXPECT_EQ(graph.stages(0).fragment().aggregate().grouping_sets_size(), 3);
  EXPECT_EQ(graph.stages(0).fragment().aggregate().grouping_calls_size(), 1);
  ASSERT_TRUE(Result(graph).fragment().has_project());
  EXPECT_EQ(Result(graph).fragment().inputs(0).aggregate().groups_size(), 3);
}

TEST(AggregateTest, GroupsOfAMapAreGathered) {
  Type map = plan::MakeType(Type::MAP);
  *map.add_children() = Bigint();
  *map.add_children() = Bigint();
  const Node scan = ScanOf("t", {map}, kBig);
  const auto graph = Planned(AggregateOf(scan, {0}, {}, 1e6));
  EXPECT_EQ(HashStages(graph), 0);
}

// ---- joins

TEST(JoinTest, SmallRightSideIsBroadcast) {
  const auto graph = Planned(JoinOf(Join::INNER, BigintScan("fact", 2, kBig),
                                    BigintScan("dim", 1, kSmall), {{0, 0}}, kBig));
  ASSERT_EQ(graph.stages_size(), 2);
  EXPECT_EQ(graph.stages(0).output().kind(), Output::UNPARTITIONED);
  EXPECT_EQ(Result(graph).inputs(0).mode(), StageInput::ALL);
  EXPECT_EQ(Result(graph).scans_size(), 1);
}

TEST(JoinTest, SmallLeftSideOfLeftJoinIsNotBroadcast) {
  for (const auto type : {Join::LEFT, Join::SEMI, Join::ANTI, Join::SINGLE}) {
    const auto graph = Planned(JoinOf(type, BigintScan("dim", 1, kSmall),
                                      BigintScan("fact", 2, kBig), {{0, 0}}, kSmall));
    for (const auto& stage : graph.stages()) {
      for (const auto& input : stage.inputs()) {
        const auto& producer = graph.stages(static_cast<int>(input.stages(0)));
        EXPECT_FALSE(input.mode() == StageInput::ALL &&
                     producer.description().find("dim") != std::string::npos &&
                     stage.parallelism() == job::MANY_TASKS)
            << plan::ToString(graph);
      }
    }
  }
}

TEST(JoinTest, ManyExecutorsHashLargeSides) {
  PlannerOptions options = TwoExecutors();
  options.executors = 50;
  const auto graph = Planned(JoinOf(Join::INNER, BigintScan("l", 2, kBig),
                                    BigintScan("r", 2, kBig), {{0, 1}}, kBig),
                             options);
  ASSERT_EQ(graph.stages_size(), 3);
  EXPECT_EQ(HashStages(graph), 2);
  EXPECT_EQ(graph.stages(0).output().partitions(), 400u);
  // The side that builds comes first.
  EXPECT_THAT(graph.stages(0).description(), ::testing::HasSubstr("scan r"));
  EXPECT_THAT(graph.stages(0).output().keys(), ::testing::ElementsAre(1));
}

TEST(JoinTest, BroadcastThresholdZeroForbidsBroadcasts) {
  PlannerOptions options = TwoExecutors();
  options.broadcast_threshold = 0;
  options.shuffle_partitions = 7;
  for (const auto type : {Join::INNER, Join::LEFT, Join::RIGHT, Join::FULL, Join::SEMI,
                          Join::ANTI, Join::SINGLE}) {
    const auto graph = Planned(JoinOf(type, BigintScan("fact", 2, kBig),
                                      BigintScan("dim", 1, kBig), {{0, 0}}, kBig),
                               options);
    EXPECT_EQ(HashStages(graph), 2) << Join::Type_Name(type);
    EXPECT_EQ(graph.stages(0).output().partitions(), 7u);
  }
}

TEST(JoinTest, BroadcastThresholdDecides) {
  PlannerOptions options = TwoExecutors();
  options.executors = 50;
  const Node join = JoinOf(Join::INNER, BigintScan("l", 2, kBig),
                           BigintScan("r", 1, kBig), {{0, 0}}, kBig);
  options.broadcast_threshold = static_cast<int64_t>(kBig * 8);
  EXPECT_EQ(HashStages(Planned(join, options)), 0);
  options.broadcast_threshold = static_cast<int64_t>(kBig * 8) - 1;
  EXPECT_EQ(HashStages(Planned(join, options)), 2);
}

TEST(JoinTest, MemoryBoundsABroadcast) {
  PlannerOptions options = TwoExecutors();
  const Node join = JoinOf(Join::INNER, BigintScan("l", 2, kBig), BigintScan("r", 1, 2e5),
                           {{0, 0}}, kBig);
  options.memory_per_executor = 1 << 20;
  EXPECT_EQ(HashStages(Planned(join, options)), 2);
  options.memory_per_executor = 8ULL << 30;
  EXPECT_EQ(HashStages(Planned(join, options)), 0);
}

// A table that is far larger than the caches costs more in each executor than its
// exchange.
TEST(JoinTest, ALargeTableIsNotBuiltTwice) {
  const auto stages = [](double build_rows) {
    return HashStages(Planned(JoinOf(Join::INNER, BigintScan("l", 2, 2e6),
                                     BigintScan("r", 1, build_rows), {{0, 0}}, 2e6),
                              TwoExecutors()));
  };
  EXPECT_EQ(stages(1e5), 0);
  EXPECT_EQ(stages(2e6), 2);
}

TEST(JoinTest, PartitioningIsUsedAgain) {
  // An aggregate by the join key on either side: one exchange each, none for the join.
  PlannerOptions options = TwoExecutors();
  options.broadcast_threshold = 0;
  const Node l = BigintScan("l", 2, kBig);
  const Node r = BigintScan("r", 2, kBig);
  const auto graph = Planned(JoinOf(Join::INNER, AggregateOf(l, {0}, {Sum(l, 1)}, 1e6),
                                    AggregateOf(r, {0}, {Sum(r, 1)}, 1e6), {{0, 0}}, 1e6),
                             options);
  EXPECT_EQ(HashStages(graph), 2);
  EXPECT_EQ(graph.stages_size(), 3);
}

TEST(JoinTest, AggregateAboveUsesTheJoinsPartitioning) {
  PlannerOptions options = TwoExecutors();
  options.broadcast_threshold = 0;
  const Node join = JoinOf(Join::INNER, BigintScan("l", 2, kBig),
                           BigintScan("r", 2, kBig), {{0, 1}}, kBig);
  // By the right key column, which equals the left one.
  const auto graph = Planned(AggregateOf(join, {3}, {Sum(join, 1)}, 1e6), options);
  EXPECT_EQ(graph.stages_size(), 3);
  EXPECT_EQ(Count(graph, Node::kAggregate), 1);
}

TEST(JoinTest, KeysOfUnlikeTypesAreNoKeys) {
  Node join = JoinOf(Join::INNER, BigintScan("l", 1, kBig),
                     ScanOf("r", {plan::MakeType(Type::INTEGER)}, kBig), {{0, 0}}, kBig);
  PlannerOptions options = TwoExecutors();
  options.broadcast_threshold = 0;
  EXPECT_EQ(HashStages(Planned(join, options)), 0);
}

TEST(JoinTest, KeyExpressionsAreComputedBeforeTheExchange) {
  Node join = JoinOf(Join::LEFT, BigintScan("l", 2, kBig), BigintScan("r", 2, kBig),
                     {{0, 0}}, kBig);
  auto* left = join.mutable_join()->mutable_conditions(0)->mutable_left();
  *left = plan::MakeCall("+", Bigint(),
                         {Column(join.inputs(0), 0), Column(join.inputs(0), 1)});
  *join.mutable_join()->mutable_predicate() = Compare(
      Comparison::LESS, plan::ColumnRef(1, Bigint()), plan::ColumnRef(3, Bigint()));
  PlannerOptions options = TwoExecutors();
  options.broadcast_threshold = 0;
  const auto graph = Planned(join, options);
  ASSERT_EQ(HashStages(graph), 2);
  const auto& root = Result(graph).fragment();
  EXPECT_EQ(root.inputs(0).types_size(), 3);
  EXPECT_EQ(root.join().conditions(0).left().column(), 2u);
  EXPECT_EQ(root.join().predicate().args(1).column(), 4u);
  EXPECT_THAT(root.join().output(), ::testing::ElementsAre(0, 1, 3, 4));
}

TEST(JoinTest, NullAwareMarkHasTheWholeRightSide) {
  PlannerOptions options = TwoExecutors();
  options.broadcast_threshold = 0;
  Node join = JoinOf(Join::MARK, BigintScan("l", 1, kBig), BigintScan("r", 1, kBig),
                     {{0, 0}}, kBig);
  join.mutable_join()->set_mark_kind(Join::MARK_NULL_AWARE);
  const auto graph = Planned(join, options);
  EXPECT_EQ(HashStages(graph), 0);
  EXPECT_EQ(Result(graph).inputs(0).mode(), StageInput::ALL);
}

TEST(JoinTest, KeylessFullJoinIsOneTask) {
  Node join =
      JoinOf(Join::FULL, BigintScan("l", 1, kBig), BigintScan("r", 1, kBig), {}, kBig);
  AddCondition(&join, 0, 0, Comparison::LESS);
  EXPECT_EQ(Result(Planned(join)).parallelism(), job::SINGLE_TASK);
}

TEST(JoinTest, InequalityJoinIsSpreadByABroadcast) {
  Node join =
      JoinOf(Join::INNER, BigintScan("l", 1, kBig), BigintScan("r", 1, kSmall), {}, kBig);
  AddCondition(&join, 0, 0, Comparison::LESS);
  EXPECT_EQ(Result(Planned(join)).parallelism(), job::MANY_TASKS);
}

TEST(JoinTest, SmallTablesAreJoinedInOneTask) {
  PlannerOptions options = TwoExecutors();
  const Node dimensions = JoinOf(Join::INNER, BigintScan("nation", 2, 20'000),
                                 BigintScan("region", 1, 5), {{1, 0}}, 20'000);
  const Node join =
      JoinOf(Join::INNER, BigintScan("fact", 2, kBig), dimensions, {{0, 0}}, kBig);
  EXPECT_EQ(Planned(join, options).stages_size(), 3);
  options.single_task_threshold = 8 << 20;
  const auto graph = Planned(join, options);
  ASSERT_EQ(graph.stages_size(), 2);
  EXPECT_EQ(graph.stages(0).parallelism(), job::SINGLE_TASK);
  EXPECT_EQ(graph.stages(0).scans_size(), 2);
}

TEST(JoinTest, TinyTablesAreReadByEachTask) {
  PlannerOptions options = TwoExecutors();
  options.single_task_threshold = 8 << 20;
  const Node dimensions = JoinOf(Join::INNER, BigintScan("nation", 2, 25),
                                 BigintScan("region", 1, 5), {{1, 0}}, 25);
  const Node fact = BigintScan("fact", 2, kBig);
  const auto graph =
      Planned(JoinOf(Join::INNER, fact, dimensions, {{0, 0}}, kBig), options);
  ASSERT_EQ(graph.stages_size(), 1);
  EXPECT_EQ(Result(graph).parallelism(), job::MANY_TASKS);
  // `fact` is dealt out; the others have their files where they are.
  ASSERT_EQ(Result(graph).scans_size(), 1);
  EXPECT_EQ(Result(graph).scans(0).splits(0).path(), "/data/fact.parquet");
  const Node& right = Result(graph).fragment().inputs(1);
  EXPECT_EQ(right.inputs(0).scan().files(0).path(), "/data/nation.parquet");
  EXPECT_EQ(right.inputs(1).scan().files(0).path(), "/data/region.parquet");

  // Where it matters that a row is there once, one task has it.
  const auto outer =
      Planned(JoinOf(Join::FULL, fact, dimensions, {{0, 0}}, kBig), options);
  EXPECT_GT(outer.stages_size(), 1);
  // What may choose among its rows does so once.
  const auto chosen =
      Planned(JoinOf(Join::INNER, fact, LimitOf(dimensions, 1), {{0, 0}}, kBig), options);
  ASSERT_EQ(chosen.stages_size(), 2);
  EXPECT_EQ(chosen.stages(0).parallelism(), job::SINGLE_TASK);
}

TEST(GraphCheckerTest, ScanWithFilesOfItsOwnGivesItsRowsInEachTask) {
  PlannerOptions options = TwoExecutors();
  options.single_task_threshold = 8 << 20;
  auto graph = Planned(JoinOf(Join::INNER, BigintScan("fact", 2, kBig),
                              BigintScan("nation", 2, 25), {{0, 0}}, kBig),
                       options);
  ASSERT_EQ(graph.stages_size(), 1);
  ASSERT_TRUE(CheckGraph(graph).ok());
  // With both sides in each task, each would give all rows.
  auto* stage = graph.mutable_stages(0);
  auto* fact = stage->mutable_fragment()->mutable_inputs(0)->mutable_scan();
  *fact->mutable_files() = stage->scans(0).splits();
  stage->clear_scans();
  EXPECT_FALSE(CheckGraph(graph).ok());
  // With `nation` dealt out, rows of `fact` would miss their partners.
  auto* nation = stage->mutable_fragment()->mutable_inputs(1)->mutable_scan();
  *stage->add_scans()->mutable_splits() = fact->files();
  *stage->add_scans()->mutable_splits() = nation->files();
  fact->clear_files();
  nation->clear_files();
  nation->set_scan_index(1);
  EXPECT_TRUE(plan::ValidateGraph(graph).ok());
  EXPECT_FALSE(CheckGraph(graph).ok());
}

TEST(JoinTest, ConstantsNeedNoExchange) {
  const auto graph =
      Planned(JoinOf(Join::SEMI, BigintScan("l", 1, kBig), OneRow(3), {{0, 0}}, kSmall));
  EXPECT_EQ(graph.stages_size(), 1);
}

TEST(JoinTest, PreservedConstantsAreInOneTaskOnly) {
  const auto graph =
      Planned(JoinOf(Join::LEFT, OneRow(3), BigintScan("r", 1, kBig), {{0, 0}}, 1));
  EXPECT_TRUE(CheckGraph(graph).ok());
}

TEST(JoinTest, PositionalAndAsofAreRight) {
  Node positional =
      JoinOf(Join::INNER, BigintScan("l", 1, kBig), BigintScan("r", 1, kBig), {}, kBig);
  positional.mutable_join()->set_positional(true);
  EXPECT_EQ(Result(Planned(positional)).parallelism(), job::SINGLE_TASK);
  Node asof = JoinOf(Join::INNER, BigintScan("l", 2, kSmall), BigintScan("r", 2, kBig),
                     {{0, 0}}, kBig);
  asof.mutable_join()->set_asof(true);
  AddCondition(&asof, 1, 1, Comparison::GREATER_EQUAL);
  EXPECT_TRUE(CheckGraph(Planned(asof)).ok());
}

// The left columns of an inner join with the distinct values of a column.
Node SelectedBy(double values, double distinct_values) {
  Node join =
      JoinOf(Join::INNER, BigintScan("l", 2, kBig),
             DistinctOf(BigintScan("r", 1, values), distinct_values), {{0, 0}}, kBig);
  join.mutable_types()->RemoveLast();
  join.mutable_join()->mutable_output()->RemoveLast();
  return join;
}

TEST(JoinTest, ValuesThatHardlyRepeatSelectWithoutADistinct) {
  const auto graph = Planned(SelectedBy(1e5, 1e5));
  EXPECT_EQ(Count(graph, Node::kDistinct), 0);
  EXPECT_EQ(graph.stages_size(), 2);
  int semi_joins = 0;
  for (const auto& stage : graph.stages()) {
    plan::VisitNodes(stage.fragment(), [&](const Node& node) {
      semi_joins += node.has_join() && node.join().type() == Join::SEMI;
    });
  }
  EXPECT_EQ(semi_joins, 1);
  EXPECT_GT(Count(Planned(SelectedBy(1e6, 10)), Node::kDistinct), 0);
  Node gives_them = SelectedBy(1e5, 1e5);
  gives_them.mutable_join()->set_output(1, 2);
  EXPECT_GT(Count(Planned(gives_them), Node::kDistinct), 0);
}

// Of which rows the right side of a shuffled join consists.
Node::KindCase SentByTheRight(Join::Type type, double left, double right,
                              bool predicate = false) {
  PlannerOptions options = TwoExecutors();
  options.broadcast_threshold = 0;
  Node join = JoinOf(type, BigintScan("l", 2, left), BigintScan("r", 2, right),
                     {{0, 0}, {1, 1}}, left);
  if (predicate) {
    *join.mutable_join()->mutable_predicate() =
        Compare(plan::Comparison::GREATER, Column(join.inputs(0), 1),
                plan::ColumnRef(3, Bigint()));
  }
  const auto graph = Planned(std::move(join), options);
  for (const auto& stage : graph.stages()) {
    bool scans = false;
    plan::VisitNodes(stage.fragment(), [&](const Node& node) {
      scans |= node.has_scan() && node.scan().table() == "r";
    });
    if (scans) return stage.fragment().kind_case();
  }
  return Node::KIND_NOT_SET;
}

TEST(JoinTest, ManyRowsThatAreOnlyAskedForAreSentOnce) {
  for (const auto type : {Join::SEMI, Join::ANTI}) {
    EXPECT_EQ(SentByTheRight(type, 1e6, 1e7), Node::kAggregate);
    EXPECT_EQ(SentByTheRight(type, 1e6, 1e7, true), Node::kAggregate);
    EXPECT_EQ(SentByTheRight(type, 1e7, 1e7), Node::kScan);
  }
  EXPECT_EQ(SentByTheRight(Join::INNER, 1e6, 1e7), Node::kScan);
  EXPECT_EQ(SentByTheRight(Join::LEFT, 1e6, 1e7), Node::kScan);
}

// ---- distinct, windows, set operations

TEST(DistinctTest, LocalThenHashed) {
  const auto graph = Planned(DistinctOf(BigintScan("t", 2, kBig), 1e6));
  ASSERT_EQ(graph.stages_size(), 2);
  EXPECT_EQ(Count(graph, Node::kDistinct), 2);
  EXPECT_THAT(graph.stages(0).output().keys(), ::testing::ElementsAre(0, 1));
}

TEST(DistinctTest, OnKeepsTheColumns) {
  Node node = DistinctOf(BigintScan("t", 2, kBig), 1e6);
  *node.mutable_distinct()->add_on() = plan::MakeCall("abs", Bigint(), {Column(node, 0)});
  const auto graph = Planned(node);
  EXPECT_EQ(Result(graph).fragment().types_size(), 2);
  EXPECT_THAT(graph.stages(0).output().keys(), ::testing::ElementsAre(2));
}

TEST(WindowTest, CallsOfOnePartitionShareAnExchange) {
  const auto graph = Planned(WindowOf(BigintScan("t", 2, kBig), {{0}, {0, 1}, {0}}));
  EXPECT_EQ(HashStages(graph), 1);
  EXPECT_EQ(Count(graph, Node::kWindow), 1);
}

TEST(WindowTest, CallsOfUnlikePartitionsAreSplitAndPutBack) {
  const auto graph = Planned(WindowOf(BigintScan("t", 2, kBig), {{0}, {1}, {0}}));
  EXPECT_EQ(HashStages(graph), 2);
  EXPECT_EQ(Count(graph, Node::kWindow), 2);
  const auto& root = Result(graph).fragment();
  ASSERT_TRUE(root.has_project());
  EXPECT_EQ(root.project().expressions(3).column(), 4u);
  EXPECT_EQ(root.project().expressions(4).column(), 3u);
}

TEST(WindowTest, WithoutPartitionIsOneTask) {
  const auto graph = Planned(WindowOf(BigintScan("t", 2, kBig), {{0}, {}}));
  EXPECT_EQ(Result(graph).parallelism(), job::SINGLE_TASK);
}

TEST(SetOperationTest, UnionAllIsOneFragment) {
  const auto graph = Planned(SetOf(SetOperation::UNION, true,
                                   {BigintScan("a", 1, kBig), BigintScan("b", 1, kBig)}));
  ASSERT_EQ(graph.stages_size(), 1);
  EXPECT_EQ(Result(graph).scans_size(), 2);
  EXPECT_EQ(Result(graph).fragment().inputs(1).scan().scan_index(), 1u);
}

TEST(SetOperationTest, UnionAllReadsConstantsOnce) {
  const auto graph =
      Planned(SetOf(SetOperation::UNION, true, {BigintScan("a", 1, kBig), OneRow(1)}));
  ASSERT_EQ(graph.stages_size(), 2);
  EXPECT_EQ(graph.stages(0).parallelism(), job::SINGLE_TASK);
  EXPECT_EQ(Result(graph).inputs(0).mode(), StageInput::PARTITIONED);
}

TEST(SetOperationTest, ExceptMeetsByAllColumns) {
  const auto graph = Planned(SetOf(SetOperation::EXCEPT, false,
                                   {BigintScan("a", 2, kBig), BigintScan("b", 2, kBig)}));
  EXPECT_EQ(HashStages(graph), 2);
  const auto distinct = Planned(SetOf(
      SetOperation::UNION, false, {BigintScan("a", 2, kBig), BigintScan("b", 2, kBig)}));
  EXPECT_EQ(HashStages(distinct), 1);
  EXPECT_EQ(Count(distinct, Node::kDistinct), 1);
}

// ---- shared sub-plans

TEST(SharedTest, ComputedOnceAndReadTwice) {
  const Node scan = BigintScan("t", 2, kBig);
  const Node definition = AggregateOf(scan, {0}, {Sum(scan, 1)}, 1e6);
  const auto graph = Planned(SharedOf(
      1, definition,
      JoinOf(Join::INNER, RefTo(1, definition), RefTo(1, definition), {{0, 0}}, 1e6)));
  EXPECT_EQ(Count(graph, Node::kScan), 1);
  // The definition's partitioning is kept for its readers.
  EXPECT_EQ(HashStages(graph), 2);
  EXPECT_EQ(graph.stages_size(), 3);
  EXPECT_EQ(Result(graph).inputs_size(), 2);
}

TEST(SharedTest, ReadOnceIsInlined) {
  const Node definition = BigintScan("t", 2, kBig);
  const auto graph = Planned(SharedOf(1, definition, RefTo(1, definition)));
  EXPECT_EQ(graph.stages_size(), 1);
  EXPECT_EQ(Count(graph, Node::kShared), 0);
}

TEST(SharedTest, BroadcastOfASharedNodeIsNoCopy) {
  const Node scan = BigintScan("t", 1, kBig);
  const Node definition =
      FilterOf(scan, Compare(Comparison::LESS, Column(scan, 0), plan::BigintLiteral(5)));
  Node small = definition;
  small.set_estimated_rows(kSmall);
  const Node join =
      JoinOf(Join::INNER, BigintScan("fact", 1, kBig), RefTo(1, small), {{0, 0}}, kBig);
  const auto graph = Planned(SharedOf(
      1, small, SetOf(SetOperation::UNION, true, {Columns(join, {0}), RefTo(1, small)})));
  ASSERT_EQ(graph.stages_size(), 2);
  EXPECT_EQ(Result(graph).inputs(0).mode(), StageInput::ALL);
  EXPECT_EQ(Result(graph).inputs(1).mode(), StageInput::PARTITIONED);
}

TEST(RecursiveTest, StepsInputsAreComputedOnce) {
  const Node anchor = BigintScan("start", 1, kBig);
  Node step =
      JoinOf(Join::INNER, RefTo(1, anchor), BigintScan("edge", 2, kBig), {{0, 0}}, kBig);
  Node recursive;
  *recursive.mutable_types() = anchor.types();
  recursive.mutable_recursive_cte()->set_id(1);
  *recursive.add_inputs() = anchor;
  *recursive.add_inputs() = Columns(step, {2});
  const auto graph = Planned(recursive);
  ASSERT_EQ(graph.stages_size(), 3);
  EXPECT_EQ(Result(graph).parallelism(), job::SINGLE_TASK);
  ASSERT_TRUE(Result(graph).fragment().has_shared());
  EXPECT_TRUE(Result(graph).fragment().inputs(0).has_exchange_read());
}

// ---- writes

TEST(WriteTest, EachTaskWritesItsOwnFiles) {
  Node node;
  *node.add_types() = Bigint();
  *node.add_inputs() = BigintScan("t", 1, kBig);
  node.mutable_write()->set_format("parquet");
  node.mutable_write()->add_names("a");
  const auto graph = Planned(node);
  ASSERT_EQ(graph.stages_size(), 1);
  EXPECT_EQ(Result(graph).parallelism(), job::MANY_TASKS);
  node.mutable_write()->set_single_file(true);
  EXPECT_EQ(Result(Planned(node)).parallelism(), job::SINGLE_TASK);
}

// ---- pruning

TEST(PruningTest, FilterColumnsAreNotCarriedThroughExchanges) {
  PlannerOptions options = TwoExecutors();
  options.broadcast_threshold = 0;
  const Node l = BigintScan("l", 3, kBig);
  const Node filtered =
      FilterOf(l, Compare(Comparison::LESS, Column(l, 2), plan::BigintLiteral(5)));
  Node join = JoinOf(Join::INNER, filtered, BigintScan("r", 3, kBig), {{0, 0}}, kBig);
  const auto graph = Planned(Columns(join, {1, 5}), options);
  ASSERT_EQ(HashStages(graph), 2);
  for (const auto& stage : graph.stages()) EXPECT_LE(stage.fragment().types_size(), 2);
}

TEST(VolatileTest, RandomConstantsAreDrawnOnce) {
  Node values = OneRow(1);
  Expression random = plan::MakeCall("random", Bigint(), {});
  random.mutable_call()->set_is_volatile(true);
  const Node drawn = ProjectOf(values, {random});
  const auto graph =
      Planned(JoinOf(Join::INNER, BigintScan("t", 1, kBig), drawn, {}, kBig));
  ASSERT_EQ(graph.stages_size(), 2);
  EXPECT_EQ(graph.stages(0).parallelism(), job::SINGLE_TASK);
}

// ---- inputs that tasks may share

// The tables whose hash exchanges the stage of the join may split.
std::vector<std::string> Splittable(const JobGraph& graph) {
  std::vector<std::string> tables;
  for (const auto& stage : graph.stages()) {
    for (const auto& input : stage.inputs()) {
      if (!input.splittable()) continue;
      const Stage& producer = graph.stages(static_cast<int>(input.stages(0)));
      EXPECT_EQ(producer.output().kind(), Output::HASH);
      tables.push_back(producer.scans_size() > 0 ? producer.scans(0).splits(0).path()
                                                 : "stage");
    }
  }
  return tables;
}

JobGraph Shuffled(Node root) {
  PlannerOptions options = TwoExecutors();
  options.broadcast_threshold = 0;
  return Planned(std::move(root), options);
}

Node Joined(Join::Type type) {
  return JoinOf(type, BigintScan("l", 2, kBig), BigintScan("r", 2, kBig), {{0, 0}}, kBig);
}

TEST(SplittableTest, SidesThatAJoinMaySeeInParts) {
  using ::testing::ElementsAre;
  const std::string l = "/data/l.parquet";
  const std::string r = "/data/r.parquet";
  EXPECT_THAT(Splittable(Shuffled(Joined(Join::INNER))), ElementsAre(l, r));
  EXPECT_THAT(Splittable(Shuffled(Joined(Join::LEFT))), ElementsAre(l));
  EXPECT_THAT(Splittable(Shuffled(Joined(Join::SEMI))), ElementsAre(l));
  EXPECT_THAT(Splittable(Shuffled(Joined(Join::ANTI))), ElementsAre(l));
  EXPECT_THAT(Splittable(Shuffled(Joined(Join::MARK))), ElementsAre(l));
  EXPECT_THAT(Splittable(Shuffled(Joined(Join::RIGHT))), ElementsAre(r));
  EXPECT_THAT(Splittable(Shuffled(Joined(Join::FULL))), ElementsAre());
}

TEST(SplittableTest, NotWhereAnOperatorAboveReliesOnThePartitions) {
  using ::testing::IsEmpty;
  using ::testing::SizeIs;
  const auto count = AggregateCall("count_star", Bigint());
  // Grouped by the join's key: complete in place. By another column: in two steps.
  EXPECT_THAT(Splittable(Shuffled(AggregateOf(Joined(Join::INNER), {0}, {count}, 1e6))),
              IsEmpty());
  EXPECT_THAT(Splittable(Shuffled(AggregateOf(Joined(Join::INNER), {1}, {count}, 5))),
              SizeIs(2));
  EXPECT_THAT(Splittable(Shuffled(WindowOf(Joined(Join::INNER), {{0}}))), IsEmpty());
  EXPECT_THAT(Splittable(Shuffled(DistinctOf(Joined(Join::INNER), 1e6))), IsEmpty());
  EXPECT_THAT(Splittable(Shuffled(SetOf(SetOperation::UNION, true,
                                        {Joined(Join::INNER), Joined(Join::INNER)}))),
              IsEmpty());
}

TEST(SplittableTest, ProbeSidesThroughSeveralJoins) {
  // (l join r) left join s, all by one key, in one stage: l and r, but not s.
  const auto graph = Shuffled(
      JoinOf(Join::LEFT, Joined(Join::INNER), BigintScan("s", 2, kBig), {{0, 0}}, kBig));
  EXPECT_THAT(Splittable(graph),
              ::testing::ElementsAre("/data/l.parquet", "/data/r.parquet"));
}

TEST(LimitTest, TheStageNeedGiveNoMoreRows) {
  const auto graph = Planned(LimitOf(BigintScan("t", 1, kBig), 10, 3));
  EXPECT_EQ(graph.stages(0).row_limit(), 13u);
  EXPECT_EQ(Result(graph).row_limit(), 0u);
  const auto sorted = Planned(SortOf(BigintScan("t", 1, kBig), 0, 10));
  EXPECT_EQ(sorted.stages(0).row_limit(), 0u);
}

}  // namespace
}  // namespace ballista::planner
