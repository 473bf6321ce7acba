// Runs the tasks that the scheduler launches: in slots, each task on a thread of its own
// over the shared engine, its inputs fetched from their executors, its output kept in the
// shuffle store.
#pragma once

#include <arrow/result.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "ballista/control.pb.h"
#include "ballista/engine/execution_engine.h"
#include "ballista/executor/memory_arbiter.h"
#include "ballista/executor/task_admission.h"
#include "ballista/metrics/instruments.h"
#include "ballista/shuffle/shuffle_store.h"
#include "ballista/shuffle/task_input.h"
#include "ballista/trace/exporter.h"

namespace ballista::executor {

// What a runner counts (docs/metrics.md).
struct TaskCounters {
  metrics::Counter finished;
  metrics::Counter failed;
  metrics::Counter cancelled;
  metrics::Counter rows_written;
  metrics::Counter bytes_written;
  metrics::Counter bytes_fetched;
  metrics::Counter bytes_local;
  metrics::Counter bytes_spilled;
  metrics::Histogram task;
};

struct TaskRunnerOptions {
  std::string executor_id;
  int slots = 4;
  // A result output of up to this many bytes travels inside the task's status.
  uint64_t inline_result_limit = 1ULL << 20;
  // Of the tasks' spans; null: none are made.
  std::shared_ptr<trace::Exporter> exporter;
};

// Thread-safe.
class TaskRunner {
 public:
  using StatusCallback = std::function<void(control::TaskStatus)>;
  // Opens the inputs of a task, by ExchangeRead.input.
  using SourceFactory =
      std::function<arrow::Result<std::vector<std::shared_ptr<shuffle::TaskInputSource>>>(
          const job::StageDefinition&, const job::TaskDefinition&)>;

  // Borrows everything; `memory` may be null: then tasks begin whenever a slot is free.
  // `report` is called from task threads, once for each task that was
  // not cancelled.
  TaskRunner(TaskRunnerOptions options, engine::ExecutionEngine* engine,
             shuffle::ShuffleStore* store, MemoryArbiter* memory, SourceFactory sources,
             StatusCallback report);
  // Cancels what runs and waits for it.
  ~TaskRunner();

  // Queues the tasks; those that are queued or running already are left alone.
  // Errors: Invalid when a task's stage is not among the request's.
  arrow::Status Launch(const control::LaunchTasksRequest& request);
  // Stops the tasks and drops what they have put out. No status is reported for a task
  // that was cancelled.
  void Cancel(const std::vector<job::TaskId>& tasks);
  // Stops all tasks; each is reported as interrupted (Cancelled, SHUTDOWN), so that it
  // runs elsewhere. Gives their number.
  size_t HandBack();
  // Cancels the job's tasks and drops its outputs; does not wait for the tasks.
  void RemoveJob(const std::string& job_id);

  std::vector<job::TaskId> Running() const;
  const TaskCounters& counters() const { return counters_; }

  // Outputs of finished tasks and tasks that run, of jobs that another scheduler may go
  // on with (StageDefinition.fingerprint).
  std::vector<control::HeldOutput> Held() const;

 private:
  using Key = std::tuple<std::string, uint32_t, uint32_t, uint32_t>;
  struct Task;

  static Key KeyOf(const job::TaskId& id);
  void RunSlot();
  void RunTask(Task* task);
  // Executes when there is room; once more, alone, where memory did not suffice.
  arrow::Result<control::TaskFinished> ExecuteWithinMemory(Task* task);
  arrow::Result<control::TaskFinished> Execute(Task* task);
  void Count(const job::TaskMetrics& done);
  bool Cancelled(const Task& task) const;
  // A handle for the next run; false for a task that was cancelled.
  bool Arm(Task* task);
  void CancelLocked(Task* task);
  void Trace(const Task& task, int64_t begin_nanos,
             const arrow::Result<control::TaskFinished>& finished) const;

  const TaskRunnerOptions options_;
  engine::ExecutionEngine* const engine_;
  shuffle::ShuffleStore* const store_;
  MemoryArbiter* const memory_;
  const SourceFactory sources_;
  const StatusCallback report_;
  TaskAdmission admission_;
  TaskCounters counters_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Task>> queue_;
  std::map<Key, std::shared_ptr<Task>> tasks_;  // queued and running
  std::map<Key, control::HeldOutput> held_;     // of finished tasks, until the job's end
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace ballista::executor
