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

std::string Name(const job::TaskId& id) {
  return fmt::format("{}/{}/{}#{}", id.job_id(), id.stage_id(), id.task_index(),
                     id.attempt());
}

std::string Names(const auto& tasks) {
  std::string names;
  for (const auto& id : tasks) names += " " + Name(id);
  return names;
}

struct EventDescriber {
  std::string operator()(const scheduler::ExecutorRegistered& e) const {
    return fmt::format("registered {}, runs{}", e.executor.incarnation(),
                       Names(e.running));
  }
  std::string operator()(const scheduler::ExecutorHeartbeat& e) const {
    return "heartbeat " + e.incarnation;
  }
  std::string operator()(const scheduler::ExecutorLost& e) const {
    return "lost " + e.incarnation + ": " + e.reason;
  }
  std::string operator()(const scheduler::ExecutorDraining& e) const {
    return "draining " + e.incarnation;
  }
  std::string operator()(const scheduler::ExecutorStopped& e) const {
    return "stopped " + e.incarnation;
  }
  std::string operator()(const scheduler::JobSubmitted& e) const {
    return "submitted " + e.job_id;
  }
  std::string operator()(const scheduler::JobRecovered& e) const {
    return "recovered " + e.job.job_id;
  }
  std::string operator()(const scheduler::JobCancelled& e) const {
    return "cancelled " + e.job_id;
  }
  std::string operator()(const scheduler::JobReleased& e) const {
    return "released " + e.job_id;
  }
  std::string operator()(const scheduler::JobResultRead& e) const {
    if (!e.task) return "renewed " + e.job_id;
    return fmt::format("read {}, task {}{}", e.job_id, *e.task, e.begun ? " begun" : "");
  }
  std::string operator()(const scheduler::ResultGivenOut& e) const {
    return "given out " + e.job_id;
  }
  std::string operator()(const scheduler::ResultPartRead& e) const {
    return "read " + e.job_id + " part " + std::to_string(e.task) + " (" +
           std::to_string(static_cast<int>(e.progress)) + ")";
  }
  std::string operator()(const scheduler::ResultPartLost& e) const {
    return fmt::format("cannot read {}, task {}#{}", e.job_id, e.task, e.attempt);
  }
  std::string operator()(const scheduler::TaskFinished& e) const {
    return "finished " + Name(e.id) + " at " + e.incarnation;
  }
  std::string operator()(const scheduler::TaskFailed& e) const {
    return fmt::format("failed {} at {}: {}", Name(e.id), e.incarnation,
                       e.status.message());
  }
  std::string operator()(const scheduler::LaunchFailed& e) const {
    return "launch failed at " + e.incarnation + ":" + Names(e.tasks);
  }
  std::string operator()(const scheduler::Tick&) const { return "tick"; }
};

struct EffectDescriber {
  std::string operator()(const scheduler::StageFormed& e) const {
    return fmt::format("stage {} of {} formed", e.formation.stage_id(), e.job_id);
  }
  std::string operator()(const scheduler::GraphReplaced& e) const {
    return "graph of " + e.job_id + " replaced";
  }
  std::string operator()(const scheduler::LaunchTasks& e) const {
    std::string what = "launch at " + e.incarnation + ":";
    for (const auto* task : e.tasks.pointers()) what += " " + Name(task->id());
    return what;
  }
  std::string operator()(const scheduler::CancelTasks& e) const {
    return "cancel at " + e.executor_id + ":" + Names(e.tasks);
  }
  std::string operator()(const scheduler::JobFinished& e) const {
    return "done " + e.job_id;
  }
  std::string operator()(const scheduler::JobReopened& e) const {
    return "reopened " + e.job_id + ": " + e.reason;
  }
  std::string operator()(const scheduler::JobFailed& e) const {
    return "job failed " + e.job_id + ": " + e.status.message();
  }
  std::string operator()(const scheduler::JobEnded& e) const {
    return "ended " + e.profile.job().job_id();
  }
  std::string operator()(const scheduler::RemoveJobs& e) const {
    return fmt::format("remove at {}: {}", e.executor_id, fmt::join(e.job_ids, " "));
  }
};

}  // namespace

Time Simulation::NetworkDelay() {
  const bool slow = !healing_ && random_.Chance(options_.faults.message_slow);
  return random_.Delay(std::chrono::microseconds(50),
                       slow ? Time(seconds(3)) : Time(milliseconds(5)));
}

