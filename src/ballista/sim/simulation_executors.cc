// Executors of the simulation: their lives, their tasks, and what goes wrong with them.
#include <fmt/format.h>

#include "ballista/sim/simulation_internal.h"

namespace ballista::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {
constexpr Time kHeartbeatInterval = seconds(5);
}  // namespace

void Simulation::Boot(SimulatedExecutor* executor) {
  executor->Clear();
  ++executor->starts;
  executor->alive = true;
  executor->cut_until = Time{};
  Register(executor);
  Heartbeat(executor->id, executor->starts);
}

void Simulation::Register(SimulatedExecutor* executor) {
  scheduler::ExecutorRegistered event{executor->Metadata(),
                                      {},
                                      executor->HeldJobs(),
                                      executor->Held(),
                                      ++executor->registrations};
  for (const auto& [key, task] : executor->running) {
    event.running.push_back(task.definition.id());
  }
  Report(*executor, std::move(event));
}

void Simulation::Heartbeat(const std::string& id, uint32_t starts) {
  clock_.After(kHeartbeatInterval, [this, id, starts] {
    SimulatedExecutor& executor = executors_.at(id);
    if (!executor.alive || executor.starts != starts) return;
    if (executor.Reachable(clock_.now()) && !down_) {
      Deliver(scheduler::ExecutorHeartbeat{id, executor.incarnation()});
      if (!core_->HasExecutor(id, executor.incarnation())) Register(&executor);
    }
    Heartbeat(id, starts);
  });
}

void Simulation::RunLater(SimulatedExecutor* executor, const TaskKey& key) {
  const Time duration = random_.Delay(milliseconds(1), seconds(8));
  clock_.After(duration, [this, id = executor->id, starts = executor->starts, key] {
    EndTask(id, starts, key);
  });
}

std::optional<arrow::Status> Simulation::InjectedFailure(const RunningTask& task) {
  const job::TaskId& id = task.definition.id();
  SimulatedJob& job = jobs_.at(id.job_id());
  if (job.user_error_stage == id.stage_id()) {
    job.user_error_thrown = true;
    return UserErrorStatus(UserError::RUNTIME, "division by zero");
  }
  if (healing_ || !random_.Chance(options_.task_fails)) return std::nullopt;
  ++job.failures[{id.stage_id(), id.task_index()}];
  if (random_.Chance(0.5)) return arrow::Status::IOError("the disk is broken");
  return ResourcesExhaustedStatus("out of memory", ResourcesExhausted::MEMORY, 1 << 30);
}

void Simulation::EndTask(const std::string& executor_id, uint32_t starts,
                         const TaskKey& key) {
  SimulatedExecutor& executor = executors_.at(executor_id);
  if (!executor.alive || executor.starts != starts) return;
  auto at = executor.running.find(key);
  if (at == executor.running.end()) return;
  const RunningTask task = std::move(at->second);
  executor.running.erase(at);
  const job::TaskId& id = task.definition.id();
  auto fail = [&](arrow::Status status) {
    executor.ended.insert(key);
    Report(executor, scheduler::TaskFailed{id, executor_id, executor.incarnation(),
                                           std::move(status)});
  };
  if (auto status = InjectedFailure(task)) return fail(*status);
  SimulatedJob& job = jobs_.at(id.job_id());
  if (clock_.now() < executor.sick_until && !healing_ && random_.Chance(0.8)) {
    ++job.failures[{id.stage_id(), id.task_index()}];
    return fail(arrow::Status::IOError("the disk is full"));
  }
  auto read = [&](const std::string& from,
                  const TaskKey& output) -> const std::vector<std::vector<Row>>* {
    const SimulatedExecutor& producer = executors_.at(from);
    const bool same = from == executor_id;
    if (!same &&
        (!producer.Reachable(clock_.now()) || !executor.Reachable(clock_.now()) ||
         (!healing_ && random_.Chance(options_.fetch_fails)))) {
      return nullptr;
    }
    auto kept = producer.kept.find(id.job_id());
    if (kept == producer.kept.end()) return nullptr;
    auto rows = kept->second.find(output);
    return rows == kept->second.end() ? nullptr : &rows->second;
  };
  arrow::Result<TaskRows> rows = RunTask(job.graph, task, read);
  if (!rows.ok()) {
    if (rows.status().IsInvalid()) Violation(rows.status().message());
    ++job.fetch_failures;
    return fail(rows.status());
  }
  scheduler::TaskFinished event{id, executor_id, executor.incarnation(), {}, {}, nullptr};
  event.output = rows->statistics;
  const bool is_result = task.stage->output().is_result();
  if (is_result && rows->partitions.size() == 1 &&
      random_.Chance(options_.inline_result)) {
    const auto& partition = rows->partitions[0];
    event.inline_result = std::make_shared<std::string>(
        reinterpret_cast<const char*>(partition.data()), partition.size() * sizeof(Row));
  }
  executor.kept[id.job_id()][key] = std::move(rows->partitions);
  if (task.stage->fingerprint() != 0) {
    control::HeldOutput& held = executor.held[key] = Describe(task);
    held.set_finished(true);
    *held.mutable_output() = event.output;
  }
  Report(executor, std::move(event));
}

