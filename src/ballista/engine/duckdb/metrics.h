// What DuckDB's profiler measured, as task metrics. Private to the engine.
#pragma once

#include "ballista/engine/duckdb/pch_internal.h"
#include "ballista/job.pb.h"

namespace ballista::engine {

// Turns profiling on or off for the connection's next statements, without output.
void SetProfiling(duckdb::Connection* connection, bool enabled);

// Adds the operator tree of the last statement, in pre-order, and its peak memory and
// spilled bytes.
void AddOperatorMetrics(duckdb::Connection* connection, job::TaskMetrics* metrics);

}  // namespace ballista::engine
