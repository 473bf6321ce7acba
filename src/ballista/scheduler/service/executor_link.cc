#include "ballista/scheduler/service/executor_link.h"

#include <utility>

#include "ballista/base/log.h"
#include "ballista/base/version.h"
#include "ballista/flight/pooled_call.h"

namespace ballista::scheduler {
namespace {

constexpr auto kCallTimeout = std::chrono::seconds(20);
// A connection that is refused is tried again this often, so that a hiccup costs no
// executor.
constexpr int kTries = 3;
constexpr auto kRetryDelay = std::chrono::milliseconds(100);
// Not after so long: one that takes connections or calls, and answers none, costs time.
constexpr auto kRetryFor = std::chrono::seconds(8);

}  // namespace

ExecutorLink::ExecutorLink(control::ExecutorMetadata executor,
                           flight::ClientPool* clients, FailureCallback on_failure,
                           std::function<bool()> may_send)
    : executor_(std::move(executor)),
      clients_(clients),
      on_failure_(std::move(on_failure)),
      may_send_(std::move(may_send)),
      thread_([this] { Run(); }) {}

ExecutorLink::~ExecutorLink() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    queue_.clear();
  }
  wake_.notify_all();
  thread_.join();
}

void ExecutorLink::Send(OutboundRequest request) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    queue_.push_back(std::move(request));
  }
  wake_.notify_one();
}

void ExecutorLink::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    if (!may_send_()) {
      wake_.wait_for(lock, kRetryDelay, [this] { return stopping_; });
      continue;
    }
    OutboundRequest request = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    arrow::Status status;
    const auto end = std::chrono::steady_clock::now() + kRetryFor;
    for (int attempt = 0; attempt < kTries; ++attempt) {
      if (attempt > 0) std::this_thread::sleep_for(kRetryDelay);
      status = Deliver(request);
      if (status.ok() || !flight::IsTransient(status)) break;
      if (std::chrono::steady_clock::now() >= end) break;
    }
    if (!status.ok()) {
      LOG_WARN("scheduler", "executor {} at {}:{} did not take a request: {}",
               executor_.id(), executor_.host(), executor_.port(), status.ToString());
      on_failure_(request, status);
    }
    lock.lock();
  }
}

arrow::Status ExecutorLink::Deliver(const OutboundRequest& request) {
  const std::string& host = executor_.host();
  const auto port = executor_.port();
  if (const auto* launch = std::get_if<SharedLaunch>(&request)) {
    return flight::CallPeer<control::LaunchTasksResponse>(
               clients_, host, port, "launch_tasks", **launch, kCallTimeout)
        .status();
  }
  if (const auto* cancel = std::get_if<control::CancelTasksRequest>(&request)) {
    return flight::CallPeer<control::LaunchTasksResponse>(
               clients_, host, port, "cancel_tasks", *cancel, kCallTimeout)
        .status();
  }
  if (const auto* adopt = std::get_if<control::AdoptJobsRequest>(&request)) {
    return flight::CallPeer<control::AdoptJobsResponse>(
               clients_, host, port, "adopt_jobs", *adopt, kCallTimeout)
        .status();
  }
  return flight::CallPeer<control::LaunchTasksResponse>(
             clients_, host, port, "remove_jobs",
             std::get<control::RemoveJobsRequest>(request), kCallTimeout)
      .status();
}

}  // namespace ballista::scheduler
