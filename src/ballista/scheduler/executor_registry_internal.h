// The executors that the core knows, their free slots, and what each may keep of which
// job. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ballista/control.pb.h"
#include "ballista/scheduler/core_messages.h"
#include "ballista/scheduler/task_formation.h"

namespace ballista::scheduler {

// Stage and index of a task within its job.
using TaskPosition = std::pair<uint32_t, uint32_t>;

struct Executor {
  ExecutorIndex index = kNoExecutor;
  control::ExecutorMetadata metadata;
  Time last_seen{};
  uint32_t free_slots = 0;
  uint64_t last_launch = 0;
  uint64_t registration = 0;  // the sequence number of the last one
  bool draining = false;
  bool suspended = false;  // could not be reached; until it is heard of again
  uint32_t blame = 0;      // tasks that failed here and not elsewhere
  Time excluded_until{};   // not 0: gets no tasks until then
  // By the job's number: each task ever launched here for it, repeated ones too.
  std::unordered_map<uint64_t, std::vector<TaskPosition>> launched;
};

class ExecutorRegistry {
 public:
  Executor& Add(control::ExecutorMetadata metadata, Time now);
  void Remove(ExecutorIndex index);
  void Drain(Executor* executor);
  void Exclude(Executor* executor, Time until);
  void Include(Executor* executor);
  void Suspend(Executor* executor);
  void Resume(Executor* executor);

  // Null where there is none. An empty incarnation matches any.
  Executor* Find(const std::string& id, const std::string& incarnation = "");
  const Executor* Find(const std::string& id, const std::string& incarnation = "") const;
  Executor* Get(ExecutorIndex index);
  const Executor* Get(ExecutorIndex index) const;

  bool IsUsable(ExecutorIndex index) const;
  bool IsFree(ExecutorIndex index) const;
  size_t num_usable() const { return num_usable_; }
  bool AnyFree() const { return !free_.empty(); }

  // Takes a slot of a free executor; gives one back (of an executor that may be gone).
  void TakeSlot(ExecutorIndex index);
  void ReleaseSlot(ExecutorIndex index);

  // Those with free slots: the most free slots first, then the longest without a launch.
  using FreeOrder = std::set<std::tuple<int64_t, uint64_t, ExecutorIndex>>;
  const FreeOrder& free() const { return free_; }
  // Those that can take tasks, at most `limit`: the free ones first, in that order.
  std::vector<ExecutorIndex> UsableByIdleness(size_t limit) const;

  const std::map<std::string, ExecutorIndex>& by_id() const { return by_id_; }

 private:
  template <typename Change>
  void Update(Executor* executor, Change&& change);
  void EnterFree(const Executor& executor);
  void LeaveFree(const Executor& executor);

  ExecutorIndex next_index_ = 0;
  uint64_t launches_ = 0;
  size_t num_usable_ = 0;
  std::unordered_map<ExecutorIndex, Executor> executors_;
  std::map<std::string, ExecutorIndex> by_id_;
  FreeOrder free_;
};

}  // namespace ballista::scheduler
