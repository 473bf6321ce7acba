#include "ballista/sim/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "ballista/sim/simulation_internal.h"

namespace ballista::sim {

using scheduler::CoreOptions;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// Nothing that is simulated here takes nearly as long.
constexpr Time kLongest = hours(4);
// For the messages under way when the last job ends, and for executors that are back.
constexpr Time kSettling = seconds(180);
constexpr uint32_t kMaxFetchFailures = 12;
constexpr uint32_t kMaxExecutorLosses = 12;

}  // namespace

CoreOptions MakeCoreOptions(const SimulationOptions& simulated) {
  CoreOptions options;
  options.max_running_jobs = simulated.max_running_jobs;
  options.executor_timeout = seconds(20);
  options.executor_wait = seconds(60);
  options.max_fetch_failures = kMaxFetchFailures;
  options.max_executor_losses = kMaxExecutorLosses;
  options.durable = simulated.durable;
  return options;
}

SimulationOptions OptionsForSeed(uint64_t seed) {
  Random random(seed ^ 0x5eed);
  SimulationOptions options;
  options.seed = seed;
  options.executors = random.Between(1, 24);
  options.max_slots = random.Between(1, 4);
  options.jobs = random.Between(1, 25);
  options.replan = random.Chance(0.3);
  options.max_running_jobs = seed % 3 == 0 ? 1 + seed / 3 % 5 : 0;
  if (seed % 50 == 0) {
    options.executors = 1000;
    options.max_slots = 4;
    options.jobs = 3;
    options.wide_job_tasks = 100000;
  }
  if (seed % 5 == 1) return options;  // calm
  options.user_error = 0.05;
  options.client_cancels = 0.1;
  options.message_repeated = random.Chance(0.5) ? 0.1 : 0;
  options.message_slow = random.Chance(0.5) ? 0.05 : 0;
  options.task_fails = random.Chance(0.7) ? 0.03 : 0;
  options.fetch_fails = random.Chance(0.5) ? 0.01 : 0;
  options.launch_lost = random.Chance(0.5) ? 0.02 : 0;
  // One task gathers from all of the wide job's.
  if (options.wide_job_tasks > 0) options.fetch_fails /= options.wide_job_tasks;
  if (seed % 3 == 0) {
    options.durable = true;
    options.scheduler_crash_interval = random.Delay(seconds(2), seconds(60));
  }
  if (random.Chance(0.7)) {
    options.fault_interval = random.Delay(milliseconds(300), seconds(30));
  }
  return options;
}

std::optional<job::JobGraph> RandomReplanner::Replan(
    const job::JobGraph& graph, const std::vector<scheduler::StageStatistics>& stages) {
  job::JobGraph changed = graph;
  for (int id = 0; id < graph.stages_size(); ++id) {
    if (stages[id].state != scheduler::StageStatistics::State::kWaiting) continue;
    job::Stage* stage = changed.mutable_stages(id);
    bool whole = false;
    for (const job::StageInput& input : stage->inputs()) {
      whole = whole || (input.mode() != job::StageInput::PARTITIONED &&
                        input.merge_keys().empty());
    }
    if (whole || random_.Chance(0.5)) continue;
    stage->set_parallelism(random_.Chance(0.5) ? job::SINGLE_TASK : job::MANY_TASKS);
  }
  return changed;
}

Simulation::Simulation(const SimulationOptions& options)
    : options_(options),
      random_(options.seed),
      replanner_(Mix(options.seed, 1)),
      core_(std::make_unique<scheduler::SchedulerCore>(
          MakeCoreOptions(options), options.replan ? &replanner_ : nullptr)) {}

SimulationReport Simulate(const SimulationOptions& options) {
  return Simulation(options).Run();
}

void Simulation::Violation(const std::string& what) {
  // The first few say it all.
  if (report_.violations.size() < 10) {
    report_.violations.push_back(fmt::format(
        "at {:.3f} s: {}", static_cast<double>(clock_.now().count()) / 1e6, what));
  }
}

SimulationReport Simulation::Run() {
  Start();
  while (!AllJobsOver() && clock_.now() < kLongest && clock_.Step()) {
  }
  if (!AllJobsOver()) {
    for (const auto& [id, job] : jobs_) {
      if (job.over) continue;
      Violation(fmt::format("job {} does not end: {}", id,
                            core_->WhyWaiting(id, clock_.now())));
    }
  }
  healing_ = true;
  for (auto& [id, executor] : executors_) executor.cut_until = Time{};
  const Time end = clock_.now() + kSettling;
  while (clock_.now() < end && clock_.Step()) {
  }
  CheckAtEnd();
  report_.steps = clock_.steps();
  report_.virtual_time = clock_.now();
  report_.trace = Mix(report_.trace, clock_.steps());
  return report_;
}

