// Executors of the simulation: their lives and their tasks.
#include <fmt/format.h>

#include "ballista/sim/simulation_internal.h"

namespace ballista::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {
constexpr Time kHeartbeatInterval = seconds(5);
// A producer that does not answer is asked again every second, so often.
constexpr uint32_t kMaxWaits = 10;
}  // namespace

void Simulation::Boot(SimulatedExecutor* executor) {
  executor->Clear();
  ++executor->starts;
  executor->alive = true;
  executor->leaving = false;
  executor->deaf_until = executor->mute_until = executor->paused_until = Time{};
  executor->sick_until = executor->slow_until = Time{};
  Register(executor);
  Heartbeat(executor->id, executor->starts);
}

void Simulation::BootLater(const std::string& id, Time delay) {
  clock_.After(delay, [this, id] {
    SimulatedExecutor& executor = executors_.at(id);
    if (!executor.alive) Boot(&executor);
  });
}

bool Simulation::Awake(const SimulatedExecutor& executor, std::function<void()> action) {
  if (!executor.Paused(clock_.now())) return true;
  clock_.After(executor.paused_until - clock_.now() +
                   random_.Delay(std::chrono::microseconds(10), milliseconds(5)),
               std::move(action));
  return false;
}

void Simulation::Register(SimulatedExecutor* executor) {
  scheduler::ExecutorRegistered event{executor->Metadata(),
                                      {},
                                      executor->HeldJobs(),
                                      executor->Held(),
                                      ++executor->registrations};
  std::erase_if(event.held_jobs,
                [this](const std::string& job) { return orphans_.contains(job); });
  for (const auto& [key, task] : executor->running) {
    if (!IsOrphan(task.definition.id())) event.running.push_back(task.definition.id());
  }
  Report(*executor, std::move(event));
}

void Simulation::Heartbeat(const std::string& id, uint32_t starts) {
  clock_.After(kHeartbeatInterval, [this, id, starts] {
    SimulatedExecutor& executor = executors_.at(id);
    if (!executor.alive || executor.starts != starts) return;
    if (executor.Speaks(clock_.now()) && !down_) {
      Deliver(scheduler::ExecutorHeartbeat{id, executor.incarnation()});
      const bool known = core_->HasExecutor(id, executor.incarnation());
      if (executor.Hears(clock_.now()) && !known) Register(&executor);
    }
    Heartbeat(id, starts);
  });
}

Time Simulation::Duration(const SimulatedExecutor& executor) {
  if (clock_.now() < executor.sick_until) {
    return random_.Delay(milliseconds(1), milliseconds(50));
  }
  Time duration = random_.Delay(milliseconds(1), seconds(8));
  if (healing_) return duration;
  if (random_.Chance(options_.faults.task_straggles)) {
    duration *= random_.Between(5, 50);
  }
  return clock_.now() < executor.slow_until ? duration * 20 : duration;
}

void Simulation::BeginTasks(SimulatedExecutor* executor) {
  while (const TaskKey* key = executor->BeginNext()) {
    EndTaskAfter(Duration(*executor), *executor, *key);
  }
}

void Simulation::EndTaskAfter(Time delay, const SimulatedExecutor& executor,
                              const TaskKey& key) {
  clock_.After(delay, [this, id = executor.id, starts = executor.starts, key] {
    EndTask(id, starts, key);
  });
}

std::optional<arrow::Status> Simulation::InjectedFailure(
    const SimulatedExecutor& executor, const RunningTask& task) {
  const job::TaskId& id = task.definition.id();
  SimulatedJob& job = jobs_.at(id.job_id());
  if (job.user_error_stage == id.stage_id()) {
    job.user_error_thrown = true;
    return UserErrorStatus(UserError::RUNTIME, "division by zero");
  }
  const char* what = nullptr;
  if (job.failing_stage == id.stage_id() && id.task_index() == 0) {
    what = "the file is broken";
  } else if (healing_) {
    return std::nullopt;
  } else if (clock_.now() < executor.sick_until) {
    what = "the disk is full";
  } else if (random_.Chance(options_.faults.task_fails)) {
    what = "the disk is broken";
  }
  if (what == nullptr) return std::nullopt;
  ++job.failures[{id.stage_id(), id.task_index()}];
  if (random_.Chance(0.5)) return arrow::Status::IOError(what);
  return ResourcesExhaustedStatus("out of memory", ResourcesExhausted::MEMORY, 1 << 30);
}

