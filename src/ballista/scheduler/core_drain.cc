// What a draining executor is still needed for.
#include <algorithm>

#include "ballista/scheduler/core_internal.h"

namespace ballista::scheduler {

// Whether somebody may still read the output of the task, which has finished.
bool SchedulerCore::Impl::IsNeeded(const JobState& job, uint32_t stage,
                                   const TaskState& task) {
  const StageState& state = job.stages[stage];
  if (stage == job.graph.result_stage()) {
    if (task.inline_result != nullptr) return false;
    const auto index = static_cast<uint32_t>(&task - state.tasks.data());
    const bool is_read = index == job.reads_task && job.part_begun;
    return !job.finished || is_read || job.IsUnread(index);
  }
  return !job.finished && state.needed &&
         std::any_of(
             state.consumers.begin(), state.consumers.end(),
             [&](uint32_t consumer) { return job.stages[consumer].Unfinished(); });
}

bool SchedulerCore::Impl::MayLeave(const Executor& executor) const {
  for (const auto& [number, positions] : executor.launched) {
    const JobState& job = *jobs_.at(number);
    for (const auto& [stage, index] : positions) {
      // Planning again may have put another stage at this position.
      if (stage >= job.stages.size()) continue;
      const auto& tasks = job.stages[stage].tasks;
      if (index >= tasks.size()) continue;
      if (tasks[index].RunsAt(executor.index)) return false;
      if (tasks[index].executor != executor.index) continue;
      if (tasks[index].state != TaskState::kFinished) continue;
      if (IsNeeded(job, stage, tasks[index])) return false;
    }
  }
  return true;
}

}  // namespace ballista::scheduler
