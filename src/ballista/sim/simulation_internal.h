// The simulated world: the core in its shell, the network, the executors and the clients.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ballista/scheduler/core.h"
#include "ballista/sim/simulated_executor_internal.h"
#include "ballista/sim/simulation.h"

namespace ballista::sim {

// A client that reads a result, part by part.
struct SimulatedReader {
  uint32_t number = 0;  // steps of an earlier one count for nothing
  bool there = false;
  bool waiting = false;    // for parts to be computed again
  bool returns = false;    // it will begin once more
  uint32_t next_task = 0;  // of the result stage; those before have been read
  scheduler::ResultPart part;
  uint32_t starts = 0;  // of its executor, when it was begun
  uint32_t tries = 0;
  std::vector<std::vector<Row>> rows;
};

// What the simulation knows of a job, to judge its end.
struct SimulatedJob {
  std::string id;
  job::JobGraph graph;
  Digest expected;
  uint32_t max_attempts = 4;
  bool retry = true;
  Time submitted{};
  Time deadline = scheduler::kNever;
  Time time_limit = scheduler::kNever;
  std::optional<uint32_t> user_error_stage;
  bool user_error_thrown = false;
  // Its first task fails, or kills its executor, wherever it runs.
  std::optional<uint32_t> failing_stage;
  std::optional<uint32_t> killing_stage;
  bool cancelled = false;
  bool speculation = false;
  bool abandoned = false;  // its result is not read
  // By stage and task: failures that count; of the whole job: the others.
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> failures;
  uint64_t fetch_failures = 0;
  uint64_t part_losses = 0;  // that its reader told of
  bool rows_given = false;   // to its client, by the scheduler of today
  SimulatedReader reader;
  std::optional<scheduler::JobFinished> result;
  bool finished = false;
  bool failed = false;
  bool recovered = false;
  bool resumed = false;   // had begun under a scheduler that ended
  bool over = false;      // read, released or failed: nothing more is expected
  bool released = false;  // what becomes of it is of no interest
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
  // ---- simulation.cc: jobs
  void Start();
  void SubmitJob(uint32_t number);
  void ChooseFaults(SimulatedJob* job, scheduler::JobOptions* options);
  void CancelLater(const std::string& job_id);
  void On(scheduler::JobFinished effect);
  void On(scheduler::JobReopened effect);
  void On(scheduler::JobFailed effect);
  void WatchDeadline(const std::string& job_id);
  void End(SimulatedJob* job);
  // The job's end is to be kept.
  void Forget(const std::string& job_id);
  bool AllJobsOver() const { return jobs_over_ == jobs_.size() && jobs_to_come_ == 0; }
  // No more faults: everything is to come to its end.
  void Heal();

  // ---- simulation_results.cc: clients that read results
  // The client comes, or goes on where it waited.
  void ReadWhenThere(SimulatedJob* job);
  using ReadStep = void (Simulation::*)(SimulatedJob*);
  void ReadLater(Time delay, const SimulatedJob& job, ReadStep step);
  // Finds the next part and calls its executor.
  void FindPart(SimulatedJob* job);
  // Its first rows have come.
  void BeginPart(SimulatedJob* job);
  void EndPart(SimulatedJob* job);
  // Null: it cannot be read now.
  const std::vector<std::vector<Row>>* RowsOf(const SimulatedJob& job,
                                              const scheduler::ResultPart& part);
  void PartNotThere(SimulatedJob* job);
  void EndReading(SimulatedJob* job);
  void LoseReader(SimulatedJob* job);

  // ---- simulation_checks.cc
  void Violation(const std::string& what);
  // Every failure must have a cause that was injected.
  void JudgeFailure(const SimulatedJob& job, const scheduler::JobFailed& failed);
  void CheckResult(SimulatedJob* job, const std::vector<std::vector<Row>>& parts);
  // After each event, or some of them where it takes long.
  void Check();
  void CheckAdmission();
  void CheckWaits();
  void CheckAtEnd();

