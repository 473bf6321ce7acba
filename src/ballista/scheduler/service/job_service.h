// Runs jobs: the shell around the scheduler's core. It owns the core behind a lock, turns
// calls into events, carries out effects (requests to executors), keeps the timer, and
// lets callers wait for the end of a job.
#pragma once

#include <arrow/result.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ballista/control.pb.h"
#include "ballista/flight/client_pool.h"
#include "ballista/scheduler/core.h"
#include "ballista/scheduler/service/executor_link.h"
#include "ballista/scheduler/service/job_metrics.h"
#include "ballista/scheduler/service/rows_budget.h"
#include "ballista/scheduler/service/running_clock.h"
#include "ballista/scheduler/service/state_keeper.h"
#include "ballista/scheduler/service/stuck_watch.h"

namespace ballista::scheduler {

// Thread-safe. With a keeper (null: nothing is kept) jobs can be gone on with by another
// process; it must outlive this.
class JobService {
 public:
  JobService(const CoreOptions& options, Replanner* replanner,
             flight::ClientPool* clients, std::chrono::milliseconds heartbeat_interval,
             StateKeeper* keeper = nullptr);
  ~JobService();

  // ---- executors
  arrow::Result<control::RegisterExecutorResponse> RegisterExecutor(
      const control::RegisterExecutorRequest& request);
  arrow::Result<control::HeartbeatResponse> Heartbeat(
      const control::HeartbeatRequest& request);
  // Has the executor drain, at its next heartbeat. `executor`: its id, or "host:port".
  // Errors: KeyError where there is none.
  arrow::Result<control::DrainExecutorResponse> DrainExecutor(
      const std::string& executor);
  arrow::Result<control::HeartbeatResponse> StopExecutor(
      const control::StopExecutorRequest& request);
  arrow::Result<control::TaskStatusResponse> ReportTasks(
      const control::TaskStatusRequest& request);
  std::vector<control::ExecutorMetadata> Executors() const;
  profile::ExecutorList ViewExecutors() const;

  // ---- jobs
  // Jobs without progress for so long are named in the log, with what they wait for;
  // zero: none is. Before the first job.
  void WatchStuckJobs(std::chrono::milliseconds limit);
  // Small results come within the budget; what is beyond stays with the executors. It
  // must outlive this. Before the first job.
  void LimitInlineResults(const RowsBudget* budget);
  // How long a job that outlives the process is kept after its result was sent; zero: not
  // at all. Less where much is kept. May be called again, with less.
  void KeepReadResults(std::chrono::milliseconds time);

  // Goes on with the jobs of a scheduler that has ended: of one before this, before
  // executors register; or of another, at any time.
  void Recover(StateKeeper::Recovered recovered);
  // Other schedulers have this one's jobs: forgets them, and all executors, which come
  // in again. Jobs that are not kept have failed.
  void LoseJobs();
  // After LoseJobs: under another id.
  void BeginAnew(const std::string& id);
  bool Knows(const std::string& job_id) const;
  // Lost to another scheduler, and this one may still have something to do with it.
  bool HasMoved(const std::string& job_id) const;

  // Starts a job and gives its id; it may wait in a queue first. It is cancelled when it
  // has not finished after `time_limit`; zero: no limit. Errors: ResourcesExhausted
  // (QUEUE).
  arrow::Result<std::string> Submit(const std::string& session_id, job::JobGraph graph,
                                    const JobOptions& options,
                                    std::chrono::milliseconds time_limit);
  // The same for a job that outlives the process, where there is a keeper: it is durable
  // on return. Errors: also that the backend did not take it in time; the job does not
  // run then.
  arrow::Result<std::string> SubmitKept(const std::string& session_id,
                                        job::JobGraph graph, const JobOptions& options,
                                        std::chrono::milliseconds time_limit);

  // Waits for the end of the job. `abandoned` is asked now and then; once it says true
  // the wait ends with Cancelled (the job goes on). Errors: the job's own, or KeyError
  // for an unknown job.
  arrow::Result<std::shared_ptr<const JobFinished>> Wait(
      const std::string& job_id, const std::function<bool()>& abandoned);

  // This process is about to end: from now on a kept job that nobody waits for any more
  // stays for the next scheduler.
  void LeaveKept();