SimulatedExecutor* Simulation::AnyAlive() {
  std::vector<SimulatedExecutor*> alive;
  for (auto& [id, executor] : executors_) {
    if (executor.alive && !executor.leaving) alive.push_back(&executor);
  }
  return alive.empty() ? nullptr : alive[random_.Below(alive.size())];
}

size_t Simulation::CountAlive() const {
  size_t alive = 0;
  for (const auto& [id, executor] : executors_) alive += executor.alive;
  return alive;
}

// The process dies; the shell may see the connection break, or only miss heartbeats.
void Simulation::Crash(SimulatedExecutor* executor, bool noticed) {
  ++report_.executors_lost;
  executor->alive = false;
  executor->Clear();
  if (noticed) {
    clock_.After(
        NetworkDelay(), [this, id = executor->id, incarnation = executor->incarnation()] {
          Deliver(scheduler::ExecutorLost{id, incarnation, "the connection broke"});
        });
  }
  clock_.After(random_.Delay(seconds(1), seconds(40)), [this, id = executor->id] {
    SimulatedExecutor& again = executors_.at(id);
    if (!again.alive) Boot(&again);
  });
}

void Simulation::NextFault() {
  if (options_.fault_interval == Time{} || healing_) return;
  clock_.After(random_.Delay(options_.fault_interval / 4, options_.fault_interval * 4),
               [this] {
                 if (healing_) return;
                 NextFault();
                 SimulatedExecutor* executor = AnyAlive();
                 if (executor == nullptr) return;
                 switch (options_.only_drains ? 5 : random_.Below(6)) {
                   case 0:
                   case 1:
                     return Crash(executor, random_.Chance(0.5));
                   case 2:
                   case 3:
                     ++report_.executors_lost;
                     executor->cut_until =
                         clock_.now() + random_.Delay(milliseconds(100), seconds(60));
                     return;
                   default:
                     return StartDraining(executor);
                 }
               });
}

void Simulation::StartDraining(SimulatedExecutor* executor) {
  executor->leaving = true;
  ++report_.executors_lost;
  Report(*executor, scheduler::ExecutorDraining{executor->id, executor->incarnation()});
  const Time limit =
      options_.only_drains ? Time{std::chrono::hours(1)} : Time{seconds(10)};
  Drain(executor->id, executor->starts, clock_.now() + limit);
}

void Simulation::Drain(const std::string& id, uint32_t starts, Time deadline) {
  SimulatedExecutor& executor = executors_.at(id);
  if (!executor.alive || executor.starts != starts) {
    executor.leaving = false;
    return;
  }
  const bool may_leave = executor.Reachable(clock_.now()) && executor.running.empty() &&
                         core_->MayLeave(id, executor.incarnation());
  if (may_leave || clock_.now() >= deadline) {
    report_.drained += may_leave;
    executor.leaving = false;
    Deliver(scheduler::ExecutorStopped{id, executor.incarnation()});
    return Crash(&executor, false);
  }
  if (clock_.now() >= deadline - seconds(2)) {
    const auto handed_back = std::exchange(executor.running, {});
    for (const auto& [key, task] : handed_back) {
      executor.ended.insert(key);
      Report(executor,
             scheduler::TaskFailed{task.definition.id(), id, executor.incarnation(),
                                   CancelledStatus("stopping", Cancelled::SHUTDOWN)});
    }
  }
  clock_.After(milliseconds(100),
               [this, id, starts, deadline] { Drain(id, starts, deadline); });
}

}  // namespace ballista::sim