void Simulation::Start() {
  for (uint32_t e = 0; e < options_.executors; ++e) {
    SimulatedExecutor& executor = executors_[fmt::format("e{}", e)];
    executor.id = fmt::format("e{}", e);
    executor.slots = random_.Between(1, options_.max_slots);
    clock_.After(random_.Delay(milliseconds(1), seconds(20)),
                 [this, &executor] { Boot(&executor); });
  }
  const uint32_t jobs = options_.jobs + (options_.wide_job_tasks > 0 ? 1 : 0);
  jobs_to_come_ = jobs;
  for (uint32_t number = 0; number < jobs; ++number) {
    clock_.After(random_.Delay(milliseconds(1), seconds(60)),
                 [this, number] { SubmitJob(number); });
  }
  NextFault();
  NextSchedulerCrash();
}

void Simulation::SubmitJob(uint32_t number) {
  if (down_) {
    clock_.After(seconds(1), [this, number] { SubmitJob(number); });
    return;
  }
  --jobs_to_come_;
  const bool wide = number == options_.jobs;
  const std::string id = fmt::format("job{}", number);
  SimulatedJob& job = jobs_[id];
  job.id = id;
  job.graph =
      wide ? WideGraph(options_.wide_job_tasks) : RandomGraph(options_.graph, &random_);
  job.graph.mutable_stages(static_cast<int>(job.graph.result_stage()))
      ->mutable_output()
      ->set_is_result(true);
  job.expected = ExpectedResult(job.graph);
  scheduler::JobOptions run;
  run.min_task_bytes = random_.Chance(0.5) ? 0 : random_.Between(1, 2000);
  run.retry = job.retry = wide || !random_.Chance(0.05);
  run.tasks_per_stage = wide                           ? options_.wide_job_tasks
                        : options_.tasks_per_stage > 0 ? options_.tasks_per_stage
                        : random_.Chance(0.3)          ? random_.Between(1, 30)
                                                       : 0;
  if (wide) run.min_task_bytes = 0;
  run.max_task_attempts = job.max_attempts = 4;
  if (!wide && random_.Chance(options_.user_error)) {
    job.user_error_stage = random_.Below(job.graph.stages_size());
  }
  if (!wide && random_.Chance(options_.client_cancels)) {
    clock_.After(random_.Delay(milliseconds(1), seconds(60)), [this, id] {
      if (jobs_.at(id).over || down_) return;
      jobs_.at(id).cancelled = true;
      Deliver(scheduler::JobCancelled{id, Cancelled::CLIENT, ""});
      // A finished job is released without a word.
      if (!jobs_.at(id).over) {
        jobs_.at(id).over = true;
        ++jobs_over_;
        Forget(id);
      }
    });
  }
  scheduler::JobSubmitted submitted{id, fmt::format("session{}", random_.Below(3)),
                                    job.graph, run};
  // What must not run twice is not gone on with by another scheduler.
  if (options_.durable && run.retry) store_.Submit(submitted);
  Deliver(std::move(submitted));
}

void Simulation::Forget(const std::string& job_id) {
  Write([job_id](auto* jobs) { jobs->erase(job_id); });
}

void Simulation::On(scheduler::JobFinished effect) {
  SimulatedJob& job = jobs_.at(effect.job_id);
  if (job.over && report_.scheduler_crashes > 0) {
    // Its end had not been kept when the scheduler ended; nobody waits for it any more.
    clock_.After(Time{0}, [this, id = job.id] { Deliver(scheduler::JobReleased{id}); });
    Forget(job.id);
    return;
  }
  if (job.finished || job.failed) return Violation(job.id + " ends twice");
  job.finished = true;
  if (effect.rows != job.expected.count) {
    Violation(fmt::format("the result of {} has {} rows, not {}", job.id, effect.rows,
                          job.expected.count));
  }
  for (const auto& stage : effect.progress.stages()) {
    report_.tasks_skipped += stage.skipped();
  }
  for (const auto& task : core_->Metrics(job.id)) {
    report_.tasks_split += task.pieces > 1;
  }
  job.result = std::move(effect);
  clock_.After(random_.Delay(milliseconds(1), seconds(5)),
               [this, id = job.id] { ReadResult(id); });
}

