#include "ballista/scheduler/service/state_keeper.h"

#include <fmt/format.h>

#include <utility>

#include "ballista/base/ids.h"
#include "ballista/base/log.h"
#include "ballista/base/status.h"
#include "ballista/base/unix_time.h"
#include "ballista/base/version.h"
#include "ballista/plan/plan.h"
#include "ballista/scheduler/service/state_keys_internal.h"
#include "ballista/state/state_error.h"

namespace ballista::scheduler {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr auto kJoinTimeout = seconds(15);
constexpr auto kFlushTimeout = seconds(10);
constexpr milliseconds kBackPoll{20};
constexpr auto kLookUpTimeout = seconds(5);
constexpr milliseconds kLeaseTtl{5000};
constexpr size_t kPiece = 256 << 10;
constexpr size_t kMaxPendingBytes = 256 << 20;

// Notes in a new store which format it has.
arrow::Status CheckFormat(state::StateBackend* backend, state::Deadline deadline) {
  const std::string ours = std::to_string(kFormat);
  state::Transaction note;
  note.compares.push_back({kFormatKey, 0});
  note.puts.push_back({kFormatKey, ours});
  ARROW_ASSIGN_OR_RAISE(const auto noted, backend->Commit(note, deadline));
  if (noted.committed) return arrow::Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto found, backend->Get(kFormatKey, deadline));
  if (!found.has_value() || found->value == ours) return arrow::Status::OK();
  return arrow::Status::Invalid(
      "the state there has the format ", found->value.substr(0, 20),
      ", this scheduler (version ", kVersion, ") reads ", ours,
      ": run the version that wrote it, or begin with an empty store");
}

}  // namespace

arrow::Result<std::unique_ptr<StateKeeper>> StateKeeper::Open(
    std::unique_ptr<state::StateBackend> backend, const record::Scheduler& self) {
  ARROW_RETURN_NOT_OK(CheckFormat(backend.get(), state::In(kJoinTimeout)));
  std::unique_ptr<StateKeeper> keeper(new StateKeeper(std::move(backend), self));
  if (!keeper->shared()) {
    keeper->id_ = NewId();
    keeper->writer_ =
        std::make_shared<StateWriter>(keeper->backend_.get(), std::nullopt, [](auto&) {});
    return keeper;
  }
  Clock::time_point since;
  ARROW_RETURN_NOT_OK(keeper->Join(state::In(kJoinTimeout), &since));
  keeper->NoteAlive(since);
  keeper->lease_thread_ = std::thread([raw = keeper.get()] { raw->KeepLeaseAlive(); });
  return keeper;
}

StateKeeper::~StateKeeper() {
  StopEvents();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (follower_.joinable()) follower_.join();
  if (lease_thread_.joinable()) lease_thread_.join();
  writer_.reset();
  if (lease_ != 0) ARROW_UNUSED(backend_->RevokeLease(lease_, state::In(seconds(2))));
}

void StateKeeper::StartEvents(Events events) {
  {
    const std::lock_guard lock(events_mutex_);
    events_ = std::move(events);
  }
  if (shared()) follower_ = std::thread([this] { FollowSchedulers(); });
}

void StateKeeper::StopEvents() {
  const std::lock_guard lock(events_mutex_);
  events_ = {};
}

std::string StateKeeper::id() const {
  const std::lock_guard lock(mutex_);
  return id_;
}

std::shared_ptr<StateWriter> StateKeeper::Writer() const {
  const std::lock_guard lock(mutex_);
  return writer_;
}

// ------------------------------------------------------------------------------- the
// lease

bool StateKeeper::MayAct() const {
  return !shared() || Clock::now().time_since_epoch().count() < alive_until_;
}

// The store counts from when it got the call, which is later.
void StateKeeper::NoteAlive(Clock::time_point asked) {
  alive_until_ = (asked + kLeaseTtl).time_since_epoch().count();
}

// Each time under another id: nothing of before is taken for this one's.
arrow::Status StateKeeper::Join(state::Deadline deadline,
                                Clock::time_point* alive_since) {
  const auto asked = Clock::now();
  ARROW_ASSIGN_OR_RAISE(const auto lease, backend_->GrantLease(kLeaseTtl, deadline));
  const std::string id = NewId();
  ARROW_ASSIGN_OR_RAISE(auto fence,
                        state::Claim(backend_.get(), kSchedulers + id,
                                     self_.SerializeAsString(), lease, deadline));
  if (!fence.has_value()) return arrow::Status::IOError("the id is taken");
  const std::lock_guard lock(mutex_);
  id_ = id;
  lease_ = lease;
  fence_ = fence;
  fenced_ = false;
  writer_ = std::make_shared<StateWriter>(backend_.get(), fence_,
                                          [this, id](const auto&) { OnFenced(id); });
  *alive_since = asked;
  return arrow::Status::OK();
}

