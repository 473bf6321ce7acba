// EXPLAIN and EXPLAIN ANALYZE as text and as the rows that a client sees.
#pragma once

#include <arrow/result.h>
#include <arrow/table.h>

#include <memory>
#include <string>
#include <vector>

#include "ballista/control.pb.h"
#include "ballista/job.pb.h"
#include "ballista/scheduler/core.h"

namespace ballista::scheduler {

// One row: plan_type, plan.
arrow::Result<std::shared_ptr<arrow::Table>> ExplainTable(const std::string& plan_type,
                                                          const std::string& plan);

// The staged plan, and for each stage what its tasks did: rows, bytes, time, spill, each
// as minimum, median and maximum over the tasks, and its operators likewise.
std::string AnalyzedPlan(const job::JobGraph& graph,
                         const std::vector<TaskReport>& reports,
                         const control::JobProgressResponse& progress);

}  // namespace ballista::scheduler
