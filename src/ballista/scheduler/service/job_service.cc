#include "ballista/scheduler/service/job_service.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "ballista/base/ids.h"
#include "ballista/base/log.h"
#include "ballista/base/status.h"
#include "ballista/base/version.h"
#include "ballista/flight/part_ticket.h"
#include "ballista/flight/rpc.h"
#include "ballista/flight/status_transport.h"

namespace ballista::scheduler {
namespace {

constexpr uint32_t kMaxSlots = 1024;  // of one executor, as its options say
// The error of a job that failed is kept this long for a client that has not come for
// its result yet.
constexpr Time kFailureKept = std::chrono::minutes(1);
constexpr size_t kMaxFailuresKept = 10000;
// Of jobs whose results were sent, and which are kept for a client that comes back:
// beyond these bounds the oldest go, but for those of the last second.
constexpr size_t kMaxReadJobs = 1000;
constexpr uint64_t kMaxReadBytes = uint64_t{256} << 20;
constexpr Time kLeastKept = std::chrono::seconds(1);
constexpr auto kPause = std::chrono::milliseconds(50);
// For an executor that registers to answer; less than it waits itself.
constexpr auto kReachTimeout = std::chrono::seconds(8);
// Of one round; what is more is counted.
constexpr size_t kMaxStuckNamed = 20;

}  // namespace

JobService::JobService(const CoreOptions& options, Replanner* replanner,
                       flight::ClientPool* clients,
                       std::chrono::milliseconds heartbeat_interval, StateKeeper* keeper)
    : id_(keeper == nullptr ? NewId() : keeper->id()),
      heartbeat_interval_(heartbeat_interval),
      clients_(clients),
      keeper_(keeper),
      recovery_wait_(options.recovery_wait),
      options_(options),
      replanner_(replanner),
      core_(options, replanner),
      timer_([this] { RunTimer(); }),
      reaper_([this] { RunReaper(); }) {}

JobService::~JobService() {
  std::map<std::string, std::unique_ptr<ExecutorLink>> links;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    links.swap(links_);
  }
  timer_wake_.notify_all();
  reaper_wake_.notify_all();
  changed_.notify_all();
  timer_.join();
  reaper_.join();
}

void JobService::NoteSuspension() {
  const Time gap = clock_.Check(/*again=*/!links_.empty());
  if (gap == Time::zero()) return;
  LOG_WARN("scheduler",
           "This process did not run for {:.1f} s: executors are given as much longer",
           static_cast<double>(gap.count()) / 1e6);
}

void JobService::WatchStuckJobs(std::chrono::milliseconds limit) {
  const std::lock_guard lock(mutex_);
  stuck_ = StuckWatch(limit);
}

void JobService::LimitInlineResults(const RowsBudget* budget) {
  const std::lock_guard lock(mutex_);
  inline_budget_ = budget;
}

void JobService::KeepReadResults(std::chrono::milliseconds time) {
  {
    const std::lock_guard lock(mutex_);
    keep_read_ = std::min<Time>(keep_read_, time);
  }
  timer_wake_.notify_one();
}

std::shared_ptr<const std::string> JobService::HoldInline(const std::string& rows) const {
  if (inline_budget_ == nullptr) return std::make_shared<const std::string>(rows);
  auto share = inline_budget_->Open();
  if (!share.TryTake(static_cast<int64_t>(rows.size()))) return nullptr;
  struct Held {
    RowsBudget::Share share;
    std::string rows;
  };
  const auto held = std::make_shared<const Held>(Held{std::move(share), rows});
  return {held, &held->rows};
}

void JobService::NameStuckJobs() {
  const Time now = Now();
  size_t count = 0;
  for (const auto& [job_id, since] :
       stuck_.Check(now, [this](Time since) { return core_.Idle(since); })) {
    if (++count > kMaxStuckNamed) continue;
    LOG_WARN("scheduler", "Query {} has made no progress for {:.1f} s: {}", job_id,
             static_cast<double>((now - since).count()) / 1e6,
             core_.WhyWaiting(job_id, now));
  }
  if (count > kMaxStuckNamed) {
    LOG_WARN("scheduler", "{} more queries have made no progress",
             count - kMaxStuckNamed);
  }
}

