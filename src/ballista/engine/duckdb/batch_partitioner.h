// Turns the chunks that one thread of a task produces into batches sorted by partition.
//
// Rows are staged, 32k at a time, and their numbers counting-sorted by partition; each
// column is then gathered into one Arrow batch with P + 1 row offsets. Cost and memory do
// not depend on the number of partitions P. With one partition rows are appended to their
// Arrow buffers at once.
//
// Private to the engine. Not thread-safe: one for each thread.
#pragma once

#include <arrow/result.h>
#include <arrow/type.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "ballista/engine/duckdb/staged_column.h"
#include "ballista/shuffle/exchange.h"

namespace ballista::engine {

struct PartitionerOptions {
  std::vector<uint32_t> keys;   // columns that the hash is over
  uint32_t num_partitions = 1;  // 1..65535
  uint64_t batch_rows = 32768;  // at least 1
  // Of variable width data in one batch; a row that is larger is a batch of its own.
  uint64_t batch_bytes = 16 << 20;
};

class BatchPartitioner {
 public:
  using Emit = std::function<arrow::Status(shuffle::PartitionedBatch)>;

  BatchPartitioner(const duckdb::vector<duckdb::LogicalType>& types,
                   PartitionerOptions options, Emit emit);

  // Errors: those of `emit`, OutOfMemory, CapacityError (one row over 2 GB). May throw
  // DuckDB's exceptions. The chunk's vectors may be flattened.
  arrow::Status Append(duckdb::DataChunk& chunk);

  // Emits what is staged.
  arrow::Status Flush();

 private:
  arrow::Status AppendLarge(duckdb::DataChunk& chunk);
  arrow::Status Stage(duckdb::DataChunk& chunk, bool borrow);
  void SortByPartition(std::vector<uint32_t>* offsets);

  const PartitionerOptions options_;
  const Emit emit_;
  const std::shared_ptr<arrow::Schema> schema_;
  const uint64_t batch_rows_;
  std::vector<std::unique_ptr<StagedColumn>> columns_;
  std::vector<uint32_t> variable_columns_;
  std::vector<uint16_t> partitions_;  // of the staged rows
  std::vector<uint32_t> order_;
  uint64_t rows_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace ballista::engine