void Simulation::ReadResult(const std::string& job_id) {
  SimulatedJob& job = jobs_.at(job_id);
  // Without a result it was that of a scheduler that has ended.
  if (job.over || !job.result.has_value()) return;
  Digest digest;
  const bool ordered =
      job.graph.stages(static_cast<int>(job.graph.result_stage())).output().ordered();
  std::vector<Row> in_order;
  const auto take = [&](const std::vector<Row>& rows) {
    digest.Add(rows);
    if (ordered) in_order.insert(in_order.end(), rows.begin(), rows.end());
  };
  for (const scheduler::ResultPart& part : job.result->parts) {
    if (part.inline_result != nullptr) {
      std::vector<Row> rows(part.inline_result->size() / sizeof(Row));
      std::memcpy(rows.data(), part.inline_result->data(), part.inline_result->size());
      take(rows);
      continue;
    }
    const SimulatedExecutor& executor = executors_.at(part.executor.executor_id());
    auto kept = executor.kept.find(job_id);
    const TaskKey key{job_id, part.stage_id, part.task_index, part.attempt};
    const bool there = executor.Reachable(clock_.now()) && kept != executor.kept.end() &&
                       kept->second.contains(key);
    if (!there) {
      // Cut off, or dead and not yet known to be: the client tries again until the core
      // says that the result is lost.
      clock_.After(seconds(2), [this, job_id] { ReadResult(job_id); });
      return;
    }
    const auto& partitions = kept->second.at(key);
    if (partitions.size() != part.partitions) {
      Violation(job_id + " has a part of the wrong number of partitions");
    }
    for (const std::vector<Row>& partition : partitions) take(partition);
  }
  if (!std::is_sorted(in_order.begin(), in_order.end())) {
    Violation("the result of " + job_id + " is not in order");
  }
  if (digest != job.expected) {
    Violation(fmt::format("the result of {} is wrong: {} rows, expected {}", job_id,
                          digest.count, job.expected.count));
  }
  ++report_.jobs_finished;
  job.over = true;
  ++jobs_over_;
  Deliver(scheduler::JobReleased{job_id});
  Forget(job_id);
}

void Simulation::On(scheduler::JobFailed effect) {
  SimulatedJob& job = jobs_.at(effect.job_id);
  Forget(job.id);
  if (job.over && report_.scheduler_crashes > 0) return;  // as in JobFinished
  if (job.failed) Violation(job.id + " fails twice");
  JudgeFailure(job, effect);
  job.failed = true;
  ++report_.jobs_failed;
  if (job.over) return;
  job.over = true;
  ++jobs_over_;
}

// Every failure must have a cause that was injected.
void Simulation::JudgeFailure(const SimulatedJob& job,
                              const scheduler::JobFailed& failed) {
  const std::string& message = failed.status.message();
  auto says = [&](const char* what) { return message.find(what) != std::string::npos; };
  const ErrorDetail* detail = GetErrorDetail(failed.status);
  const char* cause = "another cause";
  bool allowed = false;
  if (detail != nullptr && detail->has_user()) {
    cause = "user error";
    allowed = job.user_error_thrown;
  } else if (detail != nullptr && detail->has_cancelled()) {
    cause = "cancelled";
    allowed = job.cancelled;
  } else if (says("no executor has taken tasks")) {
    cause = "no executor";
    allowed = core_->NumUsableExecutors() == 0;
  } else if (says("of at most")) {
    cause = "a task failed too often";
    const uint32_t limit = job.retry ? job.max_attempts : 1;
    for (const auto& [task, count] : job.failures) allowed = allowed || count >= limit;
  } else if (says("could not read its input")) {
    cause = "inputs could not be fetched";
    allowed = job.fetch_failures > (job.retry ? kMaxFetchFailures : 0);
  } else if (says("part of the result is gone")) {
    cause = "the result was lost";
    allowed = job.finished && report_.executors_lost > 0;
  } else if (says("was interrupted")) {
    cause = "an executor left where nothing is run twice";
    allowed = !job.retry && report_.executors_lost > 0;
  } else if (says("was running when")) {
    cause = "executors were lost too often";
    allowed = report_.executors_lost > (job.retry ? kMaxExecutorLosses : 0);
  } else if (says("nothing is run twice")) {
    cause = "a loss where nothing is run twice";
    allowed = !job.retry && report_.executors_lost + job.fetch_failures > 0;
  }
  ++report_.failures[cause];
  if (!allowed) Violation(fmt::format("{} failed without cause: {}", job.id, message));
}

void Simulation::CheckAtEnd() {
  if (!core_->IsIdle()) {
    Violation(fmt::format("the core is not idle: {} jobs, {} running tasks",
                          core_->Jobs().size(), core_->NumRunningTasks()));
  }
  for (const auto& [id, executor] : executors_) {
    if (!executor.alive) continue;
    if (!core_->HasExecutor(id, executor.incarnation())) {
      Violation(fmt::format("executor {} is not registered", id));
    }
    for (const std::string& job : executor.HeldJobs()) {
      Violation(fmt::format("executor {} still has something of {}", id, job));
    }
  }
}

}  // namespace ballista::sim
