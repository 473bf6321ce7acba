#include "ballista/shuffle/disk_ledger.h"

#include <fmt/format.h>

#include <algorithm>

#include "ballista/base/status.h"

namespace ballista::shuffle {
namespace {

arrow::Status OverQuota(const std::string& whose, int64_t used, int64_t quota,
                        const std::string& advice) {
  return ResourcesExhaustedStatus(
      fmt::format("the disk quota of {} is used up: {} MiB of {} MiB; {}", whose,
                  used >> 20, quota >> 20, advice),
      ResourcesExhausted::DISK, static_cast<uint64_t>(quota));
}

}  // namespace

arrow::Status DiskLedger::Take(const std::string& job_id, int64_t job_quota,
                               int64_t bytes, bool* job_full) {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(job_id);
  const int64_t of_job = found == jobs_.end() ? 0 : found->second;
  *job_full = job_quota > 0 && of_job + bytes > job_quota;
  if (*job_full) {
    return OverQuota("the query", of_job, job_quota,
                     "raise ballista.job_disk_quota, or let the query keep less");
  }
  if (quota_ > 0 && used_ + others_ + bytes > quota_) {
    return OverQuota("the executor", used_ + others_, quota_,
                     "raise --disk-quota, or run fewer queries at once");
  }
  used_ += bytes;
  jobs_[job_id] += bytes;
  return arrow::Status::OK();
}

void DiskLedger::Give(const std::string& job_id, int64_t bytes) {
  if (bytes == 0) return;
  const std::lock_guard lock(mutex_);
  used_ -= bytes;
  const auto found = jobs_.find(job_id);
  if (found == jobs_.end()) return;
  found->second -= bytes;
  if (found->second <= 0) jobs_.erase(found);
}

void DiskLedger::SetOthers(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  others_ = bytes;
}

int64_t DiskLedger::used() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

int64_t DiskLedger::LeftForOthers() const {
  const std::lock_guard lock(mutex_);
  return std::max<int64_t>(quota_ - used_, 0);
}

int64_t DiskLedger::used(const std::string& job_id) const {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(job_id);
  return found == jobs_.end() ? 0 : found->second;
}

arrow::Status DiskShare::Take(int64_t bytes) {
  bool job_full = false;
  const auto status = ledger_->Take(job_id_, job_quota_, bytes, &job_full);
  if (job_full) over_job_quota_ = true;
  ARROW_RETURN_NOT_OK(status);
  taken_ += bytes;
  return arrow::Status::OK();
}

}  // namespace ballista::shuffle
