// Forms the tasks of a stage that merges sorted runs: cuts the runs' keys into ranges.
#include <algorithm>
#include <map>
#include <string_view>

#include "ballista/scheduler/task_formation.h"

namespace ballista::scheduler {

namespace {

const InputOutputs* MergeInput(const std::vector<InputOutputs>& inputs) {
  for (const InputOutputs& input : inputs) {
    if (input.mode == job::StageInput::MERGE && input.kind == job::Output::RANGE) {
      return &input;
    }
  }
  return nullptr;
}

uint64_t BytesOf(const InputOutputs& input) {
  uint64_t bytes = 0;
  for (const AvailableOutput& output : input.outputs) bytes += output.statistics->bytes();
  return bytes;
}

size_t CountRanges(uint64_t bytes, size_t executors, const FormationOptions& options) {
  uint64_t ranges = options.tasks_per_stage > 0 ? options.tasks_per_stage : executors;
  if (options.min_task_bytes > 0) {
    ranges = std::min(ranges, bytes / options.min_task_bytes);
  }
  return std::max<uint64_t>(ranges, 1);
}

// Bytes of all runs by sampled key: what lies from that key to the next sample's of the
// same run counts as lying at the key.
std::map<std::string_view, uint64_t> WeighKeys(const InputOutputs& input) {
  std::map<std::string_view, uint64_t> weights;
  for (const AvailableOutput& output : input.outputs) {
    for (const job::RangeSample& sample : output.statistics->range_samples()) {
      weights[sample.key()] += std::max<uint64_t>(sample.bytes(), 1);
    }
  }
  return weights;
}

}  // namespace

bool MergesRanges(const job::Stage& stage, const std::vector<InputOutputs>& inputs) {
  return stage.parallelism() == job::MANY_TASKS && MergeInput(inputs) != nullptr;
}

std::vector<TaskShare> FormMergeTasks(const job::Stage& stage,
                                      const std::vector<InputOutputs>& inputs,
                                      const std::vector<ExecutorIndex>& executors,
                                      const FormationOptions& options) {
  const InputOutputs& input = *MergeInput(inputs);
  const auto by_key = WeighKeys(input);
  std::vector<std::string_view> keys;
  std::vector<uint64_t> weights;
  for (const auto& [key, weight] : by_key) {
    keys.push_back(key);
    weights.push_back(weight);
  }
  const auto ranges =
      BalanceContiguous(weights, CountRanges(BytesOf(input), executors.size(), options));
  std::vector<TaskShare> shares(std::max<size_t>(ranges.size(), 1));
  for (size_t t = 0; t < shares.size(); ++t) {
    TaskShare& share = shares[t];
    share.outputs.resize(inputs.size());
    share.scans.resize(stage.scans_size());
    share.preferred = executors[t % executors.size()];
    if (t > 0) share.lower_key = std::string(keys[ranges[t].first]);
    if (t + 1 < shares.size()) share.upper_key = std::string(keys[ranges[t + 1].first]);
  }
  return shares;
}

std::pair<uint64_t, uint64_t> EstimateRange(const job::OutputStatistics& run,
                                            const TaskShare& share) {
  if (run.rows() == 0) return {0, 0};
  // The run's first row is its first sample.
  if (share.upper_key && run.range_samples_size() > 0 &&
      run.range_samples(0).key() >= *share.upper_key) {
    return {0, 0};
  }
  uint64_t rows = 0;
  uint64_t bytes = 0;
  for (const job::RangeSample& sample : run.range_samples()) {
    if (share.lower_key && sample.key() < *share.lower_key) continue;
    if (share.upper_key && sample.key() >= *share.upper_key) break;
    rows += sample.rows();
    bytes += sample.bytes();
  }
  return {std::max<uint64_t>(rows, 1), bytes};
}

}  // namespace ballista::scheduler
