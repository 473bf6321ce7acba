// Simulates a cluster around the real SchedulerCore: executors that run tasks for random
// times and meet with faults of every kind (faults.h), and a network that delays,
// repeats, reorders and loses. One thread, virtual time; a run is a function of its seed.
//
// Every run is checked: each job ends, in time, and as the faults that were injected
// allow; each result has every row exactly once; what the core believes is consistent (no
// slot is taken twice); at the end nothing is left of any job, in the core or at an
// executor; and nothing waits without end.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ballista/sim/faults.h"
#include "ballista/sim/random_graph.h"

namespace ballista::sim {

struct SimulationOptions {
  uint64_t seed = 0;
  uint32_t executors = 4;
  uint32_t max_slots = 4;
  uint32_t jobs = 10;
  GraphLimits graph;
  uint32_t wide_job_tasks = 0;   // not 0: one more job with a stage of so many tasks
  uint32_t tasks_per_stage = 0;  // 0: random for each job
  double inline_result = 0.3;
  Faults faults;
  // Prints every event and effect to stderr.
  bool log = false;
  bool replan = false;
  bool durable = false;  // the scheduler keeps its state
  // Another scheduler runs already, and takes the jobs over some time after the end of
  // the one that had them.
  bool takeovers = false;
  // Executors that leave have as long as they need for it.
  bool patient_drains = false;
  size_t max_running_jobs = 0;  // 0: no limit
};

// What a seed stands for: every fifth is calm, the others have some kinds of faults;
// every 500th has 1,000 executors and 100,000 tasks.
SimulationOptions OptionsForSeed(uint64_t seed);

struct SimulationReport {
  std::vector<std::string> violations;  // empty: all is well
  uint32_t jobs_finished = 0;
  uint32_t jobs_failed = 0;
  std::map<std::string, uint32_t> failures;  // jobs that failed, by cause
  uint64_t tasks_launched = 0;
  uint64_t tasks_repeated = 0;  // launched as another attempt than their first
  uint64_t drained = 0;         // executors that left because nothing of them was needed
  std::map<std::string, uint64_t> faults;  // of executors, by kind
  // Jobs without a poisoned task that failed for failures or losses of a task.
  uint32_t innocents_failed = 0;
  uint64_t launches_failed = 0;
  uint64_t fetches_failed = 0;
  uint64_t tasks_copied = 0;   // launched while another attempt was running somewhere
  uint64_t tasks_split = 0;    // that shared their partitions with others
  uint64_t tasks_skipped = 0;  // of which no row was needed
  uint64_t scheduler_crashes = 0;
  uint64_t results_reopened = 0;  // a part was computed again before it was read
  uint64_t steps = 0;
  scheduler::Time virtual_time{};
  uint64_t trace = 0;  // digest of every event and effect, for replay
};

SimulationReport Simulate(const SimulationOptions& options);

}  // namespace ballista::sim
