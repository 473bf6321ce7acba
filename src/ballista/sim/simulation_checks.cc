// What must hold in every run of the simulation.
#include <fmt/format.h>

#include <algorithm>

#include "ballista/sim/simulation_internal.h"

namespace ballista::sim {

using scheduler::kNever;
using std::chrono::seconds;

void Simulation::Violation(const std::string& what) {
  // The first few say it all.
  if (report_.violations.size() < 10) {
    report_.violations.push_back(fmt::format(
        "at {:.3f} s: {}", static_cast<double>(clock_.now().count()) / 1e6, what));
  }
}

void Simulation::JudgeFailure(const SimulatedJob& job,
                              const scheduler::JobFailed& failed) {
  const scheduler::CoreOptions limits;
  const std::string& message = failed.status.message();
  auto says = [&](const char* what) { return message.find(what) != std::string::npos; };
  const ErrorDetail* detail = GetErrorDetail(failed.status);
  const char* cause = "another cause";
  bool allowed = false;
  if (detail != nullptr && detail->has_user()) {
    cause = "user error";
    allowed = job.user_error_thrown;
  } else if (says("statement_timeout")) {
    cause = "its deadline";
    allowed = clock_.now() >= job.deadline;
  } else if (job.abandoned && detail != nullptr &&
             detail->cancelled().reason() == Cancelled::DEADLINE) {
    cause = "nobody read its result";
    allowed = job.finished;
  } else if (says("the queue is full")) {
    cause = "the queue was full";
    allowed = options_.faults.max_queued_jobs < 1000 && !job.recovered;
  } else if (says("was interrupted")) {
    cause = "an executor left where nothing is run twice";
    allowed = !job.retry && report_.faults.contains("drain");
  } else if (detail != nullptr && detail->has_cancelled()) {
    cause = "cancelled";
    allowed = job.cancelled;
  } else if (says("no executor has taken tasks")) {
    cause = "no executor";
    const Time since = std::max(unusable_since_, job.submitted);
    allowed = unusable_since_ != kNever && clock_.now() - since >= limits.executor_wait;
  } else if (says("of at most")) {
    cause = "a task failed too often";
    const uint32_t limit = job.retry ? job.max_attempts : 1;
    for (const auto& [task, count] : job.failures) allowed = allowed || count >= limit;
  } else if (says("could not read its input")) {
    cause = "inputs could not be fetched";
    allowed = job.fetch_failures > (job.retry ? limits.max_fetch_failures : 0);
  } else if (says("while it was read")) {
    cause = "the result was lost while it was read";
    allowed = job.rows_given && losses_ > 0;
  } else if (says("part of the result could not be read")) {
    cause = "a part could never be read";
    allowed = job.part_losses > limits.max_fetch_failures;
  } else if (says("part of the result was not read yet")) {
    cause = "the result was lost";
    allowed = job.finished && losses_ > 0 && !job.retry;
  } else if (says("was running when")) {
    cause = "executors were lost too often";
    allowed = losses_ > (job.retry ? limits.max_executor_losses : 0);
  } else if (says("nothing is run twice")) {
    cause = "a loss where nothing is run twice";
    allowed = !job.retry && losses_ + job.fetch_failures > 0;
  }
  const bool poisoned = job.failing_stage.has_value() || job.killing_stage.has_value();
  const bool by_tasks = says("of at most") || says("was running when");
  report_.innocents_failed += by_tasks && !poisoned;
  ++report_.failures[cause];
  if (!allowed) Violation(fmt::format("{} failed without cause: {}", job.id, message));
}

void Simulation::CheckResult(SimulatedJob* job,
                             const std::vector<std::vector<Row>>& parts) {
  Digest digest;
  for (const std::vector<Row>& rows : parts) digest.Add(rows);
  if (digest != job->expected) {
    Violation(fmt::format("the result of {} is wrong: {} rows, expected {}", job->id,
                          digest.count, job->expected.count));
  }
  const auto result = static_cast<int>(job->graph.result_stage());
  if (!job->graph.stages(result).output().ordered()) return;
  std::vector<Row> in_order;
  for (const auto& rows : parts) {
    in_order.insert(in_order.end(), rows.begin(), rows.end());
  }
  if (!std::is_sorted(in_order.begin(), in_order.end())) {
    Violation("the result of " + job->id + " is not in order");
  }
}

void Simulation::Check() {
  if (core_->NumUsableExecutors() > 0) {
    unusable_since_ = kNever;
  } else if (unusable_since_ == kNever) {
    unusable_since_ = clock_.now();
  }
  const uint64_t interval = options_.wide_job_tasks > 0 ? 50000 : 8;
  if (++events_ % interval != 0) return;
  for (const std::string& what : core_->FindInconsistencies()) {
    Violation("the core contradicts itself: " + what);
  }
  CheckAdmission();
  CheckWaits();
}

// No more jobs have tasks at executors than may run, but for those that had begun under
// another scheduler.
void Simulation::CheckAdmission() {
  if (options_.max_running_jobs == 0) return;
  size_t running = 0;
  for (const auto& [id, job] : jobs_) {
    if (job.over || job.finished || job.resumed) continue;
    running +=
        core_->Outline(id, clock_.now()).job().state() == profile::JOB_STATE_RUNNING;
  }
  if (running > options_.max_running_jobs) {
    Violation(
        fmt::format("{} jobs run where {} may", running, options_.max_running_jobs));
  }
}

// Where nothing runs and nobody could run anything, jobs have the time that is theirs and
// not more.
void Simulation::CheckWaits() {
  if (unusable_since_ == kNever || core_->NumRunningTasks() > 0) return;
  const Time limit = scheduler::CoreOptions().executor_wait * 2 + seconds(1);
  for (const auto& [id, job] : jobs_) {
    if (job.over || job.finished || !core_->HasJob(id)) continue;
    if (clock_.now() - std::max(unusable_since_, job.submitted) > limit) {
      Violation(id + " waits for an executor for too long");
    }
  }
}

void Simulation::CheckAtEnd() {
  if (!core_->IsIdle()) {
    Violation(fmt::format("the core is not idle: {} jobs, {} running tasks",
                          core_->Jobs().size(), core_->NumRunningTasks()));
  }
  for (const std::string& what : core_->FindInconsistencies()) {
    Violation("the core contradicts itself: " + what);
  }
  for (const auto& [id, executor] : executors_) {
    if (!executor.alive) continue;
    if (!core_->HasExecutor(id, executor.incarnation())) {
      Violation(fmt::format("executor {} is not registered", id));
    }
    for (const std::string& job : executor.HeldJobs()) {
      Violation(fmt::format("executor {} still has something of {}", id, job));
    }
  }
}

}  // namespace ballista::sim
