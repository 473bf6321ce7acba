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
// A scheduler that is silent for so long has no say in whether the executor leaves.
constexpr auto kDrainingSilence = std::chrono::milliseconds(2000);
constexpr auto kFirstBackoff = std::chrono::milliseconds(100);
constexpr auto kMaxBackoff = std::chrono::milliseconds(5000);
// Statuses in one call; a bound on its size together with the limit on inline results.
constexpr size_t kMaxBatch = 64;

}  // namespace

SchedulerLink::SchedulerLink(flight::Address address, control::ExecutorMetadata self,
                             flight::ClientPool* clients, Holdings holdings,
                             JobOwners* owners, TaskReports* reports)
    : address_(std::move(address)),
      self_(std::move(self)),
      clients_(clients),
      holdings_(std::move(holdings)),
      owners_(owners),
      reports_(reports),
      beats_(clients),
      reporting_(clients) {}

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
  }
  Abandon();
  if (!answers_ || (draining_ && MayLeave() == Leave::kUnanswered)) return;
  control::StopExecutorRequest request;
  request.set_wire_version(kWireVersion);
  request.set_executor_id(self_.id());
  request.set_incarnation(self_.incarnation());
  const auto result = flight::CallPeer<control::HeartbeatResponse>(
      clients_, address_.host, address_.port, "stop_executor", request,
      std::chrono::seconds(2));
  if (!result.ok()) {
    LOG_WARN("executor",
             "The scheduler at {}:{} was not told that this executor leaves: {}",
             address_.host, address_.port, result.status().message());
  }
}

void SchedulerLink::Abandon() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  beats_.Interrupt();
  reporting_.Interrupt();
  if (heartbeats_.joinable()) heartbeats_.join();
  if (reporter_.joinable()) reporter_.join();
}

std::string SchedulerLink::scheduler_id() const {
  const std::lock_guard lock(mutex_);
  return scheduler_id_;
}

bool SchedulerLink::answers() const {
  const std::lock_guard lock(mutex_);
  return answers_;
}

void SchedulerLink::Wake() {
  // Not between a look at what waits and the wait.
  { const std::lock_guard lock(mutex_); }
  wake_.notify_all();
}

void SchedulerLink::RegisterAgain() {
  {
    const std::lock_guard lock(mutex_);
    register_again_ = true;
  }
  wake_.notify_all();
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
  std::string before;
  {
    const std::lock_guard lock(mutex_);
    register_again_ = false;
    before = scheduler_id_;
  }
  request.set_previous_scheduler_id(before);
  // First what it keeps: a task that ends in between is then among those that run.
  std::set<std::string> held;
  for (auto& job : holdings_.held_jobs()) held.insert(std::move(job));
  for (auto& task : holdings_.running_tasks()) {
    held.insert(task.job_id());
    *request.add_running() = std::move(task);
  }
  for (const auto& job : held) {
    request.add_held_jobs(job);
    (*request.mutable_job_owners())[job] = owners_->OwnerOf(job);
  }
  for (auto& output : holdings_.held()) *request.add_held() = std::move(output);
  ARROW_ASSIGN_OR_RAISE(
      const auto response,
      beats_.Call<control::RegisterExecutorResponse>(
          address_.host, address_.port, "register_executor", request, kCallTimeout));
  const std::string& now = response.scheduler_id();
  if (response.replaces_previous() && !before.empty()) owners_->Replace(before, now);
  {
    const std::lock_guard lock(mutex_);
    scheduler_id_ = now;
    answers_ = registered_ = true;
    heard_ = std::chrono::steady_clock::now();
    heartbeat_interval_ = std::chrono::milliseconds(
        std::clamp<uint32_t>(response.heartbeat_interval_ms(), 50, 60000));
  }
  wake_.notify_all();
  LOG_INFO("executor",
           "Registered with the scheduler at {}:{}; {} executors in the cluster",
           address_.host, address_.port, response.executors_size());
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
    if (status.ok() || Stopping()) return;
    LOG_WARN(
        "executor",
        "The scheduler at {}:{} does not take the registration; trying again in {} ms: "
        "{}",
        address_.host, address_.port, backoff.count(), status.message());
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
  if (holdings_.describe_use) holdings_.describe_use(&request);
  bool all_delivered = false;
  {
    const std::lock_guard lock(mutex_);
    request.set_draining(draining_);
    all_delivered = !reports_->HasAny(scheduler_id_);
  }
  const auto response = beats_.Call<control::HeartbeatResponse>(
      address_.host, address_.port, "heartbeat", request, kCallTimeout);
  bool ask_to_drain = false;
  {
    const std::lock_guard lock(mutex_);
    if (!response.ok() && stopping_) return response.status();  // it was interrupted
    answers_ = response.ok();
    if (!response.ok()) {
      may_leave_ = Leave::kUnanswered;
    } else {
      heard_ = std::chrono::steady_clock::now();
      may_leave_ = request.draining() && all_delivered && response->may_leave()
                       ? Leave::kYes
                       : Leave::kNo;
      ask_to_drain = response->drain() && !std::exchange(drain_asked_, true);
    }
  }
  wake_.notify_all();
  if (ask_to_drain) holdings_.drain();
  ARROW_RETURN_NOT_OK(response.status());
  // One that has begun anew is another one.
  return !response->unknown_executor() && response->scheduler_id() == scheduler_id();
}