void JobService::Post(Event event) {
  const std::lock_guard lock(mutex_);
  PostLocked(std::move(event));
}

void JobService::PostLocked(Event event) {
  if (stopping_) return;
  NoteSuspension();
  const bool executors_may_change = !std::holds_alternative<TaskFinished>(event) &&
                                    !std::holds_alternative<JobSubmitted>(event);
  event_time_ = Now();
  for (auto& effect : core_.Handle(std::move(event), event_time_)) {
    Apply(std::move(effect));
  }
  metrics_.event.ObserveMicros(static_cast<uint64_t>((Now() - event_time_).count()));
  if (std::min(core_.NextDeadline(), stuck_.NextCheck()) < timer_due_ ||
      (executors_may_change && links_.size() != core_.NumExecutors())) {
    timer_wake_.notify_one();
  }
}

void JobService::RunTimer() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    NoteSuspension();
    NameStuckJobs();
    if (!MayAct()) {
      timer_wake_.wait_for(lock, kPause);
      continue;
    }
    if (core_.NextDeadline() <= Now()) {
      timer_due_ = Time::zero();
      PostLocked(Tick{});
    }
    ForgetAwaited();
    RetireDeadLinks();
    timer_due_ = std::min({DropOldOutcomes(), DropReadJobs(), stuck_.NextCheck()});
    timer_due_ = std::min(timer_due_, core_.NextDeadline());
    if (!links_.empty())
      timer_due_ = std::min(timer_due_, Now() + RunningClock::kInterval);
    if (timer_due_ == kNever) {
      timer_wake_.wait(lock);
    } else {
      timer_wake_.wait_for(lock, clock_.Until(timer_due_));
    }
  }
}

void JobService::RunReaper() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    auto dead = std::exchange(retired_, {});
    if (dead.empty()) {
      reaper_wake_.wait(lock);
      continue;
    }
    lock.unlock();
    dead.clear();
    lock.lock();
  }
}

void JobService::ForgetAwaited() {
  if (Now() < awaited_until_) return;
  awaited_until_ = kNever;
  for (const auto& id : awaited_) {
    if (!core_.HasExecutor(id, "")) keeper_->ForgetExecutor(id);
  }
  awaited_.clear();
}

ExecutorLink* JobService::LinkOf(const std::string& executor_id) {
  const auto incarnation = incarnations_.find(executor_id);
  if (incarnation == incarnations_.end()) return nullptr;
  const auto link = links_.find(incarnation->second);
  return link == links_.end() ? nullptr : link->second.get();
}

void JobService::RetireDeadLinks() {
  if (links_.size() == core_.NumExecutors()) return;
  for (auto it = incarnations_.begin(); it != incarnations_.end();) {
    if (core_.HasExecutor(it->first, it->second)) {
      ++it;
      continue;
    }
    if (keeper_ != nullptr) keeper_->ForgetExecutor(it->first);
    to_drain_.erase(it->second);
    use_.erase(it->second);
    metrics_.executors_gone.Add();
    it = incarnations_.erase(it);
  }
  std::set<std::string> alive;
  for (const auto& [id, incarnation] : incarnations_) alive.insert(incarnation);
  for (auto it = links_.begin(); it != links_.end();) {
    if (alive.contains(it->first)) {
      ++it;
      continue;
    }
    retired_.push_back(std::move(it->second));
    it = links_.erase(it);
  }
  reaper_wake_.notify_one();
}

// ------------------------------------------------------------------------------ effects

void JobService::Apply(Effect effect) {
  std::visit([this](auto&& one) { Apply(std::forward<decltype(one)>(one)); },
             std::move(effect));
}

void JobService::Apply(StageFormed effect) {
  if (keeper_ != nullptr) keeper_->KeepFormation(effect.job_id, effect.formation);
}

void JobService::Apply(GraphReplaced effect) {
  if (keeper_ != nullptr) keeper_->KeepGraph(effect.job_id, effect.graph);
}

