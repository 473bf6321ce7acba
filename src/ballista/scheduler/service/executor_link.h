// The scheduler's connection to one executor: requests go out from one thread of its own,
// in order, so that an executor never sees the removal of a job before the launch of its
// tasks. Removals, for which nobody waits, let others pass and are gathered for a moment:
// a call for each would cost a short query as much as the launch of a task.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>

#include "ballista/control.pb.h"
#include "ballista/flight/client_pool.h"

namespace ballista::scheduler {

using SharedLaunch = std::shared_ptr<const control::LaunchTasksRequest>;
using OutboundRequest =
    std::variant<SharedLaunch, control::CancelTasksRequest, control::RemoveJobsRequest,
                 control::AdoptJobsRequest>;

// Thread-safe. The destructor drops what was not sent yet and waits for the call under
// way (bounded by its deadline).
class ExecutorLink {
 public:
  // Called from the link's thread when a request could not be delivered. A lost launch is
  // worth an event; an executor that cannot be reached at all is lost.
  using FailureCallback =
      std::function<void(const OutboundRequest& request, const arrow::Status& status)>;

  // `may_send`: while it says false, nothing is sent.
  ExecutorLink(control::ExecutorMetadata executor, flight::ClientPool* clients,
               FailureCallback on_failure, std::function<bool()> may_send);
  ~ExecutorLink();

  void Send(OutboundRequest request);

 private:
  void Run();
  // What is to be sent now; waits for it. Nothing: the link stops.
  std::optional<OutboundRequest> Next(std::unique_lock<std::mutex>* lock);
  arrow::Status Deliver(const OutboundRequest& request);

  const control::ExecutorMetadata executor_;
  flight::ClientPool* const clients_;
  const FailureCallback on_failure_;
  const std::function<bool()> may_send_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<OutboundRequest> queue_;
  std::optional<control::RemoveJobsRequest> removals_;
  std::chrono::steady_clock::time_point removals_due_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace ballista::scheduler
