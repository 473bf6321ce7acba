// Window functions of projections: part of Translator.
#include <optional>

#include "ballista/substrait/translator_internal.h"

namespace ballista::substrait {
namespace {

using plan::WindowCall;
using Frame = pb::Expression::WindowFunction;

struct End {
  WindowCall::Bound bound = WindowCall::INVALID;
  std::optional<int64_t> offset;
};

// `unbounded`: what it is where the plan sets nothing.
End EndOf(const Frame::Bound& bound, bool rows, WindowCall::Bound unbounded) {
  switch (bound.kind_case()) {
    case Frame::Bound::kPreceding:
      return {rows ? WindowCall::PRECEDING_ROWS : WindowCall::PRECEDING_RANGE,
              bound.preceding().offset()};
    case Frame::Bound::kFollowing:
      return {rows ? WindowCall::FOLLOWING_ROWS : WindowCall::FOLLOWING_RANGE,
              bound.following().offset()};
    case Frame::Bound::kCurrentRow:
      return {rows ? WindowCall::CURRENT_ROW_ROWS : WindowCall::CURRENT_ROW_RANGE, {}};
    default:
      return {unbounded, {}};
  }
}

void SetFrame(const Frame& function, WindowCall* window) {
  const bool rows = function.bounds_type() == Frame::BOUNDS_TYPE_ROWS;
  const auto start = EndOf(function.lower_bound(), rows, WindowCall::UNBOUNDED_PRECEDING);
  const auto end = EndOf(function.upper_bound(), rows, WindowCall::UNBOUNDED_FOLLOWING);
  window->set_start(start.bound);
  window->set_end(end.bound);
  if (start.offset) *window->mutable_start_offset() = plan::BigintLiteral(*start.offset);
  if (end.offset) *window->mutable_end_offset() = plan::BigintLiteral(*end.offset);
}

}  // namespace

// The call and its column, whose position is still to be set.
arrow::Result<AggregateResult> Translator::Window(const Frame& function,
                                                  const Scope& scope) {
  ARROW_ASSIGN_OR_RAISE(auto call, CallOf(function, scope));
  ARROW_ASSIGN_OR_RAISE(auto named, WindowFunction(std::move(call)));
  AggregateResult result;
  result.column = std::move(named.column);
  auto& window = *result.call.mutable_window();
  window.set_name(named.call.aggregate().name());
  window.set_distinct(function.invocation() ==
                      pb::AggregateFunction::AGGREGATION_INVOCATION_DISTINCT);
  const bool shifts = window.name() == "lead" || window.name() == "lag";
  for (int i = 0; i < named.call.args_size(); ++i) {
    auto* place = !shifts || i == 0 ? result.call.add_args()
                  : i == 1          ? window.mutable_offset()
                                    : window.mutable_default_value();
    *place = named.call.args(i);
  }
  for (const auto& each : function.partitions()) {
    ARROW_ASSIGN_OR_RAISE(auto key, Expr(each, scope));
    *window.add_partition_by() = std::move(key.expression);
  }
  ARROW_RETURN_NOT_OK(SortKeys(function.sorts(), scope, window.mutable_order_by()));
  SetFrame(function, &window);
  return result;
}

// Computes the projection's window functions below it: their columns, in order.
arrow::Result<std::vector<Column>> Translator::Windows(const pb::ProjectRel& project,
                                                       Translated* input) {
  std::vector<Column> columns;
  dataframe::Relation relation;
  const auto scope = ScopeOf(*input);
  for (const auto& expression : project.expressions()) {
    if (!expression.has_window_function()) continue;
    ARROW_ASSIGN_OR_RAISE(auto made, Window(expression.window_function(), scope));
    made.column.position = input->width + static_cast<uint32_t>(columns.size());
    columns.push_back(std::move(made.column));
    *relation.mutable_window()->add_calls() = std::move(made.call);
  }
  if (columns.empty()) return columns;
  *relation.add_inputs() = std::move(input->relation);
  input->relation = std::move(relation);
  input->width += static_cast<uint32_t>(columns.size());
  return columns;
}

}  // namespace ballista::substrait
