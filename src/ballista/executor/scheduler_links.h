// The executor's connections to all schedulers of its cluster: it registers with each,
// and each may launch tasks on it. Which of them a status goes to is the job's matter.
//
// The schedulers are those of a list; a name that DNS has several addresses of stands for
// all of them, and is asked for again every few seconds.
//
// Each scheduler counts this executor's slots for itself, so together they may launch as
// many tasks as there are slots, times schedulers. No more run at once than there are
// slots; the rest waits here, in the order in which it came. (Tasks never wait for each
// other, so that the wait cannot become a deadlock.)
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ballista/executor/scheduler_link.h"

namespace ballista::executor {

// Thread-safe.
class SchedulerLinks {
 public:
  // `follow_dns`: whether names may stand for several schedulers.
  SchedulerLinks(std::vector<flight::Address> schedulers, bool follow_dns,
                 control::ExecutorMetadata self, flight::ClientPool* clients,
                 SchedulerLink::Holdings holdings);
  ~SchedulerLinks();

  void Start();
  // Tells the schedulers that the executor leaves, and stops. Idempotent.
  void Stop();

  // Tells the schedulers that the executor takes no more tasks.
  void StartDraining();
  // After StartDraining: true once every scheduler has said that nothing of the executor
  // is needed, and every status is delivered. False after `time`. Schedulers that do not
  // answer leave it to `nothing_left`; statuses for them wait for whoever takes over.
  bool WaitUntilItMayLeave(std::chrono::milliseconds time,
                           const std::function<bool()>& nothing_left);

  // Empty while a scheduler may give it tasks, else why none does.
  std::string WhyNotReady() const;

  // Of all of them, those that answer first.
  std::vector<flight::Address> Addresses() const;

  // Delivers the status of a task to the scheduler whose job it is of; again and again
  // until that has it.
  void Report(control::TaskStatus status);

  // ---- orders of schedulers
  // Invalid where another scheduler has a job of it: nothing of it is done then.
  arrow::Status Check(const control::LaunchTasksRequest& request);
  bool IsStale(const std::string& job_id,
               const google::protobuf::Map<std::string, uint64_t>& tokens) const;
  // Gives the jobs of the ended scheduler that nobody goes on with.
  std::vector<std::string> Adopt(const control::AdoptJobsRequest& request);
  void Forget(const std::string& job_id);

 private:
  void Refresh();
  void RunRefresh();
  std::vector<std::shared_ptr<SchedulerLink>> Links() const;

  const std::vector<flight::Address> schedulers_;
  const bool follow_dns_;
  const control::ExecutorMetadata self_;
  flight::ClientPool* const clients_;
  SchedulerLink::Holdings holdings_;
  JobOwners owners_;
  TaskReports reports_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::shared_ptr<SchedulerLink>> links_;
  bool drain_asked_ = false;
  bool draining_ = false;
  std::chrono::steady_clock::time_point drain_began_;
  bool stopping_ = false;
  std::thread refresher_;
};

}  // namespace ballista::executor
