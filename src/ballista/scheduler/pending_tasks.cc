#include <algorithm>

#include "ballista/scheduler/job_state_internal.h"
#include "ballista/scheduler/pending_tasks_internal.h"

namespace ballista::scheduler {

namespace {

bool Waits(const TaskState& task, const std::vector<ExecutorIndex>& avoided) {
  return task.state == TaskState::kPending && task.avoid == avoided;
}

// Drops entries at the front that do not wait in this queue. False: it is empty then.
bool Settle(TaskQueue* queue, const std::vector<TaskState>& tasks,
            const std::vector<ExecutorIndex>& avoided) {
  while (!queue->empty() && !Waits(tasks[queue->front()], avoided)) queue->pop_front();
  return !queue->empty();
}

// A free executor that is not among `avoided`, or any where there is no other at all.
ExecutorIndex Elsewhere(const std::vector<ExecutorIndex>& avoided,
                        const ExecutorRegistry& executors) {
  for (const auto& [slots, launch, index] : executors.free()) {
    if (!std::binary_search(avoided.begin(), avoided.end(), index)) return index;
  }
  const size_t avoidable =
      std::count_if(avoided.begin(), avoided.end(),
                    [&](ExecutorIndex index) { return executors.IsUsable(index); });
  if (avoidable < executors.num_usable()) return kNoExecutor;
  return std::get<2>(*executors.free().begin());
}

}  // namespace

void PendingTasks::Push(const std::vector<TaskState>& tasks, uint32_t index) {
  const TaskState& task = tasks[index];
  if (!task.avoid.empty()) {
    avoiding_[task.avoid].push_back(index);
    return;
  }
  fresh_.push_back(index);
  by_preferred_[task.preferred].push_back(index);
}

std::optional<Placement> PendingTasks::Pick(const std::vector<TaskState>& tasks,
                                            const ExecutorRegistry& executors) {
  if (!executors.AnyFree()) return std::nullopt;
  if (auto retry = PickRetry(tasks, executors)) return retry;
  if (!Settle(&fresh_, tasks, {})) return std::nullopt;
  const uint32_t first = fresh_.front();
  if (executors.IsFree(tasks[first].preferred)) {
    return Placement{first, tasks[first].preferred};
  }
  const ExecutorIndex idlest = std::get<2>(*executors.free().begin());
  auto own = by_preferred_.find(idlest);
  if (own != by_preferred_.end()) {
    if (Settle(&own->second, tasks, {})) return Placement{own->second.front(), idlest};
    by_preferred_.erase(own);
  }
  return Placement{first, idlest};
}

std::optional<Placement> PendingTasks::PickRetry(const std::vector<TaskState>& tasks,
                                                 const ExecutorRegistry& executors) {
  for (auto it = avoiding_.begin(); it != avoiding_.end();) {
    if (!Settle(&it->second, tasks, it->first)) {
      it = avoiding_.erase(it);
      continue;
    }
    const ExecutorIndex executor = Elsewhere(it->first, executors);
    if (executor != kNoExecutor) return Placement{it->second.front(), executor};
    ++it;
  }
  return std::nullopt;
}

void PendingTasks::Clear() {
  fresh_.clear();
  by_preferred_.clear();
  avoiding_.clear();
}

}  // namespace ballista::scheduler
