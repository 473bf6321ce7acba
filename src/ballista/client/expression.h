// Expressions over the columns of a DataFrame (data_frame.h).
//
// An Expr says what to compute; nothing happens until its DataFrame runs. Functions,
// casts, comparisons and the coercions between types are those of SQL at the scheduler,
// so `Col("price") * (1 - Col("discount"))` has the type that the same SQL has.
//
// A text stands for a column where a function takes an Expr (`Sum("price")`), and for a
// constant at an operator (`Col("segment") == "BUILDING"`). What is wrong with an
// expression (a date that is none, a column that is not there) is an error of the
// DataFrame that uses it.
//
// Values: copying is cheap, and what is shared never changes, so all of this is
// thread-safe.
#pragma once

#include <arrow/scalar.h>
#include <arrow/type.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace ballista {

namespace internal {
struct ExprNode;
}  // namespace internal

class Operand;
class SortKey;
class Window;

class Expr {
 public:
  // The column of that name.
  Expr(std::string column);  // NOLINT(google-explicit-constructor)
  Expr(const char* column);  // NOLINT(google-explicit-constructor)
  explicit Expr(std::shared_ptr<const internal::ExprNode> node);

  // The name of the column that it becomes.
  Expr As(std::string name) const;

  // To an Arrow type. A value that does not fit is an error of the query, with TryCast
  // NULL.
  Expr Cast(const std::shared_ptr<arrow::DataType>& type) const;
  Expr TryCast(const std::shared_ptr<arrow::DataType>& type) const;

  Expr IsNull() const;
  Expr IsNotNull() const;
  // Both bounds belong to the range.
  Expr Between(const Operand& lower, const Operand& upper) const;
  Expr In(const std::vector<Operand>& values) const;
  Expr NotIn(const std::vector<Operand>& values) const;
  // SQL's patterns: % is any text, _ any character.
  Expr Like(const std::string& pattern) const;
  Expr NotLike(const std::string& pattern) const;

  SortKey Asc() const;
  SortKey Desc() const;

  // Of an aggregate function: each combination of arguments once; only rows for which the
  // condition is TRUE; the order in which the rows are fed, for functions such as
  // string_agg.
  Expr Distinct() const;
  Expr Where(const Expr& condition) const;
  Expr OrderBy(const std::vector<SortKey>& keys) const;

  // An aggregate or window function over a window of rows.
  Expr Over(const Window& window) const;

  // As text, for people.
  std::string ToString() const;

  const std::shared_ptr<const internal::ExprNode>& node() const { return node_; }

 private:
  std::shared_ptr<const internal::ExprNode> node_;
};

// ---- columns and constants

Expr Col(std::string name);
// In the condition of a join: of the left or the right input.
Expr Left(std::string name);
Expr Right(std::string name);

// A number without a fraction is an INTEGER where it fits, as in SQL, else a BIGINT; one
// of floating point is a DOUBLE, which is not what SQL makes of 0.05: see Decimal.
Expr Lit(bool value);
Expr Lit(int value);
Expr Lit(int64_t value);
Expr Lit(double value);
Expr Lit(const char* value);
Expr Lit(std::string value);
// Of any of: null, boolean, integers, floats, decimal128, string, binary, date32,
// timestamp.
Expr Lit(const arrow::Scalar& value);
Expr Null();
Expr Decimal(const std::string& digits);   // "0.05": exact
Expr Date(const std::string& date);        // "1995-03-15"
Expr Timestamp(const std::string& value);  // "1995-03-15 12:30:00"
Expr Interval(int32_t months, int32_t days, int64_t microseconds = 0);

// What is a constant by itself: numbers and texts of C++.
template <typename T>
concept ConstantType =
    std::is_arithmetic_v<T> || std::is_convertible_v<const T&, std::string>;

namespace internal {

template <ConstantType T>
Expr Constant(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return Lit(value);
  } else if constexpr (std::is_integral_v<T>) {
    return Lit(static_cast<int64_t>(value));
  } else if constexpr (std::is_floating_point_v<T>) {
    return Lit(static_cast<double>(value));
  } else {
    return Lit(std::string(value));
  }
}

}  // namespace internal

// An expression, or a constant: a text is a VARCHAR here, not a column.
class Operand {
 public:
  Operand(Expr value) : expr(std::move(value)) {}  // NOLINT
  template <ConstantType T>
  Operand(const T& value) : expr(internal::Constant(value)) {}  // NOLINT

  Expr expr;
};

// A key of an order. NULLs come last unless asked for, whatever the direction.
class SortKey {
 public:
  SortKey(Expr key) : expression(std::move(key)) {}               // NOLINT: ascending
  SortKey(std::string column) : expression(std::move(column)) {}  // NOLINT
  SortKey(const char* column) : expression(column) {}             // NOLINT

