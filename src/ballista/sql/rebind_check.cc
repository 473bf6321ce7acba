#include "ballista/sql/rebind_check.h"

#include "ballista/sql/unsupported_internal.h"
#include "ballista/sql/value_conversion.h"

namespace ballista::sql {
namespace {

using duckdb::Expression;
using duckdb::ExpressionClass;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::Value;

// What binding looks at: a constant's value, else only the type. Anything deeper is put
// down to a reference, so that the check is linear in the size of an expression.
duckdb::unique_ptr<Expression> Stub(const Expression& argument, size_t position) {
  if (argument.GetExpressionClass() == ExpressionClass::BOUND_CONSTANT) {
    return argument.Copy();
  }
  if (argument.GetExpressionClass() == ExpressionClass::BOUND_CAST) {
    const auto& cast = argument.Cast<duckdb::BoundCastExpression>();
    if (cast.child->GetExpressionClass() == ExpressionClass::BOUND_CONSTANT) {
      return argument.Copy();
    }
  }
  return duckdb::make_uniq<duckdb::BoundReferenceExpression>(
      StripCollation(argument.return_type), position);
}

using Pointers = std::vector<const Expression*>;

Pointers PointersTo(const BoundExpressions& expressions) {
  Pointers result;
  for (const auto& expression : expressions) result.push_back(expression.get());
  return result;
}

BoundExpressions Stubs(const Pointers& arguments,
                       const std::vector<std::string>& names = {}) {
  BoundExpressions result;
  for (size_t i = 0; i < arguments.size(); ++i) {
    result.push_back(Stub(*arguments[i], i));
    if (i < names.size() && !names[i].empty()) result.back()->SetAlias(names[i]);
  }
  return result;
}

std::string CompareData(duckdb::optional_ptr<duckdb::FunctionData> again,
                        duckdb::optional_ptr<duckdb::FunctionData> original) {
  if (!again != !original) return "bind data is there on one side only";
  if (again && !again->Equals(*original)) return "bind data differs";
  return "";
}

struct Rebound {
  std::string difference;  // empty: the same function
  LogicalType return_type;
};

bool SameTypes(const duckdb::vector<LogicalType>& a,
               const duckdb::vector<LogicalType>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (StripCollation(a[i]) != StripCollation(b[i])) return false;
  }
  return true;
}

Rebound BindAgain(duckdb::ClientContext& context,
                  const duckdb::BoundFunctionExpression& function,
                  const Pointers& arguments, const std::vector<std::string>& names) {
  try {
    duckdb::FunctionBinder binder(context);
    duckdb::ErrorData error;
    auto bound = binder.BindScalarFunction(DEFAULT_SCHEMA, function.function.name,
                                           Stubs(arguments, names), error);
    if (!bound) return {"no overload fits", {}};
    if (bound->GetExpressionClass() != ExpressionClass::BOUND_FUNCTION) {
      return {bound->return_type == function.return_type ? "" : "it became a constant",
              bound->return_type};
    }
    const auto& again = bound->Cast<duckdb::BoundFunctionExpression>();
    const auto type = again.return_type;
    if (again.function.name != function.function.name) {
      return {"it is renamed to " + again.function.name, type};
    }
    if (StripCollation(type) != StripCollation(function.return_type)) {
      return {
          "return type " + type.ToString() + " was " + function.return_type.ToString(),
          type};
    }
    if (!SameTypes(again.function.arguments, function.function.arguments)) {
      return {"argument types differ", type};
    }
    return {CompareData(again.bind_info.get(), function.bind_info.get()), type};
  } catch (const std::exception& failure) {
    return {duckdb::ErrorData(failure).RawMessage(), {}};
  }
}

// ---- decimal arithmetic

bool IsDecimal(const LogicalType& type) {
  return type.id() == LogicalTypeId::DECIMAL;
}

// The narrowest width that holds a constant's digits.
int DigitsOf(const Value& constant) {
  auto number = duckdb::IntegralValue::Get(constant);
  int digits = 1;
  while (number >= duckdb::hugeint_t(10) || number <= duckdb::hugeint_t(-10)) {
    number = number / duckdb::hugeint_t(10);
    ++digits;
  }
  return digits;
}

// `argument` without a cast that only widens, at the same scale.
const Expression* WithoutWidening(const Expression& argument) {
  if (argument.GetExpressionClass() == ExpressionClass::BOUND_CAST) {
    const auto& cast = argument.Cast<duckdb::BoundCastExpression>();
    const auto& from = cast.child->return_type;
    if (!cast.try_cast && IsDecimal(from) && IsDecimal(cast.return_type) &&
        duckdb::DecimalType::GetScale(from) ==
            duckdb::DecimalType::GetScale(cast.return_type) &&
        duckdb::DecimalType::GetWidth(from) <=
            duckdb::DecimalType::GetWidth(cast.return_type)) {
      return cast.child.get();
    }
  }
  return &argument;
}

// A constant in as few digits as binding needs to widen it to what it is; nothing where
// `argument` is no constant or does not fit.
duckdb::unique_ptr<Expression> Narrowed(const Expression& argument, int width) {
  if (argument.GetExpressionClass() != ExpressionClass::BOUND_CONSTANT) return nullptr;
  const auto& value = argument.Cast<duckdb::BoundConstantExpression>().value;
  const int scale = duckdb::DecimalType::GetScale(value.type());
  if (value.IsNull() || width >= duckdb::DecimalType::GetWidth(value.type())) {
    return nullptr;
  }
  if (width < std::max(DigitsOf(value), scale) || width < 1) return nullptr;
  const auto type =
      LogicalType::DECIMAL(static_cast<uint8_t>(width), static_cast<uint8_t>(scale));
  return duckdb::make_uniq<duckdb::BoundConstantExpression>(value.DefaultCastAs(type));
}

// Binding decimal + - * widens the arguments. Binding the widened ones again would widen
// the result once more, often into 128-bit arithmetic. Gives the arguments as they were
// before, or nothing where that does not bind to the same type.
std::optional<RebindArguments> UnwidenedArguments(
    duckdb::ClientContext& context, const duckdb::BoundFunctionExpression& function) {
  const auto& name = function.function.name;
  if ((name != "+" && name != "-" && name != "*") || function.children.size() != 2) {
    return std::nullopt;
  }
  for (const auto& child : function.children) {
    if (!IsDecimal(child->return_type)) return std::nullopt;
  }
  if (!IsDecimal(function.return_type)) return std::nullopt;
  RebindArguments result;
  for (const auto& child : function.children) {
    result.arguments.push_back(WithoutWidening(*child));
  }
  const int result_width = duckdb::DecimalType::GetWidth(function.return_type);
  for (int i = 0; i < 2; ++i) {
    const auto& other = result.arguments[1 - i]->return_type;
    const int width = name == "*" ? result_width - duckdb::DecimalType::GetWidth(other)
                                  : result_width - 1;
    if (auto narrowed = Narrowed(*result.arguments[i], width)) {
      result.arguments[i] = narrowed.get();
      result.owned.push_back(std::move(narrowed));
    }
  }
  const auto again = BindAgain(context, function, result.arguments, {});
  if (again.return_type != function.return_type) return std::nullopt;
  return result;
}

// Differences that change no value: widths and overflow checks of decimal arithmetic (a
// cast to the IR's type restores the width), functions typed by their context.
bool IsBenign(const std::string& name, const std::string& difference) {
  if (name == "+" || name == "-" || name == "*") {
    return difference.rfind("return type DECIMAL", 0) == 0 ||
           difference == "bind data differs" || difference == "argument types differ";
  }
  return name == "error" || name == "constant_or_null" || name == "struct_extract_at";
}

// ---- aggregates whose constant arguments moved into bind data

duckdb::unique_ptr<duckdb::MemoryStream> Serialized(
    const duckdb::AggregateFunction& function,
    duckdb::optional_ptr<duckdb::FunctionData> data) {
  if (!data || !function.HasSerializationCallbacks()) {
    throw Unsupported("the aggregate " + function.name + ", whose arguments are lost");
  }
  auto stream = duckdb::make_uniq<duckdb::MemoryStream>();
  duckdb::BinarySerializer writer(*stream);
  writer.Begin();
  function.GetSerializeCallback()(writer, data, function);
  writer.End();
  stream->Rewind();
  return stream;
}

Value OneOrList(const duckdb::vector<Value>& values, const LogicalType& type,
                bool as_list) {
  return as_list ? Value::LIST(type, values) : values.at(0);
}

std::vector<Value> RestoreQuantiles(duckdb::BinaryDeserializer& reader, bool as_list) {
  const auto stored = reader.ReadProperty<duckdb::vector<Value>>(100, "quantiles");
  reader.ReadProperty<duckdb::vector<duckdb::idx_t>>(101, "order");
  const bool descending = reader.ReadProperty<bool>(102, "desc");
  duckdb::vector<Value> quantiles;
  for (const auto& quantile : stored) {
    if (descending && !quantile.IsNull()) {
      const auto number = quantile.DefaultCastAs(LogicalType::DOUBLE);
      quantiles.push_back(Value::DOUBLE(-number.GetValue<double>()));
    } else {
      quantiles.push_back(quantile);
    }
  }
  if (quantiles.empty()) throw Unsupported("a quantile without its argument");
  return {OneOrList(quantiles, quantiles[0].type(), as_list)};
}

template <class Number>
Value NumberList(const duckdb::vector<Number>& numbers, const LogicalType& type,
                 bool as_list) {
  duckdb::vector<Value> values;
  for (const auto number : numbers) {
    values.push_back(Value::CreateValue<Number>(number));
  }
  if (values.empty()) throw Unsupported("a quantile without its argument");
  return OneOrList(values, type, as_list);
}

// Names as in SQL of the constants that `name` has in its bind data.
std::vector<Value> MovedArguments(const duckdb::AggregateFunction& function,
                                  size_t arguments, const LogicalType& return_type,
                                  duckdb::optional_ptr<duckdb::FunctionData> data) {
  const auto& name = function.name;
  const bool as_list = return_type.id() == LogicalTypeId::LIST;
  const auto read = [&](auto&& body) {
    auto stream = Serialized(function, data);
    duckdb::BinaryDeserializer reader(*stream);
    reader.Begin();
    return body(reader);
  };
  using Reader = duckdb::BinaryDeserializer;
  if (name == "string_agg" || name == "group_concat" || name == "listagg") {
    if (arguments != 1 || !data) return {};
    return read([](Reader& reader) -> std::vector<Value> {
      return {Value(reader.ReadProperty<std::string>(100, "separator"))};
    });
  }
  if (name == "quantile_cont" || name == "quantile_disc" || name == "quantile") {
    if (arguments != 1) return {};
    return read([&](Reader& reader) { return RestoreQuantiles(reader, as_list); });
  }
  if (name == "approx_quantile") {
    if (arguments != 1) return {};
    return read([&](Reader& reader) -> std::vector<Value> {
      const auto stored = reader.ReadProperty<duckdb::vector<float>>(100, "quantiles");
      return {NumberList<float>(stored, LogicalType::FLOAT, as_list)};
    });
  }
  if (name == "reservoir_quantile") {
    if (arguments != 1) return {};
    return read([&](Reader& reader) -> std::vector<Value> {
      const auto stored = reader.ReadProperty<duckdb::vector<double>>(100, "quantiles");
      const auto size = reader.ReadProperty<duckdb::idx_t>(101, "sample_size");
      return {NumberList<double>(stored, LogicalType::DOUBLE, as_list),
              Value::INTEGER(static_cast<int32_t>(size))};
    });
  }
  if (name == "bitstring_agg") {
    if (arguments != 1 || !data) return {};
    return read([](Reader& reader) -> std::vector<Value> {
      auto low = reader.ReadProperty<Value>(100, "min");
      auto high = reader.ReadProperty<Value>(101, "max");
      if (low.IsNull()) {
        // What DuckDB says, when it runs the query.
        throw duckdb::BinderException(
            "Could not retrieve required statistics. Alternatively, try by providing the "
            "statistics explicitly: BITSTRING_AGG(col, min, max)");
      }
      return {std::move(low), std::move(high)};
    });
  }
  return {};
}

std::string AggregateDifference(duckdb::ClientContext& context,
                                const duckdb::AggregateFunction& function,
                                const RestoredAggregate& restored,
                                BoundExpressions arguments,
                                const LogicalType& return_type,
                                duckdb::optional_ptr<duckdb::FunctionData> data) {
  try {
    auto& entry = duckdb::Catalog::GetEntry<duckdb::AggregateFunctionCatalogEntry>(
        context, INVALID_CATALOG, DEFAULT_SCHEMA, restored.name);
    duckdb::FunctionBinder binder(context);
    duckdb::ErrorData error;
    auto found = binder.BindFunction(entry.name, entry.functions, arguments, error);
    if (!found.IsValid()) return "no overload fits";
    auto bound = binder.BindAggregateFunction(
        entry.functions.GetFunctionByOffset(found.GetIndex()), std::move(arguments));
    if (StripCollation(bound->return_type) != StripCollation(return_type)) {
      return "return type " + bound->return_type.ToString() + " was " +
             return_type.ToString();
    }
    if (restored.name == function.name &&
        !SameTypes(bound->function.arguments, function.arguments)) {
      return "argument types differ";
    }
    return CompareData(bound->bind_info.get(), data);
  } catch (const std::exception& failure) {
    return duckdb::ErrorData(failure).RawMessage();
  }
}

Unsupported Lost(const std::string& name, const std::string& difference) {
  return Unsupported(name + "() does not bind again to the same function: " + difference);
}

}  // namespace

