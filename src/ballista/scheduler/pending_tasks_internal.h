// The tasks of one stage that wait for a slot, and where the next one of them should run.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "ballista/scheduler/executor_registry_internal.h"

namespace ballista::scheduler {

struct TaskState;

struct Placement {
  uint32_t task = 0;
  ExecutorIndex executor = kNoExecutor;
};

// First in, first out. Much smaller than a deque: there is one for each executor.
class TaskQueue {
 public:
  void push_back(uint32_t task) { tasks_.push_back(task); }
  bool empty() const { return head_ == tasks_.size(); }
  uint32_t front() const { return tasks_[head_]; }
  void pop_front() {
    if (++head_ == tasks_.size()) clear();
  }
  void clear() {
    tasks_.clear();
    head_ = 0;
  }

 private:
  std::vector<uint32_t> tasks_;
  size_t head_ = 0;
};

// Holds indexes into the stage's tasks. An entry whose task is not pending any more, or
// has moved to another queue, is dropped when it is met.
class PendingTasks {
 public:
  // Queues tasks[index], which is pending.
  void Push(const std::vector<TaskState>& tasks, uint32_t index);

  // A pending task and a free executor for it, or nothing where none fits. Tasks that
  // were tried before come first, on an executor that they were not on, as long as there
  // is another one at all; then the order of the tasks, on the preferred executor if that
  // has a slot.
  std::optional<Placement> Pick(const std::vector<TaskState>& tasks,
                                const ExecutorRegistry& executors);

  void Clear();

 private:
  using Avoided = std::vector<ExecutorIndex>;
  std::optional<Placement> PickRetry(const std::vector<TaskState>& tasks,
                                     const ExecutorRegistry& executors);

  TaskQueue fresh_;
  std::unordered_map<ExecutorIndex, TaskQueue> by_preferred_;
  std::map<Avoided, TaskQueue> avoiding_;
};

}  // namespace ballista::scheduler
