// Forms the tasks of a stage: deals out its scans' splits and its inputs' partitions and
// outputs, balanced by bytes. Pure functions; the caller owns everything.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ballista/job.pb.h"

namespace ballista::scheduler {

// An executor within the core; never reused for another registration.
using ExecutorIndex = uint32_t;
inline constexpr ExecutorIndex kNoExecutor = 0xffffffffu;

// One task's output that exists.
struct AvailableOutput {
  uint32_t stage_id = 0;
  uint32_t task_index = 0;
  uint32_t attempt = 0;
  ExecutorIndex executor = kNoExecutor;
  const job::OutputStatistics* statistics = nullptr;
  // Number of `executor` among those that keep the stage's inputs.
  uint32_t holder = 0;
};

// One input of a stage: what its producers' outputs are like (all alike), and the outputs
// themselves, by stage and task.
struct InputOutputs {
  job::StageInput::Mode mode = job::StageInput::INVALID;
  job::Output::Kind kind = job::Output::INVALID;
  uint32_t partitions = 1;
  // StageInput.splittable.
  bool splittable = false;
  std::vector<AvailableOutput> outputs;
};

// What one task reads. Inputs that every task reads whole are not listed.
struct TaskShare {
  // Of each PARTITIONED input whose producers hash: [first, last).
  uint32_t first_partition = 0;
  uint32_t last_partition = 0;
  // Where several tasks (`pieces`) read the same range: of the input `split_input` this
  // one reads these outputs alone (positions in InputOutputs::outputs), of the others
  // all.
  uint32_t piece = 0;
  uint32_t pieces = 1;
  size_t split_input = 0;
  std::vector<uint32_t> split_outputs;
  // By input: positions in InputOutputs::outputs, for PARTITIONED inputs whose producers
  // do not hash.
  std::vector<std::vector<uint32_t>> outputs;
  // Of the MERGE input, where several tasks merge: rows with sort keys from `lower_key`
  // on and below `upper_key`; absent: no bound.
  std::optional<std::string> lower_key;
  std::optional<std::string> upper_key;
  // By Scan.scan_index.
  std::vector<job::ScanSplits> scans;
  // Where it would best run: with most of its input, or else such that the tasks spread.
  ExecutorIndex preferred = kNoExecutor;
};

struct FormationOptions {
  uint32_t tasks_per_stage = 0;  // 0: one an executor
  uint64_t min_task_bytes = 0;   // 0: no limit
  // A task that would get more than this many times what the others get on average
  // shares its partitions with others, where an input is splittable; 0: never.
  uint32_t skew_factor = 0;
};

// Tasks of `stage`, at least one; a few more than asked for where partitions are split.
// Every row of every split, every partition and every
// output of a PARTITIONED input is in exactly one of them, but for what tasks that share
// a range of partitions read of their unsplit inputs (where there is no row at all,
// partitions may be in none). `executors`:
// those that can take tasks, the most idle first; not empty.
std::vector<TaskShare> FormTasks(const job::Stage& stage,
                                 const std::vector<InputOutputs>& inputs,
                                 const std::vector<ExecutorIndex>& executors,
                                 const FormationOptions& options);

// Whether the stage's tasks each merge one range of sort keys (range_formation.cc).
bool MergesRanges(const job::Stage& stage, const std::vector<InputOutputs>& inputs);

// FormTasks for such a stage: ranges in the order of the keys, balanced by what samples
// of the runs say of their bytes. Rows with equal keys are in one range.
std::vector<TaskShare> FormMergeTasks(const job::Stage& stage,
                                      const std::vector<InputOutputs>& inputs,
                                      const std::vector<ExecutorIndex>& executors,
                                      const FormationOptions& options);

// About how many rows and bytes of the run are in the share's range of keys; at least one
// row, but no row where there is certainly none.
std::pair<uint64_t, uint64_t> EstimateRange(const job::OutputStatistics& run,
                                            const TaskShare& share);

// What the task with `share` reads of `input` (at `position` among the stage's inputs).
// Outputs without a row in its range are left out. Executors are numbered in the result
// by `position_of(AvailableOutput)`.
template <typename PositionOf>
void FillTaskInput(const InputOutputs& input, size_t position, const TaskShare& share,
                   bool single_task, PositionOf&& position_of, job::TaskInput* result);

// Cuts [0, weights.size()) into at most `n` ranges of nearly equal weight. Weights of 0
// are in any range or none; no range is of weight 0.
std::vector<std::pair<uint32_t, uint32_t>> BalanceContiguous(
    const std::vector<uint64_t>& weights, size_t n);

// Deals `splits` to `loads.size()` tasks that have these bytes already; adds what each
// gets. Whole files where that is nearly even, else files cut between row groups. The
// result's splits carry no row_group_ends.
std::vector<job::ScanSplits> DealSplits(const job::ScanSplits& splits,
                                        std::vector<uint64_t>* loads);

// A range of partitions, read by one task for each list of outputs of the input `split`;
// no list: by one task, whole.
struct PartitionGroup {
  uint32_t first = 0;
  uint32_t last = 0;
  uint64_t bytes = 0;
  size_t split = 0;
  std::vector<std::vector<uint32_t>> pieces;

