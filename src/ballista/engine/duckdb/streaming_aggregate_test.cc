// Partial aggregation: groups may come out more than once, and add up to the right ones.
#include <arrow/scalar.h>

#include <map>
#include <string>
#include <vector>

#include "ballista/engine/duckdb/engine_test_internal.h"

namespace ballista::engine {
namespace {

using namespace testing;  // NOLINT: the vocabulary of these tests

constexpr int64_t kRows = 2'000'000;

plan::Expression CallOf(const std::string& name, const Type& type,
                        std::vector<plan::Expression> args) {
  plan::Expression e;
  *e.mutable_type() = type;
  e.mutable_call()->set_name(name);
  for (auto& arg : args) *e.add_args() = std::move(arg);
  return e;
}

plan::Expression Row() {
  return ColumnRef(0, kBigint);
}

// 0, 0, 0, 0, 1, 1, 1, 1, ...
plan::Expression Clustered() {
  return CallOf("//", kBigint, {Row(), Int(4)});
}

// `groups` values, over and over, in an order that jumps about.
plan::Expression Scattered(int64_t groups) {
  return CallOf("%", kBigint, {CallOf("*", kBigint, {Row(), Int(7919)}), Int(groups)});
}

Node PartialOf(plan::Expression key, std::vector<plan::Expression> calls,
               int64_t rows = kRows) {
  const Type type = key.type();
  Node node;
  *node.add_inputs() = ProjectNode(RangeNode(rows), {std::move(key), Row()});
  auto* aggregate = node.mutable_aggregate();
  aggregate->set_partial(true);
  *aggregate->add_groups() = ColumnRef(0, type);
  *node.add_types() = type;
  for (auto& call : calls) {
    *node.add_types() = call.type();
    *aggregate->add_aggregates() = std::move(call);
  }
  return node;
}

std::vector<plan::Expression> CountAndMax() {
  return {AggregateOf("count_star", kBigint, {}),
          AggregateOf("max", kBigint, {ColumnRef(1, kBigint)})};
}

int64_t IntAt(const arrow::RecordBatch& batch, int column, int64_t row) {
  return std::static_pointer_cast<arrow::Int64Scalar>(
             *batch.column(column)->GetScalar(row))
      ->value;
}

class StreamingAggregateTest : public EngineTest {
 protected:
  struct Group {
    int64_t count = 0;
    int64_t max = -1;
  };

