// Types and values of the plan IR as DuckDB's, and the Arrow layout of exchanges.
//
// Two Arrow layouts leave this engine. A *result* has the standard Arrow types that
// DuckDB exports by default (what a client expects). An *exchange* between stages has the
// layout below: lossless, and as near to DuckDB's memory as Arrow allows.
//
//   BOOLEAN bool; integers, FLOAT, DOUBLE alike; DECIMAL decimal32 (precision to 9),
//   decimal64 (to 18), decimal128; HUGEINT, UHUGEINT decimal128(38, 0) holding the 128
//   bits, any of them; VARCHAR utf8; BLOB, BIT, BIGNUM binary (the engine's bytes); UUID
//   fixed_size_binary(16) as printed; DATE date32; TIME time64[us]; TIME_NS time64[ns];
//   TIME_TZ uint64 (the engine's bits); TIMESTAMP and its kin timestamp in their unit,
//   TIMESTAMP_TZ timestamp[us, UTC]; INTERVAL struct<months: int32, days: int32, micros:
//   int64>; ENUM the position as uint8, uint16 or uint32; LIST list; ARRAY
//   fixed_size_list; STRUCT struct; MAP map; UNION struct<tag: uint8, members...>; NULL
//   null.
//
// All functions are thread-safe.
#pragma once

#include <arrow/result.h>
#include <arrow/type.h>

#include <memory>
#include <string>
#include <vector>

#include "ballista/engine/duckdb/pch_internal.h"
#include "ballista/plan/plan.h"

namespace ballista::engine {

// Errors: Internal for a type that is none of a column.
arrow::Result<duckdb::LogicalType> ToLogicalType(const plan::Type& type);

arrow::Result<duckdb::vector<duckdb::LogicalType>> ToLogicalTypes(
    const google::protobuf::RepeatedPtrField<plan::Type>& types);

// Errors: Internal where the value does not fit its own type.
arrow::Result<duckdb::Value> ToDuckDbValue(const plan::Value& value);

// The type that a column of `type` has in an exchange.
std::shared_ptr<arrow::DataType> ExchangeType(const duckdb::LogicalType& type);

// Fields c0, c1, ... with the types of an exchange.
std::shared_ptr<arrow::Schema> ExchangeSchema(
    const duckdb::vector<duckdb::LogicalType>& types);

// Whether both hold the same bytes in an exchange: aliases and names aside.
bool SameLayout(const duckdb::LogicalType& a, const duckdb::LogicalType& b);

// The type in which a result's column of `type` is exported: plan::ToArrowType gives its
// Arrow form. BIT, BIGNUM and named types travel as the type that a client can read.
duckdb::LogicalType ResultType(const duckdb::LogicalType& type);

// The schema of a result of these columns, as DuckDB exports them. `properties` is the
// session's: its time zone is that of TIMESTAMP_TZ columns. May throw DuckDB's
// exceptions.
arrow::Result<std::shared_ptr<arrow::Schema>> ResultSchema(
    const duckdb::vector<duckdb::LogicalType>& result_types,
    const std::vector<std::string>& names, duckdb::ClientProperties properties);

}  // namespace ballista::engine