void JobService::Apply(LaunchTasks effect) {
  const auto link = links_.find(effect.incarnation);
  if (link == links_.end()) return;
  // In the arena of the tasks, which are thus not copied.
  auto tasks = std::make_shared<TaskDefinitions>(std::move(effect.tasks));
  auto* request =
      google::protobuf::Arena::CreateMessage<control::LaunchTasksRequest>(tasks->arena());
  request->set_wire_version(kWireVersion);
  request->set_scheduler_id(id_);
  request->set_executor_incarnation(effect.incarnation);
  for (const auto& stage : effect.stages) *request->add_stages() = *stage;
  for (job::TaskDefinition* task : tasks->pointers()) {
    const std::string& job_id = task->id().job_id();
    if (shared()) (*request->mutable_job_tokens())[job_id] = TokenOf(job_id);
    request->mutable_tasks()->UnsafeArenaAddAllocated(task);
    metrics_.tasks_launched.Add();
    if (task->id().attempt() > 0) metrics_.tasks_retried.Add();
  }
  link->second->Send(SharedLaunch(std::move(tasks), request));
}

uint64_t JobService::TokenOf(const std::string& job_id) const {
  const auto adopted = tokens_.find(job_id);
  return adopted == tokens_.end() ? 1 : adopted->second;
}

void JobService::Apply(CancelTasks effect) {
  control::CancelTasksRequest request;
  request.set_wire_version(kWireVersion);
  for (auto& task : effect.tasks) {
    const std::string& job_id = task.job_id();
    if (shared()) (*request.mutable_job_tokens())[job_id] = TokenOf(job_id);
    *request.add_tasks() = std::move(task);
  }
  if (auto* link = LinkOf(effect.executor_id)) link->Send(std::move(request));
}

void JobService::Apply(RemoveJobs effect) {
  control::RemoveJobsRequest request;
  request.set_wire_version(kWireVersion);
  for (auto& job_id : effect.job_ids) {
    if (shared()) (*request.mutable_job_tokens())[job_id] = TokenOf(job_id);
    request.add_job_ids(std::move(job_id));
  }
  if (auto* link = LinkOf(effect.executor_id)) link->Send(std::move(request));
}

void JobService::Apply(JobFinished effect) {
  auto outcome = outcomes_.find(effect.job_id);
  if (outcome == outcomes_.end()) return;
  metrics_.CountEnd(effect.outline.job());
  outcome->second.ended = true;
  outcome->second.outline = effect.outline;
  outcome->second.result = std::make_shared<const JobFinished>(std::move(effect));
  changed_.notify_all();
}

void JobService::Apply(JobReopened effect) {
  LOG_INFO("scheduler", "Query {}: a part of its result is computed again: {}",
           effect.job_id, effect.reason);
  const auto outcome = outcomes_.find(effect.job_id);
  if (outcome == outcomes_.end()) return;
  outcome->second.ended = false;
  outcome->second.result.reset();
}

void JobService::Apply(JobFailed effect) {
  auto outcome = outcomes_.find(effect.job_id);
  if (outcome == outcomes_.end()) return;
  LOG_DEBUG("scheduler", "job {} failed: {}", effect.job_id, effect.status.ToString());
  if (keeper_ != nullptr) keeper_->KeepFailure(effect.job_id, effect.status);
  // A result that is dropped is not another end of its job.
  if (!outcome->second.ended) metrics_.CountEnd(effect.outline.job());
  outcome->second.ended = true;
  outcome->second.status = std::move(effect.status);
  outcome->second.outline = std::move(effect.outline);
  failed_.emplace_back(Now(), effect.job_id);
  changed_.notify_all();
}

Time JobService::DropOldOutcomes() {
  while (!failed_.empty() && (failed_.front().first + kFailureKept <= Now() ||
                              failed_.size() > kMaxFailuresKept)) {
    const auto outcome = outcomes_.find(failed_.front().second);
    if (outcome != outcomes_.end() && outcome->second.ended) {
      if (keeper_ != nullptr) keeper_->ForgetJob(outcome->first);
      outcomes_.erase(outcome);
    }
    failed_.pop_front();
  }
  return failed_.empty() ? kNever : failed_.front().first + kFailureKept;
}

