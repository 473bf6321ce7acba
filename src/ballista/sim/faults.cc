#include "ballista/sim/faults.h"

namespace ballista::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// Half of the seeds do not have it; the others more or less of it.
double Rate(Random* random, double most) {
  const double scale = 1.0 / static_cast<double>(random->Between(1, 10));
  return random->Chance(0.5) ? most * scale : 0;
}

}  // namespace

std::string_view NameOf(ExecutorFault fault) {
  switch (fault) {
    case ExecutorFault::kCrash:
      return "crash";
    case ExecutorFault::kRestart:
      return "restart";
    case ExecutorFault::kCut:
      return "cut";
    case ExecutorFault::kDeaf:
      return "deaf";
    case ExecutorFault::kMute:
      return "mute";
    case ExecutorFault::kLinks:
      return "links";
    case ExecutorFault::kPause:
      return "pause";
    case ExecutorFault::kSick:
      return "sick";
    case ExecutorFault::kSlow:
      return "slow";
    case ExecutorFault::kDrain:
      return "drain";
    case ExecutorFault::kBlackout:
      return "blackout";
  }
  return "?";
}

Faults RandomFaults(Random* random) {
  Faults faults;
  faults.task_fails = Rate(random, 0.1);
  faults.task_straggles = Rate(random, 0.1);
  faults.fetch_fails = Rate(random, 0.03);
  faults.launch_lost = Rate(random, 0.05);
  faults.message_repeated = Rate(random, 0.3);
  faults.message_slow = Rate(random, 0.2);
  faults.user_error = Rate(random, 0.2);
  faults.client_cancels = Rate(random, 0.3);
  faults.deadline = Rate(random, 0.3);
  faults.poison_fails = Rate(random, 0.2);
  faults.poison_kills = Rate(random, 0.1);
  faults.no_retry = Rate(random, 0.3);
  faults.abandoned = Rate(random, 0.2);
  faults.speculation = random->Chance(0.5) ? 1 : 0;
  if (random->Chance(0.3)) faults.max_queued_jobs = random->Between(1, 5);
  for (int kind = 0; kind < kExecutorFaults; ++kind) {
    if (random->Chance(0.3)) faults.kinds.push_back(static_cast<ExecutorFault>(kind));
  }
  if (!faults.kinds.empty()) {
    faults.interval = random->Delay(milliseconds(500), seconds(60));
  }
  if (random->Chance(0.3)) {
    faults.scheduler_crash_interval = random->Delay(seconds(2), seconds(60));
  }
  faults.until = random->Delay(seconds(30), std::chrono::minutes(10));
  faults.reader_returns = Rate(random, 0.5);
  return faults;
}

}  // namespace ballista::sim
