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
// How long removals are gathered, and how long others may go before them then.
constexpr auto kGatherRemovals = std::chrono::milliseconds(50);
constexpr auto kHoldRemovals = std::chrono::milliseconds(50);
constexpr int kMaxGathered = 1000;

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
    removals_.reset();
  }
  wake_.notify_all();
  thread_.join();
}

void ExecutorLink::Send(OutboundRequest request) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    auto* removal = std::get_if<control::RemoveJobsRequest>(&request);
    if (removal == nullptr) {
      queue_.push_back(std::move(request));
    } else if (removals_) {
      removals_->MergeFrom(*removal);
      if (removals_->job_ids_size() < kMaxGathered) return;
      removals_due_ = {};
    } else {
      removals_ = std::move(*removal);
      removals_due_ = std::chrono::steady_clock::now() + kGatherRemovals;
    }
  }
  wake_.notify_one();
}

std::optional<OutboundRequest> ExecutorLink::Next(std::unique_lock<std::mutex>* lock) {
  while (!stopping_) {
    if (!may_send_() && (removals_ || !queue_.empty())) {
      wake_.wait_for(*lock, kRetryDelay, [this] { return stopping_; });
      continue;
    }
    const auto now = std::chrono::steady_clock::now();
    const bool held = !removals_ || now < removals_due_ + kHoldRemovals;
    if (!queue_.empty() && held) {
      OutboundRequest request = std::move(queue_.front());
      queue_.pop_front();
      return request;
    }
    if (removals_ && now >= removals_due_) {
      OutboundRequest request = std::move(*removals_);
      removals_.reset();
      return request;
    }
    if (removals_) {
      wake_.wait_until(*lock, removals_due_);
    } else {
      wake_.wait(*lock);
    }
  }
  return std::nullopt;
}

void ExecutorLink::Run() {
  std::unique_lock lock(mutex_);
  while (auto request = Next(&lock)) {
    lock.unlock();
    arrow::Status status;
    const auto end = std::chrono::steady_clock::now() + kRetryFor;
    for (int attempt = 0; attempt < kTries; ++attempt) {
      if (attempt > 0) std::this_thread::sleep_for(kRetryDelay);
      status = Deliver(*request);
      if (status.ok() || !flight::IsTransient(status)) break;
      if (std::chrono::steady_clock::now() >= end) break;
    }
    if (!status.ok()) {
      LOG_WARN("scheduler", "executor {} at {}:{} did not take a request: {}",
               executor_.id(), executor_.host(), executor_.port(), status.ToString());
      on_failure_(*request, status);
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
