// One simulated executor: what it runs and what it keeps. Time and messages are the
// simulation's.
#pragma once

#include <arrow/result.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ballista/base/status.h"
#include "ballista/control.pb.h"
#include "ballista/sim/rows.h"
#include "ballista/sim/virtual_clock.h"

namespace ballista::sim {

using TaskKey = std::tuple<std::string, uint32_t, uint32_t, uint32_t>;
TaskKey KeyOf(const job::TaskId& id);

struct RunningTask {
  job::TaskDefinition definition;
  std::shared_ptr<const job::StageDefinition> stage;
  bool begun = false;  // has one of the executor's slots
  uint32_t waits = 0;  // for producers that do not answer
};

struct SimulatedExecutor {
  std::string id;
  uint32_t starts = 0;  // incarnations so far
  uint32_t slots = 1;
  bool alive = false;
  bool leaving = false;  // alive, but not to come back
  Time deaf_until{};     // until then no message of the scheduler arrives here,
  Time mute_until{};     // and no message from here at the scheduler
  Time paused_until{};   // until then the process does nothing
  Time sick_until{};     // until then every task fails here, and soon
  Time slow_until{};     // until then tasks take long here

  std::map<TaskKey, RunningTask> running;
  std::deque<TaskKey> waiting;  // of `running`, for a slot
  std::set<TaskKey> ended;      // failed here; a repeated launch does not run it again
  // The partitions of each output, by job.
  std::map<std::string, std::map<TaskKey, std::vector<std::vector<Row>>>> kept;
  std::map<TaskKey, control::HeldOutput> held;  // what it says of each output
  uint64_t registrations = 0;

  std::string incarnation() const { return id + "#" + std::to_string(starts); }
  bool Paused(Time now) const { return now < paused_until; }
  bool Hears(Time now) const { return alive && !Paused(now) && now >= deaf_until; }
  bool Speaks(Time now) const { return alive && !Paused(now) && now >= mute_until; }
  bool Reachable(Time now) const { return Hears(now) && Speaks(now); }
  // A task that may begin now, which then has; null: there is none, or no slot.
  const TaskKey* BeginNext();
  control::ExecutorMetadata Metadata() const;
  std::vector<std::string> HeldJobs() const;
  std::vector<control::HeldOutput> Held() const;
  // The process ends or begins: nothing is left.
  void Clear();
  void RemoveJob(const std::string& job_id);
  // Stops the task, or drops its output.
  void Cancel(const TaskKey& key);
};

// What an executor says of a task of its when it registers.
control::HeldOutput Describe(const RunningTask& task);

// Gives the partitions of an output, or null where it cannot be read now.
using ReadOutput = std::function<const std::vector<std::vector<Row>>*(
    const std::string& executor_id, const TaskKey& output)>;

struct TaskRows {
  std::vector<std::vector<Row>> partitions;
  job::OutputStatistics statistics;
};

// Runs a task: reads its inputs and splits, computes, partitions. Errors: FetchFailed of
// the first output that cannot be read; Invalid where a reference does not say exactly
// what is there (a violation).
arrow::Result<TaskRows> RunTask(const job::JobGraph& graph, const RunningTask& task,
                                const ReadOutput& read);

}  // namespace ballista::sim
