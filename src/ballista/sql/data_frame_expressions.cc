#include <set>

#include "ballista/base/status.h"
#include "ballista/duckdb_terms/terms.h"
#include "ballista/sql/data_frame_expressions_internal.h"
#include "ballista/sql/value_conversion.h"

namespace ballista::sql::frame {

using duckdb::ExpressionType;
using duckdb::make_uniq;

Refused Thrown(const std::string& what) {
  return Refused(
      UserErrorStatus(UserError::BINDER, "the data frame is not valid: " + what));
}

duckdb::Value ToValue(const plan::Value& value) {
  auto converted = FromPlanValue(value);
  if (!converted.ok()) throw Refused(converted.status());
  return *std::move(converted);
}

namespace {

duckdb::LogicalType ToType(const plan::Type& type) {
  auto converted = FromPlanType(type);
  if (!converted.ok()) throw Refused(converted.status());
  return *std::move(converted);
}

duckdb::vector<ExprPtr> Arguments(const plan::Expression& expression,
                                  const Columns& columns) {
  duckdb::vector<ExprPtr> arguments;
  for (const auto& argument : expression.args()) {
    arguments.push_back(MakeExpression(argument, columns));
  }
  return arguments;
}

// What the parser makes of a number, a string, TRUE or NULL in a text is a constant, and
// is coerced as such; all else is a cast there.
bool IsPlainConstant(const duckdb::Value& value) {
  switch (value.type().id()) {
    case duckdb::LogicalTypeId::INTEGER:
    case duckdb::LogicalTypeId::BOOLEAN:
    case duckdb::LogicalTypeId::SQLNULL:
      return true;
    case duckdb::LogicalTypeId::VARCHAR:
      return !value.type().HasAlias();
    case duckdb::LogicalTypeId::BIGINT:
      return !value.IsNull() && (value.GetValue<int64_t>() > INT32_MAX ||
                                 value.GetValue<int64_t>() < INT32_MIN);
    default:
      return false;
  }
}

ExprPtr Literal(const plan::Expression& expression) {
  auto value = ToValue(expression.literal());
  auto type = value.type();
  const bool plain = IsPlainConstant(value);
  ExprPtr constant = make_uniq<duckdb::ConstantExpression>(std::move(value));
  if (plain) return constant;
  return make_uniq<duckdb::CastExpression>(std::move(type), std::move(constant));
}

ExprPtr Case(const plan::Expression& expression, const Columns& columns) {
  auto result = make_uniq<duckdb::CaseExpression>();
  for (int i = 0; i + 1 < expression.args_size(); i += 2) {
    duckdb::CaseCheck check;
    check.when_expr = MakeExpression(expression.args(i), columns);
    check.then_expr = MakeExpression(expression.args(i + 1), columns);
    result->case_checks.push_back(std::move(check));
  }
  result->else_expr =
      MakeExpression(expression.args(expression.args_size() - 1), columns);
  return result;
}

ExprPtr Call(const plan::Expression& expression, const Columns& columns) {
  const auto& call = expression.call();
  auto arguments = Arguments(expression, columns);
  for (int i = 0; i < call.arg_names_size(); ++i) {
    if (!call.arg_names(i).empty()) arguments[i]->SetAlias(call.arg_names(i));
  }
  // It prints as such, for a statement that runs whole.
  static const std::set<std::string> operators = {
      "+", "-", "*", "/", "//", "%", "**", "||", "&", "|", "<<", ">>", "~~", "!~~"};
  const size_t count = arguments.size();
  const bool is_operator = operators.count(call.name()) > 0 &&
                           (count == 2 || (count == 1 && call.name() == "-"));
  return make_uniq<duckdb::FunctionExpression>(call.name(), std::move(arguments), nullptr,
                                               nullptr, false, is_operator);
}

ExprPtr Aggregate(const plan::Expression& expression, const Columns& columns) {
  const auto& call = expression.aggregate();
  std::string name = call.name();
  // COUNT(*) has a name of its own.
  if (name == "count" && expression.args().empty()) name = "count_star";
  auto function = make_uniq<duckdb::FunctionExpression>(
      name, Arguments(expression, columns),
      call.has_filter() ? MakeExpression(call.filter(), columns) : nullptr, nullptr,
      call.distinct());
  if (call.order_by_size() > 0) {
    function->order_bys = make_uniq<duckdb::OrderModifier>();
    function->order_bys->orders = MakeSortKeys(call.order_by(), columns);
  }
  return function;
}

ExprPtr Window(const plan::Expression& expression, const Columns& columns) {
  const auto& call = expression.window();
  const auto optional = [&](bool present, const plan::Expression& part) {
    return present ? MakeExpression(part, columns) : nullptr;
  };
  std::string name = duckdb::StringUtil::Lower(call.name());
  if (name == "count" && expression.args().empty()) name = "count_star";
  const auto type = duckdb::WindowExpression::WindowToExpressionType(name);
  auto window = make_uniq<duckdb::WindowExpression>(type, "", "", name);
  window->children = Arguments(expression, columns);
  for (const auto& key : call.partition_by()) {
    window->partitions.push_back(MakeExpression(key, columns));
  }
  window->orders = MakeSortKeys(call.order_by(), columns);
  window->arg_orders = MakeSortKeys(call.argument_order_by(), columns);
  window->filter_expr = optional(call.has_filter(), call.filter());
  window->distinct = call.distinct();
  window->ignore_nulls = call.ignore_nulls();
  window->start = Known(duckdb_terms::Boundary(call.start()), "a window without frame");
  window->end = Known(duckdb_terms::Boundary(call.end()), "a window without frame");
  window->exclude_clause = duckdb_terms::ExcludeMode(call.exclude());
  window->start_expr = optional(call.has_start_offset(), call.start_offset());
  window->end_expr = optional(call.has_end_offset(), call.end_offset());
  window->offset_expr = optional(call.has_offset(), call.offset());
  window->default_expr = optional(call.has_default_value(), call.default_value());
  return window;
}

}  // namespace

ExprPtr MakeExpression(const plan::Expression& expression, const Columns& columns) {
  switch (expression.kind_case()) {
    case plan::Expression::kColumn:
      return columns(expression.column());
    case plan::Expression::kLiteral:
      return Literal(expression);
    case plan::Expression::kCall:
      return Call(expression, columns);
    case plan::Expression::kCast:
      return make_uniq<duckdb::CastExpression>(
          ToType(expression.type()), MakeExpression(expression.args(0), columns),
          expression.cast().try_cast());
    case plan::Expression::kCase:
      return Case(expression, columns);
    case plan::Expression::kComparison:
      return make_uniq<duckdb::ComparisonExpression>(
          Known(duckdb_terms::ComparisonType(expression.comparison().op()),
                "a comparison without operator"),
          MakeExpression(expression.args(0), columns),
          MakeExpression(expression.args(1), columns));
    case plan::Expression::kConjunction:
      return make_uniq<duckdb::ConjunctionExpression>(
          expression.conjunction().is_or() ? ExpressionType::CONJUNCTION_OR
                                           : ExpressionType::CONJUNCTION_AND,
          Arguments(expression, columns));
    case plan::Expression::kOperator:
      return make_uniq<duckdb::OperatorExpression>(
          Known(duckdb_terms::OperatorType(expression.operator_().op()),
                "an unknown operator"),
          Arguments(expression, columns));
    case plan::Expression::kBetween: {
      auto arguments = Arguments(expression, columns);
      return make_uniq<duckdb::BetweenExpression>(
          std::move(arguments[0]), std::move(arguments[1]), std::move(arguments[2]));
    }
    case plan::Expression::kAggregate:
      return Aggregate(expression, columns);
    case plan::Expression::kWindow:
      return Window(expression, columns);
    default:
      throw Thrown("an expression of a kind that has no form in a data frame");
  }
}

duckdb::vector<duckdb::OrderByNode> MakeSortKeys(
    const google::protobuf::RepeatedPtrField<plan::SortKey>& keys,
    const Columns& columns) {
  duckdb::vector<duckdb::OrderByNode> orders;
  for (const auto& key : keys) {
    // A constant orders nothing, and an integer would be read as a column's position.
    if (key.expression().has_literal()) continue;
    orders.emplace_back(
        key.descending() ? duckdb::OrderType::DESCENDING : duckdb::OrderType::ASCENDING,
        key.nulls_first() ? duckdb::OrderByNullType::NULLS_FIRST
                          : duckdb::OrderByNullType::NULLS_LAST,
        MakeExpression(key.expression(), columns));
  }
  return orders;
}

}  // namespace ballista::sql::frame
