// DuckDB's errors as typed ones.
#pragma once

#include <arrow/status.h>

#include <exception>

#include "ballista/sql/pch_internal.h"

namespace ballista::sql {

// A UserError with the kind and, where DuckDB gave one, the position in the statement;
// the message without DuckDB's drawing of the line. A failure of DuckDB itself
// (INTERNAL) is an Internal error.
arrow::Status ToStatus(const duckdb::ErrorData& error);
arrow::Status ToStatus(const std::exception& error);

// Runs `body`, which gives an arrow::Status or an arrow::Result; what it throws becomes
// the error.
template <class Body>
auto Guarded(Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::exception& error) {
    return ToStatus(error);
  }
}

}  // namespace ballista::sql
