// Folders of files as tables: which files of a folder a reader takes.
#pragma once

#include <arrow/result.h>

#include <string>
#include <vector>

#include "ballista/security/path_guard.h"
#include "ballista/sql/pch_internal.h"

namespace ballista::sql {

// Globs over the files of `format` ("parquet", "csv", "json") at any depth below the
// folder: one for each extension in use. Errors: UserError (NOT_FOUND) where the folder
// cannot be read or has none.
arrow::Result<std::vector<std::string>> FolderGlobs(const std::string& folder,
                                                    const std::string& format);

// Puts a glob over its files in the place of each folder that `statement` reads as if it
// were a table: SELECT ... FROM '/data/trips'. Only names with a slash are taken for
// folders. Errors: UserError for a path from the root that `guard` (null: none) does not
// allow, of which nothing is looked at; NOT_FOUND where the folder has no file that can
// be read, or files of several kinds.
arrow::Status ExpandFolders(duckdb::SQLStatement* statement,
                            const security::PathGuard* guard);

}  // namespace ballista::sql