  SortKey NullsFirst() const;

  Expr expression;
  bool descending = false;
  bool nulls_first = false;
};

// ---- operators: Expr with Expr, or with a constant on either side

Expr operator+(const Expr& a, const Expr& b);
Expr operator-(const Expr& a, const Expr& b);
Expr operator*(const Expr& a, const Expr& b);
Expr operator/(const Expr& a, const Expr& b);
Expr operator%(const Expr& a, const Expr& b);
Expr operator==(const Expr& a, const Expr& b);
Expr operator!=(const Expr& a, const Expr& b);
Expr operator<(const Expr& a, const Expr& b);
Expr operator<=(const Expr& a, const Expr& b);
Expr operator>(const Expr& a, const Expr& b);
Expr operator>=(const Expr& a, const Expr& b);
Expr operator&&(const Expr& a, const Expr& b);  // three-valued, as SQL's AND
Expr operator||(const Expr& a, const Expr& b);
Expr operator!(const Expr& a);
Expr operator-(const Expr& a);

// A text or number at an operator is a constant.
#define BALLISTA_CONSTANT_OPERATOR(op)                 \
  template <ConstantType T>                            \
  Expr operator op(const Expr& a, const T& constant) { \
    return a op internal::Constant(constant);          \
  }                                                    \
  template <ConstantType T>                            \
  Expr operator op(const T& constant, const Expr& b) { \
    return internal::Constant(constant) op b;          \
  }
BALLISTA_CONSTANT_OPERATOR(+)
BALLISTA_CONSTANT_OPERATOR(-)
BALLISTA_CONSTANT_OPERATOR(*)
BALLISTA_CONSTANT_OPERATOR(/)
BALLISTA_CONSTANT_OPERATOR(%)
BALLISTA_CONSTANT_OPERATOR(==)
BALLISTA_CONSTANT_OPERATOR(!=)
BALLISTA_CONSTANT_OPERATOR(<)
BALLISTA_CONSTANT_OPERATOR(<=)
BALLISTA_CONSTANT_OPERATOR(>)
BALLISTA_CONSTANT_OPERATOR(>=)
#undef BALLISTA_CONSTANT_OPERATOR

// ---- scalar functions

// Any of SQL's scalar functions, by its name.
Expr Function(const std::string& name, std::vector<Operand> arguments);
Expr Year(const Expr& date);
Expr Month(const Expr& date);
Expr Lower(const Expr& text);
Expr Upper(const Expr& text);
Expr Substring(const Expr& text, int64_t from, int64_t length);  // from 1
Expr Coalesce(const std::vector<Operand>& values);

// CASE: When(a, x).Then(b, y).Otherwise(z)
class When {
 public:
  When(const Expr& condition, const Operand& value);
  When&& Then(const Expr& condition, const Operand& value) &&;
  Expr Otherwise(const Operand& value) const;

 private:
  std::vector<Expr> parts_;
};

// ---- aggregate functions: in DataFrame::Aggregate, or Over a window

Expr Sum(const Expr& value);
Expr Avg(const Expr& value);
Expr Min(const Expr& value);
Expr Max(const Expr& value);
Expr Count(const Expr& value);  // of those that are not NULL
Expr CountRows();
Expr CountDistinct(const Expr& value);
// Any of SQL's aggregate functions, by its name.
Expr AggregateFunction(const std::string& name, std::vector<Operand> arguments);

// ---- window functions: only with Over

Expr RowNumber();
Expr Rank();
Expr DenseRank();
Expr Lag(const Expr& value, int64_t rows = 1,
         std::optional<Operand> otherwise = std::nullopt);
Expr Lead(const Expr& value, int64_t rows = 1,
          std::optional<Operand> otherwise = std::nullopt);
// Any of SQL's window functions, by its name.
Expr WindowFunction(const std::string& name, std::vector<Operand> arguments);

// Which rows a window function sees. Without Rows: from the partition's first row to the
// row's peers, or all of the partition where there is no order; as in SQL.
class Window {
 public:
  Window& PartitionBy(std::vector<Expr> keys);
  Window& OrderBy(std::vector<SortKey> keys);
  // From so many rows after the current one to so many (before it: negative). nullopt: as
  // far as the partition goes.
  Window& Rows(std::optional<int64_t> from, std::optional<int64_t> to);

  const std::vector<Expr>& partition_by() const { return partition_by_; }
  const std::vector<SortKey>& order_by() const { return order_by_; }
  bool has_rows() const { return has_rows_; }
  std::optional<int64_t> from() const { return from_; }
  std::optional<int64_t> to() const { return to_; }

 private:
  std::vector<Expr> partition_by_;
  std::vector<SortKey> order_by_;
  bool has_rows_ = false;
  std::optional<int64_t> from_;
  std::optional<int64_t> to_;
};

}  // namespace ballista
