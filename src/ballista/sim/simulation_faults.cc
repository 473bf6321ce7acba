// What goes wrong with executors of the simulation.
#include <fmt/format.h>

#include "ballista/sim/simulation_internal.h"

namespace ballista::sim {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

SimulatedExecutor* Simulation::AnyAlive() {
  std::vector<SimulatedExecutor*> alive;
  for (auto& [id, executor] : executors_) {
    if (executor.alive && !executor.leaving) alive.push_back(&executor);
  }
  return alive.empty() ? nullptr : alive[random_.Below(alive.size())];
}

void Simulation::NextFault() {
  const Time interval = options_.faults.interval;
  if (interval == Time{} || healing_) return;
  clock_.After(random_.Delay(interval / 4, interval * 4), [this] {
    if (healing_) return;
    NextFault();
    SimulatedExecutor* executor = AnyAlive();
    const auto& kinds = options_.faults.kinds;
    if (executor != nullptr) Strike(kinds[random_.Below(kinds.size())], executor);
  });
}

void Simulation::Strike(ExecutorFault fault, SimulatedExecutor* executor) {
  ++report_.faults[std::string(NameOf(fault))];
  ++losses_;
  const Time until = clock_.now() + random_.Delay(milliseconds(100), seconds(60));
  switch (fault) {
    case ExecutorFault::kCrash:
      return Crash(executor, random_.Chance(0.5), random_.Delay(seconds(1), seconds(40)));
    case ExecutorFault::kRestart:
      return Crash(executor, random_.Chance(0.5),
                   random_.Delay(milliseconds(1), milliseconds(500)));
    case ExecutorFault::kCut:
      executor->deaf_until = executor->mute_until = until;
      return CutLinks(*executor, until);
    case ExecutorFault::kDeaf:
      executor->deaf_until = until;
      return;
    case ExecutorFault::kMute:
      executor->mute_until = until;
      return;
    case ExecutorFault::kLinks:
      return CutLinks(*executor, until);
    case ExecutorFault::kPause:
      executor->paused_until = until;
      return;
    case ExecutorFault::kSick:
      executor->sick_until = until;
      return;
    case ExecutorFault::kSlow:
      executor->slow_until = until;
      return;
    case ExecutorFault::kDrain:
      return StartDraining(executor);
    case ExecutorFault::kBlackout:
      return BlackOut();
  }
}

// From all others, or one way from some.
void Simulation::CutLinks(const SimulatedExecutor& executor, Time until) {
  const bool all = executor.deaf_until == until;
  const bool reads = all || random_.Chance(0.7);
  const bool is_read = all || !reads || random_.Chance(0.5);
  for (const auto& [id, other] : executors_) {
    if (id == executor.id || (!all && random_.Chance(0.5))) continue;
    if (reads) cut_links_[{executor.id, id}] = until;
    if (is_read) cut_links_[{id, executor.id}] = until;
  }
}

void Simulation::BlackOut() {
  const Time dark = random_.Delay(seconds(1), seconds(150));
  for (auto& [id, executor] : executors_) {
    if (!executor.alive) continue;
    ++losses_;
    Crash(&executor, random_.Chance(0.5), dark + random_.Delay(seconds(1), seconds(20)));
  }
}

// The process dies; the shell may see the connection break, or only miss heartbeats.
void Simulation::Crash(SimulatedExecutor* executor, bool noticed, Time back_after) {
  executor->alive = false;
  executor->Clear();
  if (noticed) {
    clock_.After(
        NetworkDelay(), [this, id = executor->id, incarnation = executor->incarnation()] {
          Deliver(scheduler::ExecutorLost{id, incarnation, "the connection broke"});
        });
  }
  BootLater(executor->id, back_after);
}

void Simulation::StartDraining(SimulatedExecutor* executor) {
  executor->leaving = true;
  Report(*executor, scheduler::ExecutorDraining{executor->id, executor->incarnation()});
  const Time limit =
      options_.patient_drains ? Time{hours(1)} : random_.Delay(seconds(3), seconds(12));
  Drain(executor->id, executor->starts, clock_.now() + limit);
}

void Simulation::Drain(const std::string& id, uint32_t starts, Time deadline) {
  SimulatedExecutor& executor = executors_.at(id);
  if (!executor.alive || executor.starts != starts) {
    executor.leaving = false;
    return;
  }
  const auto again = [this, id, starts, deadline] { Drain(id, starts, deadline); };
  if (!Awake(executor, again)) return;
  const bool may_leave = executor.Reachable(clock_.now()) && executor.running.empty() &&
                         !down_ && core_->MayLeave(id, executor.incarnation());
  if (may_leave || clock_.now() >= deadline) {
    report_.drained += may_leave;
    executor.leaving = false;
    if (executor.Speaks(clock_.now())) {
      Deliver(scheduler::ExecutorStopped{id, executor.incarnation()});
    }
    return Crash(&executor, false, random_.Delay(seconds(1), seconds(40)));
  }
  if (clock_.now() >= deadline - seconds(2)) HandBack(&executor);
  clock_.After(milliseconds(100), again);
}

void Simulation::HandBack(SimulatedExecutor* executor) {
  const auto handed_back = std::exchange(executor->running, {});
  executor->waiting.clear();
  for (const auto& [key, task] : handed_back) {
    executor->ended.insert(key);
    Report(*executor, scheduler::TaskFailed{
                          task.definition.id(), executor->id, executor->incarnation(),
                          CancelledStatus("stopping", Cancelled::SHUTDOWN)});
  }
}

}  // namespace ballista::sim
