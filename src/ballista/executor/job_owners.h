// Which scheduler each job is of that this executor has something of: where the statuses
// of its tasks go, and whose orders count.
//
// A job that changes hands gets a larger token each time. Orders with a smaller one than
// was seen are those of a scheduler that has lost the job and does not know it yet.
// Tokens are remembered for a while after a job's end, too: such a scheduler may have
// been stopped for long.
#pragma once

#include <arrow/status.h>

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace ballista::executor {

// Thread-safe.
class JobOwners {
 public:
  // A launch by that scheduler: it has the job now. Invalid for a stale token. A token of
  // 0 is never stale.
  arrow::Status NoteLaunch(const std::string& job_id, uint64_t token,
                           const std::string& scheduler_id);
  bool IsStale(const std::string& job_id, uint64_t token) const;
  // The job is that scheduler's from now on, whether this executor has anything of it or
  // not.
  void Adopt(const std::string& job_id, uint64_t token, const std::string& scheduler_id);
  // What was the one's is the other's.
  void Replace(const std::string& from, const std::string& to);

  // Empty for an unknown job.
  std::string OwnerOf(const std::string& job_id) const;
  std::vector<std::string> JobsOf(const std::string& scheduler_id) const;
  // The job has ended.
  void Forget(const std::string& job_id);

 private:
  struct Owner {
    std::string scheduler_id;
    uint64_t token = 0;
  };

  uint64_t SeenLocked(const std::string& job_id) const;
  void RememberLocked(const std::string& job_id, uint64_t token);

  mutable std::mutex mutex_;
  std::map<std::string, Owner> owners_;
  // Of jobs of which nothing is here (any more), in the order in which they came.
  std::map<std::string, uint64_t> ended_;
  std::deque<std::string> ended_order_;
};

}  // namespace ballista::executor