void StateKeeper::OnFenced(const std::string& id) {
  const std::lock_guard lock(mutex_);
  if (id != id_) return;
  fenced_ = true;
  wake_.notify_all();
}

void StateKeeper::KeepLeaseAlive() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait_for(lock, kLeaseTtl / 4, [this] { return stopping_ || fenced_; });
    if (stopping_) return;
    bool lost = fenced_;
    const auto lease = lease_;
    lock.unlock();
    if (!lost) {
      const auto asked = Clock::now();
      const auto status = backend_->KeepAlive(lease, state::In(kLeaseTtl / 2));
      if (status.ok()) {
        NoteAlive(asked);
      } else {
        LOG_WARN("scheduler", "the lease in {} is not kept alive: {}",
                 backend_->Describe(), status.message());
      }
      lost = state::IsStateError(status, state::StateError::kLeaseGone);
    }
    if (lost) JoinAgain();
    lock.lock();
  }
}

void StateKeeper::JoinAgain() {
  alive_until_ = 0;
  LOG_ERROR("scheduler",
            "This scheduler has lost its lease in {}: other schedulers have its queries; "
            "it begins anew",
            backend_->Describe());
  std::shared_ptr<StateWriter> ended;
  {
    const std::lock_guard lock(mutex_);
    jobs_.clear();
    uncertain_.clear();
    ended = writer_;
  }
  {
    const std::lock_guard lock(events_mutex_);
    ++losses_;
    if (events_.on_lost) events_.on_lost();
  }
  Clock::time_point since;
  for (auto wait = milliseconds(100);;
       wait = std::min<milliseconds>(2 * wait, kLeaseTtl)) {
    const auto joined = Join(state::In(kLeaseTtl), &since);
    if (joined.ok()) break;
    LOG_WARN("scheduler", "cannot come back to {}: {}", backend_->Describe(),
             joined.message());
    std::unique_lock lock(mutex_);
    if (wake_.wait_for(lock, wait, [this] { return stopping_; })) return;
  }
  const std::lock_guard lock(events_mutex_);
  if (events_.on_joined) events_.on_joined(id());
  // Nobody hears of the new id before that.
  NoteAlive(since);
}

// ---------------------------------------------------------------------- what is kept

std::string StateKeeper::ExecutorKey(const std::string& executor_id) const {
  return kExecutors + (shared() ? id() : kAlone) + "/" + executor_id;
}

void StateKeeper::Put(std::string key, std::string value) {
  Writer()->Put(std::move(key), std::move(value));
}

void StateKeeper::ErasePrefix(std::string prefix) {
  Writer()->ErasePrefix(std::move(prefix));
}

void StateKeeper::KeepExecutor(const control::ExecutorMetadata& executor) {
  Put(ExecutorKey(executor.id()), executor.SerializeAsString());
}

void StateKeeper::ForgetExecutor(const std::string& executor_id) {
  ErasePrefix(ExecutorKey(executor_id));
}

// In pieces, then the record that says which ones count. Under the lock.
void StateKeeper::PutGraph(const std::string& job_id, const job::JobGraph& graph,
                           record::Job* job) {
  const std::string bytes = graph.SerializeAsString();
  job->set_graph_version(job->graph_version() + 1);
  uint32_t pieces = 0;
  for (size_t at = 0; at < bytes.size(); at += kPiece) {
    writer_->Put(PieceKey(job_id, job->graph_version(), pieces++),
                 bytes.substr(at, kPiece));
  }
  job->set_graph_pieces(pieces);
  writer_->Put(JobKey(job_id, kJobHeader), job->SerializeAsString());
}

arrow::Status StateKeeper::KeepJob(const JobSubmitted& submitted,
                                   milliseconds time_limit) {
  // One that has just woken up is back in a moment, under another id.
  const auto deadline = Clock::now() + kFlushTimeout;
  while (!MayAct() && Clock::now() < deadline) std::this_thread::sleep_for(kBackPoll);
  if (!MayAct()) {
    return state::MakeStateError(
        state::StateError::kUnavailable,
        "this scheduler has lost touch with " + Describe() + "; try again");
  }
  if (Writer()->pending_bytes() > kMaxPendingBytes) {
    return ResourcesExhaustedStatus(
        Describe() + " does not keep up with what is to be kept of queries",
        ResourcesExhausted::QUEUE, kMaxPendingBytes);
  }
  record::Job job;
  job.set_session_id(submitted.session_id);
  job.set_max_task_attempts(submitted.options.max_task_attempts);
  job.set_tasks_per_stage(submitted.options.tasks_per_stage);
  job.set_min_task_bytes(submitted.options.min_task_bytes);
  job.set_skew_factor(submitted.options.skew_factor);
  job.set_statement(submitted.options.statement);
  job.set_user(submitted.options.user);
  if (const Speculation& from = submitted.options.speculation; from.enabled) {
    record::Speculation* to = job.mutable_speculation();
    to->set_quantile(from.quantile);
    to->set_multiplier(from.multiplier);
    to->set_least_us(static_cast<uint64_t>(from.least.count()));
  }
  job.set_starts(1);
  if (time_limit.count() > 0) job.set_deadline_unix_ms(UnixMs() + time_limit.count());
  const std::lock_guard lock(mutex_);
  job.set_owner(id_);
  PutGraph(submitted.job_id, submitted.graph, &job);
  jobs_[submitted.job_id] = std::move(job);
  return arrow::Status::OK();
}

