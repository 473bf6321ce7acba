// Types and values between DuckDB and the plan IR. The encoding is the one that
// plan.proto's comments on Type and Value define.
//
// Thread-safe (no state). To the IR: throws Unsupported for a type that it does not have.
// From the IR: input from clients, checked in every part; errors are UserError.
#pragma once

#include <arrow/result.h>

#include "ballista/plan.pb.h"
#include "ballista/sql/pch_internal.h"

namespace ballista::sql {

// The type without its collation, which the binder has made explicit in expressions.
duckdb::LogicalType StripCollation(const duckdb::LogicalType& type);

plan::Type ToPlanType(const duckdb::LogicalType& type);
plan::Value ToPlanValue(const duckdb::Value& value);

arrow::Result<duckdb::LogicalType> FromPlanType(const plan::Type& type);
arrow::Result<duckdb::Value> FromPlanValue(const plan::Value& value);

}  // namespace ballista::sql
