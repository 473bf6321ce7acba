// Window functions of projections: part of Translator.
#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "ballista/substrait/translator_internal.h"

namespace ballista::substrait {
namespace {

using plan::WindowCall;
using Frame = pb::Expression::WindowFunction;

struct Known {
  std::string_view name;
  size_t least;
  size_t most;
};

// Of the same name in the engine.
constexpr auto kWindows = std::to_array<Known>({
    {"row_number", 0, 0},
    {"rank", 0, 0},
    {"dense_rank", 0, 0},
    {"percent_rank", 0, 0},
    {"cume_dist", 0, 0},
    {"ntile", 1, 1},
    {"first_value", 1, 1},
    {"last_value", 1, 1},
    {"nth_value", 2, 2},
    {"lead", 1, 3},
    {"lag", 1, 3},
});

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

arrow::Result<AggregateResult> Translator::WindowName(Call call) {
  const auto found =
      std::find_if(kWindows.begin(), kWindows.end(),
                   [&](const Known& known) { return known.name == call.name; });
  if (found == kWindows.end()) return AggregateFunction(std::move(call));
  if (call.args.size() < found->least || call.args.size() > found->most) {
    return NotSupported("the window function '" + call.name + "' with " +
                        std::to_string(call.args.size()) + " arguments");
  }
  AggregateResult result;
  result.column.type = call.declared;
  result.column.loose = call.declared.id() != plan::Type::INVALID;
  result.call.mutable_aggregate()->set_name(call.name);
  for (auto& arg : call.args) *result.call.add_args() = std::move(arg.expression);
  return result;
}

// The call and its column, whose position is still to be set.
arrow::Result<AggregateResult> Translator::Window(const Frame& function,
                                                  const Scope& scope) {
  if (function.phase() != pb::AGGREGATION_PHASE_UNSPECIFIED &&
      function.phase() != pb::AGGREGATION_PHASE_INITIAL_TO_RESULT) {
    return NotSupported("an aggregation in phases");
  }
  Call call;
  ARROW_ASSIGN_OR_RAISE(call.name, FunctionName(function.function_reference()));
  ARROW_RETURN_NOT_OK(Arguments(function.arguments(), scope, &call));
  ARROW_ASSIGN_OR_RAISE(call.declared, TypeOf(function.output_type()));
  ARROW_ASSIGN_OR_RAISE(auto named, WindowName(std::move(call)));
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