RebindArguments RebindScalar(duckdb::ClientContext& context,
                             const duckdb::BoundFunctionExpression& function,
                             const std::vector<std::string>& names) {
  if (auto unwidened = UnwidenedArguments(context, function)) {
    return std::move(*unwidened);
  }
  const auto& name = function.function.name;
  RebindArguments result;
  result.arguments = PointersTo(function.children);
  // date_part with a list of parts: binding moved the list into the return type.
  if ((name == "date_part" || name == "datepart") && result.arguments.size() == 1 &&
      function.return_type.id() == LogicalTypeId::STRUCT) {
    duckdb::vector<Value> parts;
    for (const auto& field : duckdb::StructType::GetChildTypes(function.return_type)) {
      parts.emplace_back(field.first);
    }
    result.owned.push_back(duckdb::make_uniq<duckdb::BoundConstantExpression>(
        Value::LIST(LogicalType::VARCHAR, std::move(parts))));
    result.arguments.insert(result.arguments.begin(), result.owned.back().get());
  }
  const auto again = BindAgain(context, function, result.arguments, names);
  if (!again.difference.empty() && !IsBenign(name, again.difference)) {
    throw Lost(name, again.difference);
  }
  return result;
}

RestoredAggregate RebindAggregate(duckdb::ClientContext& context,
                                  const duckdb::AggregateFunction& function,
                                  const BoundExpressions& children,
                                  const LogicalType& return_type,
                                  duckdb::optional_ptr<duckdb::FunctionData> data) {
  RestoredAggregate restored;
  restored.name = function.name == "sum_no_overflow" ? "sum" : function.name;
  restored.arguments = MovedArguments(function, children.size(), return_type, data);
  auto arguments = Stubs(PointersTo(children));
  for (const auto& value : restored.arguments) {
    arguments.push_back(duckdb::make_uniq<duckdb::BoundConstantExpression>(value));
  }
  const auto difference = AggregateDifference(context, function, restored,
                                              std::move(arguments), return_type, data);
  if (!difference.empty()) throw Lost(function.name, difference);
  return restored;
}

LogicalType DifferenceType(duckdb::ClientContext& context, const LogicalType& left,
                           const LogicalType& right) {
  duckdb::FunctionBinder binder(context);
  duckdb::ErrorData error;
  BoundExpressions arguments;
  arguments.push_back(duckdb::make_uniq<duckdb::BoundReferenceExpression>(left, 0));
  arguments.push_back(duckdb::make_uniq<duckdb::BoundReferenceExpression>(right, 1));
  auto bound =
      binder.BindScalarFunction(DEFAULT_SCHEMA, "-", std::move(arguments), error);
  if (!bound) throw Unsupported("a RANGE frame over " + left.ToString());
  return bound->return_type;
}

}  // namespace ballista::sql
