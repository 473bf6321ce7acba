// What JobService shows of itself. Only copying is done under its lock.
#include <algorithm>

#include "ballista/base/version.h"
#include "ballista/profile/complete.h"
#include "ballista/scheduler/service/job_service.h"
#include "ballista/scheduler/service/state_keys_internal.h"

namespace ballista::scheduler {

void JobService::OnJobEnded(std::function<void(JobEnded)> callback) {
  const std::lock_guard lock(mutex_);
  on_job_ended_ = std::move(callback);
}

void JobService::Apply(JobEnded effect) {
  const auto& job = effect.profile.job();
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
    profile = core_.Profile(job_id, Now());
    profile::AddPlan(*graph, &profile);
  }
  profile.mutable_job()->set_submitted_ms(UnixMs() - profile.job().age_us() / 1000);
  profile.set_version(kVersion);
  profile::AddFigures(&profile);
  return profile;
}

std::vector<profile::JobSummary> JobService::Summaries() const {
  std::vector<profile::JobSummary> all;
  {
    const std::lock_guard lock(mutex_);
    all = core_.Summaries(Now());
  }
  const uint64_t now = UnixMs();
  for (auto& job : all) job.set_submitted_ms(now - job.age_us() / 1000);
  return all;
}

void JobService::NoteUse(const control::HeartbeatRequest& request) {
  metrics_.heartbeats.Add();
  memory_used_[request.incarnation()] = request.memory_used();
}

profile::ExecutorList JobService::ViewExecutors() const {
  std::vector<ExecutorView> views;
  std::map<std::string, uint64_t> memory;
  Time now{};
  {
    const std::lock_guard lock(mutex_);
    views = core_.ViewExecutors();
    memory = memory_used_;
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
    const auto used = memory.find(view.metadata.incarnation());
    if (used != memory.end()) entry->set_memory_used(used->second);
  }
  return list;
}

}  // namespace ballista::scheduler
