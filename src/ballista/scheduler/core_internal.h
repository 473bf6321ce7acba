// The core's state and the steps that change it. Each event is taken in whole (its job
// may end in it), then free slots are filled, then the effects go out.
//
// Steps that can make a job impossible return the status that it is to fail with; only
// the event's own function ends the job, so that no step loses it underfoot.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "ballista/scheduler/core.h"
#include "ballista/scheduler/executor_registry_internal.h"
#include "ballista/scheduler/fair_queue_internal.h"
#include "ballista/scheduler/job_state_internal.h"

namespace ballista::scheduler {

class SchedulerCore::Impl {
 public:
  Impl(const CoreOptions& options, Replanner* replanner);

  std::vector<Effect> Handle(Event event, Time now);

  // ---- core_drain.cc
  bool MayLeave(const Executor& executor) const;

  // ---- core_invariants.cc
  std::vector<std::string> FindInconsistencies() const;

  // ---- core_report.cc
  void AddWaiting(const JobState& job, Time now, profile::JobSummary* summary) const;
  std::string WhyWaiting(const JobState& job, Time now) const;
  std::vector<std::pair<std::string, Time>> Idle(Time since) const;

  // ---- core_profile.cc
  static profile::QueryProfile Outline(const JobState& job, Time now);
  profile::QueryProfile Profile(const JobState& job, Time now) const;
  std::vector<profile::JobSummary> Summaries(Time now) const;

  const JobState* FindJob(const std::string& id) const;
  JobState* FindJob(const std::string& id);
  const ExecutorRegistry& executors() const { return executors_; }
  const std::unordered_map<std::string, uint64_t>& job_numbers() const {
    return job_numbers_;
  }
  Time next_deadline() const { return next_deadline_; }
  size_t running() const { return running_; }

 private:
  static void FillSummary(const JobState& job, Time now, profile::JobSummary* summary);
  static void OutlineStage(const JobState& job, uint32_t id, profile::StageProfile* to);
  void ProfileTasks(const JobState& job, Time now, profile::StageProfile* stage) const;
  void ProfileTask(const JobState& job, Time now, const TaskState& task,
                   profile::TaskProfile* to) const;

  // A task that a message is about, if it is what the core believes to be running; the
  // job alone, where it is being recovered.
  struct RunningTask {
    JobState* job = nullptr;
    uint32_t stage = 0;
    uint32_t index = 0;
    TaskState* task = nullptr;  // the attempt meant is its first one
    Executor* executor = nullptr;
    bool was_copy = false;
  };

  // ---- core_executors.cc
  void On(ExecutorRegistered& event);
  void On(ExecutorHeartbeat& event);
  void On(ExecutorLost& event);
  void On(ExecutorDraining& event);
  void On(ExecutorStopped& event);
  void On(JobRecovered& event);
  void On(Tick& event) {}
  void Heard(Executor* executor);
  void Reconcile(const ExecutorRegistered& event, Executor* executor);
  enum class Departure { kLost, kStopped };
  void LoseExecutor(ExecutorIndex index, const std::string& reason,
                    Departure how = Departure::kLost);
  arrow::Status LoseTasks(JobState* job, ExecutorIndex index, const std::string& why,
                          const std::vector<TaskPosition>& launched, Departure how);
  // The task that `executor` has finished had failed elsewhere.
  void BlameFailures(TaskState* task, Executor* executor);
  // `reader` could not read what `holder` has.
  void ExcludeUnreadable(ExecutorIndex holder, const Executor* reader);
  void Exclude(Executor* executor);
  void IncludeAll();
  void NoteUsableExecutors();
  void CheckDeadlines();
  Time CheckExecutors();
  Time CheckJob(JobState* job, arrow::Status* failed);

  // ---- core_jobs.cc
  void On(JobSubmitted& event);
  enum class Limits { kHold, kWaived };
  void Accept(JobSubmitted& event, Limits limits);
  void On(JobCancelled& event);
  void On(JobReleased& event);
  // Lets jobs of the queue run as far as the limit allows.
  void AdmitJobs();
  void Admit(JobState* job);
  // The job's tasks have ended: another job may have its place.
  void LeavePlace(JobState* job);
  void FinishJob(JobState* job);
  void FailJob(JobState* job, arrow::Status status);
  // Forgets the job, here and at the executors.
  void EndJob(JobState* job);
  void CancelRunning(JobState* job, uint32_t stage);
  void RemoveData(JobState* job);
  void StageCompleted(JobState* job, uint32_t stage);
  bool Replan(JobState* job);

  // ---- core_results.cc
  void On(JobResultRead& event);
  void On(ResultPartLost& event);
  void On(ResultGivenOut& event);
  void On(ResultPartRead& event);
  // As Recover, for a job that may have finished: it goes on where something is missing
  // that the client has not read.
  arrow::Status Reopen(JobState* job, const std::string& why);
  // What was left to do when the job finished is done only if somebody needs it again.
  void Shelve(JobState* job, uint32_t stage);
  // The tasks of the result stage that are lost and must run again.
  arrow::Status TakeLostParts(JobState* job, const std::string& why,
                              std::set<uint32_t>* lost);

  // ---- core_recovery.cc
  // The executor may keep data of the job, to be removed at its end.
  void NoteKeeper(JobState* job, Executor* executor);
  // What the executor holds of jobs that are being recovered.
  void NoteHeld(ExecutorRegistered& event, Executor* executor);
  // A task that a recovered job may go on with has ended.
  void NoteEnded(JobState* job, const TaskFinished& event);
  void NoteEnded(JobState* job, const TaskFailed& event);
  control::HeldOutput* FindHeld(JobState* job, const std::string& executor_id,
                                const job::TaskId& id);
  // The executor will not come (back): nothing of it counts.
  void ForgetHeld(const std::string& executor_id);
  void CloseRecovery(JobState* job);
  bool Resume(JobState* job, uint32_t stage, uint32_t index, JobRecovery::Held* held);
  void CloseRecoveries();
  // ---- core_drain.cc
  static bool IsNeeded(const JobState& job, uint32_t stage, const TaskState& task);

