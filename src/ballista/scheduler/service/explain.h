// EXPLAIN and EXPLAIN ANALYZE as text and as the rows that a client sees.
#pragma once

#include <arrow/result.h>
#include <arrow/table.h>

#include <memory>
#include <string>
#include <vector>

#include "ballista/profile.pb.h"

namespace ballista::scheduler {

// One row: plan_type, plan.
arrow::Result<std::shared_ptr<arrow::Table>> ExplainTable(const std::string& plan_type,
                                                          const std::string& plan);

// The staged plan, and for each stage what its tasks did: rows, bytes, time, spill, each
// as minimum, median and maximum over the tasks, and its operators likewise.
std::string AnalyzedPlan(const profile::QueryProfile& profile);

}  // namespace ballista::scheduler
