#include "ballista/executor/task_runner.h"

#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/writer.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "ballista/base/ids.h"
#include "ballista/base/log.h"
#include "ballista/base/status.h"
#include "ballista/executor/task_spans.h"
#include "ballista/plan/plan.h"
#include "ballista/shuffle/output_reader.h"

namespace ballista::executor {

struct TaskRunner::Task {
  std::shared_ptr<const job::StageDefinition> stage;
  job::TaskDefinition definition;
  // What stops it; set once it runs.
  std::shared_ptr<engine::ExecutionEngine::Interrupt> interrupt;
  std::vector<std::shared_ptr<shuffle::TaskInputSource>> sources;
  bool cancelled = false;
  bool handed_back = false;  // cancelled, and to be reported

  control::HeldOutput Describe() const {
    control::HeldOutput held;
    *held.mutable_id() = definition.id();
    held.set_fingerprint(stage->fingerprint());
    held.set_inputs_digest(definition.inputs_digest());
    return held;
  }

  // Unique among all attempts of all jobs; for the names of files.
  std::string Name() const {
    const auto& id = definition.id();
    return fmt::format("{}-{}-{}-{}", id.job_id(), id.stage_id(), id.task_index(),
                       id.attempt());
  }
  // For people, as the scheduler's log has it.
  std::string Label() const {
    const auto& id = definition.id();
    return fmt::format("{}/{}/{} attempt {}", id.job_id(), id.stage_id(), id.task_index(),
                       id.attempt());
  }
};

namespace {

bool RanOutOfMemory(const arrow::Status& status) {
  const auto* detail = GetErrorDetail(status);
  return status.IsOutOfMemory() ||
         (detail != nullptr && detail->has_resources_exhausted() &&
          detail->resources_exhausted().resource() == ResourcesExhausted::MEMORY);
}

}  // namespace

TaskRunner::TaskRunner(TaskRunnerOptions options, engine::ExecutionEngine* engine,
                       shuffle::ShuffleStore* store, MemoryArbiter* memory,
                       SourceFactory sources, StatusCallback report)
    : options_(std::move(options)),
      engine_(engine),
      store_(store),
      memory_(memory),
      sources_(std::move(sources)),
      report_(std::move(report)),
      admission_([memory] { return memory == nullptr || memory->HasRoom(); }) {
  for (int i = 0; i < options_.slots; ++i) threads_.emplace_back([this] { RunSlot(); });
}

TaskRunner::~TaskRunner() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (auto& [key, task] : tasks_) CancelLocked(task.get());
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

TaskRunner::Key TaskRunner::KeyOf(const job::TaskId& id) {
  return {id.job_id(), id.stage_id(), id.task_index(), id.attempt()};
}

arrow::Status TaskRunner::Launch(const control::LaunchTasksRequest& request) {
  std::map<std::pair<std::string, uint32_t>, std::shared_ptr<const job::StageDefinition>>
      stages;
  for (const auto& stage : request.stages()) {
    ARROW_RETURN_NOT_OK(plan::ValidateFragment(stage.fragment(), stage.inputs_size()));
    stages[{stage.job_id(), stage.stage_id()}] =
        std::make_shared<const job::StageDefinition>(stage);
  }
  const std::lock_guard lock(mutex_);
  for (const auto& definition : request.tasks()) {
    const auto& id = definition.id();
    // Names of files and folders are made of it.
    if (!IsPlainName(id.job_id())) {
      return arrow::Status::Invalid("a task's job id must be a plain name");
    }
    const auto stage = stages.find({id.job_id(), id.stage_id()});
    if (stage == stages.end()) {
      return arrow::Status::Invalid("task of stage ", id.stage_id(), " of job ",
                                    id.job_id(), " was launched without its stage");
    }
    auto& slot = tasks_[KeyOf(id)];
    if (slot != nullptr) continue;  // a repeated message
    slot = std::make_shared<Task>();
    slot->stage = stage->second;
    slot->definition = definition;
    queue_.push_back(slot);
  }
  wake_.notify_all();
  return arrow::Status::OK();
}

void TaskRunner::CancelLocked(Task* task) {
  task->cancelled = true;
  for (const auto& source : task->sources) source->Cancel();
  if (task->interrupt != nullptr) task->interrupt->Cancel();
}

void TaskRunner::Cancel(const std::vector<job::TaskId>& tasks) {
  std::vector<job::TaskId> ended;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& id : tasks) {
      const auto found = tasks_.find(KeyOf(id));
      if (found != tasks_.end()) {
        CancelLocked(found->second.get());
      } else {
        held_.erase(KeyOf(id));
        ended.push_back(id);
      }
    }
  }
  for (const auto& id : ended) store_->RemoveOutput(id);
}