  // ---- core_speculation.cc
  // When a task of the job may be late next; takes note of those that are.
  Time CheckLateTasks(JobState* job);
  Time CheckLateTasks(JobState* job, uint32_t stage);
  // A task of the stage has finished: when others are late may be known, or better known.
  void NoteFinished(JobState* job, uint32_t stage);
  void LaunchCopies();
  // False: there is no free executor for it.
  bool LaunchCopy(JobState* job, uint32_t stage, uint32_t index);
  // Stops the second attempt, if there is one.
  void CancelCopy(JobState* job, uint32_t stage, uint32_t index);

  // ---- core_tasks.cc
  void On(TaskFinished& event);
  void On(TaskFailed& event);
  void On(LaunchFailed& event);
  RunningTask FindRunning(const job::TaskId& id, const std::string& executor_id,
                          const std::string& incarnation);
  // Keeps that an attempt has failed, for the profile.
  void NoteError(const RunningTask& running, const arrow::Status& status);
  arrow::Status TaskDidFail(const RunningTask& running, const arrow::Status& status);
  arrow::Status CountFailure(const RunningTask& running, const arrow::Status& status);
  arrow::Status InputLost(const RunningTask& running, const arrow::Status& status);
  void LoseInputsAt(JobState* job, uint32_t stage, ExecutorIndex executor);
  // The task is not running any more: gives back its slot. What it is next, is
  // the caller's to say.
  void Stop(JobState* job, uint32_t stage, TaskState* task);
  // The task is to run once more.
  void Requeue(JobState* job, uint32_t stage, uint32_t index);
  // As Requeue, but where another attempt of it runs it goes on with that one.
  void RunAgain(JobState* job, uint32_t stage, uint32_t index);
  // What an executor has put out, and nobody will read.
  void DropOutput(const JobState& job, const TaskFinished& event);
  // The stage has given as many rows as are needed: what is left of it is not run, or
  // not to its end.
  void SkipRest(JobState* job, uint32_t stage);
  // Rows are missing again.
  void RequeueSkipped(JobState* job, uint32_t stage);
  // The output of a finished task is gone.
  void MarkLost(JobState* job, uint32_t stage, uint32_t index);
  // Lets everything that is lost and still needed run again. `why`: for a job that runs
  // nothing twice.
  arrow::Status Recover(JobState* job, const std::string& why);
  // Runs the readers of a stage's output again, and theirs, as far as they have begun:
  // the output becomes another one, and no reader may see parts of both.
  void RestartReaders(JobState* job, uint32_t stage);
  void Restart(JobState* job, uint32_t stage);
  void Schedule();
  bool LaunchOne(JobState* job);
  void FormStage(JobState* job, uint32_t stage);
  void Launch(JobState* job, uint32_t stage, const Placement& placement);
  void SendTask(JobState* job, uint32_t stage, uint32_t index, uint32_t attempt,
                ExecutorIndex to);
  void Define(JobState* job, uint32_t stage, uint32_t index, uint32_t attempt,
              TaskDefinitions* definitions);
  const std::shared_ptr<std::vector<job::ExecutorAddress>>& Holders(JobState* job,
                                                                    uint32_t stage);

  // ---- core.cc
  void UpdateReady(JobState* job);
  void NoteDeadline(Time deadline) {
    next_deadline_ = std::min(next_deadline_, deadline);
  }
  void SendCancel(const std::string& executor_id, const job::TaskId& id);
  void SendRemove(const std::string& executor_id, const std::string& job_id);
  std::vector<Effect> TakeEffects();

  const CoreOptions options_;
  Replanner* const replanner_;
  Time now_{};
  Time next_deadline_ = kNever;
  Time no_executor_since_{};  // while no executor takes tasks
  size_t running_ = 0;
  ExecutorRegistry executors_;
  FairQueue fair_{FairQueue::Served::kAtLaunch};
  FairQueue admission_{FairQueue::Served::kAtEnd};  // of jobs that are not admitted yet
  size_t admitted_ = 0;                             // jobs that run
  uint64_t next_job_ = 0;
  std::map<uint64_t, std::unique_ptr<JobState>> jobs_;  // by number
  std::unordered_map<std::string, uint64_t> job_numbers_;
  std::set<uint64_t> recovering_;  // numbers of jobs
  // Tasks that are late and have no copy yet: job's number, stage, task. Some may have
  // ended meanwhile.
  std::set<std::tuple<uint64_t, uint32_t, uint32_t>> late_;

  // Of the event at hand.
  std::vector<Effect> kept_;
  std::map<std::string, CancelTasks> cancels_;
  std::map<std::string, RemoveJobs> removals_;
  std::vector<Effect> ended_;
  std::vector<Effect> profiles_;
  std::map<ExecutorIndex, LaunchTasks> launches_;
  std::vector<uint32_t> positions_;  // by AvailableOutput::holder, of the task at hand
};

job::TaskId MakeTaskId(const JobState& job, uint32_t stage, uint32_t index,
                       uint32_t attempt);

// Whether the size of each partition is there.
bool SizesComplete(const job::Output& declared, const job::OutputStatistics& output);

// `time` + `delay`, kNever where either is.
Time After(Time time, Time delay);

}  // namespace ballista::scheduler
