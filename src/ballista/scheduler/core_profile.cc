// What the core knows of a job, as a profile. Figures are copied as they are; what can be
// made of them without the core is the reader's to make (profile/complete.h).
#include <algorithm>

#include "ballista/profile/complete.h"
#include "ballista/scheduler/core_internal.h"

namespace ballista::scheduler {
namespace {

// The statement in a row of a list.
constexpr size_t kShortText = 500;

uint64_t Micros(Time time) {
  return static_cast<uint64_t>(std::max(time, Time{0}).count());
}

// At least 1, so that it can be told from none.
uint64_t Since(const JobState& job, Time time) {
  return std::max<uint64_t>(Micros(time - job.submitted), 1);
}

profile::JobState StateOf(const JobState& job) {
  if (job.failure != nullptr) {
    return job.cancelled ? profile::JOB_STATE_CANCELLED : profile::JOB_STATE_FAILED;
  }
  if (job.finished) return profile::JOB_STATE_FINISHED;
  return job.launched_any ? profile::JOB_STATE_RUNNING : profile::JOB_STATE_QUEUED;
}

profile::TaskState StateOf(const TaskState& task) {
  switch (task.state) {
    case TaskState::kRunning:
      return profile::TASK_STATE_RUNNING;
    case TaskState::kFinished:
      return profile::TASK_STATE_FINISHED;
    case TaskState::kLost:
      return profile::TASK_STATE_LOST;
    case TaskState::kSkipped:
      return profile::TASK_STATE_SKIPPED;
    case TaskState::kPending:
    case TaskState::kStopped:
      break;
  }
  return profile::TASK_STATE_PENDING;
}

profile::StageState StateOf(const StageState& stage) {
  if (stage.complete) return profile::STAGE_STATE_COMPLETE;
  if (!stage.needed) return profile::STAGE_STATE_NOT_NEEDED;
  return stage.running + stage.finished > 0 ? profile::STAGE_STATE_RUNNING
                                            : profile::STAGE_STATE_WAITING;
}

}  // namespace

// All but the texts, and what only the queue knows.
void SchedulerCore::Impl::FillSummary(const JobState& job, Time now,
                                      profile::JobSummary* summary) {
  summary->set_job_id(job.id);
  summary->set_session_id(job.session_id);
  summary->set_user(job.options.user);
  summary->set_state(StateOf(job));
  summary->set_age_us(Micros(now - job.submitted));
  summary->set_elapsed_us(Micros(std::min(now, job.ended) - job.submitted));
  const Time admitted = job.admitted ? job.admitted_at : std::min(now, job.ended);
  summary->set_queued_us(Micros(admitted - job.submitted));
  if (job.launched_any) summary->set_first_task_us(Since(job, job.first_launch));
  summary->set_failed_attempts(static_cast<uint32_t>(job.num_errors));
  uint32_t stages = 0;
  uint32_t tasks = 0;
  uint32_t finished = 0;
  for (const StageState& state : job.stages) {
    if (!state.needed) continue;
    ++stages;
    tasks += static_cast<uint32_t>(state.tasks.size()) - state.skipped;
    finished += state.finished;
  }
  summary->set_stages(stages);
  summary->set_tasks(tasks);
  uint32_t pending = 0;
  for (const uint32_t stage : job.launchable) pending += job.stages[stage].pending;
  summary->set_pending_tasks(job.admitted ? pending : 0);
  summary->set_running_tasks(job.running);
  summary->set_finished_tasks(finished);
  if (job.finished) {
    const StageState& result = job.stages[job.graph.result_stage()];
    summary->set_result_rows(result.rows);
    summary->set_result_bytes(result.bytes);
  }
}

void SchedulerCore::Impl::ProfileTask(const JobState& job, Time now,
                                      const TaskState& task,
                                      profile::TaskProfile* to) const {
  to->set_attempt(task.attempt);
  to->set_state(StateOf(task));
  to->set_failures(task.failures + task.fetch_failures);
  if (task.state == TaskState::kPending || task.state == TaskState::kSkipped) return;
  if (const Executor* executor = executors_.Get(task.executor)) {
    to->set_executor_id(executor->metadata.id());
  }
  to->set_has_copy(task.copy.has_value());
  const bool running = task.state == TaskState::kRunning;
  if (task.started != Time{}) to->set_started_us(Since(job, task.started));
  to->set_elapsed_us(Micros(running ? now - task.started : task.ran));
  if (task.metrics != nullptr) *to->mutable_metrics() = *task.metrics;
}

void SchedulerCore::Impl::OutlineStage(const JobState& job, uint32_t id,
                                       profile::StageProfile* to) {
  const StageState& stage = job.stages[id];
  to->set_id(id);
  to->set_state(StateOf(stage));
  to->set_tasks(static_cast<uint32_t>(stage.tasks.size()) - stage.skipped);
  to->set_pending(stage.pending);
  to->set_running(stage.running);
  to->set_finished(stage.finished);
  to->set_skipped(stage.skipped);
  to->set_lost(static_cast<uint32_t>(stage.lost.size()));
  to->set_rows(stage.rows);
  to->set_bytes(stage.bytes);
}

void SchedulerCore::Impl::ProfileTasks(const JobState& job, Time now,
                                       profile::StageProfile* to) const {
  const StageState& stage = job.stages[to->id()];
  for (uint32_t t = 0; t < stage.tasks.size(); ++t) {
    profile::TaskProfile* task = to->add_task_list();
    task->set_index(t);
    ProfileTask(job, now, stage.tasks[t], task);
    if (t >= stage.shares.size() || stage.shares[t].pieces <= 1) continue;
    task->set_pieces(stage.shares[t].pieces);
    task->set_first_partition(stage.shares[t].first_partition);
    task->set_last_partition(stage.shares[t].last_partition);
  }
}

profile::QueryProfile SchedulerCore::Impl::Outline(const JobState& job, Time now) {
  profile::QueryProfile outline;
  outline.set_format(1);
  outline.set_result_stage(job.graph.result_stage());
  FillSummary(job, now, outline.mutable_job());
  if (job.failure != nullptr) outline.mutable_job()->set_error(*job.failure);
  for (uint32_t id = 0; id < job.stages.size(); ++id) {
    OutlineStage(job, id, outline.add_stages());
  }
  return outline;
}

profile::QueryProfile SchedulerCore::Impl::Profile(const JobState& job, Time now) const {
  profile::QueryProfile profile = Outline(job, now);
  profile.set_single_task_reason(job.graph.single_task_reason());
  profile.mutable_job()->set_statement(job.options.statement);
  for (auto& stage : *profile.mutable_stages()) ProfileTasks(job, now, &stage);
  for (const AttemptError& error : job.errors) {
    profile::AttemptError* to = profile.add_errors();
    to->set_stage(error.stage);
    to->set_task(error.task);
    to->set_attempt(error.attempt);
    to->set_executor_id(error.executor_id);
    to->set_at_us(Since(job, error.at));
    to->set_message(error.message);
  }
  profile.set_more_errors(static_cast<uint32_t>(job.num_errors - job.errors.size()));
  return profile;
}

std::vector<profile::JobSummary> SchedulerCore::Impl::Summaries(Time now) const {
  std::vector<profile::JobSummary> all;
  all.reserve(jobs_.size());
  for (const auto& [number, job] : jobs_) {
    profile::JobSummary& summary = all.emplace_back();
    FillSummary(*job, now, &summary);
    summary.set_statement(profile::Cut(job->options.statement, kShortText));
  }
  return all;
}

}  // namespace ballista::scheduler
