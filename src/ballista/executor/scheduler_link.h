// The executor's side of its connection to the scheduler: registration, heartbeats, and
// the statuses of tasks.
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
#include "ballista/flight/client_pool.h"

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
    // The scheduler wants the executor to drain; called at most once.
    std::function<void()> drain;
  };

  SchedulerLink(std::string host, int port, control::ExecutorMetadata self,
                flight::ClientPool* clients, Holdings holdings);
  ~SchedulerLink();

  void Start();
  // Tells the scheduler that the executor leaves, and stops. Idempotent.
  void Stop();

  // Tells the scheduler that the executor takes no more tasks; from now on it is heard of
  // more often.
  void StartDraining();
  // After StartDraining: true once the scheduler has said that nothing of the executor is
  // needed, and every status is delivered. False after `time`. A scheduler that does not
  // answer leaves it to `nothing_left`.
  bool WaitUntilItMayLeave(std::chrono::milliseconds time,
                           const std::function<bool()>& nothing_left);

  // Delivers the status of a task; again and again until the scheduler has it.
  void Report(control::TaskStatus status);

 private:
  void RunHeartbeats();
  void RunReports();
  arrow::Status Register();
  // True when the scheduler knows the executor.
  arrow::Result<bool> Beat();
  void RegisterWithBackoff();
  // Until the next heartbeat is due. False when the link stops first.
  bool SleepUntilNextBeat();
  // False when the link stops first.
  bool SleepFor(std::chrono::milliseconds time);

  const std::string host_;
  const int port_;
  const control::ExecutorMetadata self_;
  flight::ClientPool* const clients_;
  const Holdings holdings_;
  uint64_t registrations_ = 0;  // of the heartbeats' thread alone

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<control::TaskStatus> reports_;
  std::chrono::milliseconds heartbeat_interval_{1000};
  bool registered_ = false;
  bool stopping_ = false;
  bool draining_ = false;
  bool drain_asked_ = false;
  // Of the last heartbeat that was sent while draining and every status was delivered.
  enum class Leave { kNo, kYes, kUnanswered };
  Leave may_leave_ = Leave::kNo;
  bool reporting_ = false;  // statuses are on their way
  std::thread heartbeats_;
  std::thread reporter_;
};

}  // namespace ballista::executor
