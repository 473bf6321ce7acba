#include "ballista/executor/scheduler_link.h"

#include <algorithm>
#include <set>
#include <utility>

#include "ballista/base/log.h"
#include "ballista/base/status.h"
#include "ballista/base/version.h"
#include "ballista/flight/pooled_call.h"

namespace ballista::executor {
namespace {

constexpr auto kCallTimeout = std::chrono::seconds(10);
// Between heartbeats while the executor waits for leave to go.
constexpr auto kDrainingInterval = std::chrono::milliseconds(100);
constexpr auto kFirstBackoff = std::chrono::milliseconds(100);
constexpr auto kMaxBackoff = std::chrono::milliseconds(5000);
// Statuses in one call; a bound on its size together with the limit on inline results.
constexpr size_t kMaxBatch = 64;

}  // namespace

SchedulerLink::SchedulerLink(std::string host, int port, control::ExecutorMetadata self,
                             flight::ClientPool* clients, Holdings holdings)
    : host_(std::move(host)),
      port_(port),
      self_(std::move(self)),
      clients_(clients),
      holdings_(std::move(holdings)) {}

SchedulerLink::~SchedulerLink() {
  Stop();
}

void SchedulerLink::Start() {
  LOG_INFO("executor", "Starting registration with scheduler");
  heartbeats_ = std::thread([this] { RunHeartbeats(); });
  reporter_ = std::thread([this] { RunReports(); });
}

void SchedulerLink::Stop() {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  wake_.notify_all();
  if (heartbeats_.joinable()) heartbeats_.join();
  if (reporter_.joinable()) reporter_.join();
  if (!registered_) return;
  control::StopExecutorRequest request;
  request.set_wire_version(kWireVersion);
  request.set_executor_id(self_.id());
  request.set_incarnation(self_.incarnation());
  const auto result = flight::CallPeer<control::HeartbeatResponse>(
      clients_, host_, port_, "stop_executor", request, std::chrono::seconds(2));
  if (!result.ok()) {
    LOG_WARN("executor",
             "The scheduler at {}:{} was not told that this executor leaves: {}", host_,
             port_, result.status().message());
  }
}

bool SchedulerLink::SleepFor(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, time, [this] { return stopping_; });
}

arrow::Status SchedulerLink::Register() {
  control::RegisterExecutorRequest request;
  request.set_wire_version(kWireVersion);
  *request.mutable_executor() = self_;
  request.set_sequence(++registrations_);
  // First what it keeps: a task that ends in between is then among those that run.
  std::set<std::string> held;
  for (auto& job : holdings_.held_jobs()) held.insert(std::move(job));
  for (auto& task : holdings_.running_tasks()) {
    held.insert(task.job_id());
    *request.add_running() = std::move(task);
  }
  for (const auto& job : held) request.add_held_jobs(job);
  for (auto& output : holdings_.held()) *request.add_held() = std::move(output);
  ARROW_ASSIGN_OR_RAISE(
      const auto response,
      flight::CallPeer<control::RegisterExecutorResponse>(
          clients_, host_, port_, "register_executor", request, kCallTimeout));
  {
    const std::lock_guard lock(mutex_);
    registered_ = true;
    heartbeat_interval_ = std::chrono::milliseconds(
        std::clamp<uint32_t>(response.heartbeat_interval_ms(), 50, 60000));
  }
  wake_.notify_all();
  LOG_INFO("executor",
           "Registered with the scheduler at {}:{}; {} executors in the cluster", host_,
           port_, response.executors_size());
  return arrow::Status::OK();
}

void SchedulerLink::RegisterWithBackoff() {
  auto backoff = kFirstBackoff;
  while (true) {
    {
      // Whoever leaves need not come in first.
      const std::lock_guard lock(mutex_);
      if (draining_ && !registered_) return;
    }
    const auto status = Register();
    if (status.ok()) return;
    LOG_WARN(
        "executor",
        "The scheduler at {}:{} does not take the registration; trying again in {} ms: "
        "{}",
        host_, port_, backoff.count(), status.message());
    if (!SleepFor(backoff)) return;
    backoff = std::min(backoff * 2, kMaxBackoff);
  }
}

