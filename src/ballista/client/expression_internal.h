// What an Expr holds, and how it becomes an expression of the plan IR.
#pragma once

#include <arrow/result.h>

#include <optional>
#include <string>
#include <vector>

#include "ballista/client/expression.h"
#include "ballista/plan.pb.h"

namespace ballista::internal {

struct ExprNode {
  enum class Side { kAny, kLeft, kRight };

  // What it is; for all but a column, without its parts.
  plan::Expression shape;
  std::string column;  // where the shape is one
  Side side = Side::kAny;
  std::vector<Expr> args;

  // Of aggregates and windows.
  std::optional<Expr> filter;
  std::vector<SortKey> order_by;
  std::vector<Expr> partition_by;
  std::optional<Expr> offset;  // lead, lag
  std::optional<Expr> default_value;

  std::string name;     // given by As
  arrow::Status error;  // it is none

  bool is_column() const { return shape.has_column(); }
};

// The name of the column that it becomes.
std::string OutputName(const Expr& expression);

// What the names in an expression mean.
struct Scope {
  std::vector<std::string> names;
  // Of a join: columns of the left input; the rest is the right one's.
  std::optional<size_t> left;

  // Errors: UserError (BINDER), with the nearest name.
  arrow::Result<uint32_t> Find(const std::string& name,
                               ExprNode::Side side = ExprNode::Side::kAny) const;
};

// No aggregate or window function may be in it.
arrow::Result<plan::Expression> Lower(const Expr& expression, const Scope& scope);
arrow::Result<plan::SortKey> Lower(const SortKey& key, const Scope& scope);

// Window functions in it are put into `calls`; they are the columns after the scope's.
arrow::Result<plan::Expression> LowerWithWindows(const Expr& expression,
                                                 const Scope& scope,
                                                 std::vector<plan::Expression>* calls);

// Over an aggregate whose first columns are `groups`: what is outside of an aggregate
// function may only name those. Aggregate functions, over `scope`, are put into `calls`;
// they are the columns after the groups.
arrow::Result<plan::Expression> LowerWithAggregates(const Expr& expression,
                                                    const Scope& scope,
                                                    const Scope& groups,
                                                    std::vector<plan::Expression>* calls);

// Errors: Invalid for a type that SQL here does not have.
arrow::Result<plan::Type> FromArrowType(const arrow::DataType& type);

}  // namespace ballista::internal