  size_t tasks() const { return pieces.empty() ? 1 : pieces.size(); }
};

// Cuts the partitions, which have `weights`, for about `tasks` tasks: into ranges of
// nearly equal weight, and heavy ranges among tasks that share them. (skew_split.cc)
std::vector<PartitionGroup> GroupPartitions(const std::vector<InputOutputs>& inputs,
                                            const std::vector<uint64_t>& weights,
                                            size_t tasks,
                                            const FormationOptions& options);

// Outputs with rows of the splittable input that has most of them; 0: there is none.
uint64_t CountSplittableOutputs(const std::vector<InputOutputs>& inputs);

// Pieces that `splits` can be cut into at most.
uint64_t CountPieces(const job::ScanSplits& splits);

// ---- implementation of the template

// Rows and bytes of partitions [first, last).
std::pair<uint64_t, uint64_t> RangeSize(const job::OutputStatistics& statistics,
                                        uint32_t first, uint32_t last);

template <typename PositionOf>
void FillTaskInput(const InputOutputs& input, size_t position, const TaskShare& share,
                   bool single_task, PositionOf&& position_of, job::TaskInput* result) {
  const bool hashed = input.kind == job::Output::HASH;
  const bool whole = single_task || input.mode != job::StageInput::PARTITIONED;
  result->set_first_partition(hashed && !whole ? share.first_partition : 0);
  result->set_last_partition(!hashed ? 1
                             : whole ? input.partitions
                                     : share.last_partition);
  auto add = [&](const AvailableOutput& output, uint64_t rows, uint64_t bytes) {
    if (rows == 0) return;
    job::TaskOutputRef* ref = result->add_outputs();
    ref->set_stage_id(output.stage_id);
    ref->set_task_index(output.task_index);
    ref->set_attempt(output.attempt);
    ref->set_executor(position_of(output));
    ref->set_rows(rows);
    ref->set_bytes(bytes);
  };
  const bool some = !hashed && !whole;
  result->mutable_outputs()->Reserve(
      static_cast<int>(some ? share.outputs[position].size() : input.outputs.size()));
  const bool bounded = share.lower_key.has_value() || share.upper_key.has_value();
  if (bounded && input.mode == job::StageInput::MERGE) {
    if (share.lower_key) result->set_lower_key(*share.lower_key);
    if (share.upper_key) result->set_upper_key(*share.upper_key);
    for (const AvailableOutput& output : input.outputs) {
      auto [rows, bytes] = EstimateRange(*output.statistics, share);
      add(output, rows, bytes);
    }
  } else if (hashed && !whole) {
    auto add_range = [&](const AvailableOutput& output) {
      auto [rows, bytes] =
          RangeSize(*output.statistics, share.first_partition, share.last_partition);
      add(output, rows, bytes);
    };
    if (share.pieces > 1 && share.split_input == position) {
      for (uint32_t i : share.split_outputs) add_range(input.outputs[i]);
    } else {
      for (const AvailableOutput& output : input.outputs) add_range(output);
    }
  } else if (whole) {
    for (const AvailableOutput& output : input.outputs) {
      add(output, output.statistics->rows(), output.statistics->bytes());
    }
  } else {
    for (uint32_t i : share.outputs[position]) {
      const AvailableOutput& output = input.outputs[i];
      add(output, output.statistics->rows(), output.statistics->bytes());
    }
  }
}

}  // namespace ballista::scheduler
