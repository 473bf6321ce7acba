// Tasks: launching them, and what becomes of them.
#include <fmt/format.h>

#include <algorithm>

#include "ballista/base/status.h"
#include "ballista/profile/complete.h"
#include "ballista/scheduler/core_internal.h"
#include "ballista/scheduler/recovery_internal.h"
#include "ballista/scheduler/task_failure_internal.h"

namespace ballista::scheduler {

namespace {

// Of a job, for its profile.
constexpr size_t kMaxErrors = 50;
constexpr size_t kMaxErrorBytes = 1000;

}  // namespace

bool SizesComplete(const job::Output& declared, const job::OutputStatistics& output) {
  if (declared.kind() == job::Output::RANGE) {
    return output.rows() == 0 || output.range_samples_size() > 0;
  }
  if (declared.kind() != job::Output::HASH) return true;
  const int partitions = static_cast<int>(declared.partitions());
  return output.partition_rows_size() == partitions &&
         output.partition_bytes_size() == partitions;
}

SchedulerCore::Impl::RunningTask SchedulerCore::Impl::FindRunning(
    const job::TaskId& id, const std::string& executor_id,
    const std::string& incarnation) {
  Executor* executor = executors_.Find(executor_id, incarnation);
  if (executor == nullptr) return {};
  JobState* job = FindJob(id.job_id());
  if (job == nullptr || job->data_removed) {
    // It keeps something of a job that has ended: the removal came before the task.
    SendRemove(executor_id, id.job_id());
    return {};
  }
  // Whatever comes of it: the executor may keep something of the job.
  NoteKeeper(job, executor);
  if (job->recovery != nullptr) return {job};
  if (id.stage_id() >= job->stages.size()) return {};
  StageState& stage = job->stages[id.stage_id()];
  if (id.task_index() >= stage.tasks.size()) return {};
  TaskState& task = stage.tasks[id.task_index()];
  if (!task.Runs(executor->index, id.attempt())) return {};
  const bool is_copy = task.attempt != id.attempt();
  if (is_copy) task.SwapAttempts();
  return {job, id.stage_id(), id.task_index(), &task, executor, is_copy};
}

void SchedulerCore::Impl::DropOutput(const JobState& job, const TaskFinished& event) {
  const job::TaskId& id = event.id;
  if (id.stage_id() >= job.stages.size()) return;
  const auto& tasks = job.stages[id.stage_id()].tasks;
  if (id.task_index() >= tasks.size()) return;
  // What is known to have finished, or to be lost, may be read all the same.
  const TaskState& task = tasks[id.task_index()];
  const bool is_last =
      task.attempt == id.attempt() &&
      (task.state == TaskState::kFinished || task.state == TaskState::kLost);
  if (!is_last) SendCancel(event.executor_id, id);
}

void SchedulerCore::Impl::On(TaskFinished& event) {
  RunningTask running = FindRunning(event.id, event.executor_id, event.incarnation);
  if (running.task == nullptr) {
    JobState* job = running.job != nullptr ? running.job : FindJob(event.id.job_id());
    if (job == nullptr || job->data_removed) return;
    if (job->recovery != nullptr) {
      NoteEnded(job, event);
    } else if (executors_.Find(event.executor_id, event.incarnation) != nullptr) {
      DropOutput(*job, event);
    }
    return;
  }
  JobState* job = running.job;
  StageState& stage = job->stages[running.stage];
  if (!SizesComplete(job->graph.stages(running.stage).output(), event.output)) {
    arrow::Status status = TaskDidFail(
        running,
        InternalStatus(
            "the task did not report the size of each partition or samples of its run"));
    if (!status.ok()) FailJob(job, std::move(status));
    return;
  }
  TaskState& task = *running.task;
  Stop(job, running.stage, &task);
  if (running.was_copy) {
    // What was overtaken may stand still: nothing goes there until it is heard of.
    if (Executor* slow = executors_.Get(task.copy->executor)) executors_.Suspend(slow);
    NoteUsableExecutors();
  }
  CancelCopy(job, running.stage, running.index);
  BlameFailures(&task, running.executor);
  task.state = TaskState::kFinished;
  task.ran = now_ - task.started;
  task.output = std::move(event.output);
  task.inline_result = std::move(event.inline_result);
  task.metrics = std::make_unique<job::TaskMetrics>(std::move(event.metrics));
  ++stage.finished;
  stage.rows += task.output.rows();
  stage.bytes += task.output.bytes();
  const uint64_t limit = job->graph.stages(running.stage).row_limit();
  if (limit > 0 && stage.rows >= limit) SkipRest(job, running.stage);
  if (stage.finished + stage.skipped == stage.tasks.size()) {
    StageCompleted(job, running.stage);
  } else if (running.stage == job->graph.result_stage() && job->ResultIsThere()) {
    FinishJob(job);
  } else if (job->options.speculation.enabled) {
    NoteFinished(job, running.stage);
  }
}

void SchedulerCore::Impl::SkipRest(JobState* job, uint32_t stage) {
  StageState& state = job->stages[stage];
  CancelRunning(job, stage);
  for (TaskState& task : state.tasks) {
    if (task.state != TaskState::kPending && task.state != TaskState::kLost) continue;
    task.state = TaskState::kSkipped;
    task.executor = kNoExecutor;
    task.output.Clear();
    task.inline_result.reset();
    ++state.skipped;
  }
  state.pending = 0;
  state.lost.clear();
  state.queue.Clear();
  job->UpdateLaunchable(stage);
  UpdateReady(job);
}

void SchedulerCore::Impl::RequeueSkipped(JobState* job, uint32_t stage) {
  StageState& state = job->stages[stage];
  if (state.skipped == 0 || state.rows >= job->graph.stages(stage).row_limit()) return;
  state.skipped = 0;
  for (uint32_t t = 0; t < state.tasks.size(); ++t) {
    if (state.tasks[t].state == TaskState::kSkipped) Requeue(job, stage, t);
  }
}

void SchedulerCore::Impl::On(TaskFailed& event) {
  RunningTask running = FindRunning(event.id, event.executor_id, event.incarnation);
  if (running.task == nullptr) {
    if (running.job != nullptr) NoteEnded(running.job, event);
    return;
  }
  arrow::Status status = TaskDidFail(running, event.status);
  if (!status.ok()) FailJob(running.job, std::move(status));
}

void SchedulerCore::Impl::On(LaunchFailed& event) {
  Executor* executor = executors_.Find(event.executor_id, event.incarnation);
  if (executor == nullptr) return;
  executors_.Suspend(executor);
  NoteUsableExecutors();
  for (const job::TaskId& id : event.tasks) {
    RunningTask running = FindRunning(id, event.executor_id, event.incarnation);
    if (running.task == nullptr) continue;
    // It may have arrived all the same.
    SendCancel(event.executor_id, id);
    arrow::Status status = TaskDidFail(
        running, arrow::Status::IOError("it could not be sent to executor ",
                                        event.executor_id, ": ", event.reason));
    if (!status.ok()) FailJob(running.job, std::move(status));
  }
}

void SchedulerCore::Impl::NoteError(const RunningTask& running,
                                    const arrow::Status& status) {
  ++running.job->num_errors;
  if (running.job->errors.size() >= kMaxErrors) return;
  running.job->errors.push_back({running.stage, running.index, running.task->attempt,
                                 running.executor->metadata.id(), now_,
                                 profile::Cut(status.message(), kMaxErrorBytes)});
}

// OK: it runs once more. Else what the job fails with.
arrow::Status SchedulerCore::Impl::TaskDidFail(const RunningTask& running,
                                               const arrow::Status& status) {
  JobState* job = running.job;
  TaskState* task = running.task;
  NoteError(running, status);
  Stop(job, running.stage, task);
  task->Avoid(running.executor->index);
  switch (Classify(status)) {
    case FailureClass::kJobFails:
    case FailureClass::kJobCancelled:
      return status;
    case FailureClass::kFetchFailed:
      return InputLost(running, status);
    case FailureClass::kInterrupted:
      executors_.Drain(running.executor);
      NoteUsableExecutors();
      if (!job->options.retry) {
        return status.WithMessage(fmt::format(
            "task {} of stage {} was interrupted on executor {}, not tried again: {}",
            running.index, running.stage, running.executor->metadata.id(),
            status.message()));
      }
      RunAgain(job, running.stage, running.index);
      return arrow::Status::OK();
    case FailureClass::kRetry:
      return CountFailure(running, status);
  }
  return status;
}

arrow::Status SchedulerCore::Impl::CountFailure(const RunningTask& running,
                                                const arrow::Status& status) {
  const JobOptions& options = running.job->options;
  const uint32_t limit = options.retry ? options.max_task_attempts : 1;
  if (++running.task->failures >= limit && !running.task->copy.has_value()) {
    return status.WithMessage(fmt::format(
        "task {} of stage {} failed on executor {} (failure {} of at most {}): {}",
        running.index, running.stage, running.executor->metadata.id(),
        running.task->failures, limit, status.message()));
  }
  running.task->failed_at.push_back(running.executor->index);
  RunAgain(running.job, running.stage, running.index);
  return arrow::Status::OK();
}

arrow::Status SchedulerCore::Impl::InputLost(const RunningTask& running,
                                             const arrow::Status& status) {
  JobState* job = running.job;
  const FetchFailed& what = GetErrorDetail(status)->fetch_failed();
  const std::vector<uint32_t>& producers = job->stages[running.stage].producers;
  const bool is_input =
      std::find(producers.begin(), producers.end(), what.stage_id()) != producers.end() &&
      what.task_index() < job->stages[what.stage_id()].tasks.size();
  if (!is_input) return CountFailure(running, status);
  TaskState& producer = job->stages[what.stage_id()].tasks[what.task_index()];
  // An output that is known to be gone already (its executor was lost or has left) is
  // held against no reader; there are no more such failures than lost outputs.
  const bool is_news =
      producer.state == TaskState::kFinished && producer.attempt == what.attempt();
  if (is_news) ++running.task->fetch_failures;
  const bool too_often = running.task->fetch_failures > options_.max_fetch_failures &&
                         !running.task->copy.has_value();
  if (!job->options.retry || too_often) {
    return status.WithMessage(fmt::format(
        "task {} of stage {} could not read its input on executor {} (failure {}, not "
        "tried again): {}",
        running.index, running.stage, running.executor->metadata.id(),
        running.task->fetch_failures, status.message()));
  }
  RunAgain(job, running.stage, running.index);
  if (is_news) {
    LoseInputsAt(job, running.stage, producer.executor);
    ExcludeUnreadable(producer.executor, running.executor);
  }
  return Recover(job, status.message());
}

// An executor that does not give one output seldom gives the others: with all of them
// computed again at once, a task does not fail once for each.
void SchedulerCore::Impl::LoseInputsAt(JobState* job, uint32_t stage,
                                       ExecutorIndex executor) {
  for (uint32_t id : job->stages[stage].producers) {
    std::vector<TaskState>& tasks = job->stages[id].tasks;
    for (uint32_t t = 0; t < tasks.size(); ++t) {
      if (tasks[t].state != TaskState::kFinished || tasks[t].executor != executor)
        continue;
      tasks[t].Avoid(executor);
      MarkLost(job, id, t);
    }
  }
}

void SchedulerCore::Impl::Stop(JobState* job, uint32_t stage, TaskState* task) {
  task->state = TaskState::kStopped;
  executors_.ReleaseSlot(task->executor);
  fair_.TaskEnded(&job->fair);
  --job->stages[stage].running;
  --job->running;
  --running_;
  job->last_progress = now_;
}

void SchedulerCore::Impl::Requeue(JobState* job, uint32_t stage, uint32_t index) {
  StageState& state = job->stages[stage];
  TaskState& task = state.tasks[index];
  task.state = TaskState::kPending;
  task.attempt = task.last_attempt = std::max(task.last_attempt + 1, job->first_attempt);
  ++state.pending;
  state.queue.Push(state.tasks, index);
  job->UpdateLaunchable(stage);
  UpdateReady(job);
}

void SchedulerCore::Impl::RunAgain(JobState* job, uint32_t stage, uint32_t index) {
  TaskState& task = job->stages[stage].tasks[index];
  if (!task.copy.has_value()) return Requeue(job, stage, index);
  task.SwapAttempts();
  task.copy.reset();
  task.state = TaskState::kRunning;
  if (job->stages[stage].late_after != kNever) {
    NoteDeadline(After(now_, job->stages[stage].late_after));
  }
}

void SchedulerCore::Impl::MarkLost(JobState* job, uint32_t stage, uint32_t index) {
  StageState& state = job->stages[stage];
  TaskState& task = state.tasks[index];
  task.state = TaskState::kLost;
  task.metrics.reset();
  --state.finished;
  state.rows -= task.output.rows();
  state.bytes -= task.output.bytes();
  state.lost.insert(index);
  for (uint32_t consumer : state.consumers) {
    StageState& reader = job->stages[consumer];
    if (state.complete) ++reader.incomplete_producers;
    reader.inputs.reset();
    job->UpdateLaunchable(consumer);
  }
  state.complete = false;
  UpdateReady(job);
}

arrow::Status SchedulerCore::Impl::Recover(JobState* job, const std::string& why) {
  if (job->finished) return arrow::Status::OK();
  job->result_restarted = false;
  bool restarted = true;
  while (restarted) {
    restarted = false;
    // From the result back: what a stage needs is known once its consumers are settled.
    for (uint32_t id = job->stages.size(); id-- > 0;) {
      StageState& state = job->stages[id];
      if (!state.needed || state.lost.empty()) continue;
      const bool is_result = id == job->graph.result_stage();
      const bool wanted =
          is_result || std::any_of(state.consumers.begin(), state.consumers.end(),
                                   [&](uint32_t consumer) {
                                     return job->stages[consumer].Unfinished();
                                   });
      if (!wanted) continue;
      std::set<uint32_t> lost;
      if (is_result) {
        ARROW_RETURN_NOT_OK(TakeLostParts(job, why, &lost));
        if (lost.empty()) continue;
      } else {
        lost = std::exchange(state.lost, {});
      }
      if (!job->options.retry) {
        return arrow::Status::IOError("an output of stage ", id,
                                      " is gone and nothing is run twice: ", why);
      }
      for (uint32_t index : lost) Requeue(job, id, index);
      RequeueSkipped(job, id);
      if (!state.repeatable) {
        // Consumers come later, where this loop has been already.
        RestartReaders(job, id);
        restarted = true;
      }
    }
  }
  return arrow::Status::OK();
}

void SchedulerCore::Impl::RestartReaders(JobState* job, uint32_t stage) {
  const std::vector<uint32_t>& consumers = job->stages[stage].consumers;
  for (uint32_t consumer : consumers) {
    const bool reads_alone =
        consumers.size() == 1 &&
        job->graph.stages(consumer).parallelism() == job::SINGLE_TASK;
    // One task that reads everything sees either the one or the other.
    if (!reads_alone) Restart(job, consumer);
    RestartReaders(job, consumer);
  }
}

void SchedulerCore::Impl::Restart(JobState* job, uint32_t stage) {
  CancelRunning(job, stage);
  if (stage == job->graph.result_stage()) job->result_restarted = true;
  StageState& state = job->stages[stage];
  for (uint32_t t = 0; t < state.tasks.size(); ++t) {
    if (state.tasks[t].state == TaskState::kFinished) MarkLost(job, stage, t);
  }
}

void SchedulerCore::Impl::Schedule() {
  std::vector<JobState*> unplaced;  // whose tasks fit none of the free executors
  while (executors_.AnyFree() && !fair_.empty()) {
    JobState* job = jobs_.at(fair_.Next()).get();
    if (LaunchOne(job)) continue;
    fair_.SetReady(&job->fair, false);
    unplaced.push_back(job);
  }
  for (JobState* job : unplaced) UpdateReady(job);
  if (!late_.empty()) LaunchCopies();
}

bool SchedulerCore::Impl::LaunchOne(JobState* job) {
  for (uint32_t stage : job->launchable) {
    if (!job->stages[stage].formed) FormStage(job, stage);
    StageState& state = job->stages[stage];
    if (auto placement = state.queue.Pick(state.tasks, executors_)) {
      Launch(job, stage, *placement);
      return true;
    }
  }
  return false;
}

void SchedulerCore::Impl::FormStage(JobState* job, uint32_t stage) {
  StageState& state = job->stages[stage];
  FormationOptions options{job->options.tasks_per_stage, job->options.min_task_bytes,
                           job->options.skew_factor};
  if (options.tasks_per_stage == 0) options.tasks_per_stage = executors_.num_usable();
  // Those at whose homes tasks are, and as many more.
  const size_t wanted = size_t{2} * options.tasks_per_stage;
  state.shares = FormTasks(job->graph.stages(stage), job->Inputs(stage),
                           executors_.UsableByIdleness(wanted), options);
  state.formed = true;
  state.pending = state.shares.size();
  state.tasks.resize(state.shares.size());
  if (options_.durable) {
    record::StageFormation formation =
        MakeFormation(job->graph.stages(stage), state.shares);
    state.fingerprint = formation.fingerprint();
    kept_.emplace_back(StageFormed{job->id, std::move(formation)});
  }
  for (uint32_t t = 0; t < state.tasks.size(); ++t) {
    state.tasks[t].attempt = state.tasks[t].last_attempt = job->first_attempt;
    state.tasks[t].preferred = state.shares[t].preferred;
    state.queue.Push(state.tasks, t);
  }
}

void SchedulerCore::Impl::Launch(JobState* job, uint32_t stage,
                                 const Placement& placement) {
  StageState& state = job->stages[stage];
  TaskState& task = state.tasks[placement.task];
  task.state = TaskState::kRunning;
  task.executor = placement.executor;
  task.started = now_;
  --state.pending;
  if (state.late_after != kNever) NoteDeadline(After(now_, state.late_after));
  SendTask(job, stage, placement.task, task.attempt, placement.executor);
  job->UpdateLaunchable(stage);
  UpdateReady(job);
}

void SchedulerCore::Impl::SendTask(JobState* job, uint32_t stage, uint32_t index,
                                   uint32_t attempt, ExecutorIndex to) {
  ++job->stages[stage].running;
  ++job->running;
  ++running_;
  if (!job->launched_any) job->first_launch = now_;
  job->launched_any = true;
  job->last_progress = now_;
  executors_.TakeSlot(to);
  fair_.TaskLaunched(&job->fair);
  Executor& executor = *executors_.Get(to);
  auto [at, first] = executor.launched.try_emplace(job->number);
  at->second.emplace_back(stage, index);
  if (first) job->executors.push_back(to);

  LaunchTasks& launch = launches_[to];
  if (launch.tasks.empty()) {
    launch.executor_id = executor.metadata.id();
    launch.incarnation = executor.metadata.incarnation();
  }
  const auto& definition = job->Definition(stage);
  if (std::find(launch.stages.begin(), launch.stages.end(), definition) ==
      launch.stages.end()) {
    launch.stages.push_back(definition);
  }
  Define(job, stage, index, attempt, &launch.tasks);
}

// The addresses of the executors that keep what the stage reads, by
// AvailableOutput::holder; shared by all its tasks.
const std::shared_ptr<std::vector<job::ExecutorAddress>>& SchedulerCore::Impl::Holders(
    JobState* job, uint32_t stage) {
  StageState& state = job->stages[stage];
  if (state.addresses == nullptr) {
    state.addresses = std::make_shared<std::vector<job::ExecutorAddress>>();
    for (ExecutorIndex holder : state.holders) {
      job::ExecutorAddress& address = state.addresses->emplace_back();
      if (holder == kNoExecutor) continue;
      const auto& metadata = executors_.Get(holder)->metadata;
      address.set_executor_id(metadata.id());
      address.set_host(metadata.host());
      address.set_port(metadata.port());
    }
  }
  return state.addresses;
}

void SchedulerCore::Impl::Define(JobState* job, uint32_t stage, uint32_t index,
                                 uint32_t attempt, TaskDefinitions* definitions) {
  job::TaskDefinition* definition = definitions->Add();
  const TaskShare& share = job->stages[stage].shares[index];
  *definition->mutable_id() = MakeTaskId(*job, stage, index, attempt);
  for (const job::ScanSplits& scan : share.scans) *definition->add_scans() = scan;
  const std::vector<InputOutputs>& inputs = job->Inputs(stage);
  if (options_.durable) definition->set_inputs_digest(job->stages[stage].inputs_digest);
  constexpr uint32_t kUnlisted = 0xffffffffu;
  const auto& holders = Holders(job, stage);
  if (!holders->empty()) definitions->Keep(holders);
  positions_.assign(holders->size(), kUnlisted);
  auto position_of = [&](const AvailableOutput& output) {
    uint32_t& position = positions_[output.holder];
    if (position == kUnlisted) {
      position = definition->executors_size();
      definition->mutable_executors()->UnsafeArenaAddAllocated(
          &(*holders)[output.holder]);
    }
    return position;
  };
  const bool single = job->graph.stages(stage).parallelism() == job::SINGLE_TASK;
  for (size_t i = 0; i < inputs.size(); ++i) {
    FillTaskInput(inputs[i], i, share, single, position_of, definition->add_inputs());
  }
}

}  // namespace ballista::scheduler
