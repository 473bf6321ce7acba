#include <fmt/format.h>

#include <algorithm>

#include "ballista/sim/simulated_executor_internal.h"

namespace ballista::sim {

TaskKey KeyOf(const job::TaskId& id) {
  return {id.job_id(), id.stage_id(), id.task_index(), id.attempt()};
}

control::ExecutorMetadata SimulatedExecutor::Metadata() const {
  control::ExecutorMetadata metadata;
  metadata.set_id(id);
  metadata.set_host(id);
  metadata.set_task_slots(slots);
  metadata.set_incarnation(incarnation());
  return metadata;
}

std::vector<std::string> SimulatedExecutor::HeldJobs() const {
  std::set<std::string> jobs;
  for (const auto& [job, outputs] : kept) jobs.insert(job);
  for (const auto& [key, task] : running) jobs.insert(std::get<0>(key));
  return {jobs.begin(), jobs.end()};
}

std::vector<control::HeldOutput> SimulatedExecutor::Held() const {
  std::vector<control::HeldOutput> all;
  for (const auto& [key, output] : held) all.push_back(output);
  for (const auto& [key, task] : running) all.push_back(Describe(task));
  return all;
}

control::HeldOutput Describe(const RunningTask& task) {
  control::HeldOutput output;
  *output.mutable_id() = task.definition.id();
  output.set_fingerprint(task.stage->fingerprint());
  output.set_inputs_digest(task.definition.inputs_digest());
  return output;
}

const TaskKey* SimulatedExecutor::BeginNext() {
  const auto busy = std::count_if(running.begin(), running.end(),
                                  [](const auto& task) { return task.second.begun; });
  if (busy >= static_cast<int64_t>(slots)) return nullptr;
  while (!waiting.empty()) {
    const auto next = running.find(waiting.front());
    waiting.pop_front();
    if (next == running.end() || next->second.begun) continue;  // it was cancelled
    next->second.begun = true;
    return &next->first;
  }
  return nullptr;
}

void SimulatedExecutor::Clear() {
  running.clear();
  waiting.clear();
  held.clear();
  ended.clear();
  kept.clear();
}

void SimulatedExecutor::RemoveJob(const std::string& job_id) {
  kept.erase(job_id);
  std::erase_if(held,
                [&](const auto& entry) { return std::get<0>(entry.first) == job_id; });
  std::erase_if(running,
                [&](const auto& entry) { return std::get<0>(entry.first) == job_id; });
}

void SimulatedExecutor::Cancel(const TaskKey& key) {
  if (running.erase(key) > 0) ended.insert(key);
  held.erase(key);
  const auto outputs = kept.find(std::get<0>(key));
  if (outputs == kept.end() || outputs->second.erase(key) == 0) return;
  ended.insert(key);
  if (outputs->second.empty()) kept.erase(outputs);
}

namespace {

// Reads the input's range of keys of one sorted run into `rows`.
void ReadKeys(const std::vector<Row>& run, const job::TaskInput& input, InputRows* rows) {
  rows->resize(1);
  for (const Row row : run) {
    const std::string key = SortKeyOf(row);
    if (input.has_lower_key() && key < input.lower_key()) continue;
    if (input.has_upper_key() && key >= input.upper_key()) continue;
    (*rows)[0].push_back(row);
  }
}

// Some of the run's rows, as an executor samples them.
void AddSamples(const std::vector<Row>& run, job::OutputStatistics* statistics) {
  constexpr size_t kStep = 7;
  for (size_t i = 0; i < run.size(); i += kStep) {
    auto* sample = statistics->add_range_samples();
    sample->set_key(SortKeyOf(run[i]));
    sample->set_rows(std::min(kStep, run.size() - i));
    sample->set_bytes(sample->rows() * sizeof(Row));
  }
}

// Reads partitions [first, last) of one output into `rows`.
arrow::Status ReadRange(const std::vector<std::vector<Row>>& partitions,
                        const job::TaskInput& input, const job::TaskOutputRef& ref,
                        InputRows* rows) {
  if (input.last_partition() > partitions.size()) {
    return arrow::Status::Invalid("a task was told to read partition ",
                                  input.last_partition() - 1, " of ", partitions.size());
  }
  if (input.has_lower_key() || input.has_upper_key()) {
    ReadKeys(partitions[0], input, rows);
    return arrow::Status::OK();
  }
  uint64_t count = 0;
  for (uint32_t p = input.first_partition(); p < input.last_partition(); ++p) {
    rows->resize(std::max<size_t>(rows->size(), p + 1));
    (*rows)[p].insert((*rows)[p].end(), partitions[p].begin(), partitions[p].end());
    count += partitions[p].size();
  }
  if (count != ref.rows() || count * sizeof(Row) != ref.bytes()) {
    return arrow::Status::Invalid("a task was told to read ", ref.rows(), " rows where ",
                                  count, " are");
  }
  return arrow::Status::OK();
}

}  // namespace

arrow::Result<TaskRows> RunTask(const job::JobGraph& graph, const RunningTask& task,
                                const ReadOutput& read) {
  const job::TaskDefinition& definition = task.definition;
  const std::string& job_id = definition.id().job_id();
  const uint32_t stage_id = definition.id().stage_id();
  const job::Stage& stage = graph.stages(static_cast<int>(stage_id));
  if (definition.inputs_size() != stage.inputs_size() ||
      definition.scans_size() != stage.scans_size()) {
    return arrow::Status::Invalid("a task has not the inputs of its stage");
  }
  std::vector<InputRows> inputs;
  for (const job::TaskInput& input : definition.inputs()) {
    InputRows& rows = inputs.emplace_back();
    for (const job::TaskOutputRef& ref : input.outputs()) {
      const std::string& executor =
          definition.executors(static_cast<int>(ref.executor())).executor_id();
      const auto* partitions = read(
          executor, TaskKey{job_id, ref.stage_id(), ref.task_index(), ref.attempt()});
      if (partitions == nullptr) {
        FetchFailed what;
        what.set_job_id(job_id);
        what.set_stage_id(ref.stage_id());
        what.set_task_index(ref.task_index());
        what.set_attempt(ref.attempt());
        what.set_executor_id(executor);
        return FetchFailedStatus("the output could not be read", what);
      }
      ARROW_RETURN_NOT_OK(ReadRange(*partitions, input, ref, &rows));
    }
  }
  std::vector<Row> scanned;
  for (const job::ScanSplits& scan : definition.scans()) {
    for (const plan::FileSplit& split : scan.splits()) {
      const std::vector<Row> rows = ScanRows(split);
      scanned.insert(scanned.end(), rows.begin(), rows.end());
    }
  }
  TaskRows result;
  result.partitions =
      PartitionRows(stage, ComputeRows(ShapeOf(graph, stage_id), inputs, scanned),
                    definition.id().attempt());
  const bool hash = stage.output().kind() == job::Output::HASH;
  for (const std::vector<Row>& partition : result.partitions) {
    const uint64_t bytes = partition.size() * sizeof(Row);
    result.statistics.set_rows(result.statistics.rows() + partition.size());
    result.statistics.set_bytes(result.statistics.bytes() + bytes);
    if (stage.output().kind() == job::Output::RANGE) {
      AddSamples(partition, &result.statistics);
    }
    if (!hash) continue;
    result.statistics.add_partition_rows(partition.size());
    result.statistics.add_partition_bytes(bytes);
  }
  return result;
}

}  // namespace ballista::sim
