// What a scan of files must be told so that every task reads alike, whichever files it
// gets: a reader otherwise detects the dialect, the schema and hive partitions from the
// files it sees.
#pragma once

#include <string>
#include <vector>

#include "ballista/plan.pb.h"
#include "ballista/sql/pch_internal.h"

namespace ballista::sql {

// "parquet", "csv", "json", or empty where the function reads no format of ours.
std::string FileFormatOf(const std::string& function);

// Named arguments of the reader. Throws Unsupported for options that have an effect
// outside of the scan (rejects tables).
std::vector<plan::NamedValue> PinnedScanOptions(const std::string& format,
                                                const duckdb::LogicalGet& get,
                                                const duckdb::MultiFileBindData& data);

}  // namespace ballista::sql
