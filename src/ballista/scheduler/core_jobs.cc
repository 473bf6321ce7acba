// Jobs from submission to removal.
#include <fmt/format.h>

#include "ballista/base/status.h"
#include "ballista/profile/ended.h"
#include "ballista/scheduler/core_internal.h"

namespace ballista::scheduler {

void SchedulerCore::Impl::On(JobSubmitted& event) {
  Accept(event, Limits::kHold);
}

void SchedulerCore::Impl::Accept(JobSubmitted& event, Limits limits) {
  if (job_numbers_.contains(event.job_id)) return;
  const bool limited = limits == Limits::kHold;
  arrow::Status status = CheckGraph(event.graph);
  if (status.ok() && limited && jobs_.size() >= options_.max_jobs) {
    status = ResourcesExhaustedStatus(
        fmt::format("too many jobs at once: the limit is {}", options_.max_jobs),
        ResourcesExhausted::QUEUE, 0);
  }
  const bool must_wait =
      options_.max_running_jobs > 0 && admitted_ >= options_.max_running_jobs;
  if (status.ok() && limited && must_wait &&
      admission_.size() >= options_.max_queued_jobs) {
    status = ResourcesExhaustedStatus(
        fmt::format("the queue is full: {} queries run and {} wait, which are the "
                    "scheduler's limits (--max-running-jobs, --max-queued-jobs); try "
                    "again later",
                    admitted_, admission_.size()),
        ResourcesExhausted::QUEUE, 0);
  }
  if (!status.ok()) {
    auto outline =
        profile::Ended(event.job_id, profile::JOB_STATE_FAILED, status.message());
    ended_.emplace_back(JobFailed{event.job_id, std::move(status), std::move(outline)});
    return;
  }
  const uint64_t number = next_job_++;
  job_numbers_[event.job_id] = number;
  auto [it, added] =
      jobs_.emplace(number, std::make_unique<JobState>(number, std::move(event), now_));
  JobState* job = it->second.get();
  fair_.Add(&job->fair, number, job->session_id);
  admission_.Add(&job->admission, number, job->session_id);
  admission_.SetReady(&job->admission, true);
  NoteDeadline(job->options.deadline);
  if (executors_.num_usable() == 0) NoteDeadline(After(now_, options_.executor_wait));
}

void SchedulerCore::Impl::On(JobCancelled& event) {
  JobState* job = FindJob(event.job_id);
  if (job == nullptr) return;
  if (job->finished) return EndJob(job);
  FailJob(job, CancelledStatus(
                   event.message.empty() ? "the query was cancelled" : event.message,
                   event.reason));
}

void SchedulerCore::Impl::On(JobReleased& event) {
  JobState* job = FindJob(event.job_id);
  if (job == nullptr) return;
  if (job->finished) return EndJob(job);
  FailJob(job, CancelledStatus("the query was given up before it had finished",
                               Cancelled::CLIENT));
}

void SchedulerCore::Impl::AdmitJobs() {
  const size_t limit = options_.max_running_jobs;
  while (!admission_.empty() && (limit == 0 || admitted_ < limit)) {
    Admit(jobs_.at(admission_.Next()).get());
  }
}

void SchedulerCore::Impl::Admit(JobState* job) {
  admission_.SetReady(&job->admission, false);
  admission_.TaskLaunched(&job->admission);
  job->admitted = true;
  job->admitted_at = now_;
  job->last_progress = now_;
  ++admitted_;
  UpdateReady(job);
}

void SchedulerCore::Impl::LeavePlace(JobState* job) {
  if (job->admission.running == 0) return;
  admission_.TaskEnded(&job->admission);
  --admitted_;
}

void SchedulerCore::Impl::FinishJob(JobState* job) {
  LeavePlace(job);
  for (uint32_t stage = 0; stage < job->stages.size(); ++stage) {
    CancelRunning(job, stage);
    Shelve(job, stage);
  }
  job->finished = true;
  job->ended = job->last_read = job->last_progress = now_;
  job->launchable.clear();
  UpdateReady(job);
  NoteDeadline(After(now_, options_.result_ttl));

  const uint32_t result = job->graph.result_stage();
  const StageState& state = job->stages[result];
  const job::Output& output = job->graph.stages(result).output();
  JobFinished finished{job->id, {}, 0, 0, Outline(*job, now_)};
  bool all_inline = true;
  for (uint32_t t = 0; t < state.tasks.size(); ++t) {
    const TaskState& task = state.tasks[t];
    const bool schema_only = finished.parts.empty() && t + 1 == state.tasks.size();
    // One that was given out and has no rows any more tells so itself.
    const bool given_out = job->unread_parts && job->unread_parts->contains(t);
    if (task.output.rows() == 0 && !schema_only && !given_out) continue;
    ResultPart& part = finished.parts.emplace_back();
    part.stage_id = result;
    part.task_index = t;
    part.attempt = task.attempt;
    part.partitions = output.kind() == job::Output::HASH ? output.partitions() : 1;
    part.rows = task.output.rows();
    part.bytes = task.output.bytes();
    finished.rows += part.rows;
    finished.bytes += part.bytes;
    part.inline_result = task.inline_result;
    all_inline = all_inline && task.inline_result != nullptr;
    if (const Executor* executor = executors_.Get(task.executor)) {
      part.executor.set_executor_id(executor->metadata.id());
      part.executor.set_host(executor->metadata.host());
      part.executor.set_port(executor->metadata.port());
    }
  }
  ended_.emplace_back(std::move(finished));
  // Whoever recovers the job finds the result at the executors.
  if (all_inline && !options_.durable) RemoveData(job);
}

void SchedulerCore::Impl::FailJob(JobState* job, arrow::Status status) {
  job->ended = std::min(job->ended, now_);
  const ErrorDetail* detail = GetErrorDetail(status);
  job->failure = std::make_unique<const std::string>(status.message());
  job->cancelled = detail != nullptr && detail->has_cancelled();
  ended_.emplace_back(JobFailed{job->id, std::move(status), Outline(*job, now_)});
  EndJob(job);
}

void SchedulerCore::Impl::EndJob(JobState* job) {
  if (options_.profiles) {
    JobEnded ended{Profile(*job, now_), std::move(job->graph)};
    ended.profile.mutable_job()->set_ended(true);
    profiles_.emplace_back(std::move(ended));
  }
  for (uint32_t stage = 0; stage < job->stages.size(); ++stage) CancelRunning(job, stage);
  if (!job->data_removed) RemoveData(job);
  LeavePlace(job);
  admission_.Remove(&job->admission);
  fair_.Remove(&job->fair);
  recovering_.erase(job->number);
  job_numbers_.erase(job->id);
  jobs_.erase(job->number);
}

// The tasks are pending again; they are launched only if the stage is needed then.
void SchedulerCore::Impl::CancelRunning(JobState* job, uint32_t stage) {
  StageState& state = job->stages[stage];
  for (uint32_t t = 0; state.running > 0 && t < state.tasks.size(); ++t) {
    TaskState& task = state.tasks[t];
    if (task.state != TaskState::kRunning) continue;
    if (const Executor* executor = executors_.Get(task.executor)) {
      SendCancel(executor->metadata.id(), MakeTaskId(*job, stage, t, task.attempt));
    }
    CancelCopy(job, stage, t);
    Stop(job, stage, &task);
    Requeue(job, stage, t);
  }
}

void SchedulerCore::Impl::RemoveData(JobState* job) {
  for (ExecutorIndex index : job->executors) {
    Executor* executor = executors_.Get(index);
    if (executor == nullptr) continue;
    executor->launched.erase(job->number);
    // Lost once and used again: told once.
    if (!job->lost_executors.contains(executor->metadata.id())) {
      SendRemove(executor->metadata.id(), job->id);
    }
  }
  for (const std::string& id : job->lost_executors) {
    if (executors_.Find(id) != nullptr) SendRemove(id, job->id);
  }
  job->executors.clear();
  job->lost_executors.clear();
  job->data_removed = true;
}

void SchedulerCore::Impl::StageCompleted(JobState* job, uint32_t stage) {
  StageState& state = job->stages[stage];
  state.complete = true;
  state.queue.Clear();
  state.inputs.reset();
  state.addresses.reset();
  if (stage == job->graph.result_stage()) return FinishJob(job);
  for (uint32_t consumer : state.consumers) {
    --job->stages[consumer].incomplete_producers;
    job->UpdateLaunchable(consumer);
  }
  if (!state.completed_once) {
    state.completed_once = true;
    for (uint32_t waiting : state.held) {
      --job->stages[waiting].holds;
      job->UpdateLaunchable(waiting);
    }
    state.held.clear();
    if (replanner_ != nullptr && Replan(job)) return;
  }
  UpdateReady(job);
}

// True: the job has another graph now (and may even have finished by it).
bool SchedulerCore::Impl::Replan(JobState* job) {
  bool any_waiting = false;
  for (uint32_t id = 0; id < job->stages.size(); ++id) {
    StageState& state = job->stages[id];
    any_waiting = any_waiting || (state.needed && !state.formed);
    if (state.complete && state.statistics.partition_rows.empty()) {
      state.statistics = Summarize(job->graph.stages(id), state);
    }
  }
  if (!any_waiting) return false;
  auto graph = replanner_->Replan(job->graph, job->Statistics());
  if (!graph.has_value() || !CheckGraph(*graph).ok() ||
      !KeepsStartedStages(*job, *graph)) {
    return false;
  }
  std::vector<StageState> stages(graph->stages_size());
  for (uint32_t id = 0; id < job->stages.size(); ++id) {
    if (job->stages[id].formed) stages[id] = std::move(job->stages[id]);
  }
  job->stages = std::move(stages);
  job->graph = std::move(*graph);
  if (options_.durable) kept_.emplace_back(GraphReplaced{job->id, job->graph});
  job->Link();
  for (uint32_t id = 0; id < job->stages.size(); ++id) {
    if (!job->stages[id].needed) CancelRunning(job, id);
  }
  // A stage that was not needed before may have lost outputs. Only a job that is retried
  // gets here with any.
  (void)Recover(job, "");
  UpdateReady(job);
  if (job->stages[job->graph.result_stage()].complete) FinishJob(job);
  return true;
}

}  // namespace ballista::scheduler
