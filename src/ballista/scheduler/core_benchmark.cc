// Task completions a second through the scheduler's core, launches included:
//   core_benchmark --benchmark_format=json
// `items_per_second` is completions. Cost is linear in tasks: it must not fall with more
// of them, nor with more executors.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <deque>

#include "ballista/scheduler/core.h"

namespace ballista::scheduler {
namespace {

constexpr uint32_t kPartitions = 64;

// `stages` stages of `tasks` tasks each in a row, and one task that gathers. The first
// scans; the others read hash partitions of the one before.
job::JobGraph Chain(uint32_t stages, uint32_t tasks) {
  job::JobGraph graph;
  for (uint32_t id = 0; id <= stages; ++id) {
    job::Stage* stage = graph.add_stages();
    stage->set_id(id);
    stage->set_parallelism(id < stages ? job::MANY_TASKS : job::SINGLE_TASK);
    const bool hash = id + 1 < stages;
    stage->mutable_output()->set_kind(hash ? job::Output::HASH
                                           : job::Output::UNPARTITIONED);
    if (hash) stage->mutable_output()->set_partitions(kPartitions);
    if (id == 0) {
      auto* scan = stage->add_scans();
      for (uint32_t t = 0; t < tasks; ++t) {
        auto* split = scan->add_splits();
        split->set_path(fmt::format("file-{}.parquet", t));
        split->set_size_bytes(1 << 20);
      }
      continue;
    }
    auto* input = stage->add_inputs();
    input->set_mode(id < stages ? job::StageInput::PARTITIONED : job::StageInput::ALL);
    input->add_stages(id - 1);
  }
  graph.set_result_stage(stages);
  return graph;
}

struct Running {
  job::TaskId id;
  std::string executor;
};

void Collect(std::vector<Effect> effects, std::deque<Running>* running) {
  for (Effect& effect : effects) {
    auto* launch = std::get_if<LaunchTasks>(&effect);
    if (launch == nullptr) continue;
    for (const job::TaskDefinition* task : launch->tasks.pointers()) {
      running->push_back({task->id(), launch->executor_id});
    }
  }
}

// Runs all jobs to their end; returns the tasks completed.
uint64_t RunToEnd(SchedulerCore* core, std::deque<Running>* running) {
  uint64_t completed = 0;
  while (!running->empty()) {
    Running task = std::move(running->front());
    running->pop_front();
    TaskFinished event;
    event.executor_id = std::move(task.executor);
    event.incarnation = "1";
    event.output.set_rows(kPartitions);
    event.output.set_bytes(uint64_t{8} * kPartitions);
    const auto* graph = core->Graph(task.id.job_id());
    if (graph->stages(task.id.stage_id()).output().kind() == job::Output::HASH) {
      event.output.mutable_partition_rows()->Resize(kPartitions, 1);
      event.output.mutable_partition_bytes()->Resize(kPartitions, 8);
    }
    event.id = std::move(task.id);
    Collect(core->Handle(std::move(event), Time{++completed}), running);
  }
  return completed;
}

// Arguments: jobs, stages a job, tasks a stage, executors (4 slots each).
void BM_CompleteTasks(benchmark::State& state) {
  const job::JobGraph graph = Chain(state.range(1), state.range(2));
  uint64_t completed = 0;
  for (auto _ : state) {
    state.PauseTiming();
    SchedulerCore core;
    std::deque<Running> running;
    for (int64_t e = 0; e < state.range(3); ++e) {
      ExecutorRegistered event;
      event.executor.set_id(fmt::format("executor-{}", e));
      event.executor.set_host("localhost");
      event.executor.set_incarnation("1");
      event.executor.set_task_slots(4);
      core.Handle(std::move(event), Time{0});
    }
    const JobOptions options{.tasks_per_stage = static_cast<uint32_t>(state.range(2)),
                             .min_task_bytes = 0};
    for (int64_t j = 0; j < state.range(0); ++j) {
      Collect(core.Handle(JobSubmitted{fmt::format("job-{}", j),
                                       fmt::format("s{}", j % 3), graph, options},
                          Time{0}),
              &running);
    }
    state.ResumeTiming();
    completed += RunToEnd(&core, &running);
  }
  state.SetItemsProcessed(static_cast<int64_t>(completed));
}
BENCHMARK(BM_CompleteTasks)
    ->ArgNames({"jobs", "stages", "tasks", "executors"})
    ->Args({1, 1, 1000, 10})
    ->Args({1, 1, 10000, 100})
    ->Args({1, 1, 100000, 10})
    ->Args({1, 1, 100000, 1000})
    ->Args({100, 20, 50, 1000})
    ->Args({1000, 1, 100, 1000})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ballista::scheduler

BENCHMARK_MAIN();
