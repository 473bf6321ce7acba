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

namespace ballista::testing {

struct StageRun {
  double seconds = 0;
  uint64_t rows = 0;
  uint64_t bytes = 0;
  uint32_t tasks = 0;
};

struct JobRun {
  std::shared_ptr<arrow::Table> result;
  std::vector<StageRun> stages;
};

// Runs stages of many tasks with `tasks` of them. Scans are cut into row ranges.
arrow::Result<JobRun> RunJob(const job::JobGraph& graph, engine::ExecutionEngine* engine,
                             uint32_t tasks);

}  // namespace ballista::testing
