// What the core knows of one job: its stages, their tasks, and where the outputs are.
//
// A stage is `needed` when the result depends on it, `formed` once its tasks exist (all
// its producers were complete and a slot was free), and `complete` while every task's
// output exists. It is launchable when it is needed, all its producers are complete, and
// it is unformed or has pending tasks.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ballista/scheduler/core_messages.h"
#include "ballista/scheduler/fair_queue_internal.h"
#include "ballista/scheduler/pending_tasks_internal.h"
#include "ballista/scheduler/replanner.h"
#include "ballista/scheduler/task_formation.h"

namespace ballista::scheduler {

struct TaskState {
  enum State : uint8_t {
    kPending,
    kRunning,
    kFinished,  // its output exists
    kStopped,   // between running and whatever comes next, within one event
    kLost,      // it finished, its output is gone and nobody needs it
    kSkipped,   // the others gave as many rows as are needed (Stage.row_limit)
  };
  // A second attempt that runs beside the first one (Speculation).
  struct Copy {
    uint32_t attempt = 0;
    ExecutorIndex executor = kNoExecutor;
    Time started{};
  };
  State state = kPending;
  uint32_t attempt = 0;
  uint32_t last_attempt = 0;  // the highest so far
  uint32_t failures = 0;
  uint32_t fetch_failures = 0;
  uint32_t executor_losses = 0;
  ExecutorIndex executor = kNoExecutor;  // runs it, or keeps its output
  ExecutorIndex preferred = kNoExecutor;
  std::vector<ExecutorIndex> avoid;      // sorted: where it failed
  std::vector<ExecutorIndex> failed_at;  // of itself, and has not run well since
  Time started{};
  Time ran{};                // how long the finished attempt took
  std::optional<Copy> copy;  // only while it is running
  job::OutputStatistics output;
  std::shared_ptr<const std::string> inline_result;
  std::unique_ptr<job::TaskMetrics> metrics;

  bool RunsAt(ExecutorIndex index) const {
    return state == kRunning &&
           (executor == index || (copy.has_value() && copy->executor == index));
  }
  bool Runs(ExecutorIndex index, uint32_t number) const {
    return state == kRunning &&
           ((executor == index && attempt == number) ||
            (copy.has_value() && copy->executor == index && copy->attempt == number));
  }
  // The one attempt becomes the other.
  void SwapAttempts();
  // It is to run elsewhere, where there is another executor.
  void Avoid(ExecutorIndex index);
};

struct StageState {
  std::vector<uint32_t> producers;  // each once
  std::vector<uint32_t> consumers;
  bool needed = false;
  bool formed = false;
  bool complete = false;
  bool completed_once = false;
  bool repeatable = true;  // run again, it gives the same rows
  bool varies = false;     // or one that it depends on does not
  uint32_t incomplete_producers = 0;
  // Stages that this one waits for without reading them (Stage.start_after), and those
  // that wait for it.
  uint32_t holds = 0;
  std::vector<uint32_t> held;
  uint32_t pending = 0;
  uint32_t running = 0;  // attempts
  uint32_t finished = 0;
  uint32_t skipped = 0;
  uint64_t rows = 0;  // of the finished tasks' outputs
  uint64_t bytes = 0;
  std::vector<TaskState> tasks;
  std::vector<TaskShare> shares;  // by task
  std::set<uint32_t> lost;        // tasks in kLost
  PendingTasks queue;
  std::optional<std::vector<InputOutputs>> inputs;  // kept while they stay the same
  uint64_t inputs_digest = 0;                       // of their attempts; of that time
  // Executors that keep `inputs`, and their addresses; of the time of `inputs`.
  std::vector<ExecutorIndex> holders;
  std::shared_ptr<std::vector<job::ExecutorAddress>> addresses;
  std::shared_ptr<const job::StageDefinition> definition;
  uint64_t fingerprint = 0;  // of its formation, where that is kept
  // A task that runs for longer is late; kNever: not known yet. Of the time when so many
  // tasks had finished.
  Time late_after = kNever;
  uint32_t late_after_finished = 0;
  StageStatistics statistics;  // for the replanner

  bool Unfinished() const {
    return !formed || finished + skipped + lost.size() < tasks.size();
  }
};

// A job that waits for the executors that may hold parts of it.
struct JobRecovery {
  struct Held {
    ExecutorIndex executor = kNoExecutor;
    control::HeldOutput output;
  };
  std::vector<record::StageFormation> formations;
  std::set<std::string> expected;  // executors that have not registered yet
  std::vector<Held> held;
  Time until{};
};

// An attempt that failed, for the profile.
struct AttemptError {
  uint32_t stage = 0;
  uint32_t task = 0;
  uint32_t attempt = 0;
  std::string executor_id;
  Time at{};
  std::string message;
};

struct JobState {
  JobState(uint64_t number, JobSubmitted submitted, Time now);

