// Each kind of node and expression, run and compared with the rows that SQL's meaning
// asks for.
#include "ballista/engine/duckdb/engine_test_internal.h"

namespace ballista::engine {
namespace {

using namespace testing;  // NOLINT: the test's own vocabulary
using Strings = std::vector<std::string>;

class NodeTest : public EngineTest {
 protected:
  // (1, a), (2, b), (3, NULL)
  static Node Letters() {
    return ValuesNode(
        {{Int(1), Text("a")}, {Int(2), Text("b")}, {Int(3), Null(kVarchar)}});
  }
  // (2, x), (2, y), (NULL, z), (4, w)
  static Node Others() {
    return ValuesNode({{Int(2), Text("x")},
                       {Int(2), Text("y")},
                       {Null(kBigint), Text("z")},
                       {Int(4), Text("w")}});
  }

  static Node JoinNode(plan::Join::Type type, Node left, Node right,
                       std::vector<uint32_t> output) {
    Node node;
    const int left_columns = left.types_size();
    for (uint32_t column : output) {
      if (column < static_cast<uint32_t>(left_columns)) {
        *node.add_types() = left.types(static_cast<int>(column));
      } else if (column < static_cast<uint32_t>(left_columns + right.types_size())) {
        *node.add_types() = right.types(static_cast<int>(column) - left_columns);
      } else {
        *node.add_types() = kBoolean;
      }
      node.mutable_join()->add_output(column);
    }
    node.mutable_join()->set_type(type);
    *node.add_inputs() = std::move(left);
    *node.add_inputs() = std::move(right);
    return node;
  }

  static void AddCondition(Node* join, plan::Expression left, plan::Expression right,
                           plan::Comparison::Op op = plan::Comparison::EQUAL) {
    auto* condition = join->mutable_join()->add_conditions();
    *condition->mutable_left() = std::move(left);
    *condition->mutable_right() = std::move(right);
    condition->set_op(op);
  }

