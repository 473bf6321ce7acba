#include "ballista/executor/result_keys.h"

#include <utility>

#include "ballista/flight/part_ticket.h"

namespace ballista::executor {

void ResultKeys::NoteLaunch(const control::LaunchTasksRequest& request) {
  for (const auto& stage : request.stages()) {
    auto key = flight::FindResultKey(stage.settings());
    if (key.empty()) continue;
    const std::lock_guard lock(mutex_);
    keys_[stage.job_id()] = std::move(key);
  }
}

void ResultKeys::Forget(const std::string& job_id) {
  const std::lock_guard lock(mutex_);
  keys_.erase(job_id);
}

std::string ResultKeys::KeyOf(const std::string& job_id) const {
  const std::lock_guard lock(mutex_);
  const auto key = keys_.find(job_id);
  return key == keys_.end() ? "" : key->second;
}

}  // namespace ballista::executor
