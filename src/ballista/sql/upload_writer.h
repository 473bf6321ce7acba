// Rows of an upload as Parquet files, and the view over them that is their table.
//
// The files have the columns c0, c1, ...; the view gives them their names, and the types
// that Parquet does not have.
#pragma once

#include <arrow/result.h>

#include <memory>
#include <string>
#include <vector>

#include "ballista/catalog/upload_store.h"
#include "ballista/sql/pch_internal.h"

namespace ballista::sql {

// The value of the view's tag kExternalTag.
inline constexpr const char* kUploadedFormat = "upload";
bool IsUploadedTable(const duckdb::CatalogEntry& entry);

struct UploadedTable {
  struct Column {
    std::string name;
    duckdb::LogicalType type;
  };
  std::vector<Column> columns;
  std::vector<std::string> paths;
  std::shared_ptr<catalog::Upload> upload;
};

// Not thread-safe. What it has written goes with it, unless it is committed.
class UploadWriter {
 public:
  // To a table that is there, whose files stay as they are; or to a new one, whose
  // columns are those of `schema`. Errors: UserError for a type that cannot be kept.
  static arrow::Result<std::unique_ptr<UploadWriter>> Make(UploadedTable table,
                                                           const arrow::Schema& schema);
  ~UploadWriter();

  // One file. Columns are matched by name: one that is missing is NULL. Errors: UserError
  // for a column that the table does not have, or a value that its type does not;
  // ResourcesExhausted (DISK).
  arrow::Status Add(const std::shared_ptr<arrow::Table>& rows);

  // With the files that others have added to the table meanwhile.
  void SetOthers(std::vector<std::string> paths) { table_.paths = std::move(paths); }
  // "AS SELECT ... FROM read_parquet(...)". There must be a file.
  std::string ViewText() const;
  const UploadedTable& table() const { return table_; }
  size_t files() const { return table_.paths.size() + written_.size(); }
  // A table is made of the files.
  void Commit() { written_.clear(); }

 private:
  UploadWriter(UploadedTable table, std::unique_ptr<duckdb::DuckDB> database)
      : table_(std::move(table)),
        database_(std::move(database)),
        connection_(*database_) {}

  arrow::Status FindColumns(const arrow::Schema& schema);
  arrow::Status CheckTypes() const;
  arrow::Result<duckdb::unique_ptr<duckdb::SelectNode>> Select(
      const arrow::Schema& schema) const;

  UploadedTable table_;
  std::vector<std::string> written_;  // paths
  // One of its own: the planning instance has neither memory nor leave for this.
  const std::unique_ptr<duckdb::DuckDB> database_;
  duckdb::Connection connection_;
};

}  // namespace ballista::sql
