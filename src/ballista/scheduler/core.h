// The scheduler's core: a deterministic state machine that runs job graphs on executors.
//
// It has no thread, clock, randomness or I/O: everything that happens comes in as an
// event with the time, and what is to be done comes out as effects. The same events give
// the same effects, so a simulation can replay any run from its seed. The shell around it
// owns connections, timers and locks.
//
// What it does: forms a stage's tasks when all its producers are complete (shares
// balanced by bytes); launches a task the moment a slot is free, fairly between sessions
// and jobs, near its input where that costs no wait; retries failed tasks elsewhere;
// computes lost outputs again, as far as they are still needed; and removes every trace
// of a job when it ends. Where an output that has been read in part is computed again and
// may come out differently (plan/repeatable.h), its readers run again, too. That holds
// until the client has read the result: what it has not read yet and is lost is computed
// again.
//
// Cost: O(log n) an event plus the size of what it launches. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ballista/control.pb.h"
#include "ballista/scheduler/core_messages.h"
#include "ballista/scheduler/replanner.h"

namespace ballista::scheduler {

struct CoreOptions {
  // Without any executor that takes tasks, jobs wait this long and fail then.
  Time executor_wait = std::chrono::seconds(60);
  // An executor that has not been heard of for this long is lost; kNever: only
  // ExecutorLost says so.
  Time executor_timeout = std::chrono::seconds(30);
  // A finished job whose result nobody comes for (JobResultRead) or releases for this
  // long is dropped, with JobFailed.
  Time result_ttl = std::chrono::hours(1);
  // The same for one whose reader takes nothing any more. The reader's connection is
  // there: it has stopped, but has not gone.
  Time reader_ttl = std::chrono::hours(1);
  // A task whose inputs could not be fetched more often than this fails the job.
  uint32_t max_fetch_failures = 8;
  // A task that was running on more executors than this when they were lost fails the
  // job: it may be what kills them.
  uint32_t max_executor_losses = 8;
  // An executor where this many tasks failed that then ran elsewhere (less those that ran
  // well here) gets no tasks for so long: it is what is wrong, not they. Tasks that fail
  // wherever they run exclude nobody, and the last executor is never excluded. One whose
  // outputs another one cannot read is left out for as long.
  uint32_t blame_limit = 3;
  Time exclusion = std::chrono::seconds(60);
  // Jobs at once, finished and unreleased ones included; the next one fails with
  // ResourcesExhausted (QUEUE).
  size_t max_jobs = 10000;
  // Says what must be kept for recovery (StageFormed, GraphReplaced), and leaves results
  // with the executors until they are released.
  bool durable = false;
  // Says what each job was (JobEnded) when it is forgotten.
  bool profiles = false;
  // How long a recovered job waits for the executors that may hold its outputs.
  Time recovery_wait = std::chrono::seconds(10);
  // Jobs whose tasks run at once; the rest waits in a queue, fairly between sessions. 0:
  // no limit.
  size_t max_running_jobs = 0;
  // Jobs in that queue; one more fails with ResourcesExhausted (QUEUE).
  size_t max_queued_jobs = 1000;
};

// An executor as the core sees it.
struct ExecutorView {
  control::ExecutorMetadata metadata;
  Time last_seen{};
  uint32_t running_tasks = 0;
  bool draining = false;
  bool suspended = false;  // could not be reached
  bool excluded = false;   // tasks failed there that ran elsewhere
};

class SchedulerCore {
 public:
  // `replanner` may be null and must outlive the core.
  explicit SchedulerCore(const CoreOptions& options = {}, Replanner* replanner = nullptr);
  ~SchedulerCore();
  SchedulerCore& operator=(SchedulerCore&& other) noexcept;

  // Takes in one event at `now` and returns what is to be done, in order. Never fails:
  // stale, repeated and unknown messages change nothing. `now` must not go back.
  std::vector<Effect> Handle(Event event, Time now);

  // When the next Tick is needed; kNever: none.
  Time NextDeadline() const;

  // ---- for people and for the shell's answers; none changes anything

  bool HasExecutor(const std::string& executor_id, const std::string& incarnation) const;
  // By id.
  std::vector<control::ExecutorMetadata> Executors() const;
  std::vector<ExecutorView> ViewExecutors() const;
  size_t NumExecutors() const;
  // Executors that can be given tasks now or when a slot frees (not draining, with
  // slots).
  size_t NumUsableExecutors() const;

  // Nobody needs anything of the executor any more: it runs no task, and what it keeps
  // has been read or will not be. True for an executor that is not there.
  bool MayLeave(const std::string& executor_id, const std::string& incarnation) const;

  bool HasJob(const std::string& job_id) const;
  // Whether this attempt is still the one whose output counts as the result's. (True
  // before the client gets its first row and the event of that, JobResultRead: it stays
  // so or the job fails.)
  bool IsResultPart(const std::string& job_id, uint32_t task, uint32_t attempt) const;
  // Whether its parts were given out (ResultGivenOut), and each was read whole.
  bool AllPartsRead(const std::string& job_id) const;
  std::vector<std::string> Jobs() const;
  // What the job's finished tasks have put out, in bytes.
  uint64_t OutputBytes(const std::string& job_id) const;
  // How far the job is: its profile without statement, tasks and errors, which costs
  // little. State UNKNOWN for a job that is not there.
  profile::QueryProfile Outline(const std::string& job_id, Time now) const;
  // One sentence that says what the job is waiting for, and until when.
  std::string WhyWaiting(const std::string& job_id, Time now) const;
  // Jobs of which nothing has happened after `since`: no task began or ended, nothing of
  // the result was read. With the time of what happened last; by number.
  std::vector<std::pair<std::string, Time>> Idle(Time since) const;
  // What the core knows of the job, without the texts that are made of its graph
  // (profile/complete.h); job_id is empty for an unknown job. Costs a copy of what is
  // known of each task.
  profile::QueryProfile Profile(const std::string& job_id, Time now) const;
  // Of each job, the oldest first; with the first 500 bytes of the statement.
  std::vector<profile::JobSummary> Summaries(Time now) const;
  // The graph as it stands after re-planning; null for an unknown job.
  const job::JobGraph* Graph(const std::string& job_id) const;

  // What contradicts itself in the core's state, in sentences; empty: nothing. Looks at
  // everything: for tests.
  std::vector<std::string> FindInconsistencies() const;

  // Nothing is kept of any job.
  bool IsIdle() const;
  // Tasks that executors are running, as far as the core knows.
  size_t NumRunningTasks() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ballista::scheduler
