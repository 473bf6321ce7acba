// The hook for planning the rest of a job again between its stages, from the exact sizes
// of what has been computed.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ballista/job.pb.h"

namespace ballista::scheduler {

// What is known of one stage when the rest is planned again.
struct StageStatistics {
  enum class State {
    kWaiting,   // not started: may be replaced
    kStarted,   // its tasks have been formed: must stay as it is
    kComplete,  // its whole output exists: must stay; the sizes below are exact
  };
  State state = State::kWaiting;
  uint32_t tasks = 0;
  uint64_t rows = 0;
  uint64_t bytes = 0;
  // HASH outputs: one entry a partition, summed over the tasks.
  std::vector<uint64_t> partition_rows;
  std::vector<uint64_t> partition_bytes;
};

class Replanner {
 public:
  virtual ~Replanner() = default;

  // Called when a stage completes for the first time and others have not started.
  // `stages[i]` is of `graph.stages(i)`. Returns nothing to go on with `graph`, or
  // another graph: each stage that is not kWaiting stands unchanged at its position; all
  // others may be different, more or fewer. A position that is not needed any more may
  // keep any valid stage: stages that the result does not depend on are never run. A
  // graph that breaks these rules is ignored. Must be a pure function of its arguments,
  // and quick: it runs on the scheduler's one thread.
  virtual std::optional<job::JobGraph> Replan(
      const job::JobGraph& graph, const std::vector<StageStatistics>& stages) = 0;
};

}  // namespace ballista::scheduler
