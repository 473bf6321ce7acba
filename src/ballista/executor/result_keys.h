// The keys that the tickets for parts of results are sealed with (flight/part_ticket.h),
// of the jobs that this executor has run tasks of and that have not ended.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "ballista/control.pb.h"

namespace ballista::executor {

// Thread-safe.
class ResultKeys {
 public:
  void NoteLaunch(const control::LaunchTasksRequest& request);
  // The job has ended.
  void Forget(const std::string& job_id);
  // Empty where the job is not known, or its results are read through the scheduler
  // alone.
  std::string KeyOf(const std::string& job_id) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> keys_;  // by job
};

}  // namespace ballista::executor