  // Runs CountAndMax and aggregates its output again; rows that came out in *rows.
  std::map<std::string, Group> Totals(const Node& partial, int64_t* rows) {
    MemorySink sink;
    const auto metrics = Run(HashTask(partial, &sink, {0}, 4));
    EXPECT_TRUE(metrics.ok()) << metrics.status().ToString();
    std::map<std::string, Group> totals;
    *rows = 0;
    for (const auto& batch : sink.batches()) {
      for (int64_t r = 0; r < batch->num_rows(); ++r) {
        Group& group = totals[(*batch->column(0)->GetScalar(r))->ToString()];
        group.count += IntAt(*batch, 1, r);
        group.max = std::max(group.max, IntAt(*batch, 2, r));
        ++*rows;
      }
    }
    return totals;
  }
};

TEST_F(StreamingAggregateTest, MergesWhatIsClustered) {
  int64_t rows = 0;
  const auto totals = Totals(PartialOf(Clustered(), CountAndMax()), &rows);
  ASSERT_EQ(totals.size(), kRows / 4);
  EXPECT_EQ(totals.at("0").count, 4);
  EXPECT_EQ(totals.at("499999").max, kRows - 1);
  int64_t count = 0;
  for (const auto& [key, group] : totals) count += group.count;
  EXPECT_EQ(count, kRows);
  // Only at the ends of tables and of threads' parts are groups split.
  EXPECT_LT(rows, kRows / 4 + kRows / 400);
}

TEST_F(StreamingAggregateTest, MergesFewGroupsWhateverTheirOrder) {
  int64_t rows = 0;
  const auto totals = Totals(PartialOf(Scattered(1000), CountAndMax()), &rows);
  ASSERT_EQ(totals.size(), 1000U);
  for (const auto& [key, group] : totals) ASSERT_EQ(group.count, kRows / 1000);
  EXPECT_LE(rows, 4 * 1000);  // each thread has its own
}

TEST_F(StreamingAggregateTest, GrowsForGroupsThatOneLargeTableHolds) {
  int64_t rows = 0;
  const auto totals = Totals(PartialOf(Scattered(100'000), CountAndMax()), &rows);
  ASSERT_EQ(totals.size(), 100'000U);
  for (const auto& [key, group] : totals) ASSERT_EQ(group.count, kRows / 100'000);
  EXPECT_LT(rows, kRows / 2);
}

TEST_F(StreamingAggregateTest, GivesOutWhatCannotBeMerged) {
  int64_t rows = 0;
  const auto totals =
      Totals(PartialOf(Scattered(400'000), CountAndMax(), 400'000), &rows);
  ASSERT_EQ(totals.size(), 400'000U);
  EXPECT_EQ(rows, 400'000);
}

TEST_F(StreamingAggregateTest, StringsAndNullsAreGroups) {
  auto text = CallOf("repeat", kVarchar,
                     {CallOf("concat", kVarchar, {Clustered(), Text("-")}), Int(4)});
  auto third = Compare(plan::Comparison::EQUAL,
                       CallOf("%", kBigint, {Clustered(), Int(3)}), Int(0));
  plan::Expression key;
  *key.mutable_type() = kVarchar;
  key.mutable_case_();
  *key.add_args() = std::move(third);
  *key.add_args() = Null(kVarchar);
  *key.add_args() = std::move(text);
  int64_t rows = 0;
  const auto totals = Totals(PartialOf(key, CountAndMax(), 240'000), &rows);
  ASSERT_EQ(totals.size(), 40'001U);
  EXPECT_EQ(totals.at("null").count, 80'000);
  EXPECT_EQ(totals.at("59998-59998-59998-59998-").max, 239'995);
}

TEST_F(StreamingAggregateTest, FiltersGroupsWithoutCallsAndEmptyInput) {
  auto filtered = AggregateOf("count_star", kBigint, {});
  *filtered.mutable_aggregate()->mutable_filter() =
      Compare(plan::Comparison::LESS, ColumnRef(1, kBigint), Int(1000));
  int64_t rows = 0;
  const auto totals =
      Totals(PartialOf(Clustered(),
                       {filtered, AggregateOf("max", kBigint, {ColumnRef(1, kBigint)})}),
             &rows);
  EXPECT_EQ(totals.at("249").count, 4);
  EXPECT_EQ(totals.at("250").count, 0);

  EXPECT_EQ(RowsOf(PartialOf(Scattered(100), {})).size() % 100, 0U);
  EXPECT_TRUE(RowsOf(PartialOf(Clustered(), CountAndMax(), 0)).empty());
}

// Their states own memory outside of the table.
TEST_F(StreamingAggregateTest, StatesWithDestructors) {
  auto list = AggregateOf("list", plan::ListType(kBigint), {ColumnRef(1, kBigint)});
  auto text =
      AggregateOf("string_agg", kVarchar, {Text("some text that is not inlined")});
  MemorySink sink;
  const Node partial = PartialOf(Clustered(), {list, text}, 400'000);
  ASSERT_TRUE(Run(HashTask(partial, &sink, {0}, 4)).ok());
  int64_t elements = 0;
  for (const auto& batch : sink.batches()) {
    for (int64_t r = 0; r < batch->num_rows(); ++r) {
      const auto value = *batch->column(1)->GetScalar(r);
      elements += std::static_pointer_cast<arrow::ListScalar>(value)->value->length();
    }
  }
  EXPECT_EQ(elements, 400'000);
}

}  // namespace
}  // namespace ballista::engine
