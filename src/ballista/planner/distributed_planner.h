// Turns a logical plan into a JobGraph: picks each operator's distribution by cost,
// inserts exchanges, splits aggregates, and cuts the tree into stages at the exchanges.
//
// A pure function: no I/O, no clock; the same input gives the same graph.
#pragma once

#include <arrow/result.h>

#include <cstdint>

#include "ballista/job.pb.h"
#include "ballista/plan.pb.h"

namespace ballista::planner {

// What the planner knows about the cluster and the session.
struct PlannerOptions {
  // Executors that can take tasks, and engine threads in all of them.
  uint32_t executors = 1;
  uint32_t threads = 1;
  uint64_t memory_per_executor = 0;  // bytes; 0: not known

  // ballista.shuffle_partitions: partitions of a hash exchange; 0: chosen (a multiple of
  // the executors).
  uint32_t shuffle_partitions = 0;
  // ballista.broadcast_threshold: a join side up to this many bytes may be broadcast; 0:
  // never, negative: chosen by cost and memory.
  int64_t broadcast_threshold = -1;
  // ballista.single_task_threshold: a job that reads up to this many bytes in all runs as
  // one task; 0: never.
  uint64_t single_task_threshold = 16ULL << 20;
  // ballista.range_sort_threshold: a sort of at least so many bytes, as estimated, is
  // partitioned by ranges of its keys and merged; a smaller one is done by one task.
  uint64_t range_sort_threshold = 16ULL << 20;
};

// Errors: Internal for a plan that breaks the IR's rules (plan::Validate finds those
// first).
arrow::Result<job::JobGraph> PlanJob(const plan::Plan& plan,
                                     const PlannerOptions& options);

}  // namespace ballista::planner