  static Strings JoinRows(plan::Join::Type type, std::vector<uint32_t> output) {
    Node join = JoinNode(type, Letters(), Others(), std::move(output));
    AddCondition(&join, ColumnRef(0, kBigint), ColumnRef(0, kBigint));
    return RowsOf(join);
  }
};

TEST_F(NodeTest, ValuesAndEmpty) {
  EXPECT_EQ(RowsOf(Letters()), (Strings{"1|a", "2|b", "3|null"}));
  Node empty;
  *empty.add_types() = kBigint;
  empty.mutable_empty();
  EXPECT_EQ(RowsOf(empty), Strings{});
}

TEST_F(NodeTest, FilterAndProject) {
  Node filter = FilterNode(
      Letters(), Compare(plan::Comparison::GREATER, ColumnRef(0, kBigint), Int(1)));
  Node project =
      ProjectNode(filter, {plan::MakeCall("+", kBigint, {ColumnRef(0, kBigint), Int(10)}),
                           ColumnRef(1, kVarchar)});
  EXPECT_EQ(RowsOf(project), (Strings{"12|b", "13|null"}));
}

TEST_F(NodeTest, Expressions) {
  plan::Expression is_null;
  *is_null.mutable_type() = kBoolean;
  is_null.mutable_operator_()->set_op(plan::Operator::IS_NULL);
  *is_null.add_args() = ColumnRef(1, kVarchar);

  plan::Expression choice;
  *choice.mutable_type() = kVarchar;
  choice.mutable_case_();
  *choice.add_args() = is_null;
  *choice.add_args() = Text("none");
  *choice.add_args() = ColumnRef(1, kVarchar);

  plan::Expression between;
  *between.mutable_type() = kBoolean;
  between.mutable_between()->set_lower_inclusive(false);
  between.mutable_between()->set_upper_inclusive(true);
  *between.add_args() = ColumnRef(0, kBigint);
  *between.add_args() = Int(1);
  *between.add_args() = Int(2);

  plan::Expression in;
  *in.mutable_type() = kBoolean;
  in.mutable_operator_()->set_op(plan::Operator::IN);
  *in.add_args() = ColumnRef(0, kBigint);
  *in.add_args() = Int(3);
  *in.add_args() = Int(1);

  plan::Expression either;
  *either.mutable_type() = kBoolean;
  either.mutable_conjunction()->set_is_or(true);
  *either.add_args() = in;
  *either.add_args() =
      Compare(plan::Comparison::EQUAL, ColumnRef(1, kVarchar), Text("b"));

  plan::Expression try_cast;
  *try_cast.mutable_type() = kBigint;
  try_cast.mutable_cast()->set_try_cast(true);
  *try_cast.add_args() = ColumnRef(1, kVarchar);

  Node project = ProjectNode(Letters(), {choice, between, in, either, try_cast});
  EXPECT_EQ(RowsOf(project), (Strings{"a|false|true|true|null", "b|true|false|true|null",
                                      "none|false|true|true|null"}));
}

TEST_F(NodeTest, LambdaWithCapture) {
  plan::Expression parameter;
  *parameter.mutable_type() = kBigint;
  parameter.set_lambda_parameter(7);
  plan::Expression lambda;
  *lambda.mutable_type() = MakeType(Type::LAMBDA);
  lambda.mutable_lambda()->add_parameters(7);
  *lambda.add_args() = plan::MakeCall("+", kBigint, {parameter, ColumnRef(0, kBigint)});
  const Type list = plan::ListType(kBigint);
  auto numbers = plan::MakeCall("list_value", list, {Int(10), Int(20)});
  auto total =
      plan::MakeCall("list_sum", MakeType(Type::HUGEINT),
                     {plan::MakeCall("list_transform", list, {numbers, lambda})});
  EXPECT_EQ(RowsOf(ProjectNode(Letters(), {CastTo(total, kBigint)})),
            (Strings{"32", "34", "36"}));
}

TEST_F(NodeTest, AggregateWithGroupingSets) {
  Node node;
  *node.add_types() = kVarchar;
  *node.add_types() = kBigint;
  *node.add_types() = kBigint;
  *node.add_inputs() = Letters();
  auto* aggregate = node.mutable_aggregate();
  *aggregate->add_groups() = ColumnRef(1, kVarchar);
  *aggregate->add_aggregates() = AggregateOf("sum", kBigint, {ColumnRef(0, kBigint)});
  aggregate->add_grouping_sets()->add_groups(0);
  aggregate->add_grouping_sets();
  aggregate->add_grouping_calls()->add_groups(0);
  EXPECT_EQ(RowsOf(node), (Strings{"a|1|0", "b|2|0", "null|3|0", "null|6|1"}));
}

TEST_F(NodeTest, AggregateFilterOrderAndDistinct) {
  Node node;
  *node.add_types() = kBigint;
  *node.add_types() = kVarchar;
  *node.add_inputs() = Others();
  auto count = AggregateOf("count", kBigint, {ColumnRef(0, kBigint)});
  count.mutable_aggregate()->set_distinct(true);
  auto text = AggregateOf("string_agg", kVarchar, {ColumnRef(1, kVarchar), Text("-")});
  auto* key = text.mutable_aggregate()->add_order_by();
  *key->mutable_expression() = ColumnRef(1, kVarchar);
  key->set_descending(true);
  *text.mutable_aggregate()->mutable_filter() =
      Compare(plan::Comparison::NOT_EQUAL, ColumnRef(1, kVarchar), Text("x"));
  *node.mutable_aggregate()->add_aggregates() = count;
  *node.mutable_aggregate()->add_aggregates() = text;
  EXPECT_EQ(RowsOf(node), Strings{"2|z-y-w"});
}

TEST_F(NodeTest, JoinKinds) {
  EXPECT_EQ(JoinRows(plan::Join::INNER, {0, 1, 3}), (Strings{"2|b|x", "2|b|y"}));
  EXPECT_EQ(JoinRows(plan::Join::LEFT, {0, 3}),
            (Strings{"1|null", "2|x", "2|y", "3|null"}));
  EXPECT_EQ(JoinRows(plan::Join::RIGHT, {0, 3}),
            (Strings{"2|x", "2|y", "null|w", "null|z"}));
  EXPECT_EQ(JoinRows(plan::Join::FULL, {0, 3}),
            (Strings{"1|null", "2|x", "2|y", "3|null", "null|w", "null|z"}));
  EXPECT_EQ(JoinRows(plan::Join::SEMI, {0}), Strings{"2"});
  EXPECT_EQ(JoinRows(plan::Join::ANTI, {1}), (Strings{"a", "null"}));
}

TEST_F(NodeTest, JoinOfExpressionsAndPredicate) {
  // LEFT JOIN ON l.0 + 1 = r.0 AND r.1 <> 'x', with the right columns behind it.
  Node join = JoinNode(plan::Join::LEFT, Letters(), Others(), {0, 3});
  AddCondition(&join, plan::MakeCall("+", kBigint, {ColumnRef(0, kBigint), Int(1)}),
               ColumnRef(0, kBigint));
  *join.mutable_join()->mutable_predicate() =
      Compare(plan::Comparison::NOT_EQUAL, ColumnRef(3, kVarchar), Text("x"));
  EXPECT_EQ(RowsOf(join), (Strings{"1|y", "2|null", "3|w"}));
}

TEST_F(NodeTest, SingleJoinRefusesASecondMatch) {
  Node join = JoinNode(plan::Join::SINGLE, Letters(), Others(), {0, 3});
  AddCondition(&join, ColumnRef(0, kBigint), ColumnRef(0, kBigint));
  MemorySink sink;
  auto result = Run(ResultTask(join, &sink));
  ASSERT_FALSE(result.ok());
  const auto* detail = GetErrorDetail(result.status());
  ASSERT_NE(detail, nullptr) << result.status().ToString();
  EXPECT_EQ(detail->user().kind(), UserError::RUNTIME);
}

TEST_F(NodeTest, MarkJoins) {
  // 2 IN (2, 2, NULL, 4) is TRUE; 1 and 3 are NULL because of the NULL.
  Node in = JoinNode(plan::Join::MARK, Letters(), Others(), {0, 4});
  AddCondition(&in, ColumnRef(0, kBigint), ColumnRef(0, kBigint));
  in.mutable_join()->set_mark_kind(plan::Join::MARK_NULL_AWARE);
  EXPECT_EQ(RowsOf(in), (Strings{"1|null", "2|true", "3|null"}));

  Node exists = JoinNode(plan::Join::MARK, Letters(), Others(), {0, 4});
  AddCondition(&exists, ColumnRef(0, kBigint), ColumnRef(0, kBigint),
               plan::Comparison::NOT_DISTINCT_FROM);
  exists.mutable_join()->set_mark_kind(plan::Join::MARK_EXISTS);
  EXPECT_EQ(RowsOf(exists), (Strings{"1|false", "2|true", "3|false"}));

  // 'b' IN (texts of the group 2): no NULL among them, so FALSE; others have no group.
  Node grouped = JoinNode(plan::Join::MARK, Letters(), Others(), {0, 4});
  AddCondition(&grouped, ColumnRef(0, kBigint), ColumnRef(0, kBigint),
               plan::Comparison::NOT_DISTINCT_FROM);
  AddCondition(&grouped, ColumnRef(1, kVarchar), ColumnRef(1, kVarchar));
  grouped.mutable_join()->set_mark_kind(plan::Join::MARK_GROUPED);
  grouped.mutable_join()->set_group_conditions(1);
  EXPECT_EQ(RowsOf(grouped), (Strings{"1|false", "2|false", "3|false"}));
}

TEST_F(NodeTest, AsofPositionalAndCrossJoins) {
  Node asof =
      JoinNode(plan::Join::INNER, Letters(),
               ValuesNode({{Int(0), Text("zero")}, {Int(2), Text("two")}}), {0, 3});
  AddCondition(&asof, ColumnRef(0, kBigint), ColumnRef(0, kBigint),
               plan::Comparison::GREATER_EQUAL);
  asof.mutable_join()->set_asof(true);
  EXPECT_EQ(RowsOf(asof), (Strings{"1|zero", "2|two", "3|two"}));

  Node positional = JoinNode(plan::Join::INNER, Letters(), Others(), {0, 3});
  positional.mutable_join()->set_positional(true);
  EXPECT_EQ(RowsOf(positional), (Strings{"1|x", "2|y", "3|z", "null|w"}));

  Node cross = JoinNode(plan::Join::INNER, Letters(), Letters(), {0, 2});
  EXPECT_EQ(RowsOf(cross).size(), 9U);
}

TEST_F(NodeTest, SortLimitAndDistinct) {
  Node sort = plan::WithInput(Letters());
  auto* key = sort.mutable_sort()->add_keys();
  *key->mutable_expression() = ColumnRef(1, kVarchar);
  key->set_nulls_first(true);
  // A constant key is no position.
  *sort.mutable_sort()->add_keys()->mutable_expression() = Int(1);
  EXPECT_EQ(RowsOf(sort, true), (Strings{"3|null", "1|a", "2|b"}));
  sort.mutable_sort()->set_limit(1);
  sort.mutable_sort()->set_offset(1);
  EXPECT_EQ(RowsOf(sort, true), Strings{"1|a"});

  Node limit = plan::WithInput(RangeNode(100));
  *limit.mutable_limit()->mutable_limit() = Int(7);
  EXPECT_EQ(RowsOf(limit).size(), 7U);

  Node distinct = plan::WithInput(ProjectNode(Others(), {ColumnRef(0, kBigint)}));
  distinct.mutable_distinct();
  EXPECT_EQ(RowsOf(distinct), (Strings{"2", "4", "null"}));

  Node on = plan::WithInput(Others());
  *on.mutable_distinct()->add_on() = ColumnRef(0, kBigint);
  for (uint32_t column : {0U, 1U}) {
    auto* order = on.mutable_distinct()->add_order_by();
    *order->mutable_expression() = ColumnRef(column, column ? kVarchar : kBigint);
    order->set_descending(true);
  }
  EXPECT_EQ(RowsOf(on), (Strings{"2|y", "4|w", "null|z"}));
}

TEST_F(NodeTest, Window) {
  Node node = plan::WithInput(RangeNode(4));
  *node.add_types() = kBigint;
  *node.add_types() = kBigint;
  plan::Expression sum;
  *sum.mutable_type() = kBigint;
  *sum.add_args() = ColumnRef(0, kBigint);
  auto* window = sum.mutable_window();
  window->set_name("sum");
  *window->add_order_by()->mutable_expression() = ColumnRef(0, kBigint);
  window->set_start(plan::WindowCall::PRECEDING_ROWS);
  window->set_end(plan::WindowCall::CURRENT_ROW_ROWS);
  *window->mutable_start_offset() = Int(1);
  plan::Expression lag = sum;
  lag.mutable_window()->set_name("lag");
  lag.mutable_window()->set_start(plan::WindowCall::UNBOUNDED_PRECEDING);
  lag.mutable_window()->set_end(plan::WindowCall::CURRENT_ROW_RANGE);
  lag.mutable_window()->clear_start_offset();
  *lag.mutable_window()->mutable_offset() = Int(2);
  *lag.mutable_window()->mutable_default_value() = Int(-1);
  *node.mutable_window()->add_calls() = sum;
  *node.mutable_window()->add_calls() = lag;
  EXPECT_EQ(RowsOf(node), (Strings{"0|0|-1", "1|1|-1", "2|3|0", "3|5|1"}));
}

TEST_F(NodeTest, SetOperations) {
  auto make = [](plan::SetOperation::Op op, bool all, int inputs) {
    Node node;
    *node.add_types() = kBigint;
    for (int i = 0; i < inputs; ++i) *node.add_inputs() = RangeNode(2 + i);
    node.mutable_set_operation()->set_op(op);
    node.mutable_set_operation()->set_all(all);
    return node;
  };
  EXPECT_EQ(RowsOf(make(plan::SetOperation::UNION, true, 3)).size(), 9U);
  EXPECT_EQ(RowsOf(make(plan::SetOperation::UNION, false, 3)),
            (Strings{"0", "1", "2", "3"}));
  EXPECT_EQ(RowsOf(make(plan::SetOperation::INTERSECT, false, 2)), (Strings{"0", "1"}));
  EXPECT_EQ(RowsOf(make(plan::SetOperation::EXCEPT, false, 2)), Strings{});
}

TEST_F(NodeTest, SharedIsComputedOnce) {
  // Two references to one volatile definition see the same value.
  auto random = plan::MakeCall("random", kDouble, {});
  random.mutable_call()->set_is_volatile(true);
  Node definition = ProjectNode(ValuesNode({{Int(1)}}), {random});
  Node reference;
  *reference.add_types() = kDouble;
  reference.mutable_shared_ref()->set_id(5);
  Node join = JoinNode(plan::Join::INNER, reference, reference, {0, 1});
  Node body = ProjectNode(join, {Compare(plan::Comparison::EQUAL, ColumnRef(0, kDouble),
                                         ColumnRef(1, kDouble))});
  Node shared;
  *shared.add_types() = kBoolean;
  *shared.add_inputs() = definition;
  *shared.add_inputs() = body;
  shared.mutable_shared()->set_id(5);
  EXPECT_EQ(RowsOf(shared), Strings{"true"});
}

TEST_F(NodeTest, RecursiveCte) {
  Node reference;
  *reference.add_types() = kBigint;
  reference.mutable_shared_ref()->set_id(1);
  Node step = ProjectNode(
      FilterNode(reference,
                 Compare(plan::Comparison::LESS, ColumnRef(0, kBigint), Int(4))),
      {plan::MakeCall("+", kBigint, {ColumnRef(0, kBigint), Int(1)})});
  Node node;
  *node.add_types() = kBigint;
  *node.add_inputs() = ValuesNode({{Int(1)}});
  *node.add_inputs() = step;
  node.mutable_recursive_cte()->set_id(1);
  node.mutable_recursive_cte()->set_union_all(true);
  EXPECT_EQ(RowsOf(node), (Strings{"1", "2", "3", "4"}));
}

TEST_F(NodeTest, UnnestAndTableFunctions) {
  const Type list = plan::ListType(kBigint);
  Node lists =
      ProjectNode(RangeNode(3), {plan::MakeCall("range", list, {ColumnRef(0, kBigint)})});
  Node unnest = plan::WithInput(lists);
  *unnest.add_types() = kBigint;
  plan::Expression expression;
  *expression.mutable_type() = kBigint;
  expression.mutable_unnest();
  *expression.add_args() = ColumnRef(0, list);
  *unnest.mutable_unnest()->add_unnests() = expression;
  EXPECT_EQ(RowsOf(ProjectNode(unnest, {ColumnRef(1, kBigint)})),
            (Strings{"0", "0", "1"}));

  // range(c0) called for each row, with the row's own column behind it.
  Node each;
  *each.add_types() = kBigint;
  *each.add_types() = kBigint;
  *each.add_inputs() = RangeNode(3);
  auto* function = each.mutable_table_function();
  function->set_name("range");
  function->add_columns(0);
  function->set_function_columns(1);
  function->set_argument_columns(1);
  function->add_passthrough(0);
  EXPECT_EQ(RowsOf(each), (Strings{"0|1", "0|2", "1|2"}));
}

TEST_F(NodeTest, Sample) {
  Node node = plan::WithInput(RangeNode(1000));
  *node.mutable_sample()->mutable_size() = Int(10).literal();
  node.mutable_sample()->set_method("reservoir");
  node.mutable_sample()->set_seed(42);
  EXPECT_EQ(RowsOf(node).size(), 10U);
}

TEST_F(NodeTest, NodesWithoutKindAreRefused) {
  Node node;
  *node.add_types() = kBigint;
  MemorySink sink;
  auto result = Run(ResultTask(node, &sink));
  ASSERT_FALSE(result.ok());
  ASSERT_NE(GetErrorDetail(result.status()), nullptr);
  EXPECT_TRUE(GetErrorDetail(result.status())->has_internal());
}

TEST_F(NodeTest, DescribeIsSql) {
  Node filter = FilterNode(
      Letters(), Compare(plan::Comparison::GREATER, ColumnRef(0, kBigint), Int(1)));
  auto text = engine().Describe(filter);
  ASSERT_TRUE(text.ok()) << text.status().ToString();
  EXPECT_NE(text->find("SELECT"), std::string::npos) << *text;
  EXPECT_NE(text->find("WHERE"), std::string::npos) << *text;
}

}  // namespace
}  // namespace ballista::engine
