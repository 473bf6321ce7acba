// The safety net of translation by name.
//
// An executor gets a function as a name and arguments, and binds it again. For each bound
// function this does the same at once and demands the same result: the same overload,
// argument types, return type and bind data. Whatever lives in bind data alone, and is
// not restored as arguments here, is thrown as Unsupported instead of giving a wrong
// answer later.
#pragma once

#include <string>
#include <vector>

#include "ballista/sql/pch_internal.h"

namespace ballista::sql {

using BoundExpressions = duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>;

// The arguments to give with `function`'s name (`names`: argument names, or empty). They
// are the function's own, but: decimal arithmetic without the widening casts that binding
// it adds again, and constants that binding had moved into bind data.
struct RebindArguments {
  std::vector<const duckdb::Expression*> arguments;  // of the function, or `owned`
  BoundExpressions owned;
};
RebindArguments RebindScalar(duckdb::ClientContext& context,
                             const duckdb::BoundFunctionExpression& function,
                             const std::vector<std::string>& names);

struct RestoredAggregate {
  std::string name;
  std::vector<duckdb::Value> arguments;  // to add behind the aggregate's own
};
RestoredAggregate RebindAggregate(duckdb::ClientContext& context,
                                  const duckdb::AggregateFunction& function,
                                  const BoundExpressions& children,
                                  const duckdb::LogicalType& return_type,
                                  duckdb::optional_ptr<duckdb::FunctionData> data);

// The type that `left - right` has.
duckdb::LogicalType DifferenceType(duckdb::ClientContext& context,
                                   const duckdb::LogicalType& left,
                                   const duckdb::LogicalType& right);

}  // namespace ballista::sql
