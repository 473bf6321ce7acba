// What DataFrames send, without a scheduler; and what they refuse by themselves.
#include "ballista/client/data_frame.h"

#include <arrow/array/util.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "ballista/base/status.h"
#include "ballista/client/session_internal.h"
#include "ballista/plan/data_frame.h"
#include "ballista/plan/plan.h"

namespace ballista {
namespace {

using internal::FrameAccess;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

DataFrame Source(std::vector<std::string> names) {
  internal::FrameNode node;
  node.relation.mutable_table()->add_name("t");
  for (const auto& name : names) node.relation.mutable_table()->add_columns(name);
  node.names = std::move(names);
  return FrameAccess::Make(std::move(node));
}

const dataframe::Relation& Root(const DataFrame& frame) {
  EXPECT_TRUE(frame.status().ok()) << frame.status().ToString();
  // Whatever is made is valid.
  const auto command = internal::CommandOf(FrameAccess::Look(frame));
  EXPECT_TRUE(plan::Validate(command).ok()) << plan::Validate(command).ToString();
  return FrameAccess::Look(frame).relation;
}

std::string Text(const plan::Expression& expression) {
  return plan::ToString(expression);
}

std::string ErrorOf(const DataFrame& frame) {
  EXPECT_FALSE(frame.status().ok());
  return frame.status().message();
}

TEST(DataFrame, NamesBecomePositions) {
  const auto frame = Source({"a", "b", "s"}).Filter(Col("b") < 3 && Col("s") == "x");
  const auto& filter = Root(frame).filter();
  ASSERT_EQ(filter.predicates_size(), 1);
  EXPECT_EQ(Text(filter.predicates(0)), "((#1 < 3) AND (#2 = 'x'))");
  EXPECT_THAT(frame.columns(), ElementsAre("a", "b", "s"));
}

TEST(DataFrame, SelectNamesItsColumns) {
  const auto frame =
      Source({"a", "b"}).Select({"b", Col("a") + 1, (Col("a") * Col("b")).As("p")});
  EXPECT_THAT(frame.columns(), ElementsAre("b", "(a + 1)", "p"));
  EXPECT_EQ(Root(frame).project().expressions_size(), 3);
}

TEST(DataFrame, WithColumnReplacesOrAdds) {
  const auto source = Source({"a", "b"});
  EXPECT_THAT(source.WithColumn("c", Col("a")).columns(), ElementsAre("a", "b", "c"));
  const auto replaced = source.WithColumn("a", Col("b"));
  EXPECT_THAT(replaced.columns(), ElementsAre("a", "b"));
  EXPECT_EQ(Root(replaced).project().expressions(0).column(), 1U);
  EXPECT_THAT(source.Rename("a", "z").columns(), ElementsAre("z", "b"));
  EXPECT_THAT(source.Drop({"a"}).columns(), ElementsAre("b"));
  // Columns that are only passed on may have one name.
  const auto joined = source.JoinOn(source, Left("a") == Right("b"));
  EXPECT_THAT(joined.WithColumn("c", Lit(1)).columns(),
              ElementsAre("a", "b", "a", "b", "c"));
}

TEST(DataFrame, UnknownColumnsAreNamedWithTheNearest) {
  const auto frame = Source({"l_shipdate", "l_tax"});
  EXPECT_THAT(ErrorOf(frame.Filter(Col("l_shipdat") == "x")),
              HasSubstr("did you mean \"l_shipdate\""));
  // What is made of an error is the error.
  EXPECT_THAT(ErrorOf(frame.Select({"nothing"}).Limit(3)), HasSubstr("nothing"));
  EXPECT_TRUE(frame.Select({"L_TAX"}).status().ok());
  const auto status = frame.Select({"nothing"}).status();
  const auto* detail = GetErrorDetail(status);
  ASSERT_NE(detail, nullptr);
  EXPECT_EQ(detail->user().kind(), UserError::BINDER);
}

TEST(DataFrame, WrongConstantsAreErrorsOfTheFrame) {
  const auto frame = Source({"a"});
  EXPECT_THAT(ErrorOf(frame.Filter(Col("a") > Date("1995-13-01"))),
              HasSubstr("1995-13-01"));
  EXPECT_THAT(ErrorOf(frame.Filter(Col("a") > Decimal("1,5"))), HasSubstr("1,5"));
  EXPECT_THAT(ErrorOf(frame.Select({Col("a").Cast(arrow::null()).Over(Window())})),
              HasSubstr("Over belongs to"));
  EXPECT_THAT(ErrorOf(frame.Limit(-1)), HasSubstr("Limit"));
  EXPECT_THAT(ErrorOf(frame.Filter(Col("a").In({}))), HasSubstr("In needs"));
}

TEST(DataFrame, ConstantsAreTyped) {
  const auto type = [](const Expr& constant) {
    const auto frame = Source({"a"}).Select({constant});
    return plan::ToString(Root(frame).project().expressions(0).literal().type());
  };
  EXPECT_EQ(type(Lit(1)), "INTEGER");
  EXPECT_EQ(type(Lit(int64_t{1} << 40)), "BIGINT");
  EXPECT_EQ(type(Lit(0.5)), "DOUBLE");
  EXPECT_EQ(type(Decimal("0.05")), "DECIMAL(3,2)");
  EXPECT_EQ(type(Decimal("12345678901234567890.5")), "DECIMAL(21,1)");
  EXPECT_EQ(type(Date("1995-03-15")), "DATE");
  EXPECT_EQ(type(Lit(*arrow::MakeScalar(arrow::uint8(), 7).ValueOrDie())), "UTINYINT");
  EXPECT_EQ(type(Lit(*arrow::MakeNullScalar(arrow::utf8()))), "VARCHAR");
}

TEST(DataFrame, AggregatesComputeBelowAndAbove) {
  const auto source = Source({"a", "d", "x", "y"});
  const auto plain = source.Aggregate({"a"}, {Sum("x").As("s"), CountRows().As("n")});
  EXPECT_THAT(plain.columns(), ElementsAre("a", "s", "n"));
  EXPECT_EQ(Root(plain).aggregate().aggregates_size(), 2);
  EXPECT_TRUE(Root(plain).inputs(0).has_table());
  const auto both =
      source.Aggregate({"a", Year("d").As("year")},
                       {(Sum("x") / Sum("y")).As("ratio"), Max(Col("x") * 2)});
  EXPECT_THAT(both.columns(), ElementsAre("a", "year", "ratio", "max((x * 2))"));
  const auto& project = Root(both).project();
  EXPECT_EQ(Text(project.expressions(2)), "/(#2, #3)");
  EXPECT_EQ(Root(both).inputs(0).aggregate().groups(1).column(), 4U);
  EXPECT_TRUE(Root(both).inputs(0).inputs(0).has_project());
  // A group may be named in what is computed above.
  EXPECT_TRUE(source.Aggregate({"a"}, {(Sum("x") + Col("a")).As("t")}).status().ok());
  EXPECT_THAT(ErrorOf(source.Aggregate({"a"}, {Col("x")})),
              HasSubstr("neither a group nor"));
  EXPECT_THAT(ErrorOf(source.Filter(Sum("x") > 1)), HasSubstr("aggregate function"));
  EXPECT_THAT(ErrorOf(source.Aggregate({}, {})), HasSubstr("needs a group"));
  // The same group twice is two columns.
  EXPECT_THAT(source.Aggregate({"a", Col("a").As("b")}, {CountRows().As("n")}).columns(),
              ElementsAre("a", "b", "n"));
}

TEST(DataFrame, JoinsOnKeysHaveThemOnce) {
  const auto left = Source({"k", "a"});
  const auto right = Source({"b", "k"});
  for (const auto type :
       {JoinType::kInner, JoinType::kLeft, JoinType::kRight, JoinType::kFull}) {
    const auto frame = left.Join(right, {"k"}, type);
    EXPECT_THAT(frame.columns(), ElementsAre("k", "a", "b"));
    const auto& key = Root(frame).project().expressions(0);
    if (type == JoinType::kFull) {
      EXPECT_EQ(key.operator_().op(), plan::Operator::COALESCE);
    } else {
      EXPECT_EQ(key.column(), type == JoinType::kRight ? 3U : 0U);
    }
  }
  EXPECT_THAT(left.Join(right, {"k"}, JoinType::kAnti).columns(), ElementsAre("k", "a"));
  EXPECT_THAT(ErrorOf(left.Join(right, {"a"})), HasSubstr("\"a\""));
}

TEST(DataFrame, JoinsOnConditionsTellTheSides) {
  const auto left = Source({"k", "a"});
  const auto right = Source({"k", "b"});
  const auto frame = left.JoinOn(right, Left("k") == Right("k") && Col("a") < Col("b"));
  EXPECT_EQ(Text(Root(frame).join().predicate()), "((#0 = #2) AND (#1 < #3))");
  EXPECT_THAT(ErrorOf(left.JoinOn(right, Col("k") == Col("a"))),
              HasSubstr("Left(\"k\")"));
  EXPECT_THAT(ErrorOf(frame.Select({"k"})), HasSubstr("more than one column"));
  EXPECT_THAT(ErrorOf(left.Filter(Left("k") == 1)), HasSubstr("join"));
  EXPECT_EQ(Root(left.CrossJoin(right)).join().type(), plan::Join::INNER);
}

TEST(DataFrame, LimitOfASortIsOneStep) {
  const auto frame = Source({"a"}).Sort({Col("a").Desc().NullsFirst()}).Limit(5, 2);
  const auto& sort = Root(frame).sort();
  EXPECT_TRUE(sort.keys(0).descending() && sort.keys(0).nulls_first());
  EXPECT_EQ(sort.limit(), 5U);
  EXPECT_EQ(sort.offset(), 2U);
  EXPECT_TRUE(Root(frame.Limit(1)).has_limit());
}

TEST(DataFrame, WindowsAreComputedBelow) {
  const auto frame =
      Source({"a", "b"})
          .WithColumn("share",
                      Col("a") / Sum("a").Over(ballista::Window().PartitionBy({"b"})));
  EXPECT_THAT(frame.columns(), ElementsAre("a", "b", "share"));
  EXPECT_EQ(Text(Root(frame).project().expressions(2)), "/(#0, #2)");
  EXPECT_EQ(Root(frame).inputs(0).window().calls_size(), 1);
  const auto rows = Source({"a"}).Window(
      {Avg("a").Over(ballista::Window().OrderBy({"a"}).Rows(-2, 0)).As("m"),
       Lag("a", 1, 0).Over(ballista::Window().OrderBy({"a"}))});
  const auto& call = Root(rows).inputs(0).window().calls(0).window();
  EXPECT_EQ(call.start(), plan::WindowCall::PRECEDING_ROWS);
  EXPECT_EQ(call.end(), plan::WindowCall::CURRENT_ROW_ROWS);
  EXPECT_EQ(call.start_offset().literal().int_(), 2);
  EXPECT_THAT(ErrorOf(Source({"a"}).Select({RowNumber()})), HasSubstr("needs Over"));
  EXPECT_THAT(ErrorOf(Source({"a"}).Filter(
                  RowNumber().Over(ballista::Window().OrderBy({"a"})) == 1)),
              HasSubstr("belongs into Select"));
}

TEST(DataFrame, SetsAreMatchedByPosition) {
  const auto a = Source({"a", "b"});
  EXPECT_THAT(a.Union(Source({"x", "y"})).columns(), ElementsAre("a", "b"));
  EXPECT_THAT(ErrorOf(a.Except(Source({"x"}))), HasSubstr("2 and 1 columns"));
  EXPECT_TRUE(Root(a.IntersectAll(a)).set_operation().all());
}

TEST(DataFrame, TextTablesFit) {
  const auto table = arrow::Table::Make(
      arrow::schema(
          {arrow::field("name", arrow::utf8()), arrow::field("n", arrow::int32())}),
      {arrow::MakeArrayFromScalar(*arrow::MakeScalar("é\n"), 2).ValueOrDie(),
       arrow::MakeArrayOfNull(arrow::int32(), 2).ValueOrDie()});
  EXPECT_EQ(internal::TextTable(*table),
            "+------+------+\n| name | n    |\n+------+------+\n| é    | NULL |\n"
            "| é    | NULL |\n+------+------+\n");
}

}  // namespace
}  // namespace ballista
