// What JobService shows of itself. Only copying is done under its lock.
#include <algorithm>

#include "ballista/base/version.h"
#include "ballista/profile/complete.h"
#include "ballista/scheduler/service/job_service.h"

namespace ballista::scheduler {

void JobService::OnJobEnded(std::function<void(JobEnded)> callback) {
  const std::lock_guard lock(mutex_);
  on_job_ended_ = std::move(callback);
}

namespace {

using Micros = std::chrono::microseconds;

// By how much the two clocks may drift apart before one is taken to have been set.
constexpr Micros kClockSet = std::chrono::milliseconds(500);

}  // namespace

uint64_t JobService::SubmittedMsLocked(const profile::JobSummary& job, Time now) const {
  const auto unix_now = std::chrono::duration_cast<Micros>(
      std::chrono::system_clock::now().time_since_epoch());
  const Micros offset = unix_now - now;
  if (offset - unix_offset_ > kClockSet || unix_offset_ - offset > kClockSet) {
    unix_offset_ = offset;
  }
  const Micros submitted = now - Micros(job.age_us()) + unix_offset_;
  return static_cast<uint64_t>(std::max(submitted, Micros(0)).count()) / 1000;
}

void JobService::Apply(JobEnded effect) {
  auto& job = *effect.profile.mutable_job();
  job.set_submitted_ms(SubmittedMsLocked(job, event_time_));
  if (job.first_task_us() > 0) metrics_.job_start.ObserveMicros(job.first_task_us());
  if (on_job_ended_) on_job_ended_(std::move(effect));
}

std::optional<profile::QueryProfile> JobService::Profile(
    const std::string& job_id) const {
  profile::QueryProfile profile;
  {
    const std::lock_guard lock(mutex_);
    const auto* graph = core_.Graph(job_id);
    if (graph == nullptr) return std::nullopt;
    const Time now = Now();
    profile = core_.Profile(job_id, now);
    profile::AddPlan(*graph, &profile);
    profile.mutable_job()->set_submitted_ms(SubmittedMsLocked(profile.job(), now));
  }
  profile.set_version(kVersion);
  profile::AddFigures(&profile);
  return profile;
}

std::vector<profile::JobSummary> JobService::Summaries() const {
  const std::lock_guard lock(mutex_);
  const Time now = Now();
  std::vector<profile::JobSummary> all = core_.Summaries(now);
  for (auto& job : all) job.set_submitted_ms(SubmittedMsLocked(job, now));
  return all;
}

void JobService::NoteUse(const control::HeartbeatRequest& request) {
  metrics_.heartbeats.Add();
  use_[request.incarnation()] = {request.memory_used(), request.disk_used()};
}

profile::ExecutorList JobService::ViewExecutors() const {
  std::vector<ExecutorView> views;
  std::map<std::string, ExecutorUse> use;
  Time now{};
  {
    const std::lock_guard lock(mutex_);
    views = core_.ViewExecutors();
    use = use_;
    now = Now();
  }
  profile::ExecutorList list;
  for (const auto& view : views) {
    profile::ExecutorEntry* entry = list.add_executors();
    entry->set_id(view.metadata.id());
    entry->set_host(view.metadata.host());
    entry->set_port(view.metadata.port());
    entry->set_slots(view.metadata.task_slots());
    entry->set_running_tasks(view.running_tasks);
    entry->set_threads(view.metadata.threads());
    entry->set_memory_limit(view.metadata.memory_limit());
    entry->set_version(view.metadata.version());
    entry->set_heartbeat_age_ms(
        static_cast<uint64_t>(std::max<int64_t>((now - view.last_seen).count(), 0)) /
        1000);
    entry->set_state(view.draining    ? "draining"
                     : view.suspended ? "silent"
                     : view.excluded  ? "left out"
                                      : "active");
    const auto used = use.find(view.metadata.incarnation());
    if (used == use.end()) continue;
    entry->set_memory_used(used->second.memory);
    entry->set_disk_used(used->second.disk);
  }
  return list;
}

}  // namespace ballista::scheduler