Time JobService::DropReadJobs() {
  const Time now = Now();
  while (!read_.empty()) {
    const Read& oldest = read_.front();
    const bool much = read_.size() > kMaxReadJobs || read_bytes_ > kMaxReadBytes;
    const Time until = oldest.at + (much ? std::min(keep_read_, kLeastKept) : keep_read_);
    if (now < until) return until;
    const auto outcome = outcomes_.find(oldest.job_id);
    const bool is_read = outcome != outcomes_.end() && outcome->second.read == oldest.at;
    const std::string job_id = oldest.job_id;
    read_bytes_ -= oldest.bytes;
    read_.pop_front();
    if (is_read) ReleaseLocked(job_id);
  }
  return kNever;
}

// ---------------------------------------------------------------------------- executors

arrow::Status JobService::CheckReachable(const control::ExecutorMetadata& executor) {
  {
    const std::lock_guard lock(mutex_);
    if (core_.HasExecutor(executor.id(), executor.incarnation())) {
      return arrow::Status::OK();
    }
  }
  const auto address = flight::FormatAddress(executor.host(), executor.port());
  ARROW_ASSIGN_OR_RAISE(const auto client,
                        clients_->Get(executor.host(), executor.port()));
  const auto answer = flight::CallRaw(client.get(), "status", "", kReachTimeout);
  if (!answer.ok()) {
    clients_->Evict(executor.host(), executor.port(), client);
    return arrow::Status::Invalid(
        "the scheduler cannot reach this executor at ", address,
        ", where it says that it is: set its --external-host and --port to where the "
        "scheduler and the other executors can connect to: ",
        answer.status().message());
  }
  const auto status = nlohmann::json::parse(*answer, nullptr, /*allow_exceptions=*/false);
  if (status.is_object() && status.contains("executor_id") &&
      status["executor_id"] == executor.id()) {
    return arrow::Status::OK();
  }
  return arrow::Status::Invalid(
      "another process answers at ", address,
      ", where this executor says that it is: give each its own --external-host or "
      "--port");
}

arrow::Result<control::RegisterExecutorResponse> JobService::RegisterExecutor(
    const control::RegisterExecutorRequest& request) {
  const auto& executor = request.executor();
  if (!IsPlainName(executor.id()) || !IsPlainName(executor.incarnation()) ||
      !IsHostName(executor.host()) || executor.port() == 0 || executor.port() > 65535 ||
      executor.task_slots() == 0 || executor.task_slots() > kMaxSlots) {
    return arrow::Status::Invalid(
        "a register_executor request needs the executor's id, incarnation, host, port "
        "and "
        "1 to ",
        kMaxSlots, " task slots");
  }
  ARROW_RETURN_NOT_OK(CheckReachable(executor));
  LOG_INFO("ballista::scheduler",
           "Received register_executor request for ExecutorMetadata {{ id: \"{}\", host: "
           "\"{}\", port: {} }}",
           executor.id(), executor.host(), executor.port());
  ARROW_RETURN_NOT_OK(CheckMayAct());
  control::RegisterExecutorResponse response;
  const std::lock_guard lock(mutex_);
  if (!links_.contains(executor.incarnation())) {
    metrics_.executors_registered.Add();
    auto& link = links_[executor.incarnation()] = std::make_unique<ExecutorLink>(
        executor, clients_,
        [this, executor](const OutboundRequest& failed, const arrow::Status& status) {
          OnSendFailure(executor, failed, status);
        },
        [this] { return MayAct(); });
    // It may not have heard who has the jobs now of which it holds something.
    if (!tokens_.empty()) link->Send(Adoption("", {}));
  }
  incarnations_[executor.id()] = executor.incarnation();
  if (keeper_ != nullptr) keeper_->KeepExecutor(executor);
  // Whoever was at its address before is gone, and need not be waited for.
  for (const auto& other : core_.Executors()) {
    if (other.id() == executor.id() || other.host() != executor.host() ||
        other.port() != executor.port()) {
      continue;
    }
    LOG_INFO("scheduler", "Executor {} is lost: {} is at its address now", other.id(),
             executor.id());
    PostLocked(ExecutorLost{other.id(), other.incarnation(),
                            "another process is at its address now"});
  }
  ExecutorRegistered event;
  event.executor = executor;
  for (const auto& task : request.running()) {
    if (IsOurs(request, task.job_id())) event.running.push_back(task);
  }
  for (const auto& job_id : request.held_jobs()) {
    if (IsOurs(request, job_id)) event.held_jobs.push_back(job_id);
  }
  event.held.assign(request.held().begin(), request.held().end());
  event.sequence = request.sequence();
  PostLocked(std::move(event));
  response.set_heartbeat_interval_ms(static_cast<uint32_t>(heartbeat_interval_.count()));
  response.set_scheduler_id(id_);
  response.set_replaces_previous(!shared());
  for (const auto& one : core_.Executors()) *response.add_executors() = one;
  changed_.notify_all();
  return response;
}

