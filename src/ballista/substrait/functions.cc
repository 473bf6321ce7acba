// Functions by name: the specification's (its extensions' YAML files) and, where they are
// called otherwise, DataFusion's.
#include <algorithm>
#include <array>
#include <string_view>

#include "ballista/substrait/translator_internal.h"

namespace ballista::substrait {
namespace {

using plan::Comparison;
using plan::Expression;
using plan::Operator;
using plan::Type;

// Means the same under the engine's name.
struct Known {
  std::string_view name;
  const char* engine;
  size_t least;
  size_t most;
};

constexpr auto kSimple = std::to_array<Known>({
    {"add", "+", 2, 2},
    {"subtract", "-", 2, 2},
    {"multiply", "*", 2, 2},
    {"modulus", "%", 2, 2},
    {"modulo", "%", 2, 2},
    {"mod", "%", 2, 2},
    {"negate", "-", 1, 1},
    {"add_intervals", "+", 2, 2},
    {"power", "pow", 2, 2},
    {"sqrt", "sqrt", 1, 1},
    {"cbrt", "cbrt", 1, 1},
    {"exp", "exp", 1, 1},
    {"abs", "abs", 1, 1},
    {"sign", "sign", 1, 1},
    {"signum", "sign", 1, 1},
    {"sin", "sin", 1, 1},
    {"cos", "cos", 1, 1},
    {"tan", "tan", 1, 1},
    {"asin", "asin", 1, 1},
    {"acos", "acos", 1, 1},
    {"atan", "atan", 1, 1},
    {"atan2", "atan2", 2, 2},
    {"radians", "radians", 1, 1},
    {"degrees", "degrees", 1, 1},
    {"ln", "ln", 1, 1},
    {"log10", "log10", 1, 1},
    {"log2", "log2", 1, 1},
    {"ceil", "ceil", 1, 1},
    {"floor", "floor", 1, 1},
    {"round", "round", 1, 2},
    {"factorial", "factorial", 1, 1},
    {"bitwise_not", "~", 1, 1},
    {"bitwise_and", "&", 2, 2},
    {"bitwise_or", "|", 2, 2},
    {"bitwise_xor", "xor", 2, 2},
    {"shift_left", "<<", 2, 2},
    {"shift_right", ">>", 2, 2},
    {"nullif", "nullif", 2, 2},
    {"greatest", "greatest", 1, 1000},
    {"least", "least", 1, 1000},
    {"is_nan", "isnan", 1, 1},
    {"isnan", "isnan", 1, 1},
    {"is_finite", "isfinite", 1, 1},
    {"is_infinite", "isinf", 1, 1},
    {"starts_with", "starts_with", 2, 2},
    {"ends_with", "ends_with", 2, 2},
    {"contains", "contains", 2, 2},
    {"substring", "substring", 2, 3},
    {"substr", "substring", 2, 3},
    {"upper", "upper", 1, 1},
    {"lower", "lower", 1, 1},
    {"trim", "trim", 1, 2},
    {"btrim", "trim", 1, 2},
    {"ltrim", "ltrim", 1, 2},
    {"rtrim", "rtrim", 1, 2},
    {"str_concat", "||", 2, 2},
    {"concat_ws", "concat_ws", 2, 1000},
    {"char_length", "length", 1, 1},
    {"character_length", "length", 1, 1},
    {"octet_length", "strlen", 1, 1},
    {"bit_length", "bit_length", 1, 1},
    {"strpos", "strpos", 2, 2},
    {"replace", "replace", 3, 3},
    {"lpad", "lpad", 3, 3},
    {"rpad", "rpad", 3, 3},
    {"left", "left", 2, 2},
    {"right", "right", 2, 2},
    {"reverse", "reverse", 1, 1},
    {"repeat", "repeat", 2, 2},
    {"string_split", "string_split", 2, 2},
    {"split_part", "split_part", 3, 3},
    {"date_trunc", "date_trunc", 2, 2},
});

struct Compared {
  std::string_view name;
  Comparison::Op op;
};

constexpr auto kComparisons = std::to_array<Compared>({
    {"equal", Comparison::EQUAL},
    {"not_equal", Comparison::NOT_EQUAL},
    {"lt", Comparison::LESS},
    {"lte", Comparison::LESS_EQUAL},
    {"gt", Comparison::GREATER},
    {"gte", Comparison::GREATER_EQUAL},
    {"is_distinct_from", Comparison::DISTINCT_FROM},
    {"is_not_distinct_from", Comparison::NOT_DISTINCT_FROM},
    {"xor", Comparison::NOT_EQUAL},
});

struct Truth {
  std::string_view name;
  Comparison::Op op;
  bool value;
};

constexpr auto kTruths = std::to_array<Truth>({
    {"is_true", Comparison::NOT_DISTINCT_FROM, true},
    {"is_false", Comparison::NOT_DISTINCT_FROM, false},
    {"is_not_true", Comparison::DISTINCT_FROM, true},
    {"is_not_false", Comparison::DISTINCT_FROM, false},
});

struct Operated {
  std::string_view name;
  Operator::Op op;
  size_t most;
};

constexpr auto kOperators = std::to_array<Operated>({
    {"not", Operator::NOT, 1},
    {"is_null", Operator::IS_NULL, 1},
    {"is_unknown", Operator::IS_NULL, 1},
    {"is_not_null", Operator::IS_NOT_NULL, 1},
    {"is_not_unknown", Operator::IS_NOT_NULL, 1},
    {"coalesce", Operator::COALESCE, 1000},
});

template <typename Table>
auto Find(const Table& table, const std::string& name) {
  return std::find_if(table.begin(), table.end(),
                      [&](const auto& entry) { return entry.name == name; });
}

arrow::Status Demand(const Call& call, size_t least, size_t most) {
  if (call.args.size() >= least && call.args.size() <= most) return arrow::Status::OK();
  return NotSupported("the function '" + call.name + "' with " +
                      std::to_string(call.args.size()) + " arguments");
}

std::vector<Expression> Expressions(Call* call) {
  std::vector<Expression> expressions;
  for (auto& arg : call->args) expressions.push_back(std::move(arg.expression));
  return expressions;
}

Expression Named(const std::string& name, std::vector<Expression> args) {
  return plan::MakeCall(name, Type(), std::move(args));
}

Typed Boolean(Expression expression) {
  return {std::move(expression), plan::MakeType(Type::BOOLEAN)};
}

bool IsInteger(const Type& type) {
  return (type.id() >= Type::TINYINT && type.id() <= Type::UHUGEINT);
}

bool IsNull(const Expression& expression) {
  return expression.has_literal() &&
         expression.literal().kind_case() == plan::Value::KIND_NOT_SET;
}

// Integers are divided to an integer, towards zero; decimals to a decimal.
arrow::Result<Typed> Divide(Call call) {
  ARROW_RETURN_NOT_OK(Demand(call, 2, 2));
  const bool integers = IsInteger(call.declared) ||
                        (call.declared.id() == Type::INVALID &&
                         IsInteger(call.args[0].type) && IsInteger(call.args[1].type));
  auto quotient = Named(integers ? "//" : "/", Expressions(&call));
  if (call.declared.id() == Type::DECIMAL) {
    quotient = Cast(std::move(quotient), call.declared);
  }
  return Typed{std::move(quotient), call.declared};
}

// `escape`: the third argument, NULL for none.
arrow::Result<Typed> Like(Call call) {
  ARROW_RETURN_NOT_OK(Demand(call, 2, 3));
  const bool any_case = call.name.find("ilike") != std::string::npos;
  const bool negated = call.name.starts_with("not_");
  auto args = Expressions(&call);
  if (args.size() == 3 && IsNull(args[2])) args.pop_back();
  // DataFusion's pattern has an escape of its own.
  if (args.size() == 2 && call.datafusion && args[1].has_literal() &&
      args[1].literal().varchar().find('\\') != std::string::npos) {
    args.push_back(LiteralOf(TextOf("\\")));
  }
  std::string name = any_case ? "~~*" : "~~";
  if (args.size() == 3) name = any_case ? "ilike_escape" : "like_escape";
  auto like = Named(name, std::move(args));
  if (negated) like = Operation(Operator::NOT, {std::move(like)});
  return Boolean(std::move(like));
}

// The part is a name of the specification's list, or the first argument.
arrow::Result<Typed> Extract(Call call) {
  if (call.enums.empty()) {
    ARROW_RETURN_NOT_OK(Demand(call, 2, 2));
    return Typed{Named("date_part", Expressions(&call)), call.declared};
  }
  if (call.enums.size() > 1 || call.args.size() != 1) {
    return NotSupported("the function '" + call.name + "' with an index or a time zone");
  }
  std::string part = call.enums[0];
  std::transform(part.begin(), part.end(), part.begin(),
                 [](unsigned char letter) { return std::tolower(letter); });
  static const std::map<std::string, std::string> renamed = {
      {"iso_year", "isoyear"},
      {"iso_week", "week"},
      {"unix_time", "epoch"},
  };
  static const std::array<std::string_view, 6> plain = {"year", "quarter", "month",
                                                        "day",  "hour",    "minute"};
  const auto other = renamed.find(part);
  if (other != renamed.end()) {
    part = other->second;
  } else if (std::find(plain.begin(), plain.end(), part) == plain.end() &&
             part != "second") {
    return NotSupported("the function 'extract' of " + call.enums[0]);
  }
  auto date_part =
      Named("date_part", {LiteralOf(TextOf(part)), std::move(call.args[0].expression)});
  return Typed{std::move(date_part), call.declared};
}

arrow::Result<Typed> Concat(Call call) {
  ARROW_RETURN_NOT_OK(Demand(call, 1, 1000));
  const auto option = call.options.find("null_handling");
  const bool ignores_null = call.datafusion || (option != call.options.end() &&
                                                option->second == "IGNORE_NULLS");
  auto args = Expressions(&call);
  if (ignores_null) return Typed{Named("concat", std::move(args)), call.declared};
  auto joined = std::move(args[0]);
  for (size_t i = 1; i < args.size(); ++i) {
    joined = Named("||", {std::move(joined), std::move(args[i])});
  }
  return Typed{std::move(joined), call.declared};
}

arrow::Result<Typed> Between(Call call) {
  ARROW_RETURN_NOT_OK(Demand(call, 3, 3));
  Expression between;
  between.mutable_between()->set_lower_inclusive(true);
  between.mutable_between()->set_upper_inclusive(true);
  for (auto& arg : call.args) *between.add_args() = std::move(arg.expression);
  return Boolean(std::move(between));
}

constexpr auto kWindows = std::to_array<Known>({
    {"row_number", "row_number", 0, 0},
    {"rank", "rank", 0, 0},
    {"dense_rank", "dense_rank", 0, 0},
    {"percent_rank", "percent_rank", 0, 0},
    {"cume_dist", "cume_dist", 0, 0},
    {"ntile", "ntile", 1, 1},
    {"first_value", "first_value", 1, 1},
    {"last_value", "last_value", 1, 1},
    {"nth_value", "nth_value", 2, 2},
    {"lead", "lead", 1, 3},
    {"lag", "lag", 1, 3},
});

constexpr auto kAggregates = std::to_array<Known>({
    {"count", "count", 0, 1},
    {"sum", "sum", 1, 1},
    {"avg", "avg", 1, 1},
    {"mean", "avg", 1, 1},
    {"min", "min", 1, 1},
    {"max", "max", 1, 1},
    {"any_value", "any_value", 1, 1},
    {"first_value", "first", 1, 1},
    {"last_value", "last", 1, 1},
    {"std_dev", "stddev_samp", 1, 1},
    {"stddev", "stddev_samp", 1, 1},
    {"stddev_samp", "stddev_samp", 1, 1},
    {"stddev_pop", "stddev_pop", 1, 1},
    {"variance", "var_samp", 1, 1},
    {"var", "var_samp", 1, 1},
    {"var_samp", "var_samp", 1, 1},
    {"var_pop", "var_pop", 1, 1},
    {"median", "median", 1, 1},
    {"mode", "mode", 1, 1},
    {"corr", "corr", 2, 2},
    {"bool_and", "bool_and", 1, 1},
    {"bool_or", "bool_or", 1, 1},
    {"bitwise_and", "bit_and", 1, 1},
    {"bitwise_or", "bit_or", 1, 1},
    {"bitwise_xor", "bit_xor", 1, 1},
    {"bit_and", "bit_and", 1, 1},
    {"bit_or", "bit_or", 1, 1},
    {"bit_xor", "bit_xor", 1, 1},
    {"product", "product", 1, 1},
    {"string_agg", "string_agg", 1, 2},
    {"array_agg", "list", 1, 1},
    {"approx_count_distinct", "approx_count_distinct", 1, 1},
    {"approx_distinct", "approx_count_distinct", 1, 1},
});

// The specification's type of the result, where the plan does not declare it.
Column ColumnOf(std::string_view name, const Call& call) {
  Column column;
  column.type = call.declared;
  const Type argument = call.args.empty() ? Type() : call.args[0].type;
  if (name == "count" || name == "approx_count_distinct") {
    column.type = plan::MakeType(Type::BIGINT);
  } else if (name == "sum") {
    // SQL's would be a HUGEINT, and of decimals it has 38 digits.
    if (column.type.id() == Type::INVALID && IsInteger(argument)) {
      column.type = plan::MakeType(Type::BIGINT);
    }
    column.cast = IsInteger(column.type) || column.type.id() == Type::FLOAT;
    column.loose = column.type.id() == Type::DECIMAL;
  } else if (name == "min" || name == "max" || name == "any_value") {
    if (column.type.id() == Type::INVALID) column.type = argument;
  } else if (name == "avg" || name == "median") {
    column.cast = column.type.id() != Type::INVALID && column.type.id() != Type::DOUBLE;
  } else {
    column.loose = column.type.id() != Type::INVALID;
  }
  return column;
}

AggregateResult ResultOf(std::string_view engine, Column column, Call call) {
  AggregateResult result;
  result.column = std::move(column);
  result.call.mutable_aggregate()->set_name(std::string(engine));
  for (auto& arg : call.args) *result.call.add_args() = std::move(arg.expression);
  return result;
}

}  // namespace

Expression Use(const Column& column, uint32_t position) {
  Expression expression;
  expression.set_column(position);
  return column.cast ? Cast(std::move(expression), column.type) : expression;
}

Column Computed(Type type, uint32_t position) {
  Column column;
  column.loose = type.id() != Type::INVALID;
  column.type = std::move(type);
  column.position = position;
  return column;
}

Expression Cast(Expression value, const Type& type) {
  Expression cast;
  *cast.mutable_type() = type;
  cast.mutable_cast();
  *cast.add_args() = std::move(value);
  return cast;
}

Expression Compare(plan::Comparison::Op op, Expression left, Expression right) {
  Expression comparison;
  comparison.mutable_comparison()->set_op(op);
  *comparison.add_args() = std::move(left);
  *comparison.add_args() = std::move(right);
  return comparison;
}

Expression Operation(Operator::Op op, std::vector<Expression> args) {
  Expression operation;
  operation.mutable_operator_()->set_op(op);
  for (auto& arg : args) *operation.add_args() = std::move(arg);
  return operation;
}

Expression Conjunction(bool is_or, std::vector<Expression> args) {
  if (args.size() == 1) return std::move(args[0]);
  Expression conjunction;
  conjunction.mutable_conjunction()->set_is_or(is_or);
  for (auto& arg : args) {
    // A chain of pairs, however long, is one level.
    if (arg.has_conjunction() && arg.conjunction().is_or() == is_or) {
      for (auto& part : *arg.mutable_args()) *conjunction.add_args() = std::move(part);
    } else {
      *conjunction.add_args() = std::move(arg);
    }
  }
  return conjunction;
}

arrow::Result<Typed> ScalarFunction(Call call) {
  const std::string& name = call.name;
  if (name == "divide") return Divide(std::move(call));
  if (name == "like" || name == "ilike" || name == "not_like" || name == "not_ilike") {
    return Like(std::move(call));
  }
  if (name == "extract" || name == "date_part") return Extract(std::move(call));
  if (name == "concat") return Concat(std::move(call));
  if (name == "between") return Between(std::move(call));
  if (!call.enums.empty()) {
    return NotSupported("the function '" + name + "' with '" + call.enums[0] + "'");
  }
  if (name == "and" || name == "or") {
    if (call.args.empty()) return Boolean(LiteralOf(TruthOf(name == "and")));
    return Boolean(Conjunction(name == "or", Expressions(&call)));
  }
  if (const auto found = Find(kComparisons, name); found != kComparisons.end()) {
    ARROW_RETURN_NOT_OK(Demand(call, 2, 2));
    return Boolean(Compare(found->op, std::move(call.args[0].expression),
                           std::move(call.args[1].expression)));
  }
  if (const auto found = Find(kTruths, name); found != kTruths.end()) {
    ARROW_RETURN_NOT_OK(Demand(call, 1, 1));
    return Boolean(Compare(found->op, std::move(call.args[0].expression),
                           LiteralOf(TruthOf(found->value))));
  }
  if (const auto found = Find(kOperators, name); found != kOperators.end()) {
    ARROW_RETURN_NOT_OK(Demand(call, 1, found->most));
    const auto type =
        found->op == Operator::COALESCE ? call.declared : plan::MakeType(Type::BOOLEAN);
    return Typed{Operation(found->op, Expressions(&call)), type};
  }
  const auto found = Find(kSimple, name);
  if (found == kSimple.end()) return NotSupported("the function '" + name + "'");
  ARROW_RETURN_NOT_OK(Demand(call, found->least, found->most));
  return Typed{Named(found->engine, Expressions(&call)), call.declared};
}

arrow::Result<AggregateResult> AggregateFunction(Call call) {
  const auto found = Find(kAggregates, call.name);
  if (found == kAggregates.end()) {
    return NotSupported("the aggregate function '" + call.name + "'");
  }
  ARROW_RETURN_NOT_OK(Demand(call, found->least, found->most));
  std::string_view engine = found->engine;
  // Older versions have it as an argument.
  const std::string distribution =
      call.enums.empty() ? call.options["distribution"] : call.enums[0];
  if (distribution == "POPULATION") {
    if (engine == "stddev_samp") engine = "stddev_pop";
    if (engine == "var_samp") engine = "var_pop";
  }
  auto column = ColumnOf(engine, call);
  return ResultOf(engine, std::move(column), std::move(call));
}

arrow::Result<AggregateResult> WindowFunction(Call call) {
  const auto found = Find(kWindows, call.name);
  if (found == kWindows.end()) return AggregateFunction(std::move(call));
  ARROW_RETURN_NOT_OK(Demand(call, found->least, found->most));
  auto column = Computed(call.declared, 0);
  return ResultOf(found->engine, std::move(column), std::move(call));
}

}  // namespace ballista::substrait
