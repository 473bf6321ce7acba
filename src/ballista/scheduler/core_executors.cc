// Executors that come and go, and what time does to them and to waiting jobs.
#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "ballista/base/status.h"
#include "ballista/scheduler/core_internal.h"

namespace ballista::scheduler {

namespace {
int64_t Seconds(Time time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time).count();
}
}  // namespace

void SchedulerCore::Impl::On(ExecutorRegistered& event) {
  const std::string& id = event.executor.id();
  Executor* executor = executors_.Find(id);
  if (executor != nullptr &&
      executor->metadata.incarnation() != event.executor.incarnation()) {
    LoseExecutor(executor->index, "it was started again");
    executor = nullptr;
  }
  if (executor == nullptr) {
    executor = &executors_.Add(event.executor, now_);
    NoteUsableExecutors();
    NoteDeadline(After(now_, options_.executor_timeout));
  }
  Heard(executor);
  NoteHeld(event, executor);
  Reconcile(event, executor);
}

// Ends what the executor has of a time that the core does not remember: it was believed
// to be lost, or the message that should have ended it did not arrive.
void SchedulerCore::Impl::Reconcile(const ExecutorRegistered& event, Executor* executor) {
  for (const job::TaskId& id : event.running) {
    const JobState* job = FindJob(id.job_id());
    if (job != nullptr && job->recovery != nullptr) continue;
    bool known = false;
    if (job != nullptr && id.stage_id() < job->stages.size()) {
      const auto& tasks = job->stages[id.stage_id()].tasks;
      if (id.task_index() < tasks.size()) {
        const TaskState& task = tasks[id.task_index()];
        // The message may be older than that of the task's end.
        known = task.Runs(executor->index, id.attempt()) ||
                (task.state == TaskState::kFinished && task.attempt == id.attempt());
      }
    }
    if (!known) SendCancel(executor->metadata.id(), id);
  }
  for (const std::string& job_id : event.held_jobs) {
    const JobState* job = FindJob(job_id);
    if (job == nullptr || job->data_removed) SendRemove(executor->metadata.id(), job_id);
  }
}

void SchedulerCore::Impl::Heard(Executor* executor) {
  executor->last_seen = now_;
  executors_.Resume(executor);
  NoteUsableExecutors();
}

void SchedulerCore::Impl::On(ExecutorHeartbeat& event) {
  Executor* executor = executors_.Find(event.executor_id, event.incarnation);
  if (executor != nullptr) Heard(executor);
}

void SchedulerCore::Impl::On(ExecutorLost& event) {
  const Executor* executor = executors_.Find(event.executor_id, event.incarnation);
  if (executor != nullptr) LoseExecutor(executor->index, event.reason);
}

void SchedulerCore::Impl::On(ExecutorDraining& event) {
  Executor* executor = executors_.Find(event.executor_id, event.incarnation);
  if (executor == nullptr) return;
  executors_.Drain(executor);
  NoteUsableExecutors();
}

void SchedulerCore::Impl::On(ExecutorStopped& event) {
  const Executor* executor = executors_.Find(event.executor_id, event.incarnation);
  if (executor == nullptr) return;
  LoseExecutor(executor->index, "it was stopped", Departure::kStopped);
}