void StateKeeper::KeepGraph(const std::string& job_id, const job::JobGraph& graph) {
  const std::lock_guard lock(mutex_);
  const auto job = jobs_.find(job_id);
  if (job != jobs_.end()) PutGraph(job_id, graph, &job->second);
}

void StateKeeper::KeepFormation(const std::string& job_id,
                                const record::StageFormation& formation) {
  const std::lock_guard lock(mutex_);
  if (!jobs_.contains(job_id)) return;
  const std::string key = JobKey(job_id, fmt::format("stage/{}", formation.stage_id()));
  if (writer_->Put(key, formation.SerializeAsString())) return;
  LOG_DEBUG("scheduler", "stage {} of job {} is too large to be kept",
            formation.stage_id(), job_id);
}

void StateKeeper::KeepFailure(const std::string& job_id, const arrow::Status& status) {
  const std::lock_guard lock(mutex_);
  const auto job = jobs_.find(job_id);
  if (job == jobs_.end()) return;
  record::Failure failure;
  failure.set_owner(id_);
  failure.set_user(job->second.user());
  jobs_.erase(job);
  failure.set_status(EncodeStatus(status));
  // First that, so that there is one or the other at any moment.
  writer_->Put(JobKey(job_id, kJobFailed), failure.SerializeAsString());
  for (const char* rest : {"graph/", "stage/", "job"}) {
    writer_->ErasePrefix(JobKey(job_id, rest));
  }
}

void StateKeeper::KeepRead(const std::string& job_id) {
  const std::lock_guard lock(mutex_);
  if (jobs_.contains(job_id)) writer_->Put(JobKey(job_id, kJobRead), "1");
}

void StateKeeper::ForgetJob(const std::string& job_id) {
  const std::lock_guard lock(mutex_);
  jobs_.erase(job_id);
  writer_->ErasePrefix(JobKey(job_id, ""));
}

arrow::Status StateKeeper::Flush() {
  return Writer()->Flush(state::In(kFlushTimeout));
}

arrow::Result<state::Committed> StateKeeper::CommitIf(state::Transaction transaction) {
  std::optional<state::Fence> fence;
  std::string self;
  {
    const std::lock_guard lock(mutex_);
    fence = fence_;
    self = id_;
  }
  const auto deadline = state::In(kFlushTimeout);
  if (fence) transaction.compares.push_back(fence->Guard());
  ARROW_ASSIGN_OR_RAISE(const auto committed, backend_->Commit(transaction, deadline));
  if (committed.committed || !fence) return committed;
  ARROW_ASSIGN_OR_RAISE(const auto claim, backend_->Get(fence->key, deadline));
  if (claim.has_value() && claim->revision == fence->token) return committed;
  OnFenced(self);
  return state::MakeStateError(
      state::StateError::kFenced,
      "this scheduler has lost its lease in " + Describe() + "; try again");
}

arrow::Result<StateKeeper::Whereabouts> StateKeeper::FindJob(const std::string& job_id) {
  Whereabouts found;
  const auto deadline = state::In(kLookUpTimeout);
  ARROW_ASSIGN_OR_RAISE(const auto header,
                        backend_->Get(JobKey(job_id, kJobHeader), deadline));
  if (!header.has_value()) {
    // It may have failed just now.
    ARROW_ASSIGN_OR_RAISE(const auto failed,
                          backend_->Get(JobKey(job_id, kJobFailed), deadline));
    if (!failed.has_value()) return found;
    record::Failure failure;
    ARROW_RETURN_NOT_OK(plan::ParseMessage(failed->value, &failure));
    found.known = true;
    found.user = failure.user();
    found.failure = DecodeStatus(failure.status());
    return WithOwner(std::move(found), failure.owner(), deadline);
  }
  record::Job job;
  ARROW_RETURN_NOT_OK(plan::ParseMessage(header->value, &job));
  found.known = true;
  found.user = job.user();
  return WithOwner(std::move(found), job.owner(), deadline);
}

arrow::Result<StateKeeper::Whereabouts> StateKeeper::WithOwner(Whereabouts found,
                                                               const std::string& owner,
                                                               state::Deadline deadline) {
  found.here = owner == id();
  ARROW_ASSIGN_OR_RAISE(const auto there, backend_->Get(kSchedulers + owner, deadline));
  if (!there.has_value()) return found;
  ARROW_RETURN_NOT_OK(plan::ParseMessage(there->value, &found.owner.emplace()));
  return found;
}

}  // namespace ballista::scheduler
