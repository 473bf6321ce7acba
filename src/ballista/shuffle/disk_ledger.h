// Counts what the outputs of an executor's tasks take on disk, and refuses what is over a
// quota: of the executor, whose engine's temporary files count too, or of one job.
//
// Thread-safe.
#pragma once

#include <arrow/status.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace ballista::shuffle {

class DiskLedger {
 public:
  // Bytes; 0: no quota but the disk's size.
  explicit DiskLedger(int64_t quota = 0) : quota_(quota) {}

  // Takes note of bytes that are about to be written for a job. Errors:
  // ResourcesExhausted (DISK); nothing is noted then. `job_full`: whether it was the
  // job's own quota.
  arrow::Status Take(const std::string& job_id, int64_t job_quota, int64_t bytes,
                     bool* job_full);
  void Give(const std::string& job_id, int64_t bytes);

  // Bytes of files that others of this process have in the work folders now.
  void SetOthers(int64_t bytes);

  int64_t quota() const { return quota_; }
  int64_t used() const;
  // What the quota leaves to others.
  int64_t LeftForOthers() const;
  int64_t used(const std::string& job_id) const;

 private:
  const int64_t quota_;
  mutable std::mutex mutex_;
  int64_t used_ = 0;
  int64_t others_ = 0;
  std::map<std::string, int64_t> jobs_;
};

// What one output has on disk; given back with the last reader of its file. Thread-safe.
class DiskShare {
 public:
  DiskShare(std::shared_ptr<DiskLedger> ledger, std::string job_id, int64_t job_quota)
      : ledger_(std::move(ledger)), job_id_(std::move(job_id)), job_quota_(job_quota) {}
  ~DiskShare() { ledger_->Give(job_id_, taken_); }
  DiskShare(const DiskShare&) = delete;
  DiskShare& operator=(const DiskShare&) = delete;

  arrow::Status Take(int64_t bytes);
  // Its job's quota refused something.
  bool over_job_quota() const { return over_job_quota_; }

 private:
  const std::shared_ptr<DiskLedger> ledger_;
  const std::string job_id_;
  const int64_t job_quota_;
  std::atomic<int64_t> taken_{0};
  std::atomic<bool> over_job_quota_{false};
};

}  // namespace ballista::shuffle