// Whether this scheduler says what becomes of it. What is another's is that one's matter.
bool JobService::IsOurs(const control::RegisterExecutorRequest& request,
                        const std::string& job_id) const {
  const auto owner = request.job_owners().find(job_id);
  if (owner == request.job_owners().end()) return !shared();
  if (owner->second == id_) return true;
  if (!shared()) return owner->second == request.previous_scheduler_id();
  if (!owner->second.empty()) keeper_->Suspect(owner->second);
  return false;
}

arrow::Result<control::HeartbeatResponse> JobService::Heartbeat(
    const control::HeartbeatRequest& request) {
  ARROW_RETURN_NOT_OK(CheckMayAct());
  control::HeartbeatResponse response;
  response.set_scheduler_id(id_);
  const std::lock_guard lock(mutex_);
  if (!core_.HasExecutor(request.executor_id(), request.incarnation())) {
    response.set_unknown_executor(true);
    return response;
  }
  NoteUse(request);
  PostLocked(ExecutorHeartbeat{request.executor_id(), request.incarnation()});
  if (request.draining()) {
    PostLocked(ExecutorDraining{request.executor_id(), request.incarnation()});
    to_drain_.erase(request.incarnation());
    response.set_may_leave(core_.MayLeave(request.executor_id(), request.incarnation()));
  }
  response.set_drain(to_drain_.contains(request.incarnation()));
  for (const auto& one : core_.Executors()) *response.add_executors() = one;
  return response;
}

arrow::Result<control::DrainExecutorResponse> JobService::DrainExecutor(
    const std::string& executor) {
  const std::lock_guard lock(mutex_);
  for (const auto& known : core_.Executors()) {
    const auto address = flight::FormatAddress(known.host(), known.port());
    if (executor != known.id() && executor != address) continue;
    LOG_INFO("scheduler", "Executor {} at {} is asked to drain", known.id(), address);
    to_drain_.insert(known.incarnation());
    // No task from now on; it hears of it with its next heartbeat.
    PostLocked(ExecutorDraining{known.id(), known.incarnation()});
    control::DrainExecutorResponse response;
    response.set_executor_id(known.id());
    return response;
  }
  return arrow::Status::KeyError("there is no executor '", executor,
                                 "': give its id, or its host:port");
}

arrow::Result<control::HeartbeatResponse> JobService::StopExecutor(
    const control::StopExecutorRequest& request) {
  LOG_INFO("ballista::scheduler", "Executor {} leaves the cluster",
           request.executor_id());
  Post(ExecutorStopped{request.executor_id(), request.incarnation()});
  return control::HeartbeatResponse();
}

