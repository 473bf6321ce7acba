#include "local_job.h"

#include <arrow/array.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <utility>

#include "ballista/base/status.h"
#include "ballista/plan/plan.h"
#include "ballista/planner/adaptive_planner.h"
#include "ballista/shuffle/exchange.h"

namespace ballista::testing {
namespace {

using job::JobGraph;
using job::Output;
using job::Stage;
using job::StageInput;
using shuffle::PartitionedBatch;

// One task's output, in memory.
class MemorySink : public shuffle::OutputSink {
 public:
  arrow::Status SetSchema(std::shared_ptr<arrow::Schema> schema) override {
    schema_ = std::move(schema);
    return arrow::Status::OK();
  }

  arrow::Status Write(PartitionedBatch batch) override {
    const std::lock_guard lock(mutex_);
    batches_.push_back(std::move(batch));
    return arrow::Status::OK();
  }

  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }
  const std::vector<PartitionedBatch>& batches() const { return batches_; }

 private:
  std::mutex mutex_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<PartitionedBatch> batches_;
};

class MemorySource : public shuffle::ExchangeSource {
 public:
  explicit MemorySource(std::shared_ptr<arrow::Schema> schema)
      : schema_(std::move(schema)) {}

  // Rows [offsets[first], offsets[last]) of each batch.
  void Add(const PartitionedBatch& batch, size_t first, size_t last) {
    const int64_t begin = batch.offsets[first];
    const int64_t count = batch.offsets[last] - begin;
    if (count > 0) batches_.push_back(batch.batch->Slice(begin, count));
    rows_ += count;
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  int64_t num_rows() const override { return rows_; }
  int max_concurrency() const override {
    return std::max<int>(1, static_cast<int>(batches_.size()));
  }
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    const size_t index = next_++;
    return index < batches_.size() ? batches_[index] : nullptr;
  }
  void Cancel() override {}