void SchedulerLink::StartDraining() {
  {
    const std::lock_guard lock(mutex_);
    draining_ = drain_asked_ = true;
    may_leave_ = answers_ ? Leave::kNo : Leave::kUnanswered;
    heard_ = std::chrono::steady_clock::now();
  }
  wake_.notify_all();
}

SchedulerLink::Leave SchedulerLink::MayLeave() const {
  const std::lock_guard lock(mutex_);
  const bool silent = std::chrono::steady_clock::now() - heard_ > kDrainingSilence;
  return registered_ && !silent ? may_leave_ : Leave::kUnanswered;
}

bool SchedulerLink::Stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

bool SchedulerLink::SleepUntilNextBeat() {
  std::unique_lock lock(mutex_);
  const auto woken = [this, was_draining = draining_] {
    return stopping_ || register_again_ || draining_ != was_draining;
  };
  wake_.wait_for(lock, draining_ ? kDrainingInterval : heartbeat_interval_, woken);
  return !stopping_;
}

void SchedulerLink::RunHeartbeats() {
  RegisterWithBackoff();
  bool cut_off = false;
  while (SleepUntilNextBeat()) {
    bool again = false;
    {
      const std::lock_guard lock(mutex_);
      again = register_again_;
    }
    if (again) RegisterWithBackoff();
    const auto known = Beat();
    if (!known.ok()) {
      if (!cut_off && !Stopping()) {
        LOG_WARN("executor", "Cut off from the scheduler at {}:{}; trying on: {}",
                 address_.host, address_.port, known.status().message());
      }
      cut_off = true;
      continue;
    }
    if (cut_off)
      LOG_INFO("executor", "The scheduler at {}:{} is back", address_.host,
               address_.port);
    cut_off = false;
    if (!*known) {
      LOG_INFO("executor",
               "The scheduler does not know this executor: registering again");
      RegisterWithBackoff();
    }
  }
}

void SchedulerLink::RunReports() {
  auto backoff = kFirstBackoff;
  while (true) {
    std::string scheduler;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || reports_->HasAny(scheduler_id_); });
      scheduler = scheduler_id_;
    }
    const auto batch = reports_->Next(scheduler, kMaxBatch);
    if (batch.numbers.empty()) {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      continue;
    }
    control::TaskStatusRequest request;
    request.set_wire_version(kWireVersion);
    request.set_executor_id(self_.id());
    request.set_incarnation(self_.incarnation());
    for (const auto& status : batch.statuses) *request.add_statuses() = status;
    const auto result = reporting_.Call<control::TaskStatusResponse>(
        address_.host, address_.port, "task_status", request, kCallTimeout);
    if (!result.ok() && Stopping()) return;
    if (!result.ok()) {
      LOG_WARN("executor", "The scheduler at {}:{} did not take {} task statuses: {}",
               address_.host, address_.port, request.statuses_size(),
               result.status().message());
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
    reports_->Delivered(batch);
  }
}

}  // namespace ballista::executor
