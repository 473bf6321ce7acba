// Taking over what schedulers that have ended have left: the other half of StateKeeper.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "ballista/base/log.h"
#include "ballista/base/status.h"
#include "ballista/base/unix_time.h"
#include "ballista/plan/plan.h"
#include "ballista/scheduler/service/state_keeper.h"
#include "ballista/scheduler/service/state_keys_internal.h"
#include "ballista/state/state_error.h"

namespace ballista::scheduler {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kLoadTimeout = seconds(30);
constexpr auto kWatchStep = milliseconds(500);
constexpr auto kRetryDelay = milliseconds(300);
constexpr uint32_t kAttemptsOfOne = 1 << 16;
constexpr size_t kMaxSuspects = 1000;
// No scheduler takes so long from the first part of a job to its record.
constexpr auto kUnfinishedWrite = seconds(60);

// "a" and "b/c" of "a/b/c"; an empty rest where there is no slash.
std::pair<std::string, std::string> SplitKey(const std::string& path) {
  const size_t slash = path.find('/');
  if (slash == std::string::npos) return {path, ""};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

// True, in `adopted`, where the job is this scheduler's from now on. Another may be
// quicker, or the owner may be there after all.
arrow::Status StateKeeper::Adopt(const std::string& job_id, const state::Entry& header,
                                 record::Job* job, bool* adopted) {
  state::Transaction take;
  take.compares.push_back({header.key, header.revision});
  if (shared() && job->owner() != id()) {
    take.compares.push_back({kSchedulers + job->owner(), 0});
  }
  job->set_owner(id());
  job->set_starts(job->starts() + 1);
  take.puts.push_back({header.key, job->SerializeAsString()});
  const auto committed = CommitIf(std::move(take));
  const std::lock_guard lock(mutex_);
  if (!committed.ok()) {
    uncertain_.insert(job_id);
    return committed.status();
  }
  uncertain_.erase(job_id);
  *adopted = committed->committed;
  if (*adopted) jobs_[job_id] = *job;
  return arrow::Status::OK();
}

arrow::Status StateKeeper::LoadFailure(const std::string& job_id, const Entries& entries,
                                       Recovered* recovered) {
  const state::Entry& entry = entries.at(kJobFailed);
  record::Failure failure;
  ARROW_RETURN_NOT_OK(plan::ParseMessage(entry.value, &failure));
  const auto status = DecodeStatus(failure.status());
  state::Transaction take;
  take.compares.push_back({entry.key, entry.revision});
  if (shared()) take.compares.push_back({kSchedulers + failure.owner(), 0});
  failure.set_owner(id());
  take.puts.push_back({entry.key, failure.SerializeAsString()});
  ARROW_ASSIGN_OR_RAISE(const auto committed, CommitIf(std::move(take)));
  if (committed.committed) recovered->failed[job_id] = {status, failure.user()};
  return arrow::Status::OK();
}

arrow::Status StateKeeper::LoadJob(const std::string& job_id, const Entries& entries,
                                   Recovered* recovered) {
  const auto header = entries.find(kJobHeader);
  record::Job job;
  ARROW_RETURN_NOT_OK(plan::ParseMessage(header->second.value, &job));
  std::string bytes;
  bool complete = true;
  for (uint32_t piece = 0; piece < job.graph_pieces() && complete; ++piece) {
    const auto at =
        entries.find(fmt::format("graph/{}/{:06}", job.graph_version(), piece));
    complete = at != entries.end();
    if (complete) bytes += at->second.value;
  }
  JobRecovered one;
  one.first_attempt = job.starts() * kAttemptsOfOne;
  bool adopted = false;
  ARROW_RETURN_NOT_OK(Adopt(job_id, header->second, &job, &adopted));
  if (!adopted) return arrow::Status::OK();
  if (!complete) return arrow::Status::IOError("a piece of its graph is gone");
  ARROW_RETURN_NOT_OK(plan::ParseMessage(bytes, &one.job.graph));
  one.job.job_id = job_id;
  one.job.session_id = job.session_id();
  one.job.options.max_task_attempts = job.max_task_attempts();
  one.job.options.tasks_per_stage = job.tasks_per_stage();
  one.job.options.min_task_bytes = job.min_task_bytes();
  one.job.options.skew_factor = job.skew_factor();
  one.job.options.statement = job.statement();
  one.job.options.user = job.user();
  if (job.has_speculation()) {
    const record::Speculation& from = job.speculation();
    one.job.options.speculation = {true, from.quantile(), from.multiplier(),
                                   Time(static_cast<int64_t>(from.least_us()))};
  }
  for (auto it = entries.lower_bound("stage/");
       it != entries.end() && it->first.starts_with("stage/"); ++it) {
    ARROW_RETURN_NOT_OK(
        plan::ParseMessage(it->second.value, &one.formations.emplace_back()));
  }
  if (job.deadline_unix_ms() > 0) {
    const auto left = static_cast<int64_t>(job.deadline_unix_ms() - UnixMs());
    recovered->time_left[job_id] = milliseconds(std::max<int64_t>(left, 1));
  }
  recovered->tokens[job_id] = job.starts();
  if (entries.contains(kJobRead)) recovered->read.insert(job_id);
  recovered->jobs.push_back(std::move(one));
  return arrow::Status::OK();
}

// Parts of a job without its record: the scheduler ended while it wrote, and its client
// has no handle yet. Or another one is about to write the record.
arrow::Status StateKeeper::DropUnfinished(const std::string& job_id) {
  const auto now = std::chrono::steady_clock::now();
  const auto seen = unfinished_.try_emplace(job_id, now).first->second;
  if (shared() && now - seen < kUnfinishedWrite) return arrow::Status::OK();
  state::Transaction drop;
  drop.compares.push_back({JobKey(job_id, kJobHeader), 0});
  drop.erases.push_back({JobKey(job_id, "graph/"), true});
  ARROW_RETURN_NOT_OK(CommitIf(std::move(drop)).status());
  unfinished_.erase(job_id);
  return arrow::Status::OK();
}

arrow::Status StateKeeper::TakeOver(state::Deadline deadline, Recovered* recovered) {
  std::set<std::string> suspects;
  std::set<std::string> uncertain;
  {
    const std::lock_guard lock(mutex_);
    suspects.swap(suspects_);
    uncertain = uncertain_;
  }
  // First the jobs: whoever has written one was there before.
  ARROW_ASSIGN_OR_RAISE(auto of_jobs, backend_->List(kJobs, deadline));
  ARROW_ASSIGN_OR_RAISE(const auto of_executors, backend_->List(kExecutors, deadline));
  std::set<std::string> alive;
  if (shared()) {
    ARROW_ASSIGN_OR_RAISE(const auto schedulers, backend_->List(kSchedulers, deadline));
    for (const auto& one : schedulers.entries) {
      alive.insert(one.key.substr(kSchedulers.size()));
    }
  }
  std::set<std::string> ended;
  const auto has_ended = [&](const std::string& scheduler) {
    if (alive.contains(scheduler)) return false;
    ended.insert(scheduler);
    return true;
  };
  for (const auto& scheduler : suspects) has_ended(scheduler);
  for (const auto& entry : of_executors.entries) {
    const auto [scheduler, executor] = SplitKey(entry.key.substr(kExecutors.size()));
    if (has_ended(scheduler)) recovered->executors.push_back(executor);
  }
  std::map<std::string, Entries> jobs;
  for (auto& entry : of_jobs.entries) {
    auto [job_id, rest] = SplitKey(entry.key.substr(kJobs.size()));
    if (!rest.empty()) jobs[job_id][rest] = std::move(entry);
  }
  // Of all of them, however far this gets.
  const auto finish = [&] {
    for (auto& job : recovered->jobs) job.expected_executors = recovered->executors;
    recovered->ended_schedulers.assign(ended.begin(), ended.end());
  };
  for (const auto& [job_id, entries] : jobs) recovered->kept_jobs.push_back(job_id);
  for (const auto& [job_id, entries] : jobs) {
    const auto failed = entries.find(kJobFailed);
    const auto header = entries.find(kJobHeader);
    arrow::Status status;
    if (failed != entries.end()) {
      record::Failure failure;
      if (failure.ParseFromString(failed->second.value) && has_ended(failure.owner())) {
        status = LoadFailure(job_id, entries, recovered);
      }
    } else if (header != entries.end()) {
      record::Job job;
      if (job.ParseFromString(header->second.value) &&
          (has_ended(job.owner()) || uncertain.contains(job_id))) {
        status = LoadJob(job_id, entries, recovered);
      }
    } else {
      status = DropUnfinished(job_id);
    }
    if (status.ok()) continue;
    if (state::GetStateError(status).has_value()) {
      finish();
      return status;  // it is tried again
    }
    LOG_ERROR("scheduler", "job {} cannot be gone on with: {}", job_id, status.message());
    record::Job job;
    if (header != entries.end()) (void)job.ParseFromString(header->second.value);
    recovered->failed[job_id] = {
        InternalStatus("the query cannot be gone on with after its scheduler ended: " +
                       status.message() + "; run it again"),
        job.user()};
  }
  finish();
  if (shared()) {
    for (const auto& scheduler : ended) ErasePrefix(kExecutors + scheduler + "/");
  }
  return arrow::Status::OK();
}

arrow::Result<StateKeeper::Recovered> StateKeeper::Load() {
  const state::Deadline deadline = state::In(kLoadTimeout);
  Recovered recovered;
  ARROW_RETURN_NOT_OK(TakeOver(deadline, &recovered));
  ARROW_RETURN_NOT_OK(Writer()->Flush(deadline));
  return recovered;
}

void StateKeeper::Suspect(const std::string& scheduler_id) {
  if (!shared()) return;
  const std::lock_guard lock(mutex_);
  if (suspects_.size() < kMaxSuspects) suspects_.insert(scheduler_id);
}

// Also where it fails half way: what has been taken over by then is this scheduler's.
arrow::Status StateKeeper::TakeOverAndTell() {
  const auto losses = losses_.load();
  Recovered recovered;
  auto status = TakeOver(state::In(kLoadTimeout), &recovered);
  const std::lock_guard lock(events_mutex_);
  // Lost meanwhile: others take it over.
  if (losses != losses_) return status;
  if (events_.on_recovered && !recovered.ended_schedulers.empty()) {
    events_.on_recovered(std::move(recovered));
  }
  return status;
}

void StateKeeper::FollowSchedulers() {
  const auto stopped = [this](milliseconds time) {
    std::unique_lock lock(mutex_);
    return wake_.wait_for(lock, time, [this] { return stopping_; });
  };
  std::unique_ptr<state::Watch> watch;
  bool look = true;  // somebody may have ended
  while (!stopped(milliseconds(0))) {
    if (watch == nullptr) {
      const auto now = backend_->List(kSchedulers, state::In(kWatchStep * 10));
      if (now.ok()) {
        auto started = backend_->StartWatch(kSchedulers, now->revision + 1);
        if (started.ok()) watch = std::move(*started);
      }
      if (watch == nullptr) {
        if (stopped(kRetryDelay)) return;
        continue;
      }
      look = true;
    }
    {
      const std::lock_guard lock(mutex_);
      look = look || !suspects_.empty();
    }
    if (look && MayAct()) {
      const auto status = TakeOverAndTell();
      look = !status.ok();
      if (look) {
        LOG_WARN("scheduler", "cannot take over from schedulers that have ended: {}",
                 status.message());
        if (stopped(kRetryDelay)) return;
        continue;
      }
    }
    const auto changes = watch->Next(state::In(kWatchStep));
    if (!changes.ok()) {
      watch = nullptr;
      continue;
    }
    for (const auto& change : *changes) look = look || change.erased;
  }
}

}  // namespace ballista::scheduler
