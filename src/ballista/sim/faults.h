// What goes wrong in a simulation: kinds of faults and how often each strikes. A seed has
// some kinds only (as swarm testing does): a run with every kind at once seldom gets far
// enough to meet with what two of them do together.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "ballista/sim/virtual_clock.h"

namespace ballista::sim {

// Of executors; one strikes at a time, each about Faults::interval after the last.
enum class ExecutorFault : uint8_t {
  kCrash,     // ends, and starts again after a while
  kRestart,   // ends, and is there again under its name at once
  kCut,       // no message between it and anybody
  kDeaf,      // messages of the scheduler do not reach it; its own arrive
  kMute,      // the other way round
  kLinks,     // it cannot fetch from some others
  kPause,     // stands still; what was sent to it meanwhile may arrive later
  kSick,      // fails every task, and soon
  kSlow,      // takes long for every task
  kDrain,     // leaves in order
  kBlackout,  // all of them end, and come back one by one
};
inline constexpr int kExecutorFaults = 11;
std::string_view NameOf(ExecutorFault fault);

struct Faults {
  // Chances, of each task.
  double task_fails = 0;
  double task_straggles = 0;
  double fetch_fails = 0;
  // Of each message.
  double launch_lost = 0;
  double message_repeated = 0;
  double message_slow = 0;
  // Of each job.
  double user_error = 0;
  double client_cancels = 0;
  double deadline = 0;
  double poison_fails = 0;    // one of its tasks fails wherever it runs
  double poison_kills = 0;    // one of its tasks kills the executor that runs it
  double no_retry = 0;        // it is to be run once or not at all
  double abandoned = 0;       // nobody comes for its result
  double speculation = 0;     // its late tasks are run twice at once
  double reader_returns = 0;  // its client begins once more with reading the result

  std::vector<ExecutorFault> kinds;
  Time interval{};                  // mean, between two faults of executors; 0: none
  Time scheduler_crash_interval{};  // 0: it is never killed
  size_t max_queued_jobs = 1000;
  // When all faults end. From then on everything must come to its end.
  Time until = std::chrono::minutes(10);
};

Faults RandomFaults(Random* random);

}  // namespace ballista::sim
