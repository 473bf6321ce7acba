// Rows between the planning instance and Arrow. Small tables only: everything is in
// memory.
#pragma once

#include <arrow/result.h>
#include <arrow/table.h>

#include <memory>
#include <string>

#include "ballista/sql/pch_internal.h"

namespace ballista::sql {

// All rows of a result. Its columns have the types of plan::ToArrowType. Errors: that of
// the query; UserError (NOT_SUPPORTED) for a type that Arrow does not have.
arrow::Result<std::shared_ptr<arrow::Table>> ToArrowTable(duckdb::ClientContext& context,
                                                          duckdb::QueryResult& result);

// As one Arrow IPC stream.
arrow::Result<std::string> ToIpc(const arrow::Table& table);

// Gives the rows of an Arrow table to statements of one connection, as a table reference
// that can be put into a parsed statement: columns c0, c1, ... Must outlive the
// statement's execution.
class ArrowSource {
 public:
  explicit ArrowSource(std::shared_ptr<arrow::Table> table) : table_(std::move(table)) {}

  duckdb::unique_ptr<duckdb::TableRef> MakeTableRef();

  // The two callbacks of DuckDB's arrow_scan.
  duckdb::unique_ptr<duckdb::ArrowArrayStreamWrapper> Open() const;
  void ExportSchema(ArrowSchema* out) const;

 private:
  std::shared_ptr<arrow::Table> table_;
};

// A table of one row and one BIGINT column, "Count".
std::shared_ptr<arrow::Table> CountTable(int64_t count);

}  // namespace ballista::sql
