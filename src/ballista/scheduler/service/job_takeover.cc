// Jobs that change hands: what JobService does about those of a scheduler that has ended,
// and about its own when others have them.
#include <utility>

#include "ballista/base/log.h"
#include "ballista/base/status.h"
#include "ballista/base/version.h"
#include "ballista/flight/part_ticket.h"
#include "ballista/profile/ended.h"
#include "ballista/scheduler/service/job_service.h"

namespace ballista::scheduler {
namespace {

// Jobs of which it is remembered that another scheduler has them.
constexpr size_t kMaxMoved = 10000;

}  // namespace

void JobService::Recover(StateKeeper::Recovered recovered) {
  const std::lock_guard lock(mutex_);
  // One that has been here for longer knows which executors there are.
  std::vector<std::string> expected;
  if (Now() - begun_ < recovery_wait_) expected = std::move(recovered.executors);
  for (const auto& executor : core_.Executors()) expected.push_back(executor.id());
  awaited_.insert(expected.begin(), expected.end());
  awaited_until_ = Now() + recovery_wait_;
  // Those of jobs that have ended are kept for what an executor may still have of them.
  if (tokens_.size() > kMaxMoved) {
    std::erase_if(tokens_,
                  [this](const auto& one) { return !outcomes_.contains(one.first); });
  }
  for (const auto& [job_id, token] : recovered.tokens) tokens_[job_id] = token;
  for (const auto& job : recovered.jobs) outcomes_[job.job.job_id].kept = true;
  // Before anything else that is sent to them.
  for (const auto& ended : recovered.ended_schedulers) {
    for (const auto& [incarnation, link] : links_) {
      if (shared()) link->Send(Adoption(ended, recovered.kept_jobs));
    }
  }
  for (auto& [job_id, failure] : recovered.failed) {
    Outcome& outcome = outcomes_[job_id];
    outcome.ended = outcome.kept = true;
    outcome.user = failure.user;
    outcome.status = failure.status;
    outcome.outline =
        profile::Ended(job_id, profile::JOB_STATE_FAILED, failure.status.message());
    failed_.emplace_back(Now(), job_id);
  }
  for (auto& job : recovered.jobs) {
    const std::string job_id = job.job.job_id;
    LOG_INFO("scheduler", "Going on with job {}", job_id);
    outcomes_[job_id].session_id = job.job.session_id;
    outcomes_[job_id].user = job.job.options.user;
    outcomes_[job_id].result_key = flight::FindResultKey(job.job.graph.settings());
    job.expected_executors = expected;
    const auto left = recovered.time_left.find(job_id);
    if (left != recovered.time_left.end()) {
      job.job.options.deadline = Now() + left->second;
    }
    moved_.erase(job_id);
    stuck_.Begin(Now());
    PostLocked(std::move(job));
    // Its client had all of it, or is about to come back.
    if (recovered.read.contains(job_id)) NoteRead(job_id);
  }
  timer_wake_.notify_one();
  changed_.notify_all();
}

control::AdoptJobsRequest JobService::Adoption(const std::string& ended_scheduler,
                                               const std::vector<std::string>& kept) {
  control::AdoptJobsRequest request;
  request.set_wire_version(kWireVersion);
  request.set_scheduler_id(id_);
  request.set_ended_scheduler_id(ended_scheduler);
  for (const auto& [job_id, token] : tokens_) {
    if (outcomes_.contains(job_id)) (*request.mutable_job_tokens())[job_id] = token;
  }
  for (const auto& job_id : kept) request.add_kept_jobs(job_id);
  return request;
}

void JobService::LoseJobs() {
  std::map<std::string, std::unique_ptr<ExecutorLink>> links;
  const std::lock_guard lock(mutex_);
  links.swap(links_);
  incarnations_.clear();
  to_drain_.clear();
  awaited_.clear();
  awaited_until_ = kNever;
  tokens_.clear();
  core_ = SchedulerCore(options_, replanner_);
  for (auto it = outcomes_.begin(); it != outcomes_.end();) {
    Outcome& outcome = it->second;
    if (outcome.kept) {
      if (moved_.size() < kMaxMoved) moved_.insert(it->first);
      it = outcomes_.erase(it);
      continue;
    }
    if (!outcome.ended || outcome.status.ok()) {
      outcome.status = CancelledStatus(
          "this scheduler was cut off from its state backend for longer than its lease, "
          "and the statement has ended with that: look at what it has done, and run it "
          "again",
          Cancelled::SHUTDOWN);
      outcome.ended = true;
      outcome.outline = profile::Ended(it->first, profile::JOB_STATE_CANCELLED,
                                       outcome.status.message());
      failed_.emplace_back(Now(), it->first);
    }
    ++it;
  }
  changed_.notify_all();
  for (auto& [incarnation, link] : links) retired_.push_back(std::move(link));
  reaper_wake_.notify_one();
  timer_wake_.notify_one();
}

void JobService::BeginAnew(const std::string& id) {
  const std::lock_guard lock(mutex_);
  id_ = id;
  begun_ = Now();
}

bool JobService::Knows(const std::string& job_id) const {
  const std::lock_guard lock(mutex_);
  return outcomes_.contains(job_id);
}

bool JobService::HasMoved(const std::string& job_id) const {
  const std::lock_guard lock(mutex_);
  return moved_.contains(job_id);
}

arrow::Status JobService::CheckMayAct() const {
  if (MayAct()) return arrow::Status::OK();
  return arrow::Status::IOError(
      "this scheduler has lost touch with its state backend; try again");
}

}  // namespace ballista::scheduler