  // Drops the job and everything that is kept of it; one still running is cancelled.
  void Release(const std::string& job_id);
  // Its result was sent to the end: the same, but after KeepReadResults' time. A client
  // may come for it again until then.
  void ReleaseRead(const std::string& job_id);
  // Whose job it is; nothing for one that is not known.
  std::optional<std::string> UserOf(const std::string& job_id) const;
  // The error for a job that is not known.
  static arrow::Status NoSuchJob(const std::string& job_id);
  // True when there was such a job.
  bool Cancel(const std::string& job_id, Cancelled::Reason reason,
              const std::string& message);
  // Ends all jobs of the session, also those whose result is being read.
  void CloseSession(const std::string& session_id);
  // ---- the result of a job, for who reads it (ResultSource says more)
  // Where the parts are, from that of `task` on; waits while they are computed again.
  // Errors: as of Wait.
  arrow::Result<std::shared_ptr<const JobFinished>> WaitForParts(
      const std::string& job_id, uint32_t task, const std::function<bool()>& abandoned);
  // The client is to have rows of this part. False: it is one of the result no more.
  bool BeginPart(const std::string& job_id, const ResultPart& part);
  // More of them are given: puts off the removal of the result.
  void TouchPart(const std::string& job_id, const ResultPart& part);
  // Puts off the removal of a result that is to be read.
  void Renew(const std::string& job_id);
  bool HasPart(const std::string& job_id, const ResultPart& part) const;
  void LosePart(const std::string& job_id, const ResultPart& part,
                const std::string& reason);
  // ---- the parts of a result whose job has a key (flight/part_ticket.h), read one by
  // one Waits for the end of the job. Its parts may be asked for by tickets from then on;
  // null where they may not: it has no key, or is not known. Errors: as of Wait.
  struct GivenOut {
    std::shared_ptr<const JobFinished> result;
    std::string key;
  };
  arrow::Result<GivenOut> GiveOutParts(const std::string& job_id,
                                       const std::function<bool()>& abandoned);
  // Empty where there is none.
  std::string ResultKey(const std::string& job_id) const;
  // Where the part is, which a client wants to read; waits while it is computed again.
  // `attempt`: as its ticket says. Errors: as of Wait; IOError where this scheduler has
  // taken the job over, and the part may not be the one that the ticket is for.
  arrow::Result<std::shared_ptr<const JobFinished>> WaitForPart(
      const std::string& job_id, uint32_t task, uint32_t attempt,
      const std::function<bool()>& abandoned);
  // A client reads it. Drops the job as ReleaseRead does where each part was read whole,
  // and as Release where the client has left.
  void NotePartReading(const std::string& job_id, uint32_t task,
                       control::PartReading::State state);
  // The error that the job has ended with; OK: none, or there is no such job.
  arrow::Status WhyEnded(const std::string& job_id) const;

  profile::QueryProfile Outline(const std::string& job_id) const;
  // Complete; no value for a job that is not there (any more).
  std::optional<profile::QueryProfile> Profile(const std::string& job_id) const;
  // Of the jobs that are there, the oldest first.
  std::vector<profile::JobSummary> Summaries() const;

  // With CoreOptions::profiles: is given what each job was once it has been forgotten.
  // Called under this object's lock: it must return at once, and not call back.
  void OnJobEnded(std::function<void(JobEnded)> callback);
  const JobMetrics& metrics() const { return metrics_; }
  std::string id() const;
  // Empty, or why it takes no queries at the moment.
  std::string WhyNotReady() const;

  // What is kept of jobs that have not been cancelled, failed or read.
  struct Holdings {
    size_t jobs = 0;
    size_t running_tasks = 0;
    size_t waiting = 0;  // calls of Wait that wait
    size_t read = 0;     // jobs whose result was sent, and nobody has come for it since
  };
  Holdings Kept() const;

 private:
  // What an executor said last; bytes.
  struct ExecutorUse {
    uint64_t memory = 0;
    uint64_t disk = 0;
  };

  struct Outcome {
    std::string session_id;
    std::string user;
    Time read = kNever;  // when its result was sent, if nobody has come for it since
    bool ended = false;
    bool kept = false;       // beyond this process
    bool given_out = false;  // its parts, by this process
    std::string result_key;  // empty: they are not
    arrow::Status status;
    std::shared_ptr<const JobFinished> result;
    profile::QueryProfile outline;
  };

