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
  // `running_tasks`: the tasks that the executor runs at the moment; `held_jobs`: the
  // jobs of which it keeps outputs; `held`: what a scheduler that was started again has
  // to know of it. All are called from the link's threads.
  SchedulerLink(std::string host, int port, control::ExecutorMetadata self,
                flight::ClientPool* clients,
                std::function<std::vector<job::TaskId>()> running_tasks,
                std::function<std::vector<std::string>()> held_jobs,
                std::function<std::vector<control::HeldOutput>()> held);
  ~SchedulerLink();

  void Start();
  // Tells the scheduler that the executor leaves, and stops. Idempotent.
  void Stop();

  // Delivers the status of a task; again and again until the scheduler has it.
  void Report(control::TaskStatus status);

 private:
  void RunHeartbeats();
  void RunReports();
  arrow::Status Register();
  // True when the scheduler knows the executor.
  arrow::Result<bool> Beat();
  void RegisterWithBackoff();
  // False when the link stops first.
  bool SleepFor(std::chrono::milliseconds time);

  const std::string host_;
  const int port_;
  const control::ExecutorMetadata self_;
  flight::ClientPool* const clients_;
  const std::function<std::vector<job::TaskId>()> running_tasks_;
  const std::function<std::vector<std::string>()> held_jobs_;
  const std::function<std::vector<control::HeldOutput>()> held_;
  uint64_t registrations_ = 0;  // of the heartbeats' thread alone

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<control::TaskStatus> reports_;
  std::chrono::milliseconds heartbeat_interval_{1000};
  bool registered_ = false;
  bool stopping_ = false;
  std::thread heartbeats_;
  std::thread reporter_;
};

}  // namespace ballista::executor
