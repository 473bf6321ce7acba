// The executor's side of its connection to one scheduler: registration, heartbeats, and
// the statuses of the tasks of its jobs.
//
// It keeps trying, with backoff and a line in the log, for as long as the scheduler
// cannot be reached; statuses wait meanwhile and none is lost. A scheduler that does not
// know the executor (it was restarted) gets a new registration.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ballista/control.pb.h"
#include "ballista/executor/job_owners.h"
#include "ballista/executor/task_reports.h"
#include "ballista/flight/address_list.h"
#include "ballista/flight/client_pool.h"
#include "ballista/flight/interruptible_caller.h"

namespace ballista::executor {

// Thread-safe.
class SchedulerLink {
 public:
  // What the executor runs and keeps at the moment; called from the link's threads.
  struct Holdings {
    std::function<std::vector<job::TaskId>()> running_tasks;
    std::function<std::vector<std::string>()> held_jobs;
    // What a scheduler that was started again has to know of it.
    std::function<std::vector<control::HeldOutput>()> held;
    // The scheduler wants the executor to drain; called at most once for each link.
    std::function<void()> drain;
    // Writes into a heartbeat what the process holds.
    std::function<void(control::HeartbeatRequest*)> describe_use;
  };
  // Of the last heartbeat that was sent while draining and every status was delivered;
  // kUnanswered: none was answered lately.
  enum class Leave { kNo, kYes, kUnanswered };

  SchedulerLink(flight::Address address, control::ExecutorMetadata self,
                flight::ClientPool* clients, Holdings holdings, JobOwners* owners,
                TaskReports* reports);
  ~SchedulerLink();

  void Start();
  // Tells the scheduler that the executor leaves, unless it does not answer, and stops
  // without waiting for an answer that is still to come. Idempotent.
  void Stop();

  // Tells the scheduler that the executor takes no more tasks; from now on it is heard of
  // more often.
  void StartDraining();
  // Whether the scheduler has said that nothing of the executor is needed.
  Leave MayLeave() const;

  // There may be new statuses.
  void Wake();
  // What this executor holds is to be said once more.
  void RegisterAgain();

  const flight::Address& address() const { return address_; }
  // Of the scheduler that has answered last; empty: none did.
  std::string scheduler_id() const;
  // Whether it has answered the last heartbeat.
  bool answers() const;
  // Ends without a word: another link leads to the same scheduler, or none does any more.
  void Abandon();

 private:
  void RunHeartbeats();
  void RunReports();
  arrow::Status Register();
  // True when the scheduler knows the executor.
  arrow::Result<bool> Beat();
  void RegisterWithBackoff();
  // Until the next heartbeat is due. False when the link stops first.
  bool SleepUntilNextBeat();
  bool Stopping() const;
  // False when the link stops first.
  bool SleepFor(std::chrono::milliseconds time);

  const flight::Address address_;
  const control::ExecutorMetadata self_;
  flight::ClientPool* const clients_;
  const Holdings holdings_;
  JobOwners* const owners_;
  TaskReports* const reports_;
  uint64_t registrations_ = 0;  // of the heartbeats' thread alone

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::string scheduler_id_;
  std::chrono::milliseconds heartbeat_interval_{1000};
  bool registered_ = false;
  bool register_again_ = false;
  bool answers_ = false;
  bool stopping_ = false;
  bool draining_ = false;
  bool drain_asked_ = false;
  Leave may_leave_ = Leave::kNo;
  // When the scheduler has answered last, or was told to be asked for leave to go.
  std::chrono::steady_clock::time_point heard_;
  flight::InterruptibleCaller beats_;      // of the heartbeats' thread
  flight::InterruptibleCaller reporting_;  // of the reporter
  std::thread heartbeats_;
  std::thread reporter_;
};

}  // namespace ballista::executor
