// The scheduler's shell as the simulation plays it, and the network between it and the
// executors.
#include <fmt/format.h>

#include <variant>

#include "ballista/sim/simulation_internal.h"

namespace ballista::sim {

using scheduler::Event;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {
constexpr Time kLaunchTimeout = seconds(2);
constexpr Time kResendInterval = seconds(1);
}  // namespace

Time Simulation::NetworkDelay() {
  const bool slow = !healing_ && random_.Chance(options_.message_slow);
  return random_.Delay(std::chrono::microseconds(50),
                       slow ? Time(seconds(3)) : Time(milliseconds(5)));
}

void Simulation::Deliver(Event event) {
  if (down_) return;
  report_.trace = Mix(report_.trace, event.index() + 1);
  const size_t slots_before = core_->NumRunningTasks();
  for (scheduler::Effect& effect : core_->Handle(std::move(event), clock_.now())) {
    report_.trace = Mix(report_.trace, effect.index() + 100);
    std::visit([this](auto& e) { On(std::move(e)); }, effect);
  }
  if (core_->NumRunningTasks() >
      slots_before + size_t{options_.executors} * options_.max_slots) {
    Violation("more tasks are running than there are slots");
  }
  CheckAdmission();
  ArmTimer();
}

// No more jobs have tasks at executors than may run, but for those that had begun under
// another scheduler.
void Simulation::CheckAdmission() {
  if (options_.max_running_jobs == 0) return;
  size_t running = 0;
  for (const auto& [id, job] : jobs_) {
    if (job.over || job.finished || job.resumed) continue;
    running += core_->Progress(id, clock_.now()).state() ==
               control::JobProgressResponse::RUNNING;
  }
  if (running > options_.max_running_jobs) {
    Violation(
        fmt::format("{} jobs run where {} may", running, options_.max_running_jobs));
  }
}

void Simulation::ArmTimer() {
  const Time deadline = core_->NextDeadline();
  if (deadline >= timer_) return;
  timer_ = deadline;
  clock_.After(std::max(deadline - clock_.now(), Time{0}),
               [this, deadline, starts = scheduler_starts_] {
                 if (timer_ != deadline || starts != scheduler_starts_) return;
                 timer_ = scheduler::kNever;
                 Deliver(scheduler::Tick{});
               });
}

void Simulation::On(scheduler::LaunchTasks effect) {
  std::map<uint64_t, std::shared_ptr<const job::StageDefinition>> stages;
  std::vector<RunningTask> tasks;
  scheduler::LaunchFailed failed{effect.executor_id, effect.incarnation, {}, "timeout"};
  for (job::TaskDefinition* launched : effect.tasks.pointers()) {
    job::TaskDefinition definition = *launched;
    report_.trace =
        Mix(report_.trace, Mix(definition.id().task_index(), definition.id().attempt()));
    ++report_.tasks_launched;
    if (definition.id().attempt() > 0) ++report_.tasks_repeated;
    std::shared_ptr<const job::StageDefinition> stage;
    for (const auto& candidate : effect.stages) {
      if (candidate->job_id() == definition.id().job_id() &&
          candidate->stage_id() == definition.id().stage_id()) {
        stage = candidate;
      }
    }
    if (stage == nullptr) return Violation("a task was launched without its stage");
    failed.tasks.push_back(definition.id());
    tasks.push_back({std::move(definition), std::move(stage)});
  }
  const bool lost = !healing_ && random_.Chance(options_.launch_lost);
  // Half of those that fail have arrived: only the answer was lost.
  const bool arrives = !lost || random_.Chance(0.5);
  const bool repeated = !healing_ && random_.Chance(options_.message_repeated);
  const std::string executor = effect.executor_id;
  const std::string incarnation = effect.incarnation;
  Time arrival = clock_.now() + NetworkDelay();
  Time& last = ordered_until_[executor];
  last = arrival = std::max(arrival, last);
  auto send = [this, executor, incarnation, tasks = std::move(tasks), failed, lost,
               arrives, starts = scheduler_starts_](bool first) {
    const SimulatedExecutor& to = executors_.at(executor);
    const bool through =
        to.Reachable(clock_.now()) && to.incarnation() == incarnation && arrives;
    if (through) DeliverLaunch(executor, incarnation, tasks);
    if (!first || (through && !lost)) return;
    for (const job::TaskId& id : failed.tasks) {
      if (auto job = jobs_.find(id.job_id()); job != jobs_.end()) {
        ++job->second.failures[{id.stage_id(), id.task_index()}];
      }
    }
    clock_.After(kLaunchTimeout, [this, failed, starts] {
      if (starts == scheduler_starts_) Deliver(failed);
    });
  };
  clock_.After(arrival - clock_.now(), [send] { send(true); });
  if (repeated) {
    clock_.After(arrival - clock_.now() + NetworkDelay(), [send] { send(false); });
  }
}

void Simulation::DeliverLaunch(const std::string& executor, const std::string&,
                               const std::vector<RunningTask>& tasks) {
  SimulatedExecutor& to = executors_.at(executor);
  for (const RunningTask& task : tasks) {
    const TaskKey key = KeyOf(task.definition.id());
    auto kept = to.kept.find(std::get<0>(key));
    const bool done = kept != to.kept.end() && kept->second.contains(key);
    if (done || to.ended.contains(key)) continue;
    if (to.running.emplace(key, task).second) RunLater(&to, key);
  }
}

void Simulation::On(scheduler::CancelTasks effect) {
  // Not ordered with launches: it may come before the task, which then runs for nothing.
  clock_.After(NetworkDelay(), [this, effect = std::move(effect)] {
    SimulatedExecutor& to = executors_.at(effect.executor_id);
    if (!to.Reachable(clock_.now())) return;
    for (const job::TaskId& id : effect.tasks) {
      if (to.running.erase(KeyOf(id)) > 0) to.ended.insert(KeyOf(id));
    }
  });
}

void Simulation::On(scheduler::RemoveJobs effect) {
  Time& last = ordered_until_[effect.executor_id];
  last = std::max(clock_.now() + NetworkDelay(), last);
  clock_.After(last - clock_.now(), [this, effect = std::move(effect)] {
    DeliverRemoval(effect.executor_id, effect.job_ids);
  });
}

void Simulation::DeliverRemoval(const std::string& executor,
                                const std::vector<std::string>& jobs) {
  SimulatedExecutor& to = executors_.at(executor);
  // Once the executor is lost the shell stops trying; it says what it holds when it
  // registers again.
  if (down_ || !core_->HasExecutor(executor, "")) return;
  if (!to.Reachable(clock_.now())) {
    clock_.After(kResendInterval,
                 [this, executor, jobs] { DeliverRemoval(executor, jobs); });
    return;
  }
  for (const std::string& job : jobs) to.RemoveJob(job);
}

void Simulation::Report(const SimulatedExecutor& from, Event event) {
  const bool repeated = !healing_ && random_.Chance(options_.message_repeated);
  const bool registers = std::holds_alternative<scheduler::ExecutorRegistered>(event);
  const bool of_task = std::holds_alternative<scheduler::TaskFinished>(event) ||
                       std::holds_alternative<scheduler::TaskFailed>(event);
  for (int copy = 0; copy < (repeated ? 2 : 1); ++copy) {
    clock_.After(NetworkDelay(), [this, id = from.id, starts = from.starts, event,
                                  registers, of_task, to = scheduler_starts_] {
      SimulatedExecutor& sender = executors_.at(id);
      if (sender.starts != starts || !sender.alive) return;
      // Statuses are kept until a scheduler that knows the executor has them.
      const bool taken = sender.Reachable(clock_.now()) && !down_ &&
                         to == scheduler_starts_ &&
                         (!of_task || core_->HasExecutor(id, sender.incarnation()));
      if (taken) return Deliver(event);
      clock_.After(kResendInterval, [this, id, event, starts, registers] {
        SimulatedExecutor& again = executors_.at(id);
        if (again.starts != starts || !again.alive) return;
        // A registration says what is so by then.
        if (registers) return Register(&again);
        Report(again, event);
      });
    });
  }
}

}  // namespace ballista::sim
