// Plans the rest of a running job again, from the exact sizes of what has been computed.
//
// Two changes pay: what is left to do on a few rows is done in one task instead of a
// chain of small stages, and a join whose build side came out small gets it broadcast, so
// that its other side, not yet begun, need not be shuffled.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ballista/job.pb.h"
#include "ballista/planner/distributed_planner.h"

namespace ballista::planner {

struct StageProgress {
  bool started = false;   // it stays as it is
  bool complete = false;  // rows and bytes are exact
  uint64_t rows = 0;
  uint64_t bytes = 0;  // of Arrow data in memory
};

// `progress[i]` is of `graph.stages(i)`. Nothing where the graph is best left alone. In
// the result, stages that have started stand unchanged at their positions; stages that
// nothing reads any more may remain. A pure function; a few microseconds a stage.
std::optional<job::JobGraph> ReplanJob(const job::JobGraph& graph,
                                       const std::vector<StageProgress>& progress,
                                       const PlannerOptions& options);

// Makes stages wait (Stage.start_after) for others whose exact sizes may change what they
// have to do: of the hash exchanges that one stage joins, the larger ones, as estimated,
// wait for the smallest. Never makes a cycle. Stages that `progress` says have started
// stay as they are; it may be empty.
void HoldForReplanning(job::JobGraph* graph, const std::vector<StageProgress>& progress);

}  // namespace ballista::planner