arrow::Result<control::TaskStatusResponse> JobService::ReportTasks(
    const control::TaskStatusRequest& request) {
  ARROW_RETURN_NOT_OK(CheckMayAct());
  const std::lock_guard lock(mutex_);
  if (!core_.HasExecutor(request.executor_id(), request.incarnation())) {
    control::TaskStatusResponse response;
    response.set_unknown_executor(true);
    return response;
  }
  for (const auto& status : request.statuses()) {
    if (status.has_finished()) {
      const auto& finished = status.finished();
      TaskFinished event;
      event.id = status.id();
      event.executor_id = request.executor_id();
      event.incarnation = request.incarnation();
      event.output = finished.output();
      event.metrics = finished.metrics();
      metrics_.Count(finished.metrics());
      if (finished.has_inline_result()) {
        event.inline_result = HoldInline(finished.inline_result());
      }
      PostLocked(std::move(event));
    } else if (status.has_reading()) {
      NotePartReadingLocked(status.id().job_id(), status.id().task_index(),
                            status.reading().state());
    } else {
      const auto& failed = status.failed();
      metrics_.tasks_failed.Add();
      TaskFailed event;
      event.id = status.id();
      event.executor_id = request.executor_id();
      event.incarnation = request.incarnation();
      auto code = static_cast<arrow::StatusCode>(failed.status_code());
      if (code == arrow::StatusCode::OK) code = arrow::StatusCode::UnknownError;
      event.status = failed.has_detail()
                         ? WithDetail(code, failed.message(), failed.detail())
                         : arrow::Status(code, failed.message());
      LOG_INFO("scheduler", "task {}/{}/{} attempt {} failed on executor {}: {}",
               event.id.job_id(), event.id.stage_id(), event.id.task_index(),
               event.id.attempt(), event.executor_id, event.status.message());
      PostLocked(std::move(event));
    }
  }
  return control::TaskStatusResponse();
}

std::vector<control::ExecutorMetadata> JobService::Executors() const {
  const std::lock_guard lock(mutex_);
  return core_.Executors();
}

void JobService::OnSendFailure(const control::ExecutorMetadata& executor,
                               const OutboundRequest& request,
                               const arrow::Status& status) {
  // A loss is one event: it is not held against the tasks that were on their way, too.
  const auto* detail = GetErrorDetail(status);
  const bool gone = detail != nullptr && detail->has_executor_lost();
  if (gone || flight::IsTransient(status)) {
    return Post(ExecutorLost{executor.id(), executor.incarnation(),
                             "it cannot be reached: " + status.message()});
  }
  if (const auto* launch = std::get_if<SharedLaunch>(&request)) {
    LaunchFailed event;
    event.executor_id = executor.id();
    event.incarnation = executor.incarnation();
    for (const auto& task : (*launch)->tasks()) event.tasks.push_back(task.id());
    event.reason = status.ToString();
    Post(std::move(event));
  }
}

// --------------------------------------------------------------------------------- jobs

arrow::Status JobService::StartLocked(JobSubmitted event,
                                      std::chrono::milliseconds time_limit, bool kept) {
  const std::string job_id = event.job_id;
  if (time_limit.count() > 0) event.options.deadline = Now() + time_limit;
  outcomes_[job_id].session_id = event.session_id;
  outcomes_[job_id].user = event.options.user;
  outcomes_[job_id].kept = kept;
  outcomes_[job_id].result_key = flight::FindResultKey(event.graph.settings());
  stuck_.Begin(Now());
  metrics_.submitted.Add();
  PostLocked(std::move(event));
  const auto refused = outcomes_.find(job_id);
  if (refused == outcomes_.end() || refused->second.status.ok()) {
    return arrow::Status::OK();
  }
  auto status = refused->second.status;
  outcomes_.erase(refused);
  metrics_.refused.Add();
  return status;
}

arrow::Result<std::string> JobService::Submit(const std::string& session_id,
                                              job::JobGraph graph,
                                              const JobOptions& options,
                                              std::chrono::milliseconds time_limit) {
  const std::string job_id = NewId();
  const std::lock_guard lock(mutex_);
  ARROW_RETURN_NOT_OK(
      StartLocked({job_id, session_id, std::move(graph), options}, time_limit));
  return job_id;
}

arrow::Result<std::string> JobService::SubmitKept(const std::string& session_id,
                                                  job::JobGraph graph,
                                                  const JobOptions& options,
                                                  std::chrono::milliseconds time_limit) {
  if (keeper_ == nullptr) {
    return Submit(session_id, std::move(graph), options, time_limit);
  }
  const std::string job_id = NewId();
  JobSubmitted event{job_id, session_id, std::move(graph), options};
  ARROW_RETURN_NOT_OK(keeper_->KeepJob(event, time_limit));
  {
    const std::lock_guard lock(mutex_);
    const auto started = StartLocked(std::move(event), time_limit, /*kept=*/true);
    if (!started.ok()) {
      keeper_->ForgetJob(job_id);
      return started;
    }
  }
  // It runs meanwhile.
  const auto kept = keeper_->Flush();
  if (kept.ok()) return job_id;
  Release(job_id);
  return kept;
}

