// The table function `ballista_input(id)`, through which a fragment reads the rows of an
// exchange or of a local table.
//
// The id is random, made by the engine for one running task, and is looked up here; no
// pointer passes through SQL, so user SQL that calls the function with a number of its
// own gets an error and nothing else. Private to the engine. Thread-safe.
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "ballista/engine/duckdb/pch_internal.h"
#include "ballista/engine/duckdb/task_state.h"
#include "ballista/shuffle/exchange.h"

namespace ballista::engine {

// Rows to read, and the types that they have in DuckDB.
struct RegisteredInput {
  shuffle::ExchangeSource* source = nullptr;
  std::shared_ptr<shuffle::ExchangeSource> owned;  // of a local table
  std::shared_ptr<arrow::Schema> schema;           // of its batches
  duckdb::vector<duckdb::LogicalType> types;
  // The arrays have the layout of an exchange; else any that DuckDB can import.
  bool exchange_layout = true;
  TaskState* task = nullptr;
  int64_t rows_at_once = STANDARD_VECTOR_SIZE;  // of a chunk, at most
  // Rows can be read only once; a second reader would find none.
  std::shared_ptr<std::atomic<bool>> opened = std::make_shared<std::atomic<bool>>(false);
};

class InputRegistry : public duckdb::TableFunctionInfo {
 public:
  uint64_t Add(std::shared_ptr<const RegisteredInput> input);
  void Remove(uint64_t id);
  // nullptr where there is none.
  std::shared_ptr<const RegisteredInput> Find(uint64_t id) const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<uint64_t, std::shared_ptr<const RegisteredInput>> inputs_;
};

// Makes the table function known to the instance. Throws DuckDB's exceptions.
void RegisterInputFunction(duckdb::DuckDB* database,
                           duckdb::shared_ptr<InputRegistry> registry);

// A source over the batches of an Arrow IPC stream. Errors: Invalid for bytes that are no
// such stream.
arrow::Result<std::shared_ptr<shuffle::ExchangeSource>> OpenIpcSource(
    const std::string& bytes);

}  // namespace ballista::engine
