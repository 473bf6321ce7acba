// Schedulers that end without warning, what they have kept, and how the next one goes on.
#include <fmt/format.h>

#include <utility>

#include "ballista/sim/simulation_internal.h"

namespace ballista::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {
// As docs/state.md has it: attempts of another scheduler begin above all before.
constexpr uint32_t kAttemptsOfOne = 1 << 16;
constexpr uint64_t kMaxCrashes = 30;
}  // namespace

void StateStore::Submit(const scheduler::JobSubmitted& submitted) {
  jobs_[submitted.job_id].submitted = submitted;
}

void StateStore::Keep() {
  if (writes_.empty()) return;
  writes_.front()(&jobs_);
  writes_.pop_front();
}

void Simulation::Write(
    std::function<void(std::map<std::string, StateStore::KeptJob>*)> change) {
  if (!options_.durable) return;
  store_.Write(std::move(change));
  clock_.After(random_.Delay(milliseconds(1), milliseconds(200)),
               [this, starts = scheduler_starts_] {
                 if (starts == scheduler_starts_) store_.Keep();
               });
}

void Simulation::On(scheduler::StageFormed effect) {
  Write([effect = std::move(effect)](auto* jobs) {
    const auto job = jobs->find(effect.job_id);
    if (job == jobs->end()) return;
    job->second.formations[effect.formation.stage_id()] = effect.formation;
  });
}

void Simulation::On(scheduler::GraphReplaced effect) {
  Write([effect = std::move(effect)](auto* jobs) {
    const auto job = jobs->find(effect.job_id);
    if (job != jobs->end()) job->second.submitted.graph = effect.graph;
  });
}

void Simulation::NextSchedulerCrash() {
  if (options_.faults.scheduler_crash_interval == Time{} || healing_) return;
  // One that is killed for ever before it has recovered gets nothing done.
  if (report_.scheduler_crashes >= kMaxCrashes) return;
  const Time interval = options_.faults.scheduler_crash_interval;
  clock_.After(random_.Delay(interval / 4, interval * 4), [this] {
    if (healing_) return;
    NextSchedulerCrash();
    if (!down_) CrashScheduler();
  });
}

void Simulation::CrashScheduler() {
  ++report_.scheduler_crashes;
  std::vector<std::string> executors;
  for (const control::ExecutorMetadata& executor : core_->Executors()) {
    executors.push_back(executor.id());
  }
  down_ = true;
  orphans_.clear();
  ++scheduler_starts_;
  timer_ = scheduler::kNever;
  store_.Lose();
  for (auto& [id, job] : jobs_) {
    if (job.over) continue;
    // The client comes back for the result with its handle.
    job.finished = false;
    job.result.reset();
    LoseReader(&job);
    if (store_.jobs().contains(id)) continue;
    job.failed = true;
    End(&job);
    ++report_.jobs_failed;
    ++report_.failures["its scheduler ended"];
  }
  clock_.After(random_.Delay(milliseconds(100), seconds(20)),
               [this, executors] { StartScheduler(executors); });
}

void Simulation::StartScheduler(const std::vector<std::string>& executors) {
  core_ = std::make_unique<scheduler::SchedulerCore>(
      MakeCoreOptions(options_), options_.replan ? &replanner_ : nullptr);
  down_ = false;
  unusable_since_ = clock_.now();
  for (const auto& [id, kept] : store_.jobs()) orphans_.insert(id);
  if (!options_.takeovers) return Recover(executors);
  // Executors come in, and other jobs, while nobody has these.
  clock_.After(random_.Delay(milliseconds(10), seconds(10)),
               [this, starts = scheduler_starts_] {
                 if (starts == scheduler_starts_) TakeOver();
               });
}

void Simulation::TakeOver() {
  std::vector<std::string> known;
  for (const control::ExecutorMetadata& executor : core_->Executors()) {
    known.push_back(executor.id());
  }
  Recover(known);
  // Each is told whose the jobs are now, and says what it has of them.
  for (const std::string& id : known) {
    SimulatedExecutor& executor = executors_.at(id);
    if (executor.Reachable(clock_.now())) {
      Register(&executor);
    } else {
      ++losses_;
      Deliver(scheduler::ExecutorLost{id, "", "it cannot be reached"});
    }
  }
}

void Simulation::Recover(const std::vector<std::string>& executors) {
  const std::set<std::string> orphans = std::exchange(orphans_, {});
  for (auto& [id, kept] : store_.jobs()) {
    if (!orphans.contains(id)) continue;
    scheduler::JobRecovered recovered{kept.submitted, {}, kAttemptsOfOne * kept.starts++};
    for (const auto& [stage, formation] : kept.formations) {
      recovered.formations.push_back(formation);
    }
    recovered.expected_executors = executors;
    if (!recovered.formations.empty()) jobs_.at(id).resumed = true;
    jobs_.at(id).submitted = clock_.now();
    if (jobs_.at(id).deadline != scheduler::kNever) {
      jobs_.at(id).time_limit = jobs_.at(id).deadline - clock_.now();
      recovered.job.options.deadline = jobs_.at(id).deadline;
    }
    jobs_.at(id).recovered = true;
    Deliver(std::move(recovered));
  }
}

}  // namespace ballista::sim