const std::vector<std::vector<Row>>* Simulation::Fetch(const SimulatedExecutor& reader,
                                                       const std::string& from,
                                                       const TaskKey& output,
                                                       bool* silent) {
  const SimulatedExecutor& producer = executors_.at(from);
  if (from != reader.id) {
    *silent = producer.alive && producer.Paused(clock_.now());
    const auto cut = cut_links_.find({reader.id, from});
    const bool linked = cut == cut_links_.end() || cut->second <= clock_.now();
    const bool broken = !healing_ && random_.Chance(options_.faults.fetch_fails);
    if (*silent || !producer.alive || !linked || broken) return nullptr;
  }
  const auto kept = producer.kept.find(std::get<0>(output));
  if (kept == producer.kept.end()) return nullptr;
  const auto rows = kept->second.find(output);
  return rows == kept->second.end() ? nullptr : &rows->second;
}

void Simulation::EndTask(const std::string& executor_id, uint32_t starts,
                         const TaskKey& key) {
  SimulatedExecutor& executor = executors_.at(executor_id);
  if (!executor.alive || executor.starts != starts) return;
  if (!Awake(executor,
             [this, executor_id, starts, key] { EndTask(executor_id, starts, key); })) {
    return;
  }
  auto at = executor.running.find(key);
  if (at == executor.running.end()) return BeginTasks(&executor);
  const job::TaskId& id = at->second.definition.id();
  SimulatedJob& job = jobs_.at(id.job_id());
  if (job.killing_stage == id.stage_id() && id.task_index() == 0) {
    ++report_.faults["killed by a task"];
    ++losses_;
    return Crash(&executor, random_.Chance(0.5), random_.Delay(seconds(1), seconds(20)));
  }
  bool silent = false;
  arrow::Result<TaskRows> rows = arrow::Status::UnknownError("not run");
  if (auto status = InjectedFailure(executor, at->second)) {
    rows = *status;
  } else {
    rows = RunTask(job.graph, at->second,
                   [&](const std::string& from, const TaskKey& output) {
                     return Fetch(executor, from, output, &silent);
                   });
    if (silent && ++at->second.waits <= kMaxWaits) {
      return EndTaskAfter(seconds(1), executor, key);
    }
    if (!rows.ok()) {
      if (rows.status().IsInvalid()) Violation(rows.status().message());
      ++job.fetch_failures;
      ++report_.fetches_failed;
    }
  }
  const RunningTask task = std::move(at->second);
  executor.running.erase(at);
  if (rows.ok()) {
    FinishTask(&executor, task, *std::move(rows));
  } else {
    executor.ended.insert(key);
    Report(executor, scheduler::TaskFailed{task.definition.id(), executor_id,
                                           executor.incarnation(), rows.status()});
  }
  BeginTasks(&executor);
}

void Simulation::FinishTask(SimulatedExecutor* executor, const RunningTask& task,
                            TaskRows rows) {
  const job::TaskId& id = task.definition.id();
  scheduler::TaskFinished event{id, executor->id, executor->incarnation(),
                                {}, {},           nullptr};
  event.output = rows.statistics;
  const bool is_result = task.stage->output().is_result();
  if (is_result && rows.partitions.size() == 1 &&
      random_.Chance(options_.inline_result)) {
    const auto& partition = rows.partitions[0];
    event.inline_result = std::make_shared<std::string>(
        reinterpret_cast<const char*>(partition.data()), partition.size() * sizeof(Row));
  }
  const TaskKey key = KeyOf(id);
  executor->kept[id.job_id()][key] = std::move(rows.partitions);
  if (task.stage->fingerprint() != 0) {
    control::HeldOutput& held = executor->held[key] = Describe(task);
    held.set_finished(true);
    *held.mutable_output() = event.output;
  }
  Report(*executor, std::move(event));
}

}  // namespace ballista::sim
