// The expressions of a data frame as DuckDB's parsed expressions.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "ballista/plan.pb.h"
#include "ballista/sql/pch_internal.h"

namespace ballista::sql::frame {

using ExprPtr = duckdb::unique_ptr<duckdb::ParsedExpression>;
// The reference to a column by its position.
using Columns = std::function<ExprPtr(uint32_t)>;

// Thrown within the folder; ends as the status.
class Refused : public std::exception {
 public:
  explicit Refused(arrow::Status status) : status_(std::move(status)) {}
  const arrow::Status& status() const { return status_; }

 private:
  arrow::Status status_;
};

// UserError (BINDER).
Refused Thrown(const std::string& what);

// Throws Thrown(`unknown`) for nothing.
template <typename T>
T Known(std::optional<T> term, const char* unknown) {
  if (!term) throw Thrown(unknown);
  return *term;
}

// All of them throw Refused.
duckdb::Value ToValue(const plan::Value& value);
ExprPtr MakeExpression(const plan::Expression& expression, const Columns& columns);
duckdb::vector<duckdb::OrderByNode> MakeSortKeys(
    const google::protobuf::RepeatedPtrField<plan::SortKey>& keys,
    const Columns& columns);

}  // namespace ballista::sql::frame