arrow::Result<std::shared_ptr<const JobFinished>> JobService::Wait(
    const std::string& job_id, const std::function<bool()>& abandoned) {
  std::unique_lock lock(mutex_);
  return WaitLocked(&lock, job_id, abandoned);
}

arrow::Result<std::shared_ptr<const JobFinished>> JobService::WaitLocked(
    std::unique_lock<std::mutex>* lock, const std::string& job_id,
    const std::function<bool()>& abandoned) {
  ExpectReader(job_id);
  while (true) {
    const auto outcome = outcomes_.find(job_id);
    if (outcome == outcomes_.end()) {
      return NoSuchJob(job_id);
    }
    if (outcome->second.ended) {
      ARROW_RETURN_NOT_OK(outcome->second.status);
      return outcome->second.result;
    }
    if (stopping_) {
      return CancelledStatus("the scheduler is stopping", Cancelled::SHUTDOWN);
    }
    ++waiting_;
    changed_.wait_for(*lock, std::chrono::milliseconds(100));
    --waiting_;
    if (abandoned && abandoned()) {
      return CancelledStatus("nobody waits for job " + job_id + " any more",
                             Cancelled::CLIENT);
    }
  }
}

arrow::Status JobService::NoSuchJob(const std::string& job_id) {
  return arrow::Status::KeyError(
      "there is no job ", job_id,
      ": its result was read already, or it was released; run the query again");
}

std::optional<std::string> JobService::UserOf(const std::string& job_id) const {
  const std::lock_guard lock(mutex_);
  const auto outcome = outcomes_.find(job_id);
  if (outcome == outcomes_.end()) return std::nullopt;
  return outcome->second.user;
}

void JobService::LeaveKept() {
  const std::lock_guard lock(mutex_);
  leaving_ = true;
}

void JobService::Release(const std::string& job_id) {
  const std::lock_guard lock(mutex_);
  ReleaseLocked(job_id);
}

void JobService::ReleaseLocked(const std::string& job_id) {
  if (leaving_) {
    // It is this process that goes, not the client.
    const auto outcome = outcomes_.find(job_id);
    if (outcome != outcomes_.end() && outcome->second.kept) return;
  }
  outcomes_.erase(job_id);
  if (keeper_ != nullptr) keeper_->ForgetJob(job_id);
  PostLocked(JobReleased{job_id});
}

void JobService::ReleaseRead(const std::string& job_id) {
  const std::lock_guard lock(mutex_);
  ReleaseReadLocked(job_id);
}

void JobService::ReleaseReadLocked(const std::string& job_id) {
  const auto outcome = outcomes_.find(job_id);
  if (outcome == outcomes_.end() || !outcome->second.kept || keep_read_ == Time::zero() ||
      !core_.HasJob(job_id)) {
    return ReleaseLocked(job_id);
  }
  // Nobody is kept from leaving for its sake: it would be computed again.
  PostLocked(JobResultRead{job_id, kWholeResult, false});
  keeper_->KeepRead(job_id);
  NoteRead(job_id);
}

void JobService::ExpectReader(const std::string& job_id) {
  const auto outcome = outcomes_.find(job_id);
  if (outcome != outcomes_.end()) outcome->second.read = kNever;
}

void JobService::NoteRead(const std::string& job_id) {
  const Time now = Now();
  outcomes_.at(job_id).read = now;
  read_.push_back({now, job_id, core_.OutputBytes(job_id)});
  read_bytes_ += read_.back().bytes;
  timer_wake_.notify_one();
}

bool JobService::Cancel(const std::string& job_id, Cancelled::Reason reason,
                        const std::string& message) {
  const std::lock_guard lock(mutex_);
  if (!outcomes_.contains(job_id)) return false;
  PostLocked(JobCancelled{job_id, reason, message});
  // No reader of the whole result will drop it.
  const auto outcome = outcomes_.find(job_id);
  if (outcome != outcomes_.end() && outcome->second.given_out && !core_.HasJob(job_id) &&
      outcome->second.status.ok()) {
    ReleaseLocked(job_id);
  }
  return true;
}

