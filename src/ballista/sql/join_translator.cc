// Joins: part of PlanTranslator.
#include "ballista/plan/plan.h"
#include "ballista/sql/plan_translator.h"
#include "ballista/sql/unsupported_internal.h"
#include "ballista/sql/value_conversion.h"

namespace ballista::sql {
namespace {

using duckdb::JoinType;
using duckdb::LogicalOperatorType;

plan::Join::Type ToJoinType(JoinType type) {
  switch (type) {
    case JoinType::INNER:
      return plan::Join::INNER;
    case JoinType::LEFT:
      return plan::Join::LEFT;
    case JoinType::RIGHT:
      return plan::Join::RIGHT;
    case JoinType::OUTER:
      return plan::Join::FULL;
    case JoinType::SEMI:
    case JoinType::RIGHT_SEMI:
      return plan::Join::SEMI;
    case JoinType::ANTI:
    case JoinType::RIGHT_ANTI:
      return plan::Join::ANTI;
    case JoinType::MARK:
      return plan::Join::MARK;
    case JoinType::SINGLE:
      return plan::Join::SINGLE;
    default:
      throw Unsupported("the join type " + duckdb::JoinTypeToString(type));
  }
}

bool IsSwapped(JoinType type) {
  return type == JoinType::RIGHT_SEMI || type == JoinType::RIGHT_ANTI;
}

plan::Comparison::Op Flipped(plan::Comparison::Op op) {
  switch (op) {
    case plan::Comparison::LESS:
      return plan::Comparison::GREATER;
    case plan::Comparison::LESS_EQUAL:
      return plan::Comparison::GREATER_EQUAL;
    case plan::Comparison::GREATER:
      return plan::Comparison::LESS;
    case plan::Comparison::GREATER_EQUAL:
      return plan::Comparison::LESS_EQUAL;
    default:
      return op;
  }
}

// Positions of one side's columns that the join gives, counted from `offset`.
void AddOutput(const duckdb::vector<duckdb::idx_t>& projection, uint32_t width,
               uint32_t offset, plan::Join* join) {
  if (projection.empty()) {
    for (uint32_t i = 0; i < width; ++i) join->add_output(offset + i);
  } else {
    for (const auto i : projection) join->add_output(offset + static_cast<uint32_t>(i));
  }
}

// RIGHT_SEMI and RIGHT_ANTI: SEMI and ANTI with the inputs swapped.
void SwapSides(uint32_t left_width, uint32_t right_width, plan::Node* node) {
  node->mutable_inputs()->SwapElements(0, 1);
  auto* join = node->mutable_join();
  for (auto& condition : *join->mutable_conditions()) {
    condition.mutable_left()->Swap(condition.mutable_right());
    condition.set_op(Flipped(condition.op()));
  }
  for (auto& output : *join->mutable_output()) output -= left_width;
  if (join->has_predicate()) {
    std::vector<int> mapping;
    for (uint32_t i = 0; i < left_width; ++i) mapping.push_back(right_width + i);
    for (uint32_t i = 0; i < right_width; ++i) mapping.push_back(i);
    const auto status = plan::RemapColumns(join->mutable_predicate(), mapping);
    if (!status.ok()) throw Unsupported(status.message());
  }
}

void SetOutputTypes(plan::Node* node) {
  const int left = node->inputs(0).types_size();
  const int right = node->inputs(1).types_size();
  node->clear_types();
  for (const uint32_t output : node->join().output()) {
    const int i = static_cast<int>(output);
    if (i < left) {
      *node->add_types() = node->inputs(0).types(i);
    } else if (i < left + right) {
      *node->add_types() = node->inputs(1).types(i - left);
    } else {
      *node->add_types() = plan::MakeType(plan::Type::BOOLEAN);
    }
  }
}

// See plan.proto: the three meanings of MARK.
void SetMarkKind(const duckdb::LogicalComparisonJoin& op, plan::Join* join) {
  if (op.mark_types.empty()) {
    join->set_mark_kind(plan::Join::MARK_NULL_AWARE);
    return;
  }
  bool exists = true;
  for (const auto& condition : join->conditions()) {
    exists = exists && condition.op() == plan::Comparison::NOT_DISTINCT_FROM;
  }
  if (exists) {
    join->set_mark_kind(plan::Join::MARK_EXISTS);
    return;
  }
  const auto groups = static_cast<uint32_t>(op.mark_types.size());
  if (static_cast<uint32_t>(join->conditions_size()) != groups + 1) {
    throw Unsupported("a correlated IN over several columns");
  }
  join->set_mark_kind(plan::Join::MARK_GROUPED);
  join->set_group_conditions(groups);
}

}  // namespace

void PlanTranslator::FillComparisonJoin(duckdb::LogicalComparisonJoin& op,
                                        plan::Node* node) {
  auto* join = node->mutable_join();
  const auto left = op.children[0]->GetColumnBindings();
  const auto right = op.children[1]->GetColumnBindings();
  const auto left_lookup = LookupByBinding(left);
  const auto right_lookup = LookupByBinding(right);
  join->set_asof(op.type == LogicalOperatorType::LOGICAL_ASOF_JOIN);
  for (const auto& condition : op.conditions) {
    auto* out = join->add_conditions();
    *out->mutable_left() = expressions_.Translate(*condition.left, left_lookup);
    *out->mutable_right() = expressions_.Translate(*condition.right, right_lookup);
    out->set_op(ExpressionTranslator::ComparisonOp(condition.comparison));
  }
  if (op.predicate) {
    auto both = left;
    both.insert(both.end(), right.begin(), right.end());
    *join->mutable_predicate() =
        expressions_.Translate(*op.predicate, LookupByBinding(both));
  }
  if (op.join_type == JoinType::MARK) SetMarkKind(op, join);
}

plan::Node PlanTranslator::MakeJoin(duckdb::LogicalOperator& op, plan::Node left,
                                    plan::Node right) {
  plan::Node node;
  const auto left_width = static_cast<uint32_t>(left.types_size());
  const auto right_width = static_cast<uint32_t>(right.types_size());
  *node.add_inputs() = std::move(left);
  *node.add_inputs() = std::move(right);
  auto* join = node.mutable_join();
  if (op.type == LogicalOperatorType::LOGICAL_CROSS_PRODUCT ||
      op.type == LogicalOperatorType::LOGICAL_POSITIONAL_JOIN) {
    join->set_type(plan::Join::INNER);
    join->set_positional(op.type == LogicalOperatorType::LOGICAL_POSITIONAL_JOIN);
    AddOutput({}, left_width + right_width, 0, join);
    SetOutputTypes(&node);
    return node;
  }
  auto& logical = op.Cast<duckdb::LogicalJoin>();
  const JoinType type = logical.join_type;
  join->set_type(ToJoinType(type));
  if (op.type == LogicalOperatorType::LOGICAL_ANY_JOIN) {
    if (type == JoinType::MARK) throw Unsupported("a MARK join by any condition");
    auto both = op.children[0]->GetColumnBindings();
    const auto right_bindings = op.children[1]->GetColumnBindings();
    both.insert(both.end(), right_bindings.begin(), right_bindings.end());
    *join->mutable_predicate() = expressions_.Translate(
        *op.Cast<duckdb::LogicalAnyJoin>().condition, LookupByBinding(both));
  } else {
    FillComparisonJoin(op.Cast<duckdb::LogicalComparisonJoin>(), &node);
  }
  const bool left_side = !IsSwapped(type);
  const bool right_side =
      type != JoinType::SEMI && type != JoinType::ANTI && type != JoinType::MARK;
  if (left_side) AddOutput(logical.left_projection_map, left_width, 0, join);
  if (right_side) {
    AddOutput(logical.right_projection_map, right_width, left_width, join);
  }
  if (type == JoinType::MARK) join->add_output(left_width + right_width);
  if (IsSwapped(type)) SwapSides(left_width, right_width, &node);
  SetOutputTypes(&node);
  return node;
}

plan::Node PlanTranslator::TranslateJoin(duckdb::LogicalOperator& op) {
  auto left = TranslateNode(*op.children[0]);
  auto right = TranslateNode(*op.children[1]);
  return MakeJoin(op, std::move(left), std::move(right));
}

// DELIM_JOIN: the right side is computed for the distinct values of some columns of the
// left side. Shared L = left; Shared D = distinct values; join(L, right over D).
// `delim_flipped` swaps the roles of the sides.
plan::Node PlanTranslator::TranslateDelimJoin(duckdb::LogicalComparisonJoin& op) {
  const size_t source_side = op.delim_flipped ? 1 : 0;
  auto& source_op = *op.children[source_side];
  const auto bindings = source_op.GetColumnBindings();
  const auto lookup = LookupByBinding(bindings);
  auto source = TranslateNode(source_op);
  const auto source_types = TypesOf(source);
  const double source_rows = source.estimated_rows();
  const uint32_t source_id = next_shared_++;
  const uint32_t values_id = next_shared_++;
  const auto source_ref = [&] {
    auto ref = SharedRef(source_id, source_types);
    ref.set_estimated_rows(source_rows);
    return ref;
  };

  auto values = Over(source_ref());
  values.clear_types();
  values.set_estimated_rows(source_rows);
  for (const auto& column : op.duplicate_eliminated_columns) {
    auto expression = expressions_.Translate(*column, lookup);
    *values.add_types() = expression.type();
    *values.mutable_project()->add_expressions() = std::move(expression);
  }
  auto distinct = Over(std::move(values));
  distinct.mutable_distinct();
  distinct.set_estimated_rows(source_rows);

  delims_.push_back({values_id, TypesOf(distinct)});
  auto other = TranslateNode(*op.children[1 - source_side]);
  delims_.pop_back();

  auto join = op.delim_flipped ? MakeJoin(op, std::move(other), source_ref())
                               : MakeJoin(op, source_ref(), std::move(other));
  join.set_estimated_rows(
      op.has_estimated_cardinality ? static_cast<double>(op.estimated_cardinality) : -1);

  const auto types = TypesOf(join);
  const auto share = [&](uint32_t id, plan::Node definition, plan::Node body) {
    plan::Node shared;
    shared.mutable_shared()->set_id(id);
    for (const auto& type : types) *shared.add_types() = type;
    shared.set_estimated_rows(body.estimated_rows());
    *shared.add_inputs() = std::move(definition);
    *shared.add_inputs() = std::move(body);
    return shared;
  };
  auto body = share(values_id, std::move(distinct), std::move(join));
  return share(source_id, std::move(source), std::move(body));
}

}  // namespace ballista::sql
