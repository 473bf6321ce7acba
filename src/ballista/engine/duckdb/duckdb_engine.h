// The execution engine on DuckDB: one DuckDB instance, whose threads, memory limit and
// spill folder are the executor's; each task runs on a connection of its own.
//
// The output of an exchange has the Arrow layout of types.h; that of a result
// (Output.is_result) the standard types that DuckDB exports.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ballista/engine/execution_engine.h"
#include "ballista/security/path_guard.h"

namespace ballista::engine {

struct DuckDbEngineOptions {
  int threads = 0;                      // 0: one for each core
  uint64_t memory_limit = 0;            // bytes; 0: 80 % of the machine's
  std::string temp_directory;           // where it spills; empty: it does not
  uint64_t max_temp_bytes = 0;          // of spilled data; 0: what is free
  std::vector<std::string> extensions;  // paths of .duckdb_extension files to load
  // The paths that tasks may read and write; null: all. No extension is loaded then.
  std::shared_ptr<const security::PathGuard> guard;
};

class DuckDbEngine : public ExecutionEngine {
 public:
  // Errors: Invalid for options that DuckDB refuses, IOError for an extension that cannot
  // be loaded.
  static arrow::Result<std::unique_ptr<DuckDbEngine>> Make(
      const DuckDbEngineOptions& options);
};

}  // namespace ballista::engine
