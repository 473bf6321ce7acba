// Turns a fragment of a plan into DuckDB's own parse tree, not into SQL text, so that
// nothing is quoted or parsed again. Every node becomes one SELECT over its inputs; its
// columns are named c0, c1, ... and every expression whose type could be bound otherwise
// is cast to the plan's type (a cast that changes nothing is dropped by DuckDB's binder).
//
// Private to the engine.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "ballista/engine/duckdb/pch_internal.h"
#include "ballista/plan/plan.h"

namespace ballista::engine {

// What the leaves of a fragment read.
struct FragmentSources {
  // By Scan.scan_index; nullptr: the files of the Scan itself (Describe).
  const std::vector<job::ScanSplits>* scans = nullptr;
  // The id under which the rows of an exchange or a local table are registered
  // (input_registry.h); absent in Describe.
  std::function<arrow::Result<uint64_t>(const plan::Node&)> register_input;
  // The names of the columns that reading `files` gives; only asked for files whose
  // columns may differ (union_by_name).
  std::function<arrow::Result<std::vector<std::string>>(
      const plan::Scan& scan, const std::vector<std::string>& files)>
      file_columns;
};

// Errors: Internal for a fragment that cannot be expressed (the validator lets none
// through), UserError (RUNTIME) for a file that has changed since planning.
arrow::Result<duckdb::unique_ptr<duckdb::SelectStatement>> CompileFragment(
    const plan::Node& root, const FragmentSources& sources);

// The same for the input of a Write, as a plain SELECT, whose columns can be renamed.
arrow::Result<duckdb::unique_ptr<duckdb::SelectStatement>> CompileWriteInput(
    const plan::Node& root, const FragmentSources& sources);

// SELECT * over files, with a scan's options.
arrow::Result<duckdb::unique_ptr<duckdb::SelectStatement>> CompileReadAll(
    const plan::Scan& scan, const std::vector<std::string>& files);

// The table function reading registered rows.
inline constexpr const char* kInputFunction = "ballista_input";

}  // namespace ballista::engine