  uint64_t number;
  std::string id;
  std::string session_id;
  job::JobGraph graph;
  JobOptions options;
  Time submitted;
  Time time_limit;   // kNever: none
  Time waits_since;  // for executors
  Time ended = kNever;
  Time last_read{};
  Time last_progress;     // a task began or ended, or the result was read
  bool admitted = false;  // its tasks may run; else it waits in the queue of jobs
  Time admitted_at{};
  bool launched_any = false;
  Time first_launch{};
  std::vector<AttemptError> errors;  // the first ones
  size_t num_errors = 0;
  std::unique_ptr<const std::string> failure;  // of one that has failed
  bool cancelled = false;                      // that is why
  bool finished = false;    // what was not read yet of the result can be read
  bool reopened = false;    // it could once
  bool being_read = false;  // a client has come for the result, and will release it
  // The client has read the parts of the result stage's tasks before this one whole, and
  // of this one some rows where `part_begun`.
  uint32_t reads_task = 0;
  bool part_begun = false;
  // Instead of these two where the parts were given out one by one: those that were not
  // read whole.
  std::optional<std::set<uint32_t>> unread_parts;
  // The readers of some output run again, and the result stage is one of them: nothing
  // that it has put out counts any more.
  bool result_restarted = false;
  bool data_removed = false;  // no executor keeps anything of it
  uint32_t running = 0;
  uint32_t first_attempt = 0;  // of tasks that are formed or run again from now on
  std::unique_ptr<JobRecovery> recovery;  // until it goes on
  FairQueue::Entry fair;
  FairQueue::Entry admission;
  std::vector<StageState> stages;
  std::set<uint32_t> launchable;
  std::vector<ExecutorIndex> executors;  // that may keep data of it
  // Ids of those that were lost: they may be found again, and still keep it.
  std::set<std::string> lost_executors;

  // Whether the client has to read the output of this task of the result stage, and has
  // no row of it yet.
  bool IsUnread(uint32_t task) const;
  bool AnyRowGiven() const {
    return reads_task > 0 || part_begun || unread_parts.has_value();
  }
  // All parts that are unread are there.
  bool ResultIsThere() const;
  bool IsResultPart(uint32_t task, uint32_t attempt) const;

  bool Launchable(uint32_t stage) const;
  // Puts the stage into `launchable`, or takes it out.
  void UpdateLaunchable(uint32_t stage);

  // Links the stages of `graph`: producers, consumers, what is needed.
  void Link();

  // Of the attempts that `stage` reads of producers that vary, as far as it matters which
  // ones; 0: it does not. `attempt` gives that of a producer's task.
  template <typename AttemptOf>
  uint64_t InputsDigest(uint32_t stage, AttemptOf&& attempt) const {
    uint64_t digest = 0;
    const bool single =
        graph.stages(static_cast<int>(stage)).parallelism() == job::SINGLE_TASK;
    for (uint32_t producer : stages[stage].producers) {
      // One task that reads everything sees either the one or the other.
      const bool alone = single && stages[producer].consumers.size() == 1;
      if (!stages[producer].varies || alone) continue;
      for (uint32_t t = 0; t < stages[producer].tasks.size(); ++t) {
        digest = (digest ^ (uint64_t{attempt(producer, t)} + 1)) * 0x100000001b3ULL + 1;
      }
    }
    return digest;
  }

  // The outputs that `stage` reads, by input; its producers are complete.
  const std::vector<InputOutputs>& Inputs(uint32_t stage);

  const std::shared_ptr<const job::StageDefinition>& Definition(uint32_t stage);

  // With what is exact so far; for the replanner.
  std::vector<StageStatistics> Statistics() const;
};

// Whether the core can run the graph: positions, modes and partition counts are sound.
// (The fragments are not looked at.) Errors: Internal, naming the stage.
arrow::Status CheckGraph(const job::JobGraph& graph);

// Whether each stage of `job` that has started stands unchanged in `graph`.
bool KeepsStartedStages(const JobState& job, const job::JobGraph& graph);

// Sizes of a complete stage's output.
StageStatistics Summarize(const job::Stage& stage, const StageState& state);

}  // namespace ballista::scheduler