  Time Now() const { return clock_.Now(); }
  // When a job was submitted whose summary was made at `now`, in Unix time: the same
  // however often it is asked for, and whenever.
  uint64_t SubmittedMsLocked(const profile::JobSummary& job, Time now) const;
  // Feeds the core and carries out what it wants. Takes the lock.
  void Post(Event event);
  void PostLocked(Event event);
  // Errors: the core's, where it refused the job.
  arrow::Status StartLocked(JobSubmitted event, std::chrono::milliseconds time_limit,
                            bool kept = false);
  bool shared() const { return keeper_ != nullptr && keeper_->shared(); }
  // False while others may have this scheduler's jobs: nothing is sent, nothing taken in.
  bool MayAct() const { return keeper_ == nullptr || keeper_->MayAct(); }
  arrow::Status CheckMayAct() const;
  arrow::Status WhyEndedLocked(const std::string& job_id) const;
  // As Wait; `lock` is of mutex_.
  arrow::Result<std::shared_ptr<const JobFinished>> WaitLocked(
      std::unique_lock<std::mutex>* lock, const std::string& job_id,
      const std::function<bool()>& abandoned);
  uint64_t TokenOf(const std::string& job_id) const;
  bool IsOurs(const control::RegisterExecutorRequest& request,
              const std::string& job_id) const;
  // What tells an executor which jobs are this scheduler's that were another's.
  control::AdoptJobsRequest Adoption(const std::string& ended_scheduler,
                                     const std::vector<std::string>& kept);
  void Apply(Effect effect);
  void Apply(StageFormed effect);
  void Apply(GraphReplaced effect);
  void Apply(LaunchTasks effect);
  void Apply(CancelTasks effect);
  void Apply(JobFinished effect);
  void Apply(JobReopened effect);
  void Apply(JobFailed effect);
  void Apply(RemoveJobs effect);
  void Apply(JobEnded effect);
  void NoteUse(const control::HeartbeatRequest& request);
  void OnSendFailure(const control::ExecutorMetadata& executor,
                     const OutboundRequest& request, const arrow::Status& status);
  // The link to the executor's process of today; null where there is none.
  ExecutorLink* LinkOf(const std::string& executor_id);
  // Retires the links of executors that are gone.
  void RetireDeadLinks();
  // Drops the ends of jobs that nobody asked for in time; when it is to be called next.
  Time DropOldOutcomes();
  // Drops jobs whose results were read; when it is to be called next.
  Time DropReadJobs();
  void ReleaseLocked(const std::string& job_id);
  void ReleaseReadLocked(const std::string& job_id);
  void NotePartReadingLocked(const std::string& job_id, uint32_t task,
                             control::PartReading::State state);
  // The job, which is there, can be dropped soon.
  void NoteRead(const std::string& job_id);
  // Somebody comes for its result.
  void ExpectReader(const std::string& job_id);
  // Null where the budget has no room for it.
  std::shared_ptr<const std::string> HoldInline(const std::string& rows) const;
  // Whether the executor is where it says; one that could not be sent its tasks would
  // fail them all. Errors: Invalid, which its log shows.
  arrow::Status CheckReachable(const control::ExecutorMetadata& executor);
  void NameStuckJobs();
  // Nobody could be heard while this process did not run.
  void NoteSuspension();
  void RunTimer();
  // Ends the links that are done with: each may wait for a call under way, which must
  // hold up nobody else.
  void RunReaper();
  // Those that have not come are kept no longer.
  void ForgetAwaited();

  std::string id_;  // under the lock
  RunningClock clock_;
  Time event_time_{};           // of the event that the core handles
  mutable Time unix_offset_{};  // of Unix time from clock_'s
  const std::chrono::milliseconds heartbeat_interval_;
  flight::ClientPool* const clients_;
  StateKeeper* const keeper_;
  const Time recovery_wait_;
  const CoreOptions options_;
  Replanner* const replanner_;

  JobMetrics metrics_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;  // a job ended, or an executor came
  std::condition_variable timer_wake_;
  std::condition_variable reaper_wake_;
  SchedulerCore core_;
  // Links that are done with; they end on the reaper's thread.
  std::vector<std::unique_ptr<ExecutorLink>> retired_;
  std::map<std::string, uint64_t> tokens_;  // of jobs that were another scheduler's
  std::set<std::string> moved_;             // jobs that were this scheduler's
  std::map<std::string, std::unique_ptr<ExecutorLink>> links_;  // by incarnation
  std::map<std::string, std::string> incarnations_;             // by executor id
  std::map<std::string, ExecutorUse> use_;                      // by incarnation
  std::function<void(JobEnded)> on_job_ended_;
  std::set<std::string> to_drain_;  // incarnations that have not begun to drain yet
  std::map<std::string, Outcome> outcomes_;          // by job id
  std::deque<std::pair<Time, std::string>> failed_;  // jobs, by when they failed
  struct Read {
    Time at;
    std::string job_id;
    uint64_t bytes;
  };
  std::deque<Read> read_;  // jobs whose results were sent; some are gone, or read again
  uint64_t read_bytes_ = 0;
  Time keep_read_ = std::chrono::hours(1);
  const RowsBudget* inline_budget_ = nullptr;  // null: no bound
  // Executors of the scheduler before this one, that may still come.
  std::set<std::string> awaited_;
  Time awaited_until_ = kNever;
  Time begun_{};             // when executors began to come in
  Time timer_due_ = kNever;  // when the timer wakes by itself
  StuckWatch stuck_{Time::zero()};
  size_t waiting_ = 0;
  bool leaving_ = false;
  bool stopping_ = false;
  std::thread timer_;
  std::thread reaper_;
};

}  // namespace ballista::scheduler
