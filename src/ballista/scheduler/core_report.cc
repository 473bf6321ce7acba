// What the core tells people about a job.
#include <fmt/format.h>

#include "ballista/scheduler/core_internal.h"

namespace ballista::scheduler {

namespace {
double Seconds(Time time) {
  return static_cast<double>(time.count()) / 1e6;
}
}  // namespace

void SchedulerCore::Impl::AddWaiting(const JobState& job, Time now,
                                     profile::JobSummary* summary) const {
  if (!job.finished && !job.admitted) {
    summary->set_queue_position(
        static_cast<uint32_t>(admission_.Position(job.admission) + 1));
  }
  summary->set_waiting_for(WhyWaiting(job, now));
}

std::string SchedulerCore::Impl::WhyWaiting(const JobState& job, Time now) const {
  if (job.finished) {
    return fmt::format(
        "waiting for the client to {} the result, for {:.1f} s; after {:.0f} s it is "
        "dropped",
        job.being_read ? "read on in" : "come for", Seconds(now - job.last_read),
        Seconds(job.being_read ? options_.reader_ttl : options_.result_ttl));
  }
  if (job.recovery != nullptr) {
    return fmt::format(
        "waiting for {} executors that may hold parts of it to register again; goes on "
        "without them in {:.0f} s",
        job.recovery->expected.size(),
        Seconds(std::max(job.recovery->until - now, Time{0})));
  }
  if (!job.admitted) {
    return fmt::format(
        "waiting in the queue, at position {} of {}: {} queries run, which is the "
        "scheduler's limit (--max-running-jobs)",
        admission_.Position(job.admission) + 1, admission_.size(), admitted_);
  }
  const TaskState* longest = nullptr;
  uint32_t longest_stage = 0;
  size_t longest_index = 0;
  for (uint32_t id = 0; id < job.stages.size(); ++id) {
    const auto& tasks = job.stages[id].tasks;
    for (const TaskState& task : tasks) {
      if (task.state != TaskState::kRunning) continue;
      if (longest != nullptr && longest->started <= task.started) continue;
      longest = &task;
      longest_stage = id;
      longest_index = static_cast<size_t>(&task - tasks.data());
    }
  }
  if (longest != nullptr) {
    const Executor* executor = executors_.Get(longest->executor);
    return fmt::format(
        "waiting for {} running tasks, the longest is task {} of stage {} (attempt {}), "
        "for {:.1f} s on executor {}",
        job.running, longest_index, longest_stage, longest->attempt,
        Seconds(now - longest->started),
        executor == nullptr
            ? "?"
            : fmt::format("{} at {}:{}", executor->metadata.id(),
                          executor->metadata.host(), executor->metadata.port()));
  }
  if (executors_.num_usable() == 0) {
    const Time until =
        After(std::max(no_executor_since_, job.waits_since), options_.executor_wait);
    return fmt::format(
        "waiting for an executor that takes tasks (there is none); fails in {:.0f} s",
        Seconds(std::max(until - now, Time{0})));
  }
  return fmt::format(
      "waiting for a free slot for tasks of stage {}: {} tasks are running on {} "
      "executors",
      job.launchable.empty() ? "?" : std::to_string(*job.launchable.begin()), running_,
      executors_.num_usable());
}

std::vector<std::pair<std::string, Time>> SchedulerCore::Impl::Idle(Time since) const {
  std::vector<std::pair<std::string, Time>> idle;
  for (const auto& [number, job] : jobs_) {
    if (job->last_progress <= since) idle.emplace_back(job->id, job->last_progress);
  }
  return idle;
}

}  // namespace ballista::scheduler
