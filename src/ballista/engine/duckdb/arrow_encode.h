// Rows of DuckDB vectors, in any order, as Arrow arrays in the layout of exchanges
// (types.h). Private to the engine. Thread-safe: no state.
//
// `rows` names the source rows in the order wanted; nullptr means 0, 1, ... Errors:
// CapacityError where an array would need more than 2^31 bytes of strings, OutOfMemory.
#pragma once

#include <arrow/array/data.h>
#include <arrow/result.h>

#include <cstdint>
#include <memory>

#include "ballista/engine/duckdb/pch_internal.h"

namespace ballista::engine {

// A type whose values have one fixed width in DuckDB's memory.
bool IsFixedWidth(const duckdb::LogicalType& type);
// One whose values are string_t.
bool IsString(const duckdb::LogicalType& type);

// Whether the Arrow form of a fixed width type is the same bytes.
bool SameBytesInArrow(const duckdb::LogicalType& type);

// `valid` has a byte for each source row (0: NULL), or is nullptr: no NULLs.
arrow::Result<std::shared_ptr<arrow::ArrayData>> EncodeFixed(
    const duckdb::LogicalType& type, const std::shared_ptr<arrow::DataType>& arrow_type,
    const uint8_t* source, const uint8_t* valid, const uint32_t* rows, int64_t count);

// The string of a NULL row must be empty.
arrow::Result<std::shared_ptr<arrow::ArrayData>> EncodeStrings(
    const std::shared_ptr<arrow::DataType>& arrow_type, const duckdb::string_t* source,
    const uint8_t* valid, const uint32_t* rows, int64_t count);

// Any type. `vector` holds `source_count` rows; it may be flattened.
arrow::Result<std::shared_ptr<arrow::ArrayData>> EncodeVector(
    const std::shared_ptr<arrow::DataType>& arrow_type, duckdb::Vector& vector,
    uint64_t source_count, const uint32_t* rows, int64_t count);

// A bitmap of the rows' validity; nullptr where all are valid.
arrow::Result<std::shared_ptr<arrow::Buffer>> EncodeValidity(const uint8_t* valid,
                                                             const uint32_t* rows,
                                                             int64_t count,
                                                             int64_t* null_count);

// About how many bytes the strings and elements of the rows of `vector` take in Arrow.
uint64_t StringBytes(duckdb::Vector& vector, uint64_t count);

}  // namespace ballista::engine
