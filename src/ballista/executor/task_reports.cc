#include "ballista/executor/task_reports.h"

#include <utility>

namespace ballista::executor {

void TaskReports::Add(control::TaskStatus status) {
  if (owners_->OwnerOf(status.id().job_id()).empty()) return;
  const std::lock_guard lock(mutex_);
  waiting_[++last_] = std::move(status);
}

TaskReports::Batch TaskReports::Next(const std::string& scheduler_id, size_t max) const {
  Batch batch;
  const std::lock_guard lock(mutex_);
  for (const auto& [number, status] : waiting_) {
    if (batch.numbers.size() >= max) break;
    if (owners_->OwnerOf(status.id().job_id()) != scheduler_id) continue;
    batch.numbers.push_back(number);
    batch.statuses.push_back(status);
  }
  return batch;
}

void TaskReports::Delivered(const Batch& batch) {
  const std::lock_guard lock(mutex_);
  for (const uint64_t number : batch.numbers) waiting_.erase(number);
}

bool TaskReports::HasAny(const std::string& scheduler_id) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [number, status] : waiting_) {
    if (owners_->OwnerOf(status.id().job_id()) == scheduler_id) return true;
  }
  return false;
}

bool TaskReports::empty() const {
  const std::lock_guard lock(mutex_);
  return waiting_.empty();
}

void TaskReports::DropJob(const std::string& job_id) {
  const std::lock_guard lock(mutex_);
  std::erase_if(waiting_,
                [&](const auto& one) { return one.second.id().job_id() == job_id; });
}

}  // namespace ballista::executor
