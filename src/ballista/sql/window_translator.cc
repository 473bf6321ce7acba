// Window calls: part of ExpressionTranslator.
#include "ballista/plan/plan.h"
#include "ballista/sql/expression_translator.h"
#include "ballista/sql/rebind_check.h"
#include "ballista/sql/unsupported_internal.h"
#include "ballista/sql/value_conversion.h"

namespace ballista::sql {
namespace {

using duckdb::Expression;
using duckdb::ExpressionClass;
using duckdb::WindowBoundary;

plan::WindowCall::Bound ToBound(WindowBoundary bound) {
  switch (bound) {
    case WindowBoundary::UNBOUNDED_PRECEDING:
      return plan::WindowCall::UNBOUNDED_PRECEDING;
    case WindowBoundary::UNBOUNDED_FOLLOWING:
      return plan::WindowCall::UNBOUNDED_FOLLOWING;
    case WindowBoundary::CURRENT_ROW_RANGE:
      return plan::WindowCall::CURRENT_ROW_RANGE;
    case WindowBoundary::CURRENT_ROW_ROWS:
      return plan::WindowCall::CURRENT_ROW_ROWS;
    case WindowBoundary::CURRENT_ROW_GROUPS:
      return plan::WindowCall::CURRENT_ROW_GROUPS;
    case WindowBoundary::EXPR_PRECEDING_ROWS:
      return plan::WindowCall::PRECEDING_ROWS;
    case WindowBoundary::EXPR_FOLLOWING_ROWS:
      return plan::WindowCall::FOLLOWING_ROWS;
    case WindowBoundary::EXPR_PRECEDING_RANGE:
      return plan::WindowCall::PRECEDING_RANGE;
    case WindowBoundary::EXPR_FOLLOWING_RANGE:
      return plan::WindowCall::FOLLOWING_RANGE;
    case WindowBoundary::EXPR_PRECEDING_GROUPS:
      return plan::WindowCall::PRECEDING_GROUPS;
    case WindowBoundary::EXPR_FOLLOWING_GROUPS:
      return plan::WindowCall::FOLLOWING_GROUPS;
    default:
      throw Unsupported("a window frame without bounds");
  }
}

plan::WindowCall::Exclude ToExclude(duckdb::WindowExcludeMode mode) {
  switch (mode) {
    case duckdb::WindowExcludeMode::CURRENT_ROW:
      return plan::WindowCall::CURRENT_ROW;
    case duckdb::WindowExcludeMode::GROUP:
      return plan::WindowCall::GROUP;
    case duckdb::WindowExcludeMode::TIES:
      return plan::WindowCall::TIES;
    default:
      return plan::WindowCall::NO_OTHER;
  }
}

std::string FunctionName(const duckdb::BoundWindowExpression& window) {
  for (auto* known = duckdb::WindowExpression::WindowFunctions(); known->name; ++known) {
    if (known->expression_type == window.GetExpressionType()) return known->name;
  }
  throw Unsupported("the window function " + window.ToString());
}

const Expression& WithoutCasts(const Expression& expression) {
  const Expression* result = &expression;
  while (result->GetExpressionClass() == ExpressionClass::BOUND_CAST) {
    result = result->Cast<duckdb::BoundCastExpression>().child.get();
  }
  return *result;
}

}  // namespace

// The bound of a ROWS or GROUPS frame is a count. That of a RANGE frame was bound as
// (order expression -/+ delta), whose sign turns with DESC; the IR has delta itself:
// binding applies it again.
plan::Expression ExpressionTranslator::TranslateFrameBound(
    const duckdb::BoundWindowExpression& window, const Expression& bound,
    WindowBoundary kind, const ColumnLookup& lookup) {
  if (kind != WindowBoundary::EXPR_PRECEDING_RANGE &&
      kind != WindowBoundary::EXPR_FOLLOWING_RANGE) {
    return Translate(bound, lookup);
  }
  const auto& order = window.orders.at(0);
  const bool descending = order.type == duckdb::OrderType::DESCENDING;
  const bool subtracts = (kind == WindowBoundary::EXPR_PRECEDING_RANGE) != descending;
  const auto& stripped = WithoutCasts(bound);
  if (stripped.GetExpressionClass() == ExpressionClass::BOUND_FUNCTION) {
    const auto& function = stripped.Cast<duckdb::BoundFunctionExpression>();
    if (function.function.name == (subtracts ? "-" : "+") &&
        function.children.size() == 2 &&
        WithoutCasts(*function.children[0]).Equals(WithoutCasts(*order.expression))) {
      return Translate(*function.children[1], lookup);
    }
  }
  const auto& key_type = order.expression->return_type;
  const auto type = subtracts ? DifferenceType(context_, key_type, bound.return_type)
                              : DifferenceType(context_, bound.return_type, key_type);
  auto key = Translate(*order.expression, lookup);
  auto limit = Translate(bound, lookup);
  std::vector<plan::Expression> args;
  args.push_back(subtracts ? std::move(key) : limit);
  args.push_back(subtracts ? std::move(limit) : std::move(key));
  return plan::MakeCall("-", ToPlanType(type), std::move(args));
}

plan::Expression ExpressionTranslator::TranslateWindow(
    const duckdb::BoundWindowExpression& window, const ColumnLookup& lookup) {
  plan::Expression result;
  *result.mutable_type() = ToPlanType(window.return_type);
  auto* call = result.mutable_window();
  AddArgs(window.children, lookup, &result);
  if (window.aggregate) {
    const auto restored = RebindAggregate(context_, *window.aggregate, window.children,
                                          window.return_type, window.bind_info.get());
    call->set_name(restored.name);
    for (const auto& value : restored.arguments) *result.add_args() = Literal(value);
  } else {
    call->set_name(FunctionName(window));
  }
  call->set_distinct(window.distinct);
  call->set_ignore_nulls(window.ignore_nulls);
  if (window.filter_expr) {
    *call->mutable_filter() = Translate(*window.filter_expr, lookup);
  }
  for (const auto& key : window.partitions) {
    *call->add_partition_by() = Translate(*key, lookup);
  }
  for (const auto& order : window.orders) {
    *call->add_order_by() = TranslateOrder(order, lookup);
  }
  for (const auto& order : window.arg_orders) {
    *call->add_argument_order_by() = TranslateOrder(order, lookup);
  }
  call->set_start(ToBound(window.start));
  call->set_end(ToBound(window.end));
  call->set_exclude(ToExclude(window.exclude_clause));
  if (window.start_expr) {
    *call->mutable_start_offset() =
        TranslateFrameBound(window, *window.start_expr, window.start, lookup);
  }
  if (window.end_expr) {
    *call->mutable_end_offset() =
        TranslateFrameBound(window, *window.end_expr, window.end, lookup);
  }
  if (window.offset_expr)
    *call->mutable_offset() = Translate(*window.offset_expr, lookup);
  if (window.default_expr) {
    *call->mutable_default_value() = Translate(*window.default_expr, lookup);
  }
  return result;
}

}  // namespace ballista::sql
