#include "ballista/sim/simulation.h"

#include <fmt/format.h>

#include <algorithm>

#include "ballista/sim/simulation_internal.h"

namespace ballista::sim {

using scheduler::CoreOptions;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// From the end of the faults; nothing that is simulated here takes nearly as long.
constexpr Time kLongest = hours(2);
// For the messages under way when the last job ends, and for executors that are back.
constexpr Time kSettling = seconds(180);
constexpr Time kResultTtl = std::chrono::minutes(10);

}  // namespace

CoreOptions MakeCoreOptions(const SimulationOptions& simulated) {
  CoreOptions options;
  options.max_running_jobs = simulated.max_running_jobs;
  options.max_queued_jobs = simulated.faults.max_queued_jobs;
  options.result_ttl = kResultTtl;
  options.executor_timeout = seconds(20);
  options.executor_wait = seconds(60);
  options.durable = simulated.durable;
  return options;
}

SimulationOptions OptionsForSeed(uint64_t seed) {
  Random random(seed ^ 0x5eed);
  SimulationOptions options;
  options.seed = seed;
  options.executors = random.Between(1, 16);
  options.max_slots = random.Between(1, 4);
  options.jobs = random.Between(1, 20);
  options.replan = random.Chance(0.3);
  if (random.Chance(0.3)) options.max_running_jobs = random.Between(1, 5);
  if (seed % 5 != 1) options.faults = RandomFaults(&random);
  options.durable = options.faults.scheduler_crash_interval != Time{};
  options.takeovers = options.durable && random.Chance(0.5);
  if (seed % 500 == 0) {
    options.executors = 1000;
    options.max_slots = 4;
    options.jobs = 3;
    options.wide_job_tasks = 100000;
    // One task gathers from all of the wide job's.
    options.faults.fetch_fails /= options.wide_job_tasks;
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

SimulationReport Simulation::Run() {
  Start();
  const Time latest = options_.faults.until + kLongest;
  while (!AllJobsOver() && clock_.now() < latest && clock_.Step()) {
  }
  if (!AllJobsOver()) {
    for (const auto& [id, job] : jobs_) {
      if (job.over) continue;
      Violation(fmt::format("job {} does not end: {}", id,
                            core_->WhyWaiting(id, clock_.now())));
    }
  }
  Heal();
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
    BootLater(executor.id, random_.Delay(milliseconds(1), seconds(20)));
  }
  const uint32_t jobs = options_.jobs + (options_.wide_job_tasks > 0 ? 1 : 0);
  jobs_to_come_ = jobs;
  for (uint32_t number = 0; number < jobs; ++number) {
    clock_.After(random_.Delay(milliseconds(1), seconds(60)),
                 [this, number] { SubmitJob(number); });
  }
  NextFault();
  NextSchedulerCrash();
  clock_.After(options_.faults.until, [this] { Heal(); });
}

void Simulation::Heal() {
  healing_ = true;
  cut_links_.clear();
  for (auto& [id, executor] : executors_) {
    executor.deaf_until = executor.mute_until = Time{};
    executor.sick_until = executor.slow_until = Time{};
  }
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
  job.submitted = clock_.now();
  job.graph =
      wide ? WideGraph(options_.wide_job_tasks) : RandomGraph(options_.graph, &random_);
  job.graph.mutable_stages(static_cast<int>(job.graph.result_stage()))
      ->mutable_output()
      ->set_is_result(true);
  job.expected = ExpectedResult(job.graph);
  scheduler::JobOptions run;
  run.min_task_bytes = random_.Chance(0.5) ? 0 : random_.Between(1, 2000);
  run.tasks_per_stage = wide                           ? options_.wide_job_tasks
                        : options_.tasks_per_stage > 0 ? options_.tasks_per_stage
                        : random_.Chance(0.3)          ? random_.Between(1, 30)
                                                       : 0;
  if (wide) run.min_task_bytes = 0;
  run.max_task_attempts = job.max_attempts;
  if (!wide) ChooseFaults(&job, &run);
  scheduler::JobSubmitted submitted{id, fmt::format("session{}", random_.Below(3)),
                                    job.graph, run};
  // What must not run twice is not gone on with by another scheduler.
  if (options_.durable && run.retry) store_.Submit(submitted);
  Deliver(std::move(submitted));
}

void Simulation::ChooseFaults(SimulatedJob* job, scheduler::JobOptions* options) {
  const Faults& faults = options_.faults;
  auto any_stage = [&]() -> uint32_t { return random_.Below(job->graph.stages_size()); };
  if (random_.Chance(faults.user_error)) job->user_error_stage = any_stage();
  if (random_.Chance(faults.poison_fails)) job->failing_stage = any_stage();
  if (random_.Chance(faults.poison_kills)) job->killing_stage = any_stage();
  if (random_.Chance(faults.client_cancels)) CancelLater(job->id);
  job->abandoned = random_.Chance(faults.abandoned);
  job->reader.returns = random_.Chance(faults.reader_returns);
  if (random_.Chance(faults.speculation)) {
    options->speculation.enabled = job->speculation = true;
    options->speculation.quantile = random_.Between(0, 100);
    options->speculation.multiplier = random_.Between(1, 4);
    options->speculation.least = random_.Delay(milliseconds(10), seconds(10));
  }
  options->retry = job->retry = !random_.Chance(faults.no_retry);
  if (random_.Chance(faults.deadline)) {
    const Time limit = random_.Delay(milliseconds(100), seconds(120));
    options->deadline = job->deadline = clock_.now() + limit;
    job->time_limit = limit;
    WatchDeadline(job->id);
  }
}

void Simulation::WatchDeadline(const std::string& job_id) {
  const Time delay = jobs_.at(job_id).deadline - clock_.now() + milliseconds(1);
  clock_.After(std::max(delay, Time{0}), [this, job_id] {
    const SimulatedJob& job = jobs_.at(job_id);
    if (job.over || job.finished || down_ || orphans_.contains(job_id)) return;
    if (clock_.now() <= job.deadline) return;
    Violation(job_id + " has not ended at its deadline");
  });
}

void Simulation::CancelLater(const std::string& job_id) {
  clock_.After(random_.Delay(milliseconds(1), seconds(60)), [this, job_id] {
    SimulatedJob& job = jobs_.at(job_id);
    if (job.over || down_) return;
    job.cancelled = true;
    if (random_.Chance(0.3)) {
      Deliver(scheduler::JobReleased{job_id});
    } else {
      Deliver(scheduler::JobCancelled{job_id, Cancelled::CLIENT, ""});
    }
    if (core_->HasJob(job_id)) Violation(job_id + " goes on after it was cancelled");
    // A finished job is released without a word.
    if (job.over) return;
    End(&job);
    Forget(job_id);
  });
}

void Simulation::End(SimulatedJob* job) {
  job->over = true;
  ++jobs_over_;
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
  for (const auto& stage : effect.outline.stages()) {
    report_.tasks_skipped += stage.skipped();
  }
  const auto profile = core_->Profile(job.id, clock_.now());
  for (const auto& stage : profile.stages()) {
    for (const auto& task : stage.task_list()) report_.tasks_split += task.pieces() > 1;
  }
  job.result = std::move(effect);
  ReadWhenThere(&job);
}

void Simulation::On(scheduler::JobReopened effect) {
  SimulatedJob& job = jobs_.at(effect.job_id);
  if (job.over) return;  // as in JobFinished
  if (!job.finished) Violation(job.id + " goes on before it has ended");
  ++report_.results_reopened;
  job.finished = false;
  job.result.reset();
  job.resumed = true;
  job.submitted = clock_.now();
  if (job.time_limit == scheduler::kNever) return;
  job.deadline = clock_.now() + job.time_limit;
  WatchDeadline(job.id);
}

void Simulation::On(scheduler::JobFailed effect) {
  SimulatedJob& job = jobs_.at(effect.job_id);
  Forget(job.id);
  if (job.released) return;
  if (job.over && report_.scheduler_crashes > 0) return;  // as in JobFinished
  if (job.failed) Violation(job.id + " fails twice");
  JudgeFailure(job, effect);
  job.failed = true;
  ++report_.jobs_failed;
  if (!job.over) End(&job);
}

}  // namespace ballista::sim
