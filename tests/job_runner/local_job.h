// Runs a JobGraph in this process, stage by stage and task by task, over the engine
// alone: no scheduler, no network. What it shows is that the graph and the engine are
// right.
#pragma once

#include <arrow/result.h>
#include <arrow/table.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "ballista/engine/execution_engine.h"
#include "ballista/job.pb.h"
#include "ballista/planner/distributed_planner.h"

namespace ballista::testing {

struct StageRun {
  double seconds = 0;
  uint64_t rows = 0;
  uint64_t bytes = 0;
  uint32_t tasks = 0;  // 0: the stage was not needed
};

struct JobRun {
  std::shared_ptr<arrow::Table> result;
  std::vector<StageRun> stages;
  job::JobGraph graph;  // as it was run
};

// Runs stages of many tasks with one for each executor. Scans are cut into row ranges.
// With `replan` the rest is planned again after each stage.
arrow::Result<JobRun> RunJob(job::JobGraph graph, engine::ExecutionEngine* engine,
                             const planner::PlannerOptions& options, bool replan);

}  // namespace ballista::testing
