// What to call the scans of a statement: a scan of the optimised plan knows its files and
// no longer the view or external table by which the statement named them.
#pragma once

#include <map>
#include <string>

#include "ballista/sql/pch_internal.h"

namespace ballista::sql {

// From a reader's first argument, as ScanKey gives it, to the name of the view over it.
using ScanNames = std::map<std::string, std::string>;

// Of the views that `statement` names, and of those that they name. Of two views over the
// same files one gives its name. `context` must be in a transaction. Does not throw for a
// statement that cannot be bound.
ScanNames FindScanNames(duckdb::ClientContext& context,
                        const duckdb::SQLStatement& statement);

// The paths and globs that a reader is given.
std::string ScanKey(const duckdb::Value& files);

// "name", with the number of files where there are several. `names` is looked up with
// `key`; without a name there it is the first of the paths.
std::string ScanName(const ScanNames& names, const std::string& key,
                     const std::string& first_path, size_t files);

}  // namespace ballista::sql
