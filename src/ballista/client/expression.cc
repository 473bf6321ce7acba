#include "ballista/client/expression.h"

#include <arrow/util/decimal.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "ballista/client/expression_internal.h"
#include "ballista/plan/plan.h"

namespace ballista {

using internal::ExprNode;

namespace {

Expr Make(ExprNode node) {
  return Expr(std::make_shared<const ExprNode>(std::move(node)));
}

Expr Failed(arrow::Status error) {
  ExprNode node;
  node.error = std::move(error);
  return Make(std::move(node));
}

ExprNode Copy(const Expr& expression) {
  return *expression.node();
}

Expr ColumnOf(std::string name, ExprNode::Side side) {
  ExprNode node;
  node.shape.set_column(0);
  node.column = std::move(name);
  node.side = side;
  return Make(std::move(node));
}

Expr Literal(plan::Value value) {
  ExprNode node;
  *node.shape.mutable_literal() = std::move(value);
  return Make(std::move(node));
}

plan::Value ValueOf(plan::Type::Id type) {
  plan::Value value;
  value.mutable_type()->set_id(type);
  return value;
}

Expr IntLiteral(plan::Type::Id type, int64_t value) {
  auto literal = ValueOf(type);
  literal.set_int_(value);
  return Literal(std::move(literal));
}

Expr Call(const std::string& name, std::vector<Expr> args) {
  ExprNode node;
  node.shape.mutable_call()->set_name(name);
  node.args = std::move(args);
  return Make(std::move(node));
}

Expr Compare(plan::Comparison::Op op, const Expr& a, const Expr& b) {
  ExprNode node;
  node.shape.mutable_comparison()->set_op(op);
  node.args = {a, b};
  return Make(std::move(node));
}

// a AND b AND c is one conjunction.
Expr Conjunction(bool is_or, const Expr& a, const Expr& b) {
  ExprNode node;
  node.shape.mutable_conjunction()->set_is_or(is_or);
  for (const auto& side : {a, b}) {
    const auto& part = *side.node();
    const bool same = part.error.ok() && part.name.empty() &&
                      part.shape.has_conjunction() &&
                      part.shape.conjunction().is_or() == is_or;
    if (same) {
      node.args.insert(node.args.end(), part.args.begin(), part.args.end());
    } else {
      node.args.push_back(side);
    }
  }
  return Make(std::move(node));
}

Expr Operator(plan::Operator::Op op, std::vector<Expr> args) {
  ExprNode node;
  node.shape.mutable_operator_()->set_op(op);
  node.args = std::move(args);
  return Make(std::move(node));
}

std::vector<Expr> Exprs(const std::vector<Operand>& operands) {
  std::vector<Expr> expressions;
  for (const auto& operand : operands) expressions.push_back(operand.expr);
  return expressions;
}

std::string LowerCase(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

Expr Aggregate(const std::string& name, std::vector<Expr> args, bool distinct = false) {
  ExprNode node;
  node.shape.mutable_aggregate()->set_name(LowerCase(name));
  node.shape.mutable_aggregate()->set_distinct(distinct);
  node.args = std::move(args);
  return Make(std::move(node));
}

Expr WindowCall(const std::string& name, std::vector<Expr> args) {
  ExprNode node;
  node.shape.mutable_window()->set_name(LowerCase(name));
  node.args = std::move(args);
  return Make(std::move(node));
}

Expr CastTo(const Expr& value, const std::shared_ptr<arrow::DataType>& type, bool tries) {
  if (type == nullptr) return Failed(arrow::Status::Invalid("a cast to no type"));
  auto wanted = internal::FromArrowType(*type);
  if (!wanted.ok()) return Failed(wanted.status());
  ExprNode node;
  *node.shape.mutable_type() = *std::move(wanted);
  node.shape.mutable_cast()->set_try_cast(tries);
  node.args = {value};
  return Make(std::move(node));
}

}  // namespace

// ------------------------------------------------------------------------- Expr

Expr::Expr(std::string column)
    : Expr(ColumnOf(std::move(column), ExprNode::Side::kAny)) {}
Expr::Expr(const char* column) : Expr(std::string(column)) {}
Expr::Expr(std::shared_ptr<const ExprNode> node) : node_(std::move(node)) {}

Expr Expr::As(std::string name) const {
  auto node = Copy(*this);
  node.name = std::move(name);
  return Make(std::move(node));
}

Expr Expr::Cast(const std::shared_ptr<arrow::DataType>& type) const {
  return CastTo(*this, type, false);
}
Expr Expr::TryCast(const std::shared_ptr<arrow::DataType>& type) const {
  return CastTo(*this, type, true);
}

Expr Expr::IsNull() const {
  return Operator(plan::Operator::IS_NULL, {*this});
}
Expr Expr::IsNotNull() const {
  return Operator(plan::Operator::IS_NOT_NULL, {*this});
}

Expr Expr::Between(const Operand& lower, const Operand& upper) const {
  ExprNode node;
  node.shape.mutable_between()->set_lower_inclusive(true);
  node.shape.mutable_between()->set_upper_inclusive(true);
  node.args = {*this, lower.expr, upper.expr};
  return Make(std::move(node));
}

Expr Expr::In(const std::vector<Operand>& values) const {
  if (values.empty()) return Failed(arrow::Status::Invalid("In needs a value"));
  auto args = Exprs(values);
  args.insert(args.begin(), *this);
  return Operator(plan::Operator::IN, std::move(args));
}

Expr Expr::NotIn(const std::vector<Operand>& values) const {
  if (values.empty()) return Failed(arrow::Status::Invalid("NotIn needs a value"));
  auto args = Exprs(values);
  args.insert(args.begin(), *this);
  return Operator(plan::Operator::NOT_IN, std::move(args));
}

Expr Expr::Like(const std::string& pattern) const {
  return Call("~~", {*this, Lit(pattern)});
}
Expr Expr::NotLike(const std::string& pattern) const {
  return Call("!~~", {*this, Lit(pattern)});
}

SortKey Expr::Asc() const {
  return SortKey(*this);
}
SortKey Expr::Desc() const {
  SortKey key(*this);
  key.descending = true;
  return key;
}
SortKey SortKey::NullsFirst() const {
  SortKey key = *this;
  key.nulls_first = true;
  return key;
}

Expr Expr::Distinct() const {
  auto node = Copy(*this);
  if (node.shape.has_aggregate()) {
    node.shape.mutable_aggregate()->set_distinct(true);
  } else {
    node.error = arrow::Status::Invalid("Distinct belongs to an aggregate function, not ",
                                        ToString());
  }
  return Make(std::move(node));
}

Expr Expr::Where(const Expr& condition) const {
  auto node = Copy(*this);
  if (node.shape.has_aggregate()) {
    node.filter = condition;
  } else {
    node.error = arrow::Status::Invalid("Where belongs to an aggregate function, not ",
                                        ToString());
  }
  return Make(std::move(node));
}

Expr Expr::OrderBy(const std::vector<SortKey>& keys) const {
  auto node = Copy(*this);
  if (node.shape.has_aggregate()) {
    node.order_by = keys;
  } else {
    node.error = arrow::Status::Invalid("OrderBy belongs to an aggregate function, not ",
                                        ToString());
  }
  return Make(std::move(node));
}

namespace {

// One bound of ROWS: so many rows from the current one.
plan::WindowCall::Bound BoundOf(std::optional<int64_t> rows, bool is_start) {
  if (!rows) {
    return is_start ? plan::WindowCall::UNBOUNDED_PRECEDING
                    : plan::WindowCall::UNBOUNDED_FOLLOWING;
  }
  if (*rows == 0) return plan::WindowCall::CURRENT_ROW_ROWS;
  return *rows < 0 ? plan::WindowCall::PRECEDING_ROWS : plan::WindowCall::FOLLOWING_ROWS;
}

}  // namespace

Expr Expr::Over(const Window& window) const {
  auto node = Copy(*this);
  if (node.shape.has_aggregate()) {
    const auto aggregate = node.shape.aggregate();
    node.shape.mutable_window()->set_name(aggregate.name());
    node.shape.mutable_window()->set_distinct(aggregate.distinct());
    if (!node.order_by.empty()) {
      node.error = arrow::Status::NotImplemented("an order within a window function");
    }
  } else if (!node.shape.has_window()) {
    node.error = arrow::Status::Invalid(
        "Over belongs to an aggregate or window function, not ", ToString());
    return Make(std::move(node));
  }
  auto* call = node.shape.mutable_window();
  node.partition_by = window.partition_by();
  node.order_by = window.order_by();
  call->set_start(plan::WindowCall::UNBOUNDED_PRECEDING);
  call->set_end(plan::WindowCall::CURRENT_ROW_RANGE);
  if (window.has_rows()) {
    const auto distance = [](std::optional<int64_t> rows) {
      auto value = ValueOf(plan::Type::BIGINT);
      value.set_int_(*rows < 0 ? -*rows : *rows);
      plan::Expression offset;
      *offset.mutable_literal() = std::move(value);
      return offset;
    };
    call->set_start(BoundOf(window.from(), true));
    call->set_end(BoundOf(window.to(), false));
    if (window.from().value_or(0) != 0) {
      *call->mutable_start_offset() = distance(window.from());
    }
    if (window.to().value_or(0) != 0) {
      *call->mutable_end_offset() = distance(window.to());
    }
  }
  return Make(std::move(node));
}

// ------------------------------------------------------------------------- constants

Expr Col(std::string name) {
  return ColumnOf(std::move(name), ExprNode::Side::kAny);
}
Expr Left(std::string name) {
  return ColumnOf(std::move(name), ExprNode::Side::kLeft);
}
Expr Right(std::string name) {
  return ColumnOf(std::move(name), ExprNode::Side::kRight);
}

Expr Lit(bool value) {
  auto literal = ValueOf(plan::Type::BOOLEAN);
  literal.set_boolean(value);
  return Literal(std::move(literal));
}
Expr Lit(int value) {
  return Lit(static_cast<int64_t>(value));
}
Expr Lit(int64_t value) {
  const bool fits = value >= INT32_MIN && value <= INT32_MAX;
  return IntLiteral(fits ? plan::Type::INTEGER : plan::Type::BIGINT, value);
}
Expr Lit(double value) {
  auto literal = ValueOf(plan::Type::DOUBLE);
  literal.set_double_(value);
  return Literal(std::move(literal));
}
Expr Lit(const char* value) {
  return Lit(std::string(value));
}
Expr Lit(std::string value) {
  auto literal = ValueOf(plan::Type::VARCHAR);
  literal.set_varchar(std::move(value));
  return Literal(std::move(literal));
}
Expr Null() {
  return Literal(ValueOf(plan::Type::NULL_TYPE));
}

namespace {

Expr DecimalLiteral(const arrow::Decimal128& digits, int32_t precision, int32_t scale) {
  plan::Value value;
  *value.mutable_type() =
      plan::DecimalType(static_cast<uint32_t>(precision), static_cast<uint32_t>(scale));
  if (precision <= 18) {
    value.set_int_(static_cast<int64_t>(digits.low_bits()));
  } else {
    const auto bytes = digits.ToBytes();  // little-endian, as the machine
    value.set_wide(bytes.data(), bytes.size());
  }
  return Literal(std::move(value));
}

arrow::Status NoConstant(const arrow::Scalar& value) {
  return arrow::Status::Invalid("a constant cannot be of the type ",
                                value.type->ToString());
}

template <typename ScalarType>
auto ValueIn(const arrow::Scalar& value) {
  return static_cast<const ScalarType&>(value).value;
}

}  // namespace

Expr Lit(const arrow::Scalar& value) {
  auto type = internal::FromArrowType(*value.type);
  if (!type.ok()) return Failed(type.status());
  plan::Value literal;
  *literal.mutable_type() = *type;
  if (!value.is_valid) return Literal(std::move(literal));
  switch (value.type->id()) {
    case arrow::Type::BOOL:
      return Lit(ValueIn<arrow::BooleanScalar>(value));
    case arrow::Type::INT8:
      return IntLiteral(type->id(), ValueIn<arrow::Int8Scalar>(value));
    case arrow::Type::INT16:
      return IntLiteral(type->id(), ValueIn<arrow::Int16Scalar>(value));
    case arrow::Type::INT32:
      return IntLiteral(type->id(), ValueIn<arrow::Int32Scalar>(value));
    case arrow::Type::INT64:
      return IntLiteral(type->id(), ValueIn<arrow::Int64Scalar>(value));
    case arrow::Type::DATE32:
      return IntLiteral(type->id(), ValueIn<arrow::Date32Scalar>(value));
    case arrow::Type::UINT8:
      literal.set_uint(ValueIn<arrow::UInt8Scalar>(value));
      return Literal(std::move(literal));
    case arrow::Type::UINT16:
      literal.set_uint(ValueIn<arrow::UInt16Scalar>(value));
      return Literal(std::move(literal));
    case arrow::Type::UINT32:
      literal.set_uint(ValueIn<arrow::UInt32Scalar>(value));
      return Literal(std::move(literal));
    case arrow::Type::UINT64:
      literal.set_uint(ValueIn<arrow::UInt64Scalar>(value));
      return Literal(std::move(literal));
    case arrow::Type::FLOAT:
      literal.set_float_(ValueIn<arrow::FloatScalar>(value));
      return Literal(std::move(literal));
    case arrow::Type::DOUBLE:
      return Lit(ValueIn<arrow::DoubleScalar>(value));
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
      return Lit(ValueIn<arrow::BaseBinaryScalar>(value)->ToString());
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_BINARY:
      literal.set_blob(ValueIn<arrow::BaseBinaryScalar>(value)->ToString());
      return Literal(std::move(literal));
    case arrow::Type::DECIMAL128: {
      const auto& decimal = static_cast<const arrow::Decimal128Type&>(*value.type);
      return DecimalLiteral(ValueIn<arrow::Decimal128Scalar>(value), decimal.precision(),
                            decimal.scale());
    }
    case arrow::Type::TIMESTAMP: {
      const auto& timestamp = static_cast<const arrow::TimestampType&>(*value.type);
      if (!timestamp.timezone().empty() && timestamp.unit() != arrow::TimeUnit::MICRO) {
        return Failed(NoConstant(value));
      }
      return IntLiteral(type->id(), ValueIn<arrow::TimestampScalar>(value));
    }
    default:
      return Failed(NoConstant(value));
  }
}

Expr Decimal(const std::string& digits) {
  arrow::Decimal128 value;
  int32_t precision = 0;
  int32_t scale = 0;
  const auto parsed = arrow::Decimal128::FromString(digits, &value, &precision, &scale);
  const auto count = static_cast<int32_t>(std::count_if(
      digits.begin(), digits.end(), [](unsigned char c) { return std::isdigit(c); }));
  // As SQL reads it: all digits count.
  const bool plain = digits.find_first_of("eE") == std::string::npos;
  if (!parsed.ok() || !plain || scale < 0 || count > 38) {
    return Failed(
        arrow::Status::Invalid("'", digits, "' is no decimal number of up to 38 digits"));
  }
  return DecimalLiteral(value, count, scale);
}

Expr Date(const std::string& date) {
  auto parsed = arrow::Scalar::Parse(arrow::date32(), date);
  if (parsed.ok()) return Lit(**parsed);
  return Failed(arrow::Status::Invalid("'", date, "' is no date like 1995-03-15"));
}

Expr Timestamp(const std::string& value) {
  auto parsed = arrow::Scalar::Parse(arrow::timestamp(arrow::TimeUnit::MICRO), value);
  if (parsed.ok()) return Lit(**parsed);
  return Failed(
      arrow::Status::Invalid("'", value, "' is no timestamp like 1995-03-15 12:30:00"));
}

Expr Interval(int32_t months, int32_t days, int64_t microseconds) {
  auto literal = ValueOf(plan::Type::INTERVAL);
  literal.mutable_interval()->set_months(months);
  literal.mutable_interval()->set_days(days);
  literal.mutable_interval()->set_micros(microseconds);
  return Literal(std::move(literal));
}

// ------------------------------------------------------------------------- operators

Expr operator+(const Expr& a, const Expr& b) {
  return Call("+", {a, b});
}
Expr operator-(const Expr& a, const Expr& b) {
  return Call("-", {a, b});
}
Expr operator*(const Expr& a, const Expr& b) {
  return Call("*", {a, b});
}
Expr operator/(const Expr& a, const Expr& b) {
  return Call("/", {a, b});
}
Expr operator%(const Expr& a, const Expr& b) {
  return Call("%", {a, b});
}
Expr operator==(const Expr& a, const Expr& b) {
  return Compare(plan::Comparison::EQUAL, a, b);
}
Expr operator!=(const Expr& a, const Expr& b) {
  return Compare(plan::Comparison::NOT_EQUAL, a, b);
}
Expr operator<(const Expr& a, const Expr& b) {
  return Compare(plan::Comparison::LESS, a, b);
}
Expr operator<=(const Expr& a, const Expr& b) {
  return Compare(plan::Comparison::LESS_EQUAL, a, b);
}
Expr operator>(const Expr& a, const Expr& b) {
  return Compare(plan::Comparison::GREATER, a, b);
}
Expr operator>=(const Expr& a, const Expr& b) {
  return Compare(plan::Comparison::GREATER_EQUAL, a, b);
}
Expr operator&&(const Expr& a, const Expr& b) {
  return Conjunction(false, a, b);
}
Expr operator||(const Expr& a, const Expr& b) {
  return Conjunction(true, a, b);
}
Expr operator!(const Expr& a) {
  return Operator(plan::Operator::NOT, {a});
}
Expr operator-(const Expr& a) {
  return Call("-", {a});
}

// ------------------------------------------------------------------------- functions

Expr Function(const std::string& name, std::vector<Operand> arguments) {
  return Call(LowerCase(name), Exprs(arguments));
}
Expr Year(const Expr& date) {
  return Call("year", {date});
}
Expr Month(const Expr& date) {
  return Call("month", {date});
}
Expr Lower(const Expr& text) {
  return Call("lower", {text});
}
Expr Upper(const Expr& text) {
  return Call("upper", {text});
}
Expr Substring(const Expr& text, int64_t from, int64_t length) {
  return Call("substring", {text, Lit(from), Lit(length)});
}
Expr Coalesce(const std::vector<Operand>& values) {
  if (values.empty()) return Failed(arrow::Status::Invalid("Coalesce needs a value"));
  return Operator(plan::Operator::COALESCE, Exprs(values));
}

When::When(const Expr& condition, const Operand& value)
    : parts_({condition, value.expr}) {}
When&& When::Then(const Expr& condition, const Operand& value) && {
  parts_.push_back(condition);
  parts_.push_back(value.expr);
  return std::move(*this);
}
Expr When::Otherwise(const Operand& value) const {
  ExprNode node;
  node.shape.mutable_case_();
  node.args = parts_;
  node.args.push_back(value.expr);
  return Make(std::move(node));
}

Expr Sum(const Expr& value) {
  return Aggregate("sum", {value});
}
Expr Avg(const Expr& value) {
  return Aggregate("avg", {value});
}
Expr Min(const Expr& value) {
  return Aggregate("min", {value});
}
Expr Max(const Expr& value) {
  return Aggregate("max", {value});
}
Expr Count(const Expr& value) {
  return Aggregate("count", {value});
}
Expr CountRows() {
  return Aggregate("count", {});
}
Expr CountDistinct(const Expr& value) {
  return Aggregate("count", {value}, true);
}
Expr AggregateFunction(const std::string& name, std::vector<Operand> arguments) {
  return Aggregate(name, Exprs(arguments));
}

Expr RowNumber() {
  return WindowCall("row_number", {});
}
Expr Rank() {
  return WindowCall("rank", {});
}
Expr DenseRank() {
  return WindowCall("dense_rank", {});
}

namespace {

Expr Shift(const char* name, const Expr& value, int64_t rows,
           std::optional<Operand> otherwise) {
  auto node = Copy(WindowCall(name, {value}));
  node.offset = Lit(rows);
  if (otherwise) node.default_value = otherwise->expr;
  return Make(std::move(node));
}

}  // namespace

Expr Lag(const Expr& value, int64_t rows, std::optional<Operand> otherwise) {
  return Shift("lag", value, rows, std::move(otherwise));
}
Expr Lead(const Expr& value, int64_t rows, std::optional<Operand> otherwise) {
  return Shift("lead", value, rows, std::move(otherwise));
}
Expr WindowFunction(const std::string& name, std::vector<Operand> arguments) {
  return WindowCall(name, Exprs(arguments));
}

Window& Window::PartitionBy(std::vector<Expr> keys) {
  partition_by_ = std::move(keys);
  return *this;
}
Window& Window::OrderBy(std::vector<SortKey> keys) {
  order_by_ = std::move(keys);
  return *this;
}
Window& Window::Rows(std::optional<int64_t> from, std::optional<int64_t> to) {
  has_rows_ = true;
  from_ = from;
  to_ = to;
  return *this;
}

}  // namespace ballista