void JobService::CloseSession(const std::string& session_id) {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> jobs;
  for (const auto& [job_id, outcome] : outcomes_) {
    if (outcome.session_id == session_id) jobs.push_back(job_id);
  }
  for (const auto& job_id : jobs) {
    PostLocked(JobCancelled{job_id, Cancelled::SESSION_CLOSED,
                            "the session of the query was closed"});
    // Who waits for a job that was running is told why it ended.
    if (!outcomes_.at(job_id).status.ok()) continue;
    if (keeper_ != nullptr) keeper_->ForgetJob(job_id);
    outcomes_.erase(job_id);
  }
}

JobService::Holdings JobService::Kept() const {
  const std::lock_guard lock(mutex_);
  const auto read =
      std::count_if(outcomes_.begin(), outcomes_.end(),
                    [](const auto& one) { return one.second.read != kNever; });
  return {core_.Jobs().size(), core_.NumRunningTasks(), waiting_,
          static_cast<size_t>(read)};
}

arrow::Result<std::shared_ptr<const JobFinished>> JobService::WaitForParts(
    const std::string& job_id, uint32_t task, const std::function<bool()>& abandoned) {
  std::unique_lock lock(mutex_);
  PostLocked(JobResultRead{job_id, task, false});
  ARROW_ASSIGN_OR_RAISE(auto result, WaitLocked(&lock, job_id, abandoned));
  ARROW_RETURN_NOT_OK(WhyEndedLocked(job_id));
  return result;
}

bool JobService::BeginPart(const std::string& job_id, const ResultPart& part) {
  const std::lock_guard lock(mutex_);
  // Another scheduler's meanwhile, or dropped: what was found can be read to its end.
  if (!outcomes_.contains(job_id)) return true;
  if (!core_.IsResultPart(job_id, part.task_index, part.attempt)) return false;
  PostLocked(JobResultRead{job_id, part.task_index, true});
  return true;
}

void JobService::TouchPart(const std::string& job_id, const ResultPart& part) {
  Post(JobResultRead{job_id, part.task_index, true});
}

void JobService::Renew(const std::string& job_id) {
  const std::lock_guard lock(mutex_);
  ExpectReader(job_id);
  PostLocked(JobResultRead{job_id, std::nullopt});
}

bool JobService::HasPart(const std::string& job_id, const ResultPart& part) const {
  const std::lock_guard lock(mutex_);
  return !outcomes_.contains(job_id) ||
         core_.IsResultPart(job_id, part.task_index, part.attempt);
}

void JobService::LosePart(const std::string& job_id, const ResultPart& part,
                          const std::string& reason) {
  Post(ResultPartLost{job_id, part.task_index, part.attempt, reason});
}

arrow::Status JobService::WhyEnded(const std::string& job_id) const {
  const std::lock_guard lock(mutex_);
  return WhyEndedLocked(job_id);
}

arrow::Status JobService::WhyEndedLocked(const std::string& job_id) const {
  const auto outcome = outcomes_.find(job_id);
  if (outcome == outcomes_.end()) return arrow::Status::OK();
  // One that has finished is dropped without a word where it is cancelled.
  if (outcome->second.ended && outcome->second.status.ok() && !core_.HasJob(job_id)) {
    return CancelledStatus("the query was cancelled while its result was read",
                           Cancelled::CLIENT);
  }
  return outcome->second.status;
}

profile::QueryProfile JobService::Outline(const std::string& job_id) const {
  const std::lock_guard lock(mutex_);
  const auto outcome = outcomes_.find(job_id);
  if (outcome != outcomes_.end() && outcome->second.ended) {
    return outcome->second.outline;
  }
  return core_.Outline(job_id, Now());
}

std::string JobService::id() const {
  const std::lock_guard lock(mutex_);
  return id_;
}

std::string JobService::WhyNotReady() const {
  const auto may_act = CheckMayAct();
  return may_act.ok() ? "" : may_act.message();
}

}  // namespace ballista::scheduler