 private:
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches_;
  int64_t rows_ = 0;
  std::atomic<size_t> next_{0};
};

using StageOutput = std::vector<std::unique_ptr<MemorySink>>;

// The share of task `index` of `count` in `total`.
std::pair<uint64_t, uint64_t> Share(uint64_t total, uint32_t index, uint32_t count) {
  return {total * index / count, total * (index + 1) / count};
}

// What task `index` of `count` reads of one input.
arrow::Result<std::unique_ptr<MemorySource>> OpenInput(
    const JobGraph& graph, const StageInput& input,
    const std::vector<StageOutput>& outputs, uint32_t index, uint32_t count) {
  std::unique_ptr<MemorySource> source;
  for (const uint32_t producer : input.stages()) {
    const Output& output = graph.stages(static_cast<int>(producer)).output();
    const StageOutput& sinks = outputs[producer];
    if (!source) source = std::make_unique<MemorySource>(sinks[0]->schema());
    const bool all = input.mode() != StageInput::PARTITIONED;
    const bool hash = output.kind() == Output::HASH;
    const uint64_t partitions = hash ? output.partitions() : sinks.size();
    const auto [first, last] = all ? std::pair<uint64_t, uint64_t>(0, partitions)
                                   : Share(partitions, index, count);
    for (size_t task = 0; task < sinks.size(); ++task) {
      if (!hash && (task < first || task >= last)) continue;
      for (const auto& batch : sinks[task]->batches()) {
        source->Add(batch, hash ? first : 0, hash ? last : 1);
      }
    }
  }
  return source;
}

// Rows of each file that task `index` reads. Formats that have no row ranges are dealt
// file by file.
job::ScanSplits DealScan(const job::ScanSplits& scan, uint32_t index, uint32_t count) {
  job::ScanSplits share;
  for (int i = 0; i < scan.splits_size(); ++i) {
    const auto& split = scan.splits(i);
    if (split.total_rows() == 0 || split.row_count() > 0) {
      if (static_cast<uint32_t>(i) % count == index) *share.add_splits() = split;
      continue;
    }
    const auto [first, last] = Share(split.total_rows(), index, count);
    if (first == last) continue;
    auto* range = share.add_splits();
    *range = split;
    range->clear_row_group_ends();
    if (count > 1) {
      range->set_first_row(first);
      range->set_row_count(last - first);
    }
  }
  return share;
}

arrow::Status RunTask(const JobGraph& graph, const Stage& stage,
                      const std::vector<StageOutput>& outputs,
                      engine::ExecutionEngine* engine, uint32_t index, uint32_t count,
                      MemorySink* sink) {
  engine::FragmentTask task;
  task.fragment = &stage.fragment();
  task.settings.assign(graph.settings().begin(), graph.settings().end());
  task.output = stage.output();
  task.sink = sink;
  if (stage.output().is_result()) {
    task.names.assign(graph.names().begin(), graph.names().end());
  }
  std::vector<std::unique_ptr<MemorySource>> sources;
  for (const auto& input : stage.inputs()) {
    ARROW_ASSIGN_OR_RAISE(auto source, OpenInput(graph, input, outputs, index, count));
    task.inputs.push_back(source.get());
    sources.push_back(std::move(source));
  }
  for (const auto& scan : stage.scans()) {
    task.scans.push_back(DealScan(scan, index, count));
  }
  return engine->Run(task, engine->MakeInterrupt()).status();
}

arrow::Result<std::shared_ptr<arrow::Table>> Collect(const StageOutput& sinks) {
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  for (const auto& sink : sinks) {
    for (const auto& batch : sink->batches()) batches.push_back(batch.batch);
  }
  return arrow::Table::FromRecordBatches(sinks[0]->schema(), batches);
}

// Stages that the result depends on.
std::set<uint32_t> Needed(const JobGraph& graph) {
  std::set<uint32_t> needed = {graph.result_stage()};
  for (int i = graph.stages_size() - 1; i >= 0; --i) {
    if (!needed.contains(static_cast<uint32_t>(i))) continue;
    for (const auto& input : graph.stages(i).inputs()) {
      needed.insert(input.stages().begin(), input.stages().end());
    }
  }
  return needed;
}

uint64_t BufferBytes(const arrow::ArrayData& data) {
  uint64_t bytes = 0;
  for (const auto& buffer : data.buffers) {
    if (buffer) bytes += static_cast<uint64_t>(buffer->size());
  }
  for (const auto& child : data.child_data) bytes += BufferBytes(*child);
  return bytes;
}

arrow::Result<StageRun> RunStage(const JobGraph& graph, const Stage& stage,
                                 engine::ExecutionEngine* engine, uint32_t tasks,
                                 std::vector<StageOutput>* outputs) {
  const auto start = std::chrono::steady_clock::now();
  StageRun stats;
  stats.tasks = stage.parallelism() == job::SINGLE_TASK ? 1 : tasks;
  StageOutput sinks;
  for (uint32_t index = 0; index < stats.tasks; ++index) {
    sinks.push_back(std::make_unique<MemorySink>());
    const auto status =
        RunTask(graph, stage, *outputs, engine, index, stats.tasks, sinks.back().get());
    if (!status.ok()) {
      return status.WithMessage("stage ", stage.id(), " task ", index, ": ",
                                status.message());
    }
    for (const auto& batch : sinks.back()->batches()) {
      stats.rows += static_cast<uint64_t>(batch.batch->num_rows());
      for (const auto& column : batch.batch->column_data()) {
        stats.bytes += BufferBytes(*column);
      }
    }
  }
  stats.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  (*outputs)[stage.id()] = std::move(sinks);
  return stats;
}

}  // namespace

arrow::Result<JobRun> RunJob(JobGraph graph, engine::ExecutionEngine* engine,
                             const planner::PlannerOptions& options, bool replan) {
  JobRun run;
  std::vector<StageOutput> outputs(static_cast<size_t>(graph.stages_size()));
  run.stages.resize(outputs.size());
  std::vector<planner::StageProgress> progress(outputs.size());
  for (int i = 0; i < graph.stages_size(); ++i) {
    if (!Needed(graph).contains(static_cast<uint32_t>(i))) continue;
    ARROW_RETURN_NOT_OK(plan::ValidateGraph(graph));
    const auto index = static_cast<size_t>(i);
    ARROW_ASSIGN_OR_RAISE(run.stages[index], RunStage(graph, graph.stages(i), engine,
                                                      options.executors, &outputs));
    progress[index] = {true, true, run.stages[index].rows, run.stages[index].bytes};
    if (!replan) continue;
    if (auto better = planner::ReplanJob(graph, progress, options)) {
      graph = *std::move(better);
    }
  }
  ARROW_ASSIGN_OR_RAISE(run.result, Collect(outputs[graph.result_stage()]));
  run.graph = std::move(graph);
  return run;
}

}  // namespace ballista::testing