  // ---- simulation_shell.cc: what the scheduler's shell and the network do
  void Deliver(scheduler::Event event);
  void ArmTimer();
  void On(scheduler::LaunchTasks effect);
  void On(scheduler::CancelTasks effect);
  void On(scheduler::JobEnded effect) {}
  void On(scheduler::RemoveJobs effect);
  void On(scheduler::StageFormed effect);
  void On(scheduler::GraphReplaced effect);
  // A call of the scheduler arrives; true: and its answer gets back in time. What is sent
  // to one that stands still waits in its sockets.
  using Receive = std::function<void(SimulatedExecutor*)>;
  bool Arrive(const std::string& executor, const std::string& incarnation,
              const Receive& receive);
  void ReceiveLaunch(SimulatedExecutor* executor, const std::vector<RunningTask>& tasks);
  bool RunsSomewhere(const job::TaskId& id) const;
  void LaunchLost(const scheduler::LaunchFailed& failed);
  void Write(std::function<void(std::map<std::string, StateStore::KeptJob>*)> change);
  void DeliverRemoval(const std::string& executor, const std::vector<std::string>& jobs);
  // An executor's message, sent again until it knows that it got through or its process
  // has ended.
  void Report(const SimulatedExecutor& from, scheduler::Event event);
  void Send(const std::string& executor, uint32_t starts, const scheduler::Event& event,
            bool until_taken);
  bool IsOfOrphan(const scheduler::Event& event) const;
  Time NetworkDelay();

  // ---- simulation_recovery.cc: schedulers that end without warning
  void NextSchedulerCrash();
  void CrashScheduler();
  void StartScheduler(const std::vector<std::string>& executors);
  // The jobs are this scheduler's from now on.
  void Recover(const std::vector<std::string>& executors);
  void TakeOver();
  // What an executor has of the job is another scheduler's matter, which has ended.
  bool IsOrphan(const job::TaskId& id) const { return orphans_.contains(id.job_id()); }

  // ---- simulation_executors.cc: executors and their tasks
  void Boot(SimulatedExecutor* executor);
  void BootLater(const std::string& id, Time delay);
  void Register(SimulatedExecutor* executor);
  void Heartbeat(const std::string& id, uint32_t starts);
  void BeginTasks(SimulatedExecutor* executor);
  Time Duration(const SimulatedExecutor& executor);
  void EndTask(const std::string& executor, uint32_t starts, const TaskKey& key);
  void EndTaskAfter(Time delay, const SimulatedExecutor& executor, const TaskKey& key);
  std::optional<arrow::Status> InjectedFailure(const SimulatedExecutor& executor,
                                               const RunningTask& task);
  // Null: it cannot be read now; `silent`: its executor does not even say so.
  const std::vector<std::vector<Row>>* Fetch(const SimulatedExecutor& reader,
                                             const std::string& from,
                                             const TaskKey& output, bool* silent);
  void FinishTask(SimulatedExecutor* executor, const RunningTask& task, TaskRows rows);
  // False: the process stands still; `action` comes once it goes on.
  bool Awake(const SimulatedExecutor& executor, std::function<void()> action);

  // ---- simulation_faults.cc: what goes wrong with executors
  void NextFault();
  void Strike(ExecutorFault fault, SimulatedExecutor* executor);
  void CutLinks(const SimulatedExecutor& executor, Time until);
  void BlackOut();
  void StartDraining(SimulatedExecutor* executor);
  // What a draining executor does from time to time: looks whether it may leave, hands
  // its tasks back when time runs out, leaves at `deadline`.
  void Drain(const std::string& id, uint32_t starts, Time deadline);
  void HandBack(SimulatedExecutor* executor);
  void Crash(SimulatedExecutor* executor, bool noticed, Time back_after);
  SimulatedExecutor* AnyAlive();

  const SimulationOptions options_;
  Random random_;
  VirtualClock clock_;
  RandomReplanner replanner_;
  std::unique_ptr<scheduler::SchedulerCore> core_;
  bool down_ = false;              // the scheduler
  uint32_t scheduler_starts_ = 1;  // messages of an earlier one are lost
  StateStore store_;
  std::set<std::string> orphans_;  // jobs that no scheduler has taken over yet
  Time timer_ = scheduler::kNever;
  bool healing_ = false;
  std::map<std::string, SimulatedExecutor> executors_;
  // Links from a reader to a producer that are cut until then.
  std::map<std::pair<std::string, std::string>, Time> cut_links_;
  // By executor: when the last ordered message to it arrives.
  std::map<std::string, Time> ordered_until_;
  std::map<std::string, SimulatedJob> jobs_;
  size_t jobs_over_ = 0;
  size_t jobs_to_come_ = 0;
  uint64_t losses_ = 0;  // of executors, possible ones
  uint64_t events_ = 0;
  Time unusable_since_ = scheduler::kNever;  // no executor takes tasks
  SimulationReport report_;
};

}  // namespace ballista::sim
