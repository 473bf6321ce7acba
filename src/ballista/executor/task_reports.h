// Statuses of tasks on their way to the schedulers whose jobs they are of. One that
// cannot be delivered waits; if its job is taken over meanwhile, the next owner gets it.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "ballista/control.pb.h"
#include "ballista/executor/job_owners.h"

namespace ballista::executor {

// Thread-safe. Borrows `owners`.
class TaskReports {
 public:
  explicit TaskReports(const JobOwners* owners) : owners_(owners) {}

  // One of a job without an owner (it has ended) is dropped.
  void Add(control::TaskStatus status);

  struct Batch {
    std::vector<uint64_t> numbers;
    std::vector<control::TaskStatus> statuses;
  };
  // The next ones for this scheduler; they stay until they are Delivered.
  Batch Next(const std::string& scheduler_id, size_t max) const;
  void Delivered(const Batch& batch);
  bool HasAny(const std::string& scheduler_id) const;
  bool empty() const;
  void DropJob(const std::string& job_id);

 private:
  const JobOwners* const owners_;
  mutable std::mutex mutex_;
  uint64_t last_ = 0;
  std::map<uint64_t, control::TaskStatus> waiting_;  // in the order of their tasks' ends
};

}  // namespace ballista::executor
