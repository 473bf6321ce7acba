// Tasks that take much longer than others of their stage, and second attempts at them.
#include <algorithm>

#include "ballista/plan/repeatable.h"
#include "ballista/scheduler/core_internal.h"

namespace ballista::scheduler {

namespace {

// Late tasks are looked for this often at most, while some may be.
constexpr Time kLeastInterval = std::chrono::milliseconds(10);

bool MayCopy(const JobState& job, uint32_t stage) {
  return job.options.speculation.enabled && job.options.retry &&
         !plan::HasEffects(job.graph.stages(static_cast<int>(stage)).fragment());
}

// What has failed may fail again: then one attempt is enough at a time.
bool IsSound(const TaskState& task) {
  return task.failures + task.fetch_failures + task.executor_losses <= 1;
}

// How long the middle one of the finished tasks ran.
Time MedianRun(const StageState& stage) {
  std::vector<Time> runs;
  for (const TaskState& task : stage.tasks) {
    if (task.state == TaskState::kFinished) runs.push_back(task.ran);
  }
  const auto middle = runs.begin() + static_cast<std::ptrdiff_t>(runs.size() / 2);
  std::nth_element(runs.begin(), middle, runs.end());
  return *middle;
}

}  // namespace

void SchedulerCore::Impl::NoteFinished(JobState* job, uint32_t stage) {
  StageState& state = job->stages[stage];
  const Speculation& when = job->options.speculation;
  const uint64_t wanted = std::max<uint64_t>(state.tasks.size() * when.quantile / 100, 1);
  if (state.finished < wanted || !MayCopy(*job, stage)) return;
  // Not at each of very many.
  if (state.late_after != kNever && state.finished < state.late_after_finished * 1.1) {
    return;
  }
  state.late_after = std::max(MedianRun(state) * when.multiplier, when.least);
  state.late_after_finished = state.finished;
  NoteDeadline(now_);
}

Time SchedulerCore::Impl::CheckLateTasks(JobState* job) {
  Time next = kNever;
  if (!job->options.speculation.enabled) return next;
  for (uint32_t stage = 0; stage < job->stages.size(); ++stage) {
    if (job->stages[stage].running == 0) continue;
    next = std::min(next, CheckLateTasks(job, stage));
  }
  return next;
}

Time SchedulerCore::Impl::CheckLateTasks(JobState* job, uint32_t stage) {
  Time next = kNever;
  StageState& state = job->stages[stage];
  if (state.late_after == kNever || !MayCopy(*job, stage)) return next;
  for (uint32_t t = 0; t < state.tasks.size(); ++t) {
    const TaskState& task = state.tasks[t];
    if (task.state != TaskState::kRunning || task.copy.has_value()) continue;
    if (!IsSound(task)) continue;
    const Time late = After(task.started, state.late_after);
    if (late <= now_) {
      late_.emplace(job->number, stage, t);
    } else {
      next = std::min(next, std::max(late, now_ + kLeastInterval));
    }
  }
  return next;
}

void SchedulerCore::Impl::LaunchCopies() {
  for (auto it = late_.begin(); it != late_.end() && executors_.AnyFree();) {
    const auto [number, stage, index] = *it;
    const auto job = jobs_.find(number);
    const bool there = job != jobs_.end() && !job->second->finished &&
                       stage < job->second->stages.size() &&
                       index < job->second->stages[stage].tasks.size();
    const TaskState* task = there ? &job->second->stages[stage].tasks[index] : nullptr;
    // What has been started again since is late again in its time.
    const bool late = task != nullptr && task->state == TaskState::kRunning &&
                      !task->copy.has_value() && IsSound(*task) &&
                      MayCopy(*job->second, stage) &&
                      After(task->started, job->second->stages[stage].late_after) <= now_;
    if (!late || LaunchCopy(job->second.get(), stage, index)) {
      it = late_.erase(it);
    } else {
      ++it;
    }
  }
}

bool SchedulerCore::Impl::LaunchCopy(JobState* job, uint32_t stage, uint32_t index) {
  // What it reads may be lost, and be computed again just now.
  if (job->stages[stage].incomplete_producers > 0) return false;
  TaskState& task = job->stages[stage].tasks[index];
  const auto& free = executors_.free();
  const auto at = std::find_if(free.begin(), free.end(), [&](const auto& entry) {
    const ExecutorIndex executor = std::get<2>(entry);
    return executor != task.executor &&
           !std::binary_search(task.avoid.begin(), task.avoid.end(), executor);
  });
  if (at == free.end()) return false;
  const ExecutorIndex executor = std::get<2>(*at);
  task.last_attempt = std::max(task.last_attempt + 1, job->first_attempt);
  task.copy = TaskState::Copy{task.last_attempt, executor, now_};
  SendTask(job, stage, index, task.last_attempt, executor);
  return true;
}

void SchedulerCore::Impl::CancelCopy(JobState* job, uint32_t stage, uint32_t index) {
  TaskState& task = job->stages[stage].tasks[index];
  if (!task.copy.has_value()) return;
  const TaskState::Copy copy = *std::exchange(task.copy, std::nullopt);
  if (const Executor* executor = executors_.Get(copy.executor)) {
    SendCancel(executor->metadata.id(), MakeTaskId(*job, stage, index, copy.attempt));
  }
  executors_.ReleaseSlot(copy.executor);
  fair_.TaskEnded(&job->fair);
  --job->stages[stage].running;
  --job->running;
  --running_;
}

}  // namespace ballista::scheduler
