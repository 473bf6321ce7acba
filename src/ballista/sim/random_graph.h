// Random job graphs: scans of files with and without row groups, hash exchanges, unions,
// broadcasts, gathers, stages that wait for others, sorted runs that are merged by
// ranges, shared stages, stages that are not repeatable, and stages that nobody needs.
#pragma once

#include "ballista/job.pb.h"
#include "ballista/sim/virtual_clock.h"

namespace ballista::sim {

struct GraphLimits {
  uint32_t stages = 8;
  uint32_t files = 10;           // of one scan
  uint32_t rows_per_file = 200;  // at most
};

job::JobGraph RandomGraph(const GraphLimits& limits, Random* random);

// One scan of `tasks` one-row files and a gather: many tasks at little cost each.
job::JobGraph WideGraph(uint32_t tasks);

}  // namespace ballista::sim
