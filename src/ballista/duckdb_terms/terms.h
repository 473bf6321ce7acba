// The plan IR's enumerations as DuckDB's parser has them: one table for whoever builds
// parsed statements, sql/ of data frames and engine/duckdb/ of fragments.
//
// Thread-safe. Nothing: the value is none that the IR knows.
#pragma once

#include <optional>

#include "ballista/plan.pb.h"
#include "duckdb/common/enums/expression_type.hpp"
#include "duckdb/common/enums/join_type.hpp"
#include "duckdb/parser/expression/window_expression.hpp"

namespace ballista::duckdb_terms {

std::optional<duckdb::ExpressionType> ComparisonType(plan::Comparison::Op op);
std::optional<duckdb::ExpressionType> OperatorType(plan::Operator::Op op);
std::optional<duckdb::JoinType> JoinType(plan::Join::Type type);
std::optional<duckdb::WindowBoundary> Boundary(plan::WindowCall::Bound bound);
duckdb::WindowExcludeMode ExcludeMode(plan::WindowCall::Exclude exclude);

}  // namespace ballista::duckdb_terms