size_t TaskRunner::HandBack() {
  const std::lock_guard lock(mutex_);
  size_t count = 0;
  for (auto& [key, task] : tasks_) {
    if (task->cancelled) continue;
    task->handed_back = true;
    CancelLocked(task.get());
    ++count;
  }
  return count;
}

void TaskRunner::RemoveJob(const std::string& job_id) {
  {
    const std::lock_guard lock(mutex_);
    for (auto it = tasks_.lower_bound(Key{job_id, 0, 0, 0});
         it != tasks_.end() && std::get<0>(it->first) == job_id; ++it) {
      CancelLocked(it->second.get());
    }
  }
  // Not after the tasks' ends: what they still write is refused.
  store_->RemoveJob(job_id);
  const auto left = store_->Usage();
  LOG_DEBUG("executor",
            "job {} is removed; {} outputs are left, {} bytes in memory and {} "
            "on disk",
            job_id, left.outputs, left.memory_bytes, left.disk_bytes);
  const std::lock_guard lock(mutex_);
  std::erase_if(held_, [&](const auto& one) { return std::get<0>(one.first) == job_id; });
}

std::vector<job::TaskId> TaskRunner::Running() const {
  std::vector<job::TaskId> running;
  const std::lock_guard lock(mutex_);
  for (const auto& [key, task] : tasks_) running.push_back(task->definition.id());
  return running;
}

std::vector<control::HeldOutput> TaskRunner::Held() const {
  std::vector<control::HeldOutput> all;
  const std::lock_guard lock(mutex_);
  for (const auto& [key, output] : held_) all.push_back(output);
  for (const auto& [key, task] : tasks_) {
    if (task->cancelled || task->stage->fingerprint() == 0) continue;
    if (!held_.contains(key)) all.push_back(task->Describe());
  }
  return all;
}

void TaskRunner::RunSlot() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const auto task = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    RunTask(task.get());
    lock.lock();
    tasks_.erase(KeyOf(task->definition.id()));
  }
}

bool TaskRunner::Cancelled(const Task& task) const {
  const std::lock_guard lock(mutex_);
  return task.cancelled;
}

bool TaskRunner::Arm(Task* task) {
  const std::lock_guard lock(mutex_);
  if (task->cancelled) return false;
  task->interrupt = engine_->MakeInterrupt();
  return true;
}

arrow::Result<control::TaskFinished> TaskRunner::ExecuteWithinMemory(Task* task) {
  const auto cancelled = [this, task] { return Cancelled(*task); };
  const auto gone = CancelledStatus("cancelled", ballista::Cancelled::UNKNOWN);
  auto permit = admission_.Enter(cancelled);
  if (!permit || !Arm(task)) return gone;
  if (memory_ != nullptr) memory_->TasksRunning(admission_.running());
  LOG_DEBUG("executor", "task {} starts", task->Label());
  auto finished = Execute(task);
  const auto leave = [&] {
    permit = {};
    if (memory_ != nullptr) memory_->TasksRunning(admission_.running());
  };
  if (finished.ok() || memory_ == nullptr || !RanOutOfMemory(finished.status())) {
    leave();
    return finished;
  }
  const bool was_alone = permit.began_alone();
  leave();
  permit = admission_.EnterAlone(cancelled);
  if (!permit || !Arm(task)) return gone;
  memory_->TasksRunning(1);
  const int64_t before = memory_->LastUse().engine_limit;
  memory_->MakeRoom();
  const int64_t after = memory_->LastUse().engine_limit;
  if (!was_alone || after > before + before / 8) {
    LOG_INFO("executor", "task {} runs once more, alone, after: {}", task->Label(),
             finished.status().message());
    finished = Execute(task);
  }
  leave();
  return finished;
}

