// CREATE EXTERNAL TABLE: a statement of Ballista's own, parsed here.
//
//   CREATE [OR REPLACE] EXTERNAL TABLE [IF NOT EXISTS] name [(column type, ...)]
//     STORED AS PARQUET | CSV | JSON | NDJSON  LOCATION 'file, folder or glob'
//     [OPTIONS (key 'value', ...)] [PARTITIONED BY (column, ...)] [WITH HEADER ROW]
//
// The clauses after the columns come in any order. It becomes a view over the reader of
// the format, marked by a tag (kExternalTag), so that DROP TABLE and the catalog treat it
// as a table.
#pragma once

#include <arrow/result.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ballista::sql {

// Tag of a view that is an external table; its value is the format.
inline constexpr const char* kExternalTag = "ballista.external_table";

struct ExternalTable {
  std::string name;  // as written, with quotes and qualifiers
  bool or_replace = false;
  bool if_not_exists = false;
  std::vector<std::pair<std::string, std::string>> columns;  // name, type in SQL
  std::string format;                                        // "parquet", "csv", "json"
  bool newline_delimited = false;
  std::string location;
  std::vector<std::pair<std::string, std::string>> options;
  std::vector<std::string> partitions;
  bool header_row = false;
};

// Nothing when `sql` is another statement. Errors: UserError (SYNTAX) with the position.
arrow::Result<std::optional<ExternalTable>> ParseExternalTable(const std::string& sql);

// The CREATE VIEW statement. Looks at the location: UserError (NOT_FOUND) where nothing
// is.
arrow::Result<std::string> ExternalTableView(const ExternalTable& table);

}  // namespace ballista::sql
