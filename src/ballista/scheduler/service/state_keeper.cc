#include "ballista/scheduler/service/state_keeper.h"

#include <fmt/format.h>

#include <utility>

#include "ballista/base/ids.h"
#include "ballista/base/log.h"
#include "ballista/base/status.h"
#include "ballista/plan/plan.h"
#include "ballista/state/state_error.h"

namespace ballista::scheduler {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kLoadTimeout = seconds(30);
constexpr auto kFlushTimeout = seconds(10);
constexpr milliseconds kLeaseTtl{5000};
// A scheduler that was killed leaves its lease behind for so long.
constexpr auto kClaimTimeout = 3 * kLeaseTtl;
constexpr size_t kPiece = 256 << 10;
constexpr size_t kMaxPendingBytes = 256 << 20;
constexpr uint32_t kAttemptsOfOne = 1 << 16;
constexpr const char* kClaim = "scheduler";
constexpr const char* kExecutors = "executors/";
constexpr const char* kJobs = "jobs/";

std::string JobKey(const std::string& job_id, const std::string& what) {
  return kJobs + job_id + "/" + what;
}

std::string PieceKey(const std::string& job_id, uint32_t version, uint32_t piece) {
  return JobKey(job_id, fmt::format("graph/{}/{:06}", version, piece));
}

}  // namespace

arrow::Result<std::unique_ptr<StateKeeper>> StateKeeper::Open(
    std::unique_ptr<state::StateBackend> backend,
    std::function<void(const arrow::Status&)> on_fenced) {
  std::unique_ptr<StateKeeper> keeper(new StateKeeper(std::move(backend)));
  if (keeper->backend_->shared()) {
    ARROW_RETURN_NOT_OK(keeper->TakeClaim());
    keeper->lease_thread_ = std::thread([raw = keeper.get()] { raw->KeepLeaseAlive(); });
  }
  keeper->writer_ = std::make_unique<StateWriter>(keeper->backend_.get(), keeper->fence_,
                                                  std::move(on_fenced));
  return keeper;
}

StateKeeper::~StateKeeper() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (lease_thread_.joinable()) lease_thread_.join();
  writer_.reset();
  if (lease_ != 0) ARROW_UNUSED(backend_->RevokeLease(lease_, state::In(seconds(2))));
}

arrow::Status StateKeeper::TakeClaim() {
  const state::Deadline deadline = state::In(kClaimTimeout);
  ARROW_ASSIGN_OR_RAISE(lease_, backend_->GrantLease(kLeaseTtl, deadline));
  const std::string owner = NewId();
  for (bool said = false;; said = true) {
    ARROW_ASSIGN_OR_RAISE(fence_,
                          state::Claim(backend_.get(), kClaim, owner, lease_, deadline));
    if (fence_.has_value()) return arrow::Status::OK();
    if (!said) {
      LOG_INFO("scheduler", "Waiting for the scheduler before this one to let go of {}",
               backend_->Describe());
    }
    if (std::chrono::steady_clock::now() + milliseconds(200) > deadline) {
      return state::MakeStateError(state::StateError::kInUse,
                                   "another scheduler works with " +
                                       backend_->Describe() +
                                       ": stop it, or give each its own etcd");
    }
    std::this_thread::sleep_for(milliseconds(200));
    ARROW_RETURN_NOT_OK(backend_->KeepAlive(lease_, deadline));
  }
}

void StateKeeper::KeepLeaseAlive() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kLeaseTtl / 4, [this] { return stopping_; })) {
    lock.unlock();
    const auto status = backend_->KeepAlive(lease_, state::In(kLeaseTtl / 2));
    if (!status.ok()) {
      LOG_WARN("scheduler", "the claim on {} is not kept alive: {}", backend_->Describe(),
               status.message());
    }
    lock.lock();
  }
}

void StateKeeper::KeepExecutor(const control::ExecutorMetadata& executor) {
  writer_->Put(kExecutors + executor.id(), executor.SerializeAsString());
}

void StateKeeper::ForgetExecutor(const std::string& executor_id) {
  writer_->ErasePrefix(kExecutors + executor_id);
}

// In pieces, then the record that says which ones count.
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
  writer_->Put(JobKey(job_id, "job"), job->SerializeAsString());
}

