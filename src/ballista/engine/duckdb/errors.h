// DuckDB's errors as typed statuses. Private to the engine. Thread-safe.
#pragma once

#include <arrow/status.h>

#include <string>

#include "ballista/engine/duckdb/pch_internal.h"

namespace ballista::engine {

struct ErrorContext {
  // The statement is the user's own text: a binder's or parser's error is the user's.
  bool user_statement = false;
  uint64_t memory_limit = 0;
  // What was run, for an error that is a bug; cut to a bearable length.
  std::string statement;
};

arrow::Status FromDuckDbError(const duckdb::ErrorData& error,
                              const ErrorContext& context);

}  // namespace ballista::engine