void TaskRunner::Count(const job::TaskMetrics& done) {
  counters_.finished.Add();
  counters_.task.ObserveMicros(done.elapsed_us());
  counters_.rows_written.Add(done.output_rows());
  counters_.bytes_written.Add(done.output_bytes());
  counters_.bytes_fetched.Add(done.fetched_bytes());
  counters_.bytes_local.Add(done.local_bytes());
  counters_.bytes_spilled.Add(done.spilled_bytes());
}

void TaskRunner::Trace(const Task& task, int64_t begin_nanos,
                       const arrow::Result<control::TaskFinished>& finished) const {
  const auto trace = trace::FindJobTrace(task.stage->settings());
  if (!trace) return;
  options_.exporter->Add(TaskSpan(*trace, task.definition.id(), begin_nanos,
                                  finished.status(),
                                  finished.ok() ? &finished->metrics() : nullptr));
}

void TaskRunner::RunTask(Task* task) {
  arrow::Result<control::TaskFinished> finished =
      CancelledStatus("the executor is stopping", Cancelled::SHUTDOWN);
  bool begun = false;
  {
    const std::lock_guard lock(mutex_);
    if (task->cancelled && !task->handed_back) return;
    begun = !task->cancelled;
  }
  const int64_t begin_nanos = trace::UnixNanos();
  if (begun) finished = ExecuteWithinMemory(task);
  if (begun && options_.exporter != nullptr) Trace(*task, begin_nanos, finished);
  {
    std::unique_lock lock(mutex_);
    if (task->cancelled && !task->handed_back) {
      lock.unlock();
      counters_.cancelled.Add();
      if (finished.ok()) store_->RemoveOutput(task->definition.id());
      return;
    }
    // One that finished in spite of it counts.
    if (task->handed_back && !finished.ok()) {
      finished = CancelledStatus("the executor is stopping", Cancelled::SHUTDOWN);
    }
    if (finished.ok() && task->stage->fingerprint() != 0) {
      control::HeldOutput& held = held_[KeyOf(task->definition.id())] = task->Describe();
      held.set_finished(true);
      *held.mutable_output() = finished->output();
    }
  }
  control::TaskStatus status;
  *status.mutable_id() = task->definition.id();
  status.set_executor_id(options_.executor_id);
  if (finished.ok()) {
    Count(finished->metrics());
    *status.mutable_finished() = std::move(*finished);
  } else {
    counters_.failed.Add();
    LOG_INFO("executor", "task {} failed: {}", task->Label(),
             finished.status().message());
    auto* failed = status.mutable_failed();
    failed->set_status_code(static_cast<uint32_t>(finished.status().code()));
    failed->set_message(finished.status().message());
    if (const auto* detail = GetErrorDetail(finished.status())) {
      *failed->mutable_detail() = *detail;
    }
  }
  report_(std::move(status));
}

namespace {

// The whole of a committed output as one IPC stream.
arrow::Result<std::string> SerializeOutput(shuffle::OutputReader* reader) {
  ARROW_ASSIGN_OR_RAISE(auto stream, arrow::io::BufferOutputStream::Create());
  ARROW_ASSIGN_OR_RAISE(auto writer,
                        arrow::ipc::MakeStreamWriter(stream, reader->schema()));
  while (true) {
    ARROW_ASSIGN_OR_RAISE(auto batch, reader->Next());
    if (batch == nullptr) break;
    ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(*batch));
  }
  ARROW_RETURN_NOT_OK(writer->Close());
  ARROW_ASSIGN_OR_RAISE(auto buffer, stream->Finish());
  return buffer->ToString();
}