void SchedulerCore::Impl::LoseExecutor(ExecutorIndex index, const std::string& reason,
                                       Departure how) {
  Executor* executor = executors_.Get(index);
  const std::string id = executor->metadata.id();
  auto found = std::move(executor->launched);
  // In the order of the jobs, so that the same events have the same effects.
  const std::map<uint64_t, std::vector<TaskPosition>> launched(
      std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
  executors_.Remove(index);
  ForgetHeld(id);
  NoteUsableExecutors();
  const std::string why = fmt::format("executor {} was lost: {}", id, reason);
  for (const auto& [number, positions] : launched) {
    JobState* job = jobs_.at(number).get();
    job->lost_executors.insert(id);
    arrow::Status status = LoseTasks(job, index, why, positions, how);
    if (status.ok()) status = Reopen(job, why);
    if (!status.ok()) {
      FailJob(job, ExecutorLostStatus(status.message(), id));
    }
  }
}

arrow::Status SchedulerCore::Impl::LoseTasks(JobState* job, ExecutorIndex index,
                                             const std::string& why,
                                             const std::vector<TaskPosition>& launched,
                                             Departure how) {
  for (const auto& [stage, task_index] : launched) {
    // Planning again may have put another stage at this position.
    if (stage >= job->stages.size()) continue;
    StageState& state = job->stages[stage];
    if (task_index >= state.tasks.size()) continue;
    TaskState& task = state.tasks[task_index];
    if (task.executor != index && !task.RunsAt(index)) continue;
    if (task.state == TaskState::kFinished) {
      if (task.inline_result != nullptr && state.consumers.empty()) continue;
      MarkLost(job, stage, task_index);
    } else if (task.state == TaskState::kRunning) {
      if (task.executor != index) task.SwapAttempts();
      Stop(job, stage, &task);
      if (how == Departure::kLost) ++task.executor_losses;
      const bool too_often =
          task.executor_losses > options_.max_executor_losses && !task.copy.has_value();
      if (!job->options.retry || too_often) {
        return arrow::Status::IOError(fmt::format(
            "task {} of stage {} was running when {}; attempt {}, not tried again",
            task_index, stage, why, task.attempt));
      }
      RunAgain(job, stage, task_index);
    }
  }
  return arrow::Status::OK();
}

void SchedulerCore::Impl::BlameFailures(TaskState* task, Executor* executor) {
  if (executor->blame > 0) --executor->blame;
  for (const ExecutorIndex index : std::exchange(task->failed_at, {})) {
    Executor* blamed = executors_.Get(index);
    if (blamed == nullptr || blamed == executor || !executors_.IsUsable(index)) continue;
    if (++blamed->blame < options_.blame_limit || executors_.num_usable() < 2) continue;
    Exclude(blamed);
  }
}

// Whoever is to blame, the two of them had better not both have parts of one query: each
// exchange would wait until the link is found to be broken.
void SchedulerCore::Impl::ExcludeUnreadable(ExecutorIndex holder,
                                            const Executor* reader) {
  Executor* executor = executors_.Get(holder);
  if (executor == nullptr || executor == reader) return;
  if (!executors_.IsUsable(holder) || !executors_.IsUsable(reader->index)) return;
  Exclude(executor);
}

void SchedulerCore::Impl::Exclude(Executor* executor) {
  executors_.Exclude(executor, After(now_, options_.exclusion));
  NoteDeadline(executor->excluded_until);
  NoteUsableExecutors();
}

// Bad executors are better than none.
void SchedulerCore::Impl::IncludeAll() {
  for (const auto& [id, index] : executors_.by_id()) {
    Executor* executor = executors_.Get(index);
    if (executor->excluded_until != Time{}) executors_.Include(executor);
  }
}

void SchedulerCore::Impl::NoteUsableExecutors() {
  if (executors_.num_usable() == 0) IncludeAll();
  if (executors_.num_usable() > 0) {
    no_executor_since_ = kNever;
  } else if (no_executor_since_ == kNever) {
    no_executor_since_ = now_;
    NoteDeadline(After(now_, options_.executor_wait));
  }
}

void SchedulerCore::Impl::CheckDeadlines() {
  next_deadline_ = kNever;
  const Time executors = CheckExecutors();
  NoteDeadline(executors);
  std::vector<std::pair<JobState*, arrow::Status>> failed;
  for (auto& [number, job] : jobs_) {
    arrow::Status status;
    NoteDeadline(CheckJob(job.get(), &status));
    if (!status.ok()) failed.emplace_back(job.get(), std::move(status));
  }
  for (auto& [job, status] : failed) FailJob(job, std::move(status));
}

// Loses those that are silent; when the next one may be.
Time SchedulerCore::Impl::CheckExecutors() {
  Time next = kNever;
  std::vector<ExecutorIndex> silent;
  for (const auto& [id, index] : executors_.by_id()) {
    Executor* executor = executors_.Get(index);
    if (executor->excluded_until != Time{} && executor->excluded_until <= now_) {
      // On probation: one more such failure is enough.
      executor->blame = options_.blame_limit - 1;
      executors_.Include(executor);
    } else if (executor->excluded_until != Time{}) {
      next = std::min(next, executor->excluded_until);
    }
    const Time expiry = After(executor->last_seen, options_.executor_timeout);
    if (expiry <= now_) {
      silent.push_back(index);
    } else {
      next = std::min(next, expiry);
    }
  }
  for (ExecutorIndex index : silent) {
    LoseExecutor(index, fmt::format("nothing was heard of it for {} s",
                                    Seconds(options_.executor_timeout)));
  }
  return next;
}

// When the job must be looked at again; sets `failed` where its time is up.
Time SchedulerCore::Impl::CheckJob(JobState* job, arrow::Status* failed) {
  if (job->finished) {
    const Time limit = job->being_read ? options_.reader_ttl : options_.result_ttl;
    const Time expiry = After(job->last_read, limit);
    if (expiry <= now_) {
      const auto* why = job->being_read
                            ? "its reader took nothing of it any more"
                            : "nobody came for it in this time (--result-timeout)";
      *failed = CancelledStatus(
          fmt::format("the result was dropped after {} s: {}; run the query again",
                      Seconds(limit), why),
          Cancelled::DEADLINE);
    }
    return expiry;
  }
  if (job->options.deadline <= now_) {
    *failed = CancelledStatus(fmt::format("the query did not finish in time "
                                          "(statement_timeout); it was {}",
                                          WhyWaiting(*job, now_)),
                              Cancelled::DEADLINE);
    return kNever;
  }
  if (job->recovery != nullptr)
    return std::min(job->recovery->until, job->options.deadline);
  if (executors_.num_usable() > 0) {
    return std::min(CheckLateTasks(job), job->options.deadline);
  }
  Time expiry =
      After(std::max(no_executor_since_, job->waits_since), options_.executor_wait);
  if (expiry <= now_ && job->running == 0) {
    *failed = ResourcesExhaustedStatus(
        fmt::format("no executor has taken tasks for {} s: start one, or have one "
                    "register with this scheduler",
                    Seconds(options_.executor_wait)),
        ResourcesExhausted::UNKNOWN, 0);
    return kNever;
  }
  if (expiry <= now_) expiry = After(now_, options_.executor_wait);
  return std::min(expiry, job->options.deadline);
}

}  // namespace ballista::scheduler
