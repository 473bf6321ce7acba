// One output column's rows between DuckDB's chunks and the Arrow batch that they become.
// Private to the engine. Not thread-safe.
#pragma once

#include <arrow/array/data.h>
#include <arrow/result.h>

#include <memory>

#include "ballista/engine/duckdb/pch_internal.h"

namespace ballista::engine {

class StagedColumn {
 public:
  virtual ~StagedColumn() = default;

  // `in_order`: Take is always asked for the rows as they came, so that they can be kept
  // in their final form.
  static std::unique_ptr<StagedColumn> Make(const duckdb::LogicalType& type,
                                            bool in_order);

  // Appends the rows of `vector`. `borrow`: its strings outlive the next Take, so they
  // need not be copied. Errors: OutOfMemory.
  virtual arrow::Status Append(duckdb::Vector& vector, uint64_t count, bool borrow) = 0;

  // The rows staged, in the order of `rows` (nullptr: as they came), as an array; none is
  // staged afterwards. `count`: how many rows are staged.
  virtual arrow::Result<std::shared_ptr<arrow::ArrayData>> Take(const uint32_t* rows,
                                                                int64_t count) = 0;
};

}  // namespace ballista::engine
