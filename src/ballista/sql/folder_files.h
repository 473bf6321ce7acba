// Folders of files as tables: which files of a folder a reader takes.
#pragma once

#include <arrow/result.h>

#include <string>
#include <vector>

#include "ballista/sql/pch_internal.h"

namespace ballista::sql {

// Globs over the files of `format` ("parquet", "csv", "json") at any depth below the
// folder: one for each extension in use. Errors: UserError (NOT_FOUND) where the folder
// cannot be read or has none.
arrow::Result<std::vector<std::string>> FolderGlobs(const std::string& folder,
                                                    const std::string& format);

// Puts a glob over its files in the place of each folder that `statement` reads as if it
// were a table: SELECT ... FROM '/data/trips'. Only names with a slash are taken for
// folders. Errors: UserError (NOT_FOUND) where the folder has no file that can be read,
// or files of several kinds.
arrow::Status ExpandFolders(duckdb::SQLStatement* statement);

}  // namespace ballista::sql
