// Jobs of a scheduler that has ended: what is left of them at the executors is put
// together with what was kept of them.
#include <algorithm>

#include "ballista/base/status.h"
#include "ballista/scheduler/core_internal.h"
#include "ballista/scheduler/recovery_internal.h"

namespace ballista::scheduler {

namespace {

// Stages that were formed are so again. A record that is not of this graph (it was kept,
// and the graph that it belongs to was not) counts for nothing, nor do those of readers.
void RestoreFormations(JobState* job, const std::vector<record::StageFormation>& kept) {
  for (uint32_t id = 0; id < job->stages.size(); ++id) {
    StageState& state = job->stages[id];
    const job::Stage& stage = job->graph.stages(static_cast<int>(id));
    const bool readable =
        std::all_of(state.producers.begin(), state.producers.end(),
                    [job](uint32_t producer) { return job->stages[producer].formed; });
    const auto formation = std::find_if(
        kept.begin(), kept.end(),
        [&](const record::StageFormation& one) { return IsFormationOf(one, stage); });
    if (!readable || formation == kept.end()) continue;
    state.formed = true;
    state.fingerprint = formation->fingerprint();
    state.shares = SharesOf(*formation);
    state.tasks.resize(state.shares.size());
    for (TaskState& task : state.tasks) {
      task.attempt = task.last_attempt = job->first_attempt;
    }
  }
}

}  // namespace

void SchedulerCore::Impl::On(JobRecovered& event) {
  const std::string id = event.job.job_id;
  if (job_numbers_.contains(id)) return;
  // A scheduler had taken it before: it is not refused now.
  Accept(event.job, Limits::kWaived);
  JobState* job = FindJob(id);
  if (job == nullptr) return;  // it was refused
  job->first_attempt = event.first_attempt;
  job->recovery = std::make_unique<JobRecovery>();
  job->recovery->formations = std::move(event.formations);
  job->recovery->expected.insert(event.expected_executors.begin(),
                                 event.expected_executors.end());
  job->recovery->until = After(now_, options_.recovery_wait);
  job->launchable.clear();
  UpdateReady(job);
  NoteDeadline(job->recovery->until);
  recovering_.insert(job->number);
  // One that had begun goes on at once, however many others run.
  if (!job->recovery->formations.empty()) Admit(job);
}

void SchedulerCore::Impl::NoteKeeper(JobState* job, Executor* executor) {
  const bool first = executor->launched.try_emplace(job->number).second;
  if (first) job->executors.push_back(executor->index);
}

void SchedulerCore::Impl::NoteHeld(ExecutorRegistered& event, Executor* executor) {
  if (event.sequence <= executor->registration) return;
  executor->registration = event.sequence;
  ForgetHeld(event.executor.id());
  for (control::HeldOutput& output : event.held) {
    JobState* job = FindJob(output.id().job_id());
    if (job == nullptr) continue;
    // What is not gone on with is removed with the job all the same.
    if (!job->data_removed) NoteKeeper(job, executor);
    if (job->recovery == nullptr) continue;
    job->recovery->held.push_back({executor->index, std::move(output)});
  }
}

void SchedulerCore::Impl::ForgetHeld(const std::string& executor_id) {
  for (const uint64_t number : recovering_) {
    JobRecovery& recovery = *jobs_.at(number)->recovery;
    recovery.expected.erase(executor_id);
    std::erase_if(recovery.held, [&](const JobRecovery::Held& held) {
      const Executor* executor = executors_.Get(held.executor);
      return executor == nullptr || executor->metadata.id() == executor_id;
    });
  }
}

control::HeldOutput* SchedulerCore::Impl::FindHeld(JobState* job,
                                                   const std::string& executor_id,
                                                   const job::TaskId& id) {
  for (JobRecovery::Held& held : job->recovery->held) {
    const job::TaskId& other = held.output.id();
    if (other.stage_id() == id.stage_id() && other.task_index() == id.task_index() &&
        other.attempt() == id.attempt() &&
        executors_.Get(held.executor)->metadata.id() == executor_id) {
      return &held.output;
    }
  }
  return nullptr;
}

void SchedulerCore::Impl::NoteEnded(JobState* job, const TaskFinished& event) {
  control::HeldOutput* held = FindHeld(job, event.executor_id, event.id);
  if (held == nullptr) return;
  held->set_finished(true);
  *held->mutable_output() = event.output;
}

void SchedulerCore::Impl::NoteEnded(JobState* job, const TaskFailed& event) {
  const control::HeldOutput* failed = FindHeld(job, event.executor_id, event.id);
  std::erase_if(job->recovery->held, [failed](const JobRecovery::Held& held) {
    return &held.output == failed;
  });
}

void SchedulerCore::Impl::CloseRecoveries() {
  std::vector<uint64_t> ready;
  for (const uint64_t number : recovering_) {
    const JobRecovery& recovery = *jobs_.at(number)->recovery;
    if (recovery.expected.empty() || recovery.until <= now_) ready.push_back(number);
  }
  for (const uint64_t number : ready) CloseRecovery(jobs_.at(number).get());
}

void SchedulerCore::Impl::CloseRecovery(JobState* job) {
  const std::unique_ptr<JobRecovery> recovery = std::move(job->recovery);
  recovering_.erase(job->number);
  job->last_progress = now_;
  RestoreFormations(job, recovery->formations);
  const auto chosen = ChooseHeld(*job, recovery->held);
  std::vector<bool> taken(recovery->held.size(), false);
  bool any_complete = false;
  for (uint32_t id = 0; id < job->stages.size(); ++id) {
    StageState& state = job->stages[id];
    if (!state.formed) continue;
    // A reader is formed when all that it reads is there.
    const bool completed =
        std::any_of(state.consumers.begin(), state.consumers.end(),
                    [job](uint32_t c) { return job->stages[c].formed; });
    for (uint32_t t = 0; t < state.tasks.size(); ++t) {
      if (chosen[id][t] >= 0) {
        JobRecovery::Held& held = recovery->held[chosen[id][t]];
        taken[chosen[id][t]] = Resume(job, id, t, &held);
        if (taken[chosen[id][t]]) continue;
      }
      if (completed) {
        state.tasks[t].state = TaskState::kLost;
        state.lost.insert(t);
      } else {
        ++state.pending;
        state.queue.Push(state.tasks, t);
      }
    }
    state.complete = state.finished == state.tasks.size();
    state.completed_once = state.complete || completed;
    any_complete = any_complete || state.complete;
  }
  for (size_t i = 0; i < taken.size(); ++i) {
    const JobRecovery::Held& held = recovery->held[i];
    if (taken[i] || held.output.finished()) continue;
    SendCancel(executors_.Get(held.executor)->metadata.id(), held.output.id());
  }
  job->Link();
  UpdateReady(job);
  NoteDeadline(now_);
  if (job->stages[job->graph.result_stage()].complete) return FinishJob(job);
  const arrow::Status status = Recover(job, "its scheduler ended");
  if (!status.ok()) return FailJob(job, status);
  if (any_complete && replanner_ != nullptr) Replan(job);
}

// False: it cannot be gone on with.
bool SchedulerCore::Impl::Resume(JobState* job, uint32_t stage, uint32_t index,
                                 JobRecovery::Held* held) {
  StageState& state = job->stages[stage];
  TaskState& task = state.tasks[index];
  Executor* executor = executors_.Get(held->executor);
  const job::Output& declared = job->graph.stages(static_cast<int>(stage)).output();
  if (held->output.finished()) {
    if (!SizesComplete(declared, held->output.output())) return false;
    task.state = TaskState::kFinished;
    task.output = std::move(*held->output.mutable_output());
    task.metrics = std::make_unique<job::TaskMetrics>();
    ++state.finished;
    state.rows += task.output.rows();
    state.bytes += task.output.bytes();
  } else {
    if (executor->free_slots == 0) return false;
    task.state = TaskState::kRunning;
    task.started = now_;
    ++state.running;
    ++job->running;
    ++running_;
    executors_.TakeSlot(held->executor);
    fair_.TaskLaunched(&job->fair);
  }
  task.attempt = task.last_attempt = held->output.id().attempt();
  task.executor = held->executor;
  NoteKeeper(job, executor);
  executor->launched[job->number].emplace_back(stage, index);
  if (!job->launched_any) job->first_launch = now_;
  job->launched_any = true;
  return true;
}

}  // namespace ballista::scheduler
