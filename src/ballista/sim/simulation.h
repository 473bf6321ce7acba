// Simulates a cluster around the real SchedulerCore: executors that run tasks for random
// times, fail, crash, are cut off, leave and join, and a network that delays, repeats,
// reorders and loses. One thread, virtual time; a run is a function of its seed.
//
// Every run is checked: each job ends, and ends as the faults that were injected allow;
// each result has every row exactly once; at the end nothing is left of any job, in the
// core or at an executor; and nothing waits without end.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

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
  // Chances, of each task or message.
  double task_fails = 0;
  double fetch_fails = 0;
  double launch_lost = 0;
  double message_repeated = 0;
  double message_slow = 0;
  // Chances, of each job.
  double user_error = 0;
  double client_cancels = 0;
  double inline_result = 0.3;
  // Mean time between two faults of executors (crash, cut, drain, leave); 0: none.
  scheduler::Time fault_interval{};
  bool replan = false;
  // The scheduler keeps its state, and is killed that often on average; 0: never.
  bool durable = false;
  scheduler::Time scheduler_crash_interval{};
  // The only faults are executors that leave in order, as soon as they may.
  bool only_drains = false;
  size_t max_running_jobs = 0;  // 0: no limit
};

// What a seed stands for: from calm to stormy, every 50th with 1,000 executors and
// 100,000 tasks.
SimulationOptions OptionsForSeed(uint64_t seed);

struct SimulationReport {
  std::vector<std::string> violations;  // empty: all is well
  uint32_t jobs_finished = 0;
  uint32_t jobs_failed = 0;
  std::map<std::string, uint32_t> failures;  // jobs that failed, by cause
  uint64_t tasks_launched = 0;
  uint64_t tasks_repeated = 0;  // launched as another attempt than their first
  uint64_t drained = 0;         // executors that left because nothing of them was needed
  uint64_t executors_lost = 0;
  uint64_t tasks_split = 0;    // that shared their partitions with others
  uint64_t tasks_skipped = 0;  // of which no row was needed
  uint64_t scheduler_crashes = 0;
  uint64_t steps = 0;
  scheduler::Time virtual_time{};
  uint64_t trace = 0;  // digest of every event and effect, for replay
};

SimulationReport Simulate(const SimulationOptions& options);

}  // namespace ballista::sim
