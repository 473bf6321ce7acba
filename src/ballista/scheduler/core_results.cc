// Results that are read: what is lost of them before is computed again.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "ballista/base/status.h"
#include "ballista/scheduler/core_internal.h"

namespace ballista::scheduler {

void SchedulerCore::Impl::On(JobResultRead& event) {
  JobState* job = FindJob(event.job_id);
  if (job == nullptr) return;
  job->last_read = job->last_progress = now_;
  if (!event.task) return;
  const uint32_t task = *event.task;
  job->being_read = true;
  // A client that begins again wants what it had read before.
  const bool back = task < job->reads_task ||
                    (task == job->reads_task && job->part_begun && !event.begun);
  job->reads_task = task;
  job->part_begun = event.begun;
  if (!back) return;
  arrow::Status status = Reopen(job, "its executor was lost after it had been read");
  if (!status.ok()) FailJob(job, std::move(status));
}

void SchedulerCore::Impl::On(ResultPartLost& event) {
  JobState* job = FindJob(event.job_id);
  if (job == nullptr || job->data_removed) return;
  if (!job->IsResultPart(event.task, event.attempt)) return;  // it is known
  const uint32_t result = job->graph.result_stage();
  std::vector<TaskState>& tasks = job->stages[result].tasks;
  const ExecutorIndex holder = tasks[event.task].executor;
  Executor* executor = executors_.Get(holder);
  if (executor == nullptr || tasks[event.task].inline_result != nullptr) return;
  const std::string why = fmt::format("executor {} did not give it: {}",
                                      executor->metadata.id(), event.reason);
  // Nothing goes there until it is heard of.
  executors_.Suspend(executor);
  NoteUsableExecutors();
  if (++tasks[event.task].fetch_failures > options_.max_fetch_failures) {
    return FailJob(
        job, ExecutorLostStatus(fmt::format("a part of the result could not be read ({} "
                                            "times), {}; run the query again",
                                            tasks[event.task].fetch_failures, why),
                                executor->metadata.id()));
  }
  for (uint32_t t = 0; t < tasks.size(); ++t) {
    if (tasks[t].state != TaskState::kFinished || tasks[t].executor != holder) continue;
    if (tasks[t].inline_result != nullptr || !job->IsUnread(t)) continue;
    tasks[t].Avoid(holder);
    MarkLost(job, result, t);
  }
  arrow::Status status = Reopen(job, why);
  if (!status.ok()) {
    FailJob(job, ExecutorLostStatus(status.message(), executor->metadata.id()));
  }
}

void SchedulerCore::Impl::On(ResultGivenOut& event) {
  JobState* job = FindJob(event.job_id);
  if (job == nullptr || !job->finished || job->unread_parts) return;
  std::set<uint32_t> unread;
  const auto& tasks = job->stages[job->graph.result_stage()].tasks;
  for (uint32_t t = 0; t < tasks.size(); ++t) {
    if (job->IsUnread(t)) unread.insert(t);
  }
  job->unread_parts = std::move(unread);
}

void SchedulerCore::Impl::On(ResultPartRead& event) {
  JobState* job = FindJob(event.job_id);
  if (job == nullptr) return;
  job->last_read = job->last_progress = now_;
  // Where a scheduler before this one has given them out, nobody has told this one.
  ResultGivenOut given_out{event.job_id};
  On(given_out);
  const auto& tasks = job->stages[job->graph.result_stage()].tasks;
  if (!job->unread_parts || event.task >= tasks.size()) return;
  if (event.progress == ResultPartRead::Progress::kWhole) {
    job->unread_parts->erase(event.task);
    return;
  }
  job->being_read = true;
  const bool back = job->unread_parts->insert(event.task).second;
  if (!back || event.progress != ResultPartRead::Progress::kWanted) return;
  arrow::Status status = Reopen(job, "its executor was lost after it had been read");
  if (!status.ok()) FailJob(job, std::move(status));
}

arrow::Status SchedulerCore::Impl::Reopen(JobState* job, const std::string& why) {
  if (!job->finished) return Recover(job, why);
  if (job->data_removed || job->ResultIsThere()) return arrow::Status::OK();
  if (!job->options.retry) {
    return arrow::Status::IOError(
        "a part of the result was not read yet when it was lost, and nothing is run "
        "twice: ",
        why);
  }
  job->finished = false;
  job->reopened = true;
  // A client that was reading the lost part may have gone with its stream.
  if (job->unread_parts) job->being_read = false;
  job->ended = kNever;
  // It has as long as it had before.
  job->options.deadline = After(now_, job->time_limit);
  job->waits_since = now_;
  NoteDeadline(std::min(job->options.deadline, After(now_, options_.executor_wait)));
  // At once, however many others run: its client is there.
  Admit(job);
  for (uint32_t id = 0; id < job->stages.size(); ++id) job->UpdateLaunchable(id);
  ended_.emplace_back(JobReopened{job->id, why});
  return Recover(job, why);
}

void SchedulerCore::Impl::Shelve(JobState* job, uint32_t stage) {
  StageState& state = job->stages[stage];
  if (state.pending == 0 || !state.formed) return;
  for (uint32_t t = 0; t < state.tasks.size(); ++t) {
    if (state.tasks[t].state != TaskState::kPending) continue;
    state.tasks[t].state = TaskState::kLost;
    state.lost.insert(t);
  }
  state.pending = 0;
  state.queue.Clear();
}

arrow::Status SchedulerCore::Impl::TakeLostParts(JobState* job, const std::string& why,
                                                 std::set<uint32_t>* lost) {
  StageState& state = job->stages[job->graph.result_stage()];
  const bool whole = job->result_restarted || !job->reopened || state.skipped > 0;
  if (!whole) {
    std::copy_if(state.lost.begin(), state.lost.end(), std::inserter(*lost, lost->end()),
                 [job](uint32_t task) { return job->IsUnread(task); });
    for (const uint32_t task : *lost) state.lost.erase(task);
    return arrow::Status::OK();
  }
  // Rows that were given cannot be taken back, and others may come in their place.
  if (job->AnyRowGiven()) {
    return arrow::Status::IOError(fmt::format(
        "the rest of the result was lost while it was read, and cannot be computed again "
        "such that it fits to the rows that were given ({}); run the query again",
        why));
  }
  *lost = std::exchange(state.lost, {});
  return arrow::Status::OK();
}

}  // namespace ballista::scheduler
