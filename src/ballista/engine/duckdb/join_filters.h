// What a join's build side may tell the scan on its other side.
#pragma once

#include "ballista/engine/duckdb/pch_internal.h"

namespace ballista::engine {

// DuckDB filters a scan by a Bloom filter of the other side's keys only where that side's
// plan has a filter. The rows of an exchange have been filtered in an earlier stage,
// which DuckDB cannot see: counts a read of an exchange as filtered. (A filter that
// rejects too few rows is dropped while the scan runs.) To be called before the database
// is opened.
void RegisterJoinFilterRule(duckdb::DBConfig* config);

}  // namespace ballista::engine