arrow::Result<bool> SchedulerLink::Beat() {
  control::HeartbeatRequest request;
  request.set_wire_version(kWireVersion);
  request.set_executor_id(self_.id());
  request.set_incarnation(self_.incarnation());
  request.set_running_tasks(static_cast<uint32_t>(holdings_.running_tasks().size()));
  bool all_delivered = false;
  {
    const std::lock_guard lock(mutex_);
    request.set_draining(draining_);
    all_delivered = reports_.empty() && !reporting_;
  }
  const auto response = flight::CallPeer<control::HeartbeatResponse>(
      clients_, host_, port_, "heartbeat", request, kCallTimeout);
  bool ask_to_drain = false;
  {
    const std::lock_guard lock(mutex_);
    if (!response.ok()) {
      may_leave_ = Leave::kUnanswered;
    } else {
      may_leave_ = request.draining() && all_delivered && response->may_leave()
                       ? Leave::kYes
                       : Leave::kNo;
      ask_to_drain = response->drain() && !std::exchange(drain_asked_, true);
    }
  }
  wake_.notify_all();
  if (ask_to_drain) holdings_.drain();
  ARROW_RETURN_NOT_OK(response.status());
  return !response->unknown_executor();
}

void SchedulerLink::StartDraining() {
  {
    const std::lock_guard lock(mutex_);
    draining_ = drain_asked_ = true;
    may_leave_ = Leave::kNo;
  }
  wake_.notify_all();
}

bool SchedulerLink::WaitUntilItMayLeave(std::chrono::milliseconds time,
                                        const std::function<bool()>& nothing_left) {
  bool unanswered = false;
  {
    std::unique_lock lock(mutex_);
    if (!registered_) may_leave_ = Leave::kUnanswered;
    if (wake_.wait_for(lock, time, [this] { return may_leave_ == Leave::kYes; })) {
      return true;
    }
    unanswered = may_leave_ == Leave::kUnanswered;
  }
  return unanswered && nothing_left();
}

bool SchedulerLink::SleepUntilNextBeat() {
  std::unique_lock lock(mutex_);
  const auto woken = [this, was_draining = draining_] {
    return stopping_ || draining_ != was_draining;
  };
  wake_.wait_for(lock, draining_ ? kDrainingInterval : heartbeat_interval_, woken);
  return !stopping_;
}

void SchedulerLink::RunHeartbeats() {
  RegisterWithBackoff();
  bool cut_off = false;
  while (SleepUntilNextBeat()) {
    const auto known = Beat();
    if (!known.ok()) {
      if (!cut_off) {
        LOG_WARN("executor", "Cut off from the scheduler at {}:{}; trying on: {}", host_,
                 port_, known.status().message());
      }
      cut_off = true;
      continue;
    }
    if (cut_off) LOG_INFO("executor", "The scheduler at {}:{} is back", host_, port_);
    cut_off = false;
    if (!*known) {
      LOG_INFO("executor",
               "The scheduler does not know this executor: registering again");
      RegisterWithBackoff();
    }
  }
}

void SchedulerLink::Report(control::TaskStatus status) {
  {
    const std::lock_guard lock(mutex_);
    reports_.push_back(std::move(status));
  }
  wake_.notify_all();
}

void SchedulerLink::RunReports() {
  auto backoff = kFirstBackoff;
  while (true) {
    control::TaskStatusRequest request;
    request.set_wire_version(kWireVersion);
    request.set_executor_id(self_.id());
    request.set_incarnation(self_.incarnation());
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !reports_.empty(); });
      if (reports_.empty()) return;
      const size_t count = std::min(reports_.size(), kMaxBatch);
      for (size_t i = 0; i < count; ++i) *request.add_statuses() = reports_[i];
      reporting_ = true;
    }
    const auto result = flight::CallPeer<control::TaskStatusResponse>(
        clients_, host_, port_, "task_status", request, kCallTimeout);
    if (!result.ok()) {
      LOG_WARN("executor", "The scheduler at {}:{} did not take {} task statuses: {}",
               host_, port_, request.statuses_size(), result.status().message());
      if (!SleepFor(backoff)) return;
      backoff = std::min(backoff * 2, kMaxBackoff);
      continue;
    }
    if (result->unknown_executor()) {
      // A new scheduler: a heartbeat finds that out, too, and registers.
      if (!SleepFor(kFirstBackoff)) return;
      continue;
    }
    backoff = kFirstBackoff;
    const std::lock_guard lock(mutex_);
    reports_.erase(reports_.begin(), reports_.begin() + request.statuses_size());
    reporting_ = false;
  }
}

}  // namespace ballista::executor
