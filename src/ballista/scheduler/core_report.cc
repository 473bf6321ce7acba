// What the core tells people about a job.
#include <fmt/format.h>

#include "ballista/scheduler/core_internal.h"

namespace ballista::scheduler {

namespace {
double Seconds(Time time) {
  return static_cast<double>(time.count()) / 1e6;
}
}  // namespace

control::JobProgressResponse SchedulerCore::Impl::Progress(const JobState& job,
                                                           Time now) const {
  control::JobProgressResponse progress = job.Progress(now);
  if (job.finished) return progress;
  if (!job.admitted) {
    progress.set_queue_position(
        static_cast<uint32_t>(admission_.Position(job.admission) + 1));
  }
  progress.set_waiting_for(WhyWaiting(job, now));
  return progress;
}

std::string SchedulerCore::Impl::WhyWaiting(const JobState& job, Time now) const {
  if (job.finished) {
    return fmt::format(
        "waiting for the result to be read; it is dropped when nobody reads for {:.0f} s",
        Seconds(options_.result_ttl));
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
  uint64_t pending = 0;
  for (uint32_t id = 0; id < job.stages.size(); ++id) {
    for (const TaskState& task : job.stages[id].tasks) {
      pending += task.state == TaskState::kPending;
      if (task.state != TaskState::kRunning) continue;
      if (longest != nullptr && longest->started <= task.started) continue;
      longest = &task;
      longest_stage = id;
    }
  }
  if (longest != nullptr) {
    const Executor* executor = executors_.Get(longest->executor);
    return fmt::format(
        "waiting for {} running tasks, the longest one of stage {} for {:.1f} s on "
        "executor {}",
        job.running, longest_stage, Seconds(now - longest->started),
        executor == nullptr ? "?" : executor->metadata.id());
  }
  if (executors_.num_usable() == 0) {
    const Time until =
        After(std::max(no_executor_since_, job.submitted), options_.executor_wait);
    return fmt::format(
        "waiting for an executor that takes tasks (there is none); fails in {:.0f} s",
        Seconds(std::max(until - now, Time{0})));
  }
  return fmt::format(
      "waiting for a free slot: {} tasks of this job are ready, {} tasks are running on "
      "{} executors",
      pending, running_, executors_.num_usable());
}

std::vector<TaskReport> SchedulerCore::Impl::Metrics(const JobState& job) const {
  std::vector<TaskReport> reports;
  for (uint32_t id = 0; id < job.stages.size(); ++id) {
    const std::vector<TaskState>& tasks = job.stages[id].tasks;
    for (uint32_t t = 0; t < tasks.size(); ++t) {
      if (tasks[t].state != TaskState::kFinished) continue;
      const Executor* executor = executors_.Get(tasks[t].executor);
      reports.push_back({id, t, tasks[t].attempt,
                         executor == nullptr ? std::string() : executor->metadata.id(),
                         *tasks[t].metrics, job.stages[id].shares[t].pieces,
                         job.stages[id].shares[t].first_partition,
                         job.stages[id].shares[t].last_partition});
    }
  }
  return reports;
}

}  // namespace ballista::scheduler