// A setting of the stage that is for the executor; 0 where it is not there.
int64_t NumberSetting(const job::StageDefinition& stage, const std::string& name) {
  int64_t value = 0;
  for (const auto& setting : stage.settings()) {
    if (setting.name() != name) continue;
    const auto& text = setting.value();
    std::from_chars(text.data(), text.data() + text.size(), value);
  }
  return std::max<int64_t>(value, 0);
}

// Settings are DuckDB's, but for those of Ballista itself, which say how a task is run.
void ApplySettings(const job::StageDefinition& stage, engine::FragmentTask* task) {
  for (const auto& setting : stage.settings()) {
    if (!setting.name().starts_with("ballista.")) {
      task->settings.push_back(setting);
    } else if (setting.name() == "ballista.collect_metrics") {
      task->collect_metrics = setting.value() == "true";
    } else if (setting.name() == "ballista.batch_rows") {
      task->batch_rows = static_cast<uint32_t>(NumberSetting(stage, setting.name()));
    }
  }
}

}  // namespace

arrow::Result<control::TaskFinished> TaskRunner::Execute(Task* task) {
  const auto& stage = *task->stage;
  const auto& definition = task->definition;
  if (definition.inputs_size() != stage.inputs_size()) {
    return InternalStatus("task " + task->Name() + " has " +
                          std::to_string(definition.inputs_size()) + " inputs where " +
                          std::to_string(stage.inputs_size()) + " are due");
  }
  ARROW_ASSIGN_OR_RAISE(
      auto output, store_->CreateOutput(definition.id(), stage.output(),
                                        NumberSetting(stage, "ballista.job_disk_quota")));
  ARROW_ASSIGN_OR_RAISE(auto sources, sources_(stage, definition));
  engine::FragmentTask fragment;
  fragment.fragment = &stage.fragment();
  ApplySettings(stage, &fragment);
  for (const auto& source : sources) fragment.inputs.push_back(source.get());
  fragment.scans.assign(definition.scans().begin(), definition.scans().end());
  fragment.output = stage.output();
  fragment.names.assign(stage.names().begin(), stage.names().end());
  fragment.task_name = task->Name();
  fragment.sink = output.get();
  std::shared_ptr<engine::ExecutionEngine::Interrupt> interrupt;
  {
    const std::lock_guard lock(mutex_);
    if (task->cancelled) return CancelledStatus("cancelled", Cancelled::UNKNOWN);
    task->sources = sources;
    interrupt = task->interrupt;
  }
  auto metrics = engine_->Run(fragment, interrupt);
  {
    const std::lock_guard lock(mutex_);
    task->sources.clear();
  }
  ARROW_RETURN_NOT_OK(metrics.status());
  control::TaskFinished finished;
  *finished.mutable_metrics() = std::move(*metrics);
  ARROW_ASSIGN_OR_RAISE(*finished.mutable_output(), output->Commit());
  auto* counted = finished.mutable_metrics();
  counted->set_output_rows(finished.output().rows());
  counted->set_output_bytes(finished.output().bytes());
  // Of the engine, as far as it was asked to count, and of the output.
  counted->set_spilled_bytes(counted->spilled_bytes() +
                             static_cast<uint64_t>(output->spilled_bytes()));
  uint64_t fetched = 0;
  uint64_t local = 0;
  for (const auto& source : sources) {
    fetched += static_cast<uint64_t>(source->fetched_bytes());
    local += static_cast<uint64_t>(source->local_bytes());
  }
  counted->set_fetched_bytes(fetched);
  counted->set_local_bytes(local);
  counted->set_input_bytes(fetched + local);
  if (stage.output().is_result() &&
      finished.output().bytes() <= options_.inline_result_limit) {
    control::OutputRange range;
    range.set_stage_id(definition.id().stage_id());
    range.set_task_index(definition.id().task_index());
    range.set_attempt(definition.id().attempt());
    range.set_last_partition(1);
    ARROW_ASSIGN_OR_RAISE(auto reader, store_->Read(definition.id().job_id(), {range}));
    ARROW_ASSIGN_OR_RAISE(*finished.mutable_inline_result(),
                          SerializeOutput(reader.get()));
    finished.set_has_inline_result(true);
  }
  return finished;
}

}  // namespace ballista::executor
