// The simulated world: the core in its shell, the network, the executors and the clients.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ballista/scheduler/core.h"
#include "ballista/sim/simulated_executor_internal.h"
#include "ballista/sim/simulation.h"

namespace ballista::sim {

// What the simulation knows of a job, to judge its end.
struct SimulatedJob {
  std::string id;
  job::JobGraph graph;
  Digest expected;
  uint32_t max_attempts = 4;
  bool retry = true;
  std::optional<uint32_t> user_error_stage;
  bool user_error_thrown = false;
  bool cancelled = false;
  // By stage and task: failures that count; of the whole job: the others.
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> failures;
  uint64_t fetch_failures = 0;
  std::optional<scheduler::JobFinished> result;
  bool finished = false;
  bool failed = false;
  bool resumed = false;  // had begun under a scheduler that ended
  bool over = false;     // read, released or failed: nothing more is expected
};

// Cuts stages to one task, or the other way round, where the result stays the same.
class RandomReplanner : public scheduler::Replanner {
 public:
  explicit RandomReplanner(uint64_t seed) : random_(seed) {}
  std::optional<job::JobGraph> Replan(
      const job::JobGraph& graph,
      const std::vector<scheduler::StageStatistics>& stages) override;

 private:
  Random random_;
};

// What the scheduler keeps: as of some moment of its life, for writes come a little
// later, in order. Only a job's submission is kept before its client knows of it.
class StateStore {
 public:
  struct KeptJob {
    scheduler::JobSubmitted submitted;
    std::map<uint32_t, record::StageFormation> formations;
    uint32_t starts = 1;  // schedulers that have run it
  };

  void Submit(const scheduler::JobSubmitted& submitted);
  void Write(std::function<void(std::map<std::string, KeptJob>*)> change) {
    writes_.push_back(std::move(change));
  }
  // The first write has come through.
  void Keep();
  // The scheduler ends: what has not come through never will.
  void Lose() { writes_.clear(); }
  std::map<std::string, KeptJob>& jobs() { return jobs_; }

 private:
  std::map<std::string, KeptJob> jobs_;
  std::deque<std::function<void(std::map<std::string, KeptJob>*)>> writes_;
};

scheduler::CoreOptions MakeCoreOptions(const SimulationOptions& simulated);

class Simulation {
 public:
  explicit Simulation(const SimulationOptions& options);
  SimulationReport Run();

 private:
  // ---- simulation.cc: jobs, checks
  void Start();
  void SubmitJob(uint32_t number);
  void On(scheduler::JobFinished effect);
  void On(scheduler::JobFailed effect);
  void ReadResult(const std::string& job_id);
  // The job's end is to be kept.
  void Forget(const std::string& job_id);
  void JudgeFailure(const SimulatedJob& job, const scheduler::JobFailed& failed);
  void CheckAtEnd();
  bool AllJobsOver() const { return jobs_over_ == jobs_.size() && jobs_to_come_ == 0; }
  void Violation(const std::string& what);

  // ---- simulation_shell.cc: what the scheduler's shell and the network do
  void Deliver(scheduler::Event event);
  void ArmTimer();
  void CheckAdmission();
  void On(scheduler::LaunchTasks effect);
  void On(scheduler::CancelTasks effect);
  void On(scheduler::RemoveJobs effect);
  void DeliverLaunch(const std::string& executor, const std::string& incarnation,
                     const std::vector<RunningTask>& tasks);
  void On(scheduler::StageFormed effect);
  void On(scheduler::GraphReplaced effect);
  void Write(std::function<void(std::map<std::string, StateStore::KeptJob>*)> change);
  void DeliverRemoval(const std::string& executor, const std::vector<std::string>& jobs);
  // An executor's message, sent again until it gets through or its process has ended.
  void Report(const SimulatedExecutor& from, scheduler::Event event);
  Time NetworkDelay();

  // ---- simulation_recovery.cc: schedulers that end without warning
  void NextSchedulerCrash();
  void CrashScheduler();
  void StartScheduler(const std::vector<std::string>& executors);

  // ---- simulation_executors.cc: executors and their faults
  void Boot(SimulatedExecutor* executor);
  void Register(SimulatedExecutor* executor);
  void Heartbeat(const std::string& id, uint32_t starts);
  void RunLater(SimulatedExecutor* executor, const TaskKey& key);
  void EndTask(const std::string& executor, uint32_t starts, const TaskKey& key);
  std::optional<arrow::Status> InjectedFailure(const RunningTask& task);
  void NextFault();
  void StartDraining(SimulatedExecutor* executor);
  // What a draining executor does from time to time: looks whether it may leave, hands
  // its tasks back when time runs out, leaves at `deadline`.
  void Drain(const std::string& id, uint32_t starts, Time deadline);
  void Crash(SimulatedExecutor* executor, bool noticed);
  SimulatedExecutor* AnyAlive();
  size_t CountAlive() const;

  const SimulationOptions options_;
  Random random_;
  VirtualClock clock_;
  RandomReplanner replanner_;
  std::unique_ptr<scheduler::SchedulerCore> core_;
  bool down_ = false;              // the scheduler
  uint32_t scheduler_starts_ = 1;  // messages of an earlier one are lost
  StateStore store_;
  Time timer_ = scheduler::kNever;
  bool healing_ = false;  // no more faults: everything is to come to its end
  std::map<std::string, SimulatedExecutor> executors_;
  // By executor: when the last ordered message to it arrives.
  std::map<std::string, Time> ordered_until_;
  std::map<std::string, SimulatedJob> jobs_;
  size_t jobs_over_ = 0;
  size_t jobs_to_come_ = 0;
  SimulationReport report_;
};

}  // namespace ballista::sim
