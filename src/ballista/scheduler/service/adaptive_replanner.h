// Lets the scheduler's core plan the rest of a running job again, by the planner and the
// options that the job carries (JobGraph.replanning).
#pragma once

#include <optional>
#include <vector>

#include "ballista/scheduler/replanner.h"

namespace ballista::scheduler {

// A pure function, as the core demands.
class AdaptiveReplanner : public Replanner {
 public:
  std::optional<job::JobGraph> Replan(
      const job::JobGraph& graph, const std::vector<StageStatistics>& stages) override;
};

}  // namespace ballista::scheduler