arrow::Status StateKeeper::KeepJob(const JobSubmitted& submitted) {
  if (writer_->pending_bytes() > kMaxPendingBytes) {
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
  if (const Speculation& from = submitted.options.speculation; from.enabled) {
    record::Speculation* to = job.mutable_speculation();
    to->set_quantile(from.quantile);
    to->set_multiplier(from.multiplier);
    to->set_least_us(static_cast<uint64_t>(from.least.count()));
  }
  job.set_starts(1);
  const std::lock_guard lock(mutex_);
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
  if (jobs_.erase(job_id) == 0) return;
  writer_->ErasePrefix(JobKey(job_id, ""));
  writer_->Put(JobKey(job_id, "failed"), EncodeStatus(status));
}

void StateKeeper::ForgetJob(const std::string& job_id) {
  const std::lock_guard lock(mutex_);
  jobs_.erase(job_id);
  writer_->ErasePrefix(JobKey(job_id, ""));
}

arrow::Status StateKeeper::Flush() {
  return writer_->Flush(state::In(kFlushTimeout));
}

// ------------------------------------------------------------------------------ recovery

arrow::Status StateKeeper::LoadJob(const std::string& job_id,
                                   const std::map<std::string, std::string>& entries,
                                   const std::vector<std::string>& executors,
                                   Recovered* recovered) {
  const auto failed = entries.find("failed");
  if (failed != entries.end()) {
    recovered->failed[job_id] = DecodeStatus(failed->second);
    return arrow::Status::OK();
  }
  const auto header = entries.find("job");
  if (header == entries.end()) {
    // The scheduler ended while it wrote; its client has no handle yet.
    writer_->ErasePrefix(JobKey(job_id, ""));
    return arrow::Status::OK();
  }
  record::Job job;
  ARROW_RETURN_NOT_OK(plan::ParseMessage(header->second, &job));
  std::string bytes;
  for (uint32_t piece = 0; piece < job.graph_pieces(); ++piece) {
    const auto at =
        entries.find(fmt::format("graph/{}/{:06}", job.graph_version(), piece));
    if (at == entries.end())
      return arrow::Status::IOError("a piece of its graph is gone");
    bytes += at->second;
  }
  JobRecovered one;
  ARROW_RETURN_NOT_OK(plan::ParseMessage(bytes, &one.job.graph));
  one.job.job_id = job_id;
  one.job.session_id = job.session_id();
  one.job.options.max_task_attempts = job.max_task_attempts();
  one.job.options.tasks_per_stage = job.tasks_per_stage();
  one.job.options.min_task_bytes = job.min_task_bytes();
  one.job.options.skew_factor = job.skew_factor();
  if (job.has_speculation()) {
    const record::Speculation& from = job.speculation();
    one.job.options.speculation = {true, from.quantile(), from.multiplier(),
                                   Time(static_cast<int64_t>(from.least_us()))};
  }
  one.first_attempt = job.starts() * kAttemptsOfOne;
  one.expected_executors = executors;
  for (auto it = entries.lower_bound("stage/");
       it != entries.end() && it->first.starts_with("stage/"); ++it) {
    ARROW_RETURN_NOT_OK(plan::ParseMessage(it->second, &one.formations.emplace_back()));
  }
  job.set_starts(job.starts() + 1);
  writer_->Put(JobKey(job_id, "job"), job.SerializeAsString());
  const std::lock_guard lock(mutex_);
  jobs_[job_id] = std::move(job);
  recovered->jobs.push_back(std::move(one));
  return arrow::Status::OK();
}

arrow::Result<StateKeeper::Recovered> StateKeeper::Load() {
  const state::Deadline deadline = state::In(kLoadTimeout);
  Recovered recovered;
  std::vector<std::string> executors;
  ARROW_ASSIGN_OR_RAISE(const auto kept, backend_->List(kExecutors, deadline));
  for (const auto& entry : kept.entries) {
    executors.push_back(entry.key.substr(std::string(kExecutors).size()));
  }
  ARROW_ASSIGN_OR_RAISE(auto of_jobs, backend_->List(kJobs, deadline));
  std::map<std::string, std::map<std::string, std::string>> jobs;
  for (auto& entry : of_jobs.entries) {
    const std::string path = entry.key.substr(std::string(kJobs).size());
    const size_t slash = path.find('/');
    if (slash == std::string::npos) continue;
    jobs[path.substr(0, slash)][path.substr(slash + 1)] = std::move(entry.value);
  }
  for (const auto& [job_id, entries] : jobs) {
    const auto status = LoadJob(job_id, entries, executors, &recovered);
    if (status.ok()) continue;
    LOG_ERROR("scheduler", "job {} cannot be gone on with: {}", job_id, status.message());
    recovered.failed[job_id] =
        InternalStatus("the query cannot be gone on with after its scheduler ended: " +
                       status.message() + "; run it again");
  }
  recovered.executors = executors;
  ARROW_RETURN_NOT_OK(writer_->Flush(deadline));
  return recovered;
}

}  // namespace ballista::scheduler
