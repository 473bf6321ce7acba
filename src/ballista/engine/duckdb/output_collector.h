// The end of a task's pipeline: a result collector of DuckDB that hands rows to the
// task's OutputSink instead of keeping them. It runs within the pipeline, on all of its
// threads, unless the order of rows matters. Private to the engine.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ballista/engine/duckdb/pch_internal.h"
#include "ballista/engine/duckdb/task_state.h"
#include "ballista/job.pb.h"
#include "ballista/shuffle/exchange.h"

namespace ballista::engine {

struct OutputTarget {
  shuffle::OutputSink* sink = nullptr;
  job::Output output;
  // Of the plan; DuckDB's must have the same layout.
  duckdb::vector<duckdb::LogicalType> types;
  std::vector<std::string> names;  // for a result
  uint64_t batch_rows = 32768;     // at most, in one batch
  TaskState* task = nullptr;
  // The statement ends with an aggregation that is aggregated again.
  bool partial_aggregate = false;
};

// What ClientConfig::get_result_collector is set to for a task's statement. `target` must
// live as long as the query.
duckdb::get_result_collector_t MakeOutputCollector(const OutputTarget* target);

}  // namespace ballista::engine
