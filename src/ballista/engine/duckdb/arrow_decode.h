// Arrow arrays in the layout of exchanges (types.h) as DuckDB vectors. Fixed width values
// and long strings are not copied where their bytes are the same: the vector points into
// the array and keeps its batch alive. Private to the engine. Thread-safe.
#pragma once

#include <arrow/array/data.h>
#include <arrow/record_batch.h>

#include <memory>

#include "ballista/engine/duckdb/pch_internal.h"

namespace ballista::engine {

// Rows [first, first + count) of `array` into the flat vector `out`, which has the type
// that the array is the exchange form of. `batch` owns the array. Throws DuckDB's
// exceptions.
void DecodeVector(const std::shared_ptr<arrow::RecordBatch>& batch,
                  const arrow::ArrayData& array, int64_t first, int64_t count,
                  duckdb::Vector* out);

}  // namespace ballista::engine
