#include "ballista/executor/job_owners.h"

#include <algorithm>

namespace ballista::executor {
namespace {

constexpr size_t kMaxEnded = 10000;

}  // namespace

uint64_t JobOwners::SeenLocked(const std::string& job_id) const {
  const auto owner = owners_.find(job_id);
  const auto ended = ended_.find(job_id);
  return std::max(owner == owners_.end() ? 0 : owner->second.token,
                  ended == ended_.end() ? 0 : ended->second);
}

arrow::Status JobOwners::NoteLaunch(const std::string& job_id, uint64_t token,
                                    const std::string& scheduler_id) {
  const std::lock_guard lock(mutex_);
  const uint64_t seen = SeenLocked(job_id);
  if (token != 0 && token < seen) {
    return arrow::Status::Invalid("job ", job_id,
                                  " is another scheduler's by now: its token is ", seen,
                                  ", not ", token);
  }
  owners_[job_id] = {scheduler_id, std::max(token, seen)};
  return arrow::Status::OK();
}

bool JobOwners::IsStale(const std::string& job_id, uint64_t token) const {
  const std::lock_guard lock(mutex_);
  return token != 0 && token < SeenLocked(job_id);
}

void JobOwners::Adopt(const std::string& job_id, uint64_t token,
                      const std::string& scheduler_id) {
  const std::lock_guard lock(mutex_);
  if (token < SeenLocked(job_id)) return;
  const auto owner = owners_.find(job_id);
  if (owner != owners_.end()) {
    owner->second = {scheduler_id, token};
  } else {
    RememberLocked(job_id, token);
  }
}

void JobOwners::RememberLocked(const std::string& job_id, uint64_t token) {
  if (token == 0) return;
  if (ended_.insert_or_assign(job_id, token).second) ended_order_.push_back(job_id);
  if (ended_order_.size() <= kMaxEnded) return;
  ended_.erase(ended_order_.front());
  ended_order_.pop_front();
}

void JobOwners::Replace(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  for (auto& [job_id, owner] : owners_) {
    if (owner.scheduler_id == from) owner.scheduler_id = to;
  }
}

std::string JobOwners::OwnerOf(const std::string& job_id) const {
  const std::lock_guard lock(mutex_);
  const auto owner = owners_.find(job_id);
  return owner == owners_.end() ? "" : owner->second.scheduler_id;
}

std::vector<std::string> JobOwners::JobsOf(const std::string& scheduler_id) const {
  std::vector<std::string> jobs;
  const std::lock_guard lock(mutex_);
  for (const auto& [job_id, owner] : owners_) {
    if (owner.scheduler_id == scheduler_id) jobs.push_back(job_id);
  }
  return jobs;
}

void JobOwners::Forget(const std::string& job_id) {
  const std::lock_guard lock(mutex_);
  const uint64_t seen = SeenLocked(job_id);
  owners_.erase(job_id);
  RememberLocked(job_id, seen);
}

}  // namespace ballista::executor
