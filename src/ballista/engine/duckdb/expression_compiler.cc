#include "ballista/duckdb_terms/terms.h"
#include "ballista/engine/duckdb/compiler_internal.h"

namespace ballista::engine::compile {

using duckdb::ExpressionType;
using duckdb::make_uniq;

ExprPtr Column(const std::string& table, uint32_t position) {
  return make_uniq<duckdb::ColumnRefExpression>(ColumnName(position), table);
}

Columns ColumnsOf(const std::string& table) {
  return [table](uint32_t position) { return Column(table, position); };
}

Columns NoColumns() {
  return [](uint32_t) -> ExprPtr { Fail("a column where only constants may be"); };
}

ExprPtr Constant(duckdb::Value value) {
  return make_uniq<duckdb::ConstantExpression>(std::move(value));
}

ExprPtr CastTo(ExprPtr value, const plan::Type& type) {
  switch (type.id()) {
    case plan::Type::INVALID:
    case plan::Type::NULL_TYPE:
    case plan::Type::ANY:
    case plan::Type::LAMBDA:
      return value;
    default:
      return make_uniq<duckdb::CastExpression>(OrThrow(ToLogicalType(type)),
                                               std::move(value));
  }
}

ExprPtr And(duckdb::vector<ExprPtr> parts) {
  if (parts.empty()) return nullptr;
  if (parts.size() == 1) return std::move(parts[0]);
  return make_uniq<duckdb::ConjunctionExpression>(ExpressionType::CONJUNCTION_AND,
                                                  std::move(parts));
}

ExpressionType ComparisonType(plan::Comparison::Op op) {
  return Known(duckdb_terms::ComparisonType(op), "a comparison without operator");
}

namespace {

duckdb::vector<ExprPtr> Args(const plan::Expression& expression, const Columns& columns) {
  duckdb::vector<ExprPtr> args;
  for (const auto& arg : expression.args()) {
    args.push_back(CompileExpression(arg, columns));
  }
  return args;
}

void DemandArgs(const plan::Expression& expression, int count) {
  if (expression.args_size() != count) {
    Fail("an expression has " + std::to_string(expression.args_size()) +
         " arguments in place of " + std::to_string(count));
  }
}

ExprPtr Compare(ExpressionType type, ExprPtr left, ExprPtr right) {
  return make_uniq<duckdb::ComparisonExpression>(type, std::move(left), std::move(right));
}

ExprPtr CompileCase(const plan::Expression& expression, const Columns& columns) {
  if (expression.args_size() % 2 == 0) Fail("a CASE without ELSE");
  auto result = make_uniq<duckdb::CaseExpression>();
  for (int i = 0; i + 1 < expression.args_size(); i += 2) {
    duckdb::CaseCheck check;
    check.when_expr = CompileExpression(expression.args(i), columns);
    check.then_expr = CompileExpression(expression.args(i + 1), columns);
    result->case_checks.push_back(std::move(check));
  }
  result->else_expr =
      CompileExpression(expression.args(expression.args_size() - 1), columns);
  return CastTo(std::move(result), expression.type());
}

// Only inclusive bounds have a parsed form.
ExprPtr CompileBetween(const plan::Expression& expression, const Columns& columns) {
  DemandArgs(expression, 3);
  const auto& between = expression.between();
  auto args = Args(expression, columns);
  if (between.lower_inclusive() && between.upper_inclusive()) {
    return make_uniq<duckdb::BetweenExpression>(std::move(args[0]), std::move(args[1]),
                                                std::move(args[2]));
  }
  duckdb::vector<ExprPtr> parts;
  auto copy = args[0]->Copy();
  parts.push_back(Compare(between.lower_inclusive()
                              ? ExpressionType::COMPARE_GREATERTHANOREQUALTO
                              : ExpressionType::COMPARE_GREATERTHAN,
                          std::move(args[0]), std::move(args[1])));
  parts.push_back(Compare(between.upper_inclusive()
                              ? ExpressionType::COMPARE_LESSTHANOREQUALTO
                              : ExpressionType::COMPARE_LESSTHAN,
                          std::move(copy), std::move(args[2])));
  return And(std::move(parts));
}

ExprPtr CompileCall(const plan::Expression& expression, const Columns& columns) {
  const auto& call = expression.call();
  auto args = Args(expression, columns);
  for (int i = 0; i < call.arg_names_size() && i < static_cast<int>(args.size()); ++i) {
    if (!call.arg_names(i).empty()) args[i]->SetAlias(call.arg_names(i));
  }
  return CastTo(make_uniq<duckdb::FunctionExpression>(call.name(), std::move(args)),
                expression.type());
}

ExprPtr CompileAggregate(const plan::Expression& expression, const Columns& columns) {
  const auto& call = expression.aggregate();
  auto function = make_uniq<duckdb::FunctionExpression>(
      call.name(), Args(expression, columns),
      call.has_filter() ? CompileExpression(call.filter(), columns) : nullptr, nullptr,
      call.distinct());
  if (call.order_by_size() > 0) {
    function->order_bys = make_uniq<duckdb::OrderModifier>();
    function->order_bys->orders = CompileSortKeys(call.order_by(), columns);
  }
  return CastTo(std::move(function), expression.type());
}

ExprPtr CompileWindow(const plan::Expression& expression, const Columns& columns) {
  const auto& call = expression.window();
  auto optional = [&](bool present, const plan::Expression& part) {
    return present ? CompileExpression(part, columns) : nullptr;
  };
  std::string name = call.name();
  const auto type = duckdb::WindowExpression::WindowToExpressionType(name);
  auto window = make_uniq<duckdb::WindowExpression>(type, "", "", call.name());
  window->children = Args(expression, columns);
  for (const auto& key : call.partition_by()) {
    window->partitions.push_back(CompileExpression(key, columns));
  }
  window->orders = CompileSortKeys(call.order_by(), columns);
  window->arg_orders = CompileSortKeys(call.argument_order_by(), columns);
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
  return CastTo(std::move(window), expression.type());
}

std::string LambdaParameter(uint32_t id) {
  return "lambda_" + std::to_string(id);
}

ExprPtr CompileLambda(const plan::Expression& expression, const Columns& columns) {
  DemandArgs(expression, 1);
  duckdb::vector<std::string> names;
  for (uint32_t id : expression.lambda().parameters()) {
    names.push_back(LambdaParameter(id));
  }
  return make_uniq<duckdb::LambdaExpression>(
      std::move(names), CompileExpression(expression.args(0), columns));
}

ExprPtr CompileLiteral(const plan::Expression& expression) {
  return CastTo(Constant(OrThrow(ToDuckDbValue(expression.literal()))),
                expression.literal().type());
}

}  // namespace

ExprPtr CompileExpression(const plan::Expression& expression, const Columns& columns) {
  switch (expression.kind_case()) {
    case plan::Expression::kColumn:
      return columns(expression.column());
    case plan::Expression::kLiteral:
      return CompileLiteral(expression);
    case plan::Expression::kCall:
      return CompileCall(expression, columns);
    case plan::Expression::kCast:
      DemandArgs(expression, 1);
      return make_uniq<duckdb::CastExpression>(
          OrThrow(ToLogicalType(expression.type())),
          CompileExpression(expression.args(0), columns), expression.cast().try_cast());
    case plan::Expression::kCase:
      return CompileCase(expression, columns);
    case plan::Expression::kComparison:
      DemandArgs(expression, 2);
      return Compare(ComparisonType(expression.comparison().op()),
                     CompileExpression(expression.args(0), columns),
                     CompileExpression(expression.args(1), columns));
    case plan::Expression::kConjunction:
      return make_uniq<duckdb::ConjunctionExpression>(
          expression.conjunction().is_or() ? ExpressionType::CONJUNCTION_OR
                                           : ExpressionType::CONJUNCTION_AND,
          Args(expression, columns));
    case plan::Expression::kOperator:
      return make_uniq<duckdb::OperatorExpression>(
          Known(duckdb_terms::OperatorType(expression.operator_().op()),
                "an unknown operator"),
          Args(expression, columns));
    case plan::Expression::kBetween:
      return CompileBetween(expression, columns);
    case plan::Expression::kAggregate:
      return CompileAggregate(expression, columns);
    case plan::Expression::kWindow:
      return CompileWindow(expression, columns);
    case plan::Expression::kLambda:
      return CompileLambda(expression, columns);
    case plan::Expression::kLambdaParameter:
      return make_uniq<duckdb::ColumnRefExpression>(
          LambdaParameter(expression.lambda_parameter()));
    case plan::Expression::kUnnest:
      return make_uniq<duckdb::FunctionExpression>("unnest", Args(expression, columns));
    default:
      Fail("an expression without kind");
  }
}

duckdb::vector<duckdb::OrderByNode> CompileSortKeys(
    const google::protobuf::RepeatedPtrField<plan::SortKey>& keys,
    const Columns& columns) {
  duckdb::vector<duckdb::OrderByNode> orders;
  for (const auto& key : keys) {
    orders.emplace_back(
        key.descending() ? duckdb::OrderType::DESCENDING : duckdb::OrderType::ASCENDING,
        key.nulls_first() ? duckdb::OrderByNullType::NULLS_FIRST
                          : duckdb::OrderByNullType::NULLS_LAST,
        CompileExpression(key.expression(), columns));
  }
  return orders;
}

}  // namespace ballista::engine::compile
