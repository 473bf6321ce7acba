#include <algorithm>

#include "ballista/scheduler/executor_registry_internal.h"

namespace ballista::scheduler {

namespace {
bool Usable(const Executor& executor) {
  return !executor.draining && !executor.suspended && executor.excluded_until == Time{} &&
         executor.metadata.task_slots() > 0;
}
}  // namespace

Executor& ExecutorRegistry::Add(control::ExecutorMetadata metadata, Time now) {
  const ExecutorIndex index = next_index_++;
  by_id_[metadata.id()] = index;
  Executor& executor = executors_[index];
  executor.index = index;
  executor.free_slots = metadata.task_slots();
  executor.metadata = std::move(metadata);
  executor.last_seen = now;
  if (Usable(executor)) ++num_usable_;
  EnterFree(executor);
  return executor;
}

void ExecutorRegistry::Remove(ExecutorIndex index) {
  auto it = executors_.find(index);
  if (it == executors_.end()) return;
  LeaveFree(it->second);
  if (Usable(it->second)) --num_usable_;
  by_id_.erase(it->second.metadata.id());
  executors_.erase(it);
}

void ExecutorRegistry::Drain(Executor* executor) {
  Update(executor, [&] { executor->draining = true; });
}

void ExecutorRegistry::Exclude(Executor* executor, Time until) {
  Update(executor, [&] { executor->excluded_until = until; });
}

void ExecutorRegistry::Include(Executor* executor) {
  Update(executor, [&] { executor->excluded_until = Time{}; });
}

void ExecutorRegistry::Suspend(Executor* executor) {
  Update(executor, [&] { executor->suspended = true; });
}

void ExecutorRegistry::Resume(Executor* executor) {
  if (executor->suspended) Update(executor, [&] { executor->suspended = false; });
}

template <typename Change>
void ExecutorRegistry::Update(Executor* executor, Change&& change) {
  LeaveFree(*executor);
  num_usable_ -= Usable(*executor);
  change();
  num_usable_ += Usable(*executor);
  EnterFree(*executor);
}

Executor* ExecutorRegistry::Find(const std::string& id, const std::string& incarnation) {
  auto it = by_id_.find(id);
  if (it == by_id_.end()) return nullptr;
  Executor& executor = executors_.at(it->second);
  const bool matches =
      incarnation.empty() || executor.metadata.incarnation() == incarnation;
  return matches ? &executor : nullptr;
}

const Executor* ExecutorRegistry::Find(const std::string& id,
                                       const std::string& incarnation) const {
  return const_cast<ExecutorRegistry*>(this)->Find(id, incarnation);
}

Executor* ExecutorRegistry::Get(ExecutorIndex index) {
  auto it = executors_.find(index);
  return it == executors_.end() ? nullptr : &it->second;
}

const Executor* ExecutorRegistry::Get(ExecutorIndex index) const {
  return const_cast<ExecutorRegistry*>(this)->Get(index);
}

bool ExecutorRegistry::IsUsable(ExecutorIndex index) const {
  const Executor* executor = Get(index);
  return executor != nullptr && Usable(*executor);
}

bool ExecutorRegistry::IsFree(ExecutorIndex index) const {
  const Executor* executor = Get(index);
  return executor != nullptr && Usable(*executor) && executor->free_slots > 0;
}

void ExecutorRegistry::TakeSlot(ExecutorIndex index) {
  Executor& executor = executors_.at(index);
  LeaveFree(executor);
  --executor.free_slots;
  executor.last_launch = ++launches_;
  EnterFree(executor);
}

void ExecutorRegistry::ReleaseSlot(ExecutorIndex index) {
  Executor* executor = Get(index);
  if (executor == nullptr) return;
  LeaveFree(*executor);
  ++executor->free_slots;
  EnterFree(*executor);
}

std::vector<ExecutorIndex> ExecutorRegistry::UsableByIdleness(size_t limit) const {
  limit = std::min(limit, num_usable_);
  std::vector<ExecutorIndex> result;
  result.reserve(limit);
  for (const auto& [slots, launch, index] : free_) {
    if (result.size() == limit) return result;
    result.push_back(index);
  }
  for (const auto& [id, index] : by_id_) {
    if (result.size() == limit) return result;
    if (IsUsable(index) && !IsFree(index)) result.push_back(index);
  }
  return result;
}

void ExecutorRegistry::EnterFree(const Executor& executor) {
  if (!Usable(executor) || executor.free_slots == 0) return;
  free_.emplace(-static_cast<int64_t>(executor.free_slots), executor.last_launch,
                executor.index);
}

void ExecutorRegistry::LeaveFree(const Executor& executor) {
  free_.erase(
      {-static_cast<int64_t>(executor.free_slots), executor.last_launch, executor.index});
}

}  // namespace ballista::scheduler
