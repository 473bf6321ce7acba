// Proves that a JobGraph computes what its operators say: follows where the rows of each
// fragment are, from the stages' outputs alone, and refuses a graph in which an operator
// misses rows or sees them twice. Shares no code with the planner that it checks.
#pragma once

#include <arrow/status.h>

#include "ballista/job.pb.h"

namespace ballista::planner {

// The graph passes plan::ValidateGraph. Errors: Internal, naming the stage and the node.
arrow::Status CheckGraph(const job::JobGraph& graph);

// The same of a graph that was planned again while it ran: stages may be left over that
// nothing reads.
arrow::Status CheckRunningGraph(const job::JobGraph& graph);

}  // namespace ballista::planner