void Simulation::Deliver(Event event) {
  if (down_) return;
  const double seconds = static_cast<double>(clock_.now().count()) / 1e6;
  if (options_.log) {
    fmt::print(stderr, "{:10.4f} {}\n", seconds, std::visit(EventDescriber{}, event));
  }
  report_.trace = Mix(report_.trace, event.index() + 1);
  for (scheduler::Effect& effect : core_->Handle(std::move(event), clock_.now())) {
    if (options_.log) {
      fmt::print(stderr, "{:10.4f}   -> {}\n", seconds,
                 std::visit(EffectDescriber{}, effect));
    }
    report_.trace = Mix(report_.trace, effect.index() + 100);
    std::visit([this](auto& e) { On(std::move(e)); }, effect);
  }
  Check();
  ArmTimer();
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

// ------------------------------------------------------------------ calls to executors

bool Simulation::Arrive(const std::string& executor, const std::string& incarnation,
                        const Receive& receive) {
  SimulatedExecutor& to = executors_.at(executor);
  const bool there = to.alive && clock_.now() >= to.deaf_until &&
                     (incarnation.empty() || to.incarnation() == incarnation);
  if (!there) return false;
  const bool awake = Awake(to, [this, executor, incarnation, receive] {
    Arrive(executor, incarnation, receive);
  });
  if (!awake) return false;
  receive(&to);
  return to.Speaks(clock_.now());
}

void Simulation::On(scheduler::LaunchTasks effect) {
  std::map<uint64_t, std::shared_ptr<const job::StageDefinition>> stages;
  std::vector<RunningTask> tasks;
  scheduler::LaunchFailed failed{effect.executor_id, effect.incarnation, {}, "timeout"};
  for (job::TaskDefinition* launched : effect.tasks.pointers()) {
    job::TaskDefinition definition = *launched;
    const job::TaskId& id = definition.id();
    report_.trace = Mix(report_.trace, Mix(id.task_index(), id.attempt()));
    ++report_.tasks_launched;
    if (id.attempt() > 0) ++report_.tasks_repeated;
    const SimulatedJob& job = jobs_.at(id.job_id());
    report_.tasks_copied += job.speculation && id.attempt() > 0 && RunsSomewhere(id);
    // A scheduler that was killed may have kept nothing of the end.
    const bool unkept = job.over && report_.scheduler_crashes > 0;
    if ((job.failed || job.finished) && !unkept) {
      Violation("a task of " + job.id + " runs after its end");
    }
    std::shared_ptr<const job::StageDefinition> stage;
    for (const auto& candidate : effect.stages) {
      if (candidate->job_id() == id.job_id() && candidate->stage_id() == id.stage_id()) {
        stage = candidate;
      }
    }
    if (stage == nullptr) return Violation("a task was launched without its stage");
    failed.tasks.push_back(id);
    tasks.push_back({std::move(definition), std::move(stage)});
  }
  const bool lost = !healing_ && random_.Chance(options_.faults.launch_lost);
  // Half of those that fail have arrived: only the answer was lost.
  const bool arrives = !lost || random_.Chance(0.5);
  const bool repeated = !healing_ && random_.Chance(options_.faults.message_repeated);
  Time arrival = clock_.now() + NetworkDelay();
  Time& last = ordered_until_[effect.executor_id];
  last = arrival = std::max(arrival, last);
  auto send = [this, failed, arrives, tasks = std::move(tasks)] {
    return arrives &&
           Arrive(failed.executor_id, failed.incarnation,
                  [this, tasks](SimulatedExecutor* to) { ReceiveLaunch(to, tasks); });
  };
  clock_.After(arrival - clock_.now(), [this, send, lost, failed] {
    if (!send() || lost) LaunchLost(failed);
  });
  if (repeated) {
    clock_.After(arrival - clock_.now() + NetworkDelay(), [send] { send(); });
  }
}

bool Simulation::RunsSomewhere(const job::TaskId& id) const {
  const TaskKey first{id.job_id(), id.stage_id(), id.task_index(), 0};
  const TaskKey end{id.job_id(), id.stage_id(), id.task_index(), id.attempt()};
  for (const auto& [name, executor] : executors_) {
    const auto at = executor.running.lower_bound(first);
    if (at != executor.running.end() && at->first < end) return true;
  }
  return false;
}

void Simulation::LaunchLost(const scheduler::LaunchFailed& failed) {
  ++report_.launches_failed;
  for (const job::TaskId& id : failed.tasks) {
    if (auto job = jobs_.find(id.job_id()); job != jobs_.end()) {
      ++job->second.failures[{id.stage_id(), id.task_index()}];
    }
  }
  // Whoever cannot be reached is lost, or may still be heard of.
  const bool gone = random_.Chance(0.5);
  losses_ += gone;
  clock_.After(kLaunchTimeout, [this, failed, gone, starts = scheduler_starts_] {
    if (starts != scheduler_starts_) return;
    Deliver(failed);
    if (!gone) return;
    Deliver(scheduler::ExecutorLost{failed.executor_id, failed.incarnation,
                                    "it cannot be reached"});
  });
}

void Simulation::ReceiveLaunch(SimulatedExecutor* executor,
                               const std::vector<RunningTask>& tasks) {
  for (const RunningTask& task : tasks) {
    const TaskKey key = KeyOf(task.definition.id());
    const auto kept = executor->kept.find(std::get<0>(key));
    const bool done = kept != executor->kept.end() && kept->second.contains(key);
    if (done || executor->ended.contains(key)) continue;
    if (executor->running.emplace(key, task).second) executor->waiting.push_back(key);
  }
  BeginTasks(executor);
}

void Simulation::On(scheduler::CancelTasks effect) {
  // Not ordered with launches: it may come before the task, which then runs for nothing.
  clock_.After(NetworkDelay(), [this, effect = std::move(effect)] {
    Arrive(effect.executor_id, "", [this, effect](SimulatedExecutor* to) {
      for (const job::TaskId& id : effect.tasks) to->Cancel(KeyOf(id));
      BeginTasks(to);
    });
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
  // Once the executor is lost the shell stops trying; it says what it holds when it
  // registers again.
  if (down_ || !core_->HasExecutor(executor, "")) return;
  const bool done = Arrive(executor, "", [this, jobs](SimulatedExecutor* to) {
    for (const std::string& job : jobs) to->RemoveJob(job);
    BeginTasks(to);
  });
  if (done) return;
  clock_.After(kResendInterval,
               [this, executor, jobs] { DeliverRemoval(executor, jobs); });
}

// --------------------------------------------------------------- messages of executors

// The status of a task goes to the owner of its job.
bool Simulation::IsOfOrphan(const Event& event) const {
  if (const auto* finished = std::get_if<scheduler::TaskFinished>(&event)) {
    return IsOrphan(finished->id);
  }
  const auto* failed = std::get_if<scheduler::TaskFailed>(&event);
  return failed != nullptr && IsOrphan(failed->id);
}

void Simulation::Report(const SimulatedExecutor& from, Event event) {
  Send(from.id, from.starts, event, true);
  const bool repeated = !healing_ && random_.Chance(options_.faults.message_repeated);
  if (repeated) Send(from.id, from.starts, event, false);
}

void Simulation::Send(const std::string& id, uint32_t starts, const Event& event,
                      bool until_taken) {
  const bool leaves = executors_.at(id).Speaks(clock_.now());
  clock_.After(NetworkDelay(), [this, id, starts, event, until_taken, leaves,
                                to = scheduler_starts_] {
    SimulatedExecutor& sender = executors_.at(id);
    const bool of_task = std::holds_alternative<scheduler::TaskFinished>(event) ||
                         std::holds_alternative<scheduler::TaskFailed>(event);
    const bool registers = std::holds_alternative<scheduler::ExecutorRegistered>(event);
    const bool ended = sender.starts != starts || !sender.alive || !until_taken;
    // What a process has sent arrives also after its end. Statuses are kept until a
    // scheduler that knows the executor has them.
    const std::string incarnation = fmt::format("{}#{}", id, starts);
    const bool taken = leaves && !down_ && to == scheduler_starts_ &&
                       (!of_task || core_->HasExecutor(id, incarnation)) &&
                       !IsOfOrphan(event);
    if (taken) Deliver(event);
    if (ended || (taken && sender.Hears(clock_.now()))) return;
    clock_.After(kResendInterval, [this, id, event, starts, registers] {
      SimulatedExecutor& again = executors_.at(id);
      if (again.starts != starts || !again.alive) return;
      // A registration says what is so by then.
      if (registers) return Register(&again);
      Report(again, event);
    });
  });
}

}  // namespace ballista::sim
