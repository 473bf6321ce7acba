#include "ballista/scheduler/task_formation.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace ballista::scheduler {

namespace {

// An output is read where it is unless that task then has this much more than the mean.
constexpr double kLocalityOverload = 1.2;

bool Hashed(const InputOutputs& input) {
  return input.mode == job::StageInput::PARTITIONED && input.kind == job::Output::HASH;
}

bool DealtWhole(const InputOutputs& input) {
  return input.mode == job::StageInput::PARTITIONED && input.kind != job::Output::HASH;
}

// Bytes of each partition over all hashed inputs; at least 1 where there is a row.
std::vector<uint64_t> PartitionWeights(const std::vector<InputOutputs>& inputs) {
  std::vector<uint64_t> weights;
  for (const InputOutputs& input : inputs) {
    if (!Hashed(input)) continue;
    weights.resize(std::max<size_t>(weights.size(), input.partitions));
    for (const AvailableOutput& output : input.outputs) {
      const job::OutputStatistics& statistics = *output.statistics;
      for (int p = 0; p < statistics.partition_rows_size(); ++p) {
        if (statistics.partition_rows(p) == 0) continue;
        weights[p] += std::max<uint64_t>(statistics.partition_bytes(p), 1);
      }
    }
  }
  return weights;
}

// How much there is to deal out: pieces bound the number of tasks, so do bytes.
struct Work {
  uint64_t pieces = 0;
  uint64_t bytes = 0;
  bool bytes_known = true;
};

Work Measure(const job::Stage& stage, const std::vector<InputOutputs>& inputs,
             const std::vector<uint64_t>& partition_weights, uint32_t skew_factor) {
  Work work;
  work.pieces = std::count_if(partition_weights.begin(), partition_weights.end(),
                              [](uint64_t weight) { return weight > 0; });
  work.bytes =
      std::accumulate(partition_weights.begin(), partition_weights.end(), uint64_t{0});
  uint64_t whole_outputs = 0;
  for (const InputOutputs& input : inputs) {
    if (!DealtWhole(input)) continue;
    for (const AvailableOutput& output : input.outputs) {
      if (output.statistics->rows() == 0) continue;
      ++whole_outputs;
      work.bytes += output.statistics->bytes();
    }
  }
  work.pieces = std::max(work.pieces, whole_outputs);
  if (skew_factor > 0) {
    work.pieces = std::max(work.pieces, CountSplittableOutputs(inputs));
  }
  for (const job::ScanSplits& scan : stage.scans()) {
    work.pieces = std::max(work.pieces, CountPieces(scan));
    for (const plan::FileSplit& split : scan.splits()) {
      work.bytes += split.size_bytes();
      work.bytes_known = work.bytes_known && split.size_bytes() > 0;
    }
  }
  return work;
}

size_t CountTasks(const Work& work, size_t executors, const FormationOptions& options) {
  uint64_t tasks = options.tasks_per_stage > 0 ? options.tasks_per_stage : executors;
  tasks = std::min(tasks, work.pieces);
  if (options.min_task_bytes > 0 && work.bytes_known) {
    const uint64_t full =
        work.bytes / options.min_task_bytes + (work.bytes % options.min_task_bytes > 0);
    tasks = std::min(tasks, full);
  }
  return std::max<uint64_t>(tasks, 1);
}

// The tasks under way: what each has, and how many bytes of it where.
struct Forming {
  std::vector<TaskShare> shares;
  std::vector<uint64_t> loads;
  std::vector<ExecutorIndex> home;  // by task: the executor whose outputs it takes first
};

// Deals out the outputs of the inputs that are read whole, largest first: to the task at
// home where the output is, unless that one has too much.
void DealOutputs(const std::vector<InputOutputs>& inputs, Forming* forming) {
  struct Item {
    size_t input;
    uint32_t output;
    uint64_t bytes;
    ExecutorIndex executor;
  };
  std::vector<Item> items;
  uint64_t total =
      std::accumulate(forming->loads.begin(), forming->loads.end(), uint64_t{0});
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!DealtWhole(inputs[i])) continue;
    for (uint32_t o = 0; o < inputs[i].outputs.size(); ++o) {
      const AvailableOutput& output = inputs[i].outputs[o];
      // An empty one counts as one byte; it may have rows when it is computed again.
      const uint64_t bytes = std::max<uint64_t>(output.statistics->bytes(), 1);
      items.push_back({i, o, bytes, output.executor});
      total += bytes;
    }
  }
  std::stable_sort(items.begin(), items.end(),
                   [](const Item& a, const Item& b) { return a.bytes > b.bytes; });
  const size_t n = forming->shares.size();
  std::map<ExecutorIndex, uint64_t> held;
  for (const Item& item : items) held[item.executor] += item.bytes;
  std::vector<std::pair<uint64_t, ExecutorIndex>> holders;
  for (const auto& [executor, bytes] : held) holders.emplace_back(bytes, executor);
  std::stable_sort(holders.begin(), holders.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::map<ExecutorIndex, size_t> task_at;
  for (size_t k = 0; k < std::min(n, holders.size()); ++k) {
    forming->home[k] = holders[k].second;
    task_at[holders[k].second] = k;
  }

  std::vector<std::pair<uint64_t, size_t>> heap;  // (-load, task), least load on top
  auto later = [](const auto& a, const auto& b) { return a > b; };
  for (size_t t = 0; t < n; ++t) heap.emplace_back(forming->loads[t], t);
  std::make_heap(heap.begin(), heap.end(), later);
  const double limit =
      kLocalityOverload * static_cast<double>(total) / static_cast<double>(n);
  for (const Item& item : items) {
    size_t task = n;
    if (auto at = task_at.find(item.executor); at != task_at.end()) {
      if (static_cast<double>(forming->loads[at->second] + item.bytes) <= limit) {
        task = at->second;
      }
    }
    while (task == n) {
      // Entries whose load has grown since are put back with what it is now.
      std::pop_heap(heap.begin(), heap.end(), later);
      auto [load, candidate] = heap.back();
      if (load == forming->loads[candidate]) task = candidate;
      heap.back().first = forming->loads[candidate] + (task != n ? item.bytes : 0);
      std::push_heap(heap.begin(), heap.end(), later);
    }
    forming->loads[task] += item.bytes;
    forming->shares[task].outputs[item.input].push_back(item.output);
  }
  for (TaskShare& share : forming->shares) {
    for (auto& outputs : share.outputs) std::sort(outputs.begin(), outputs.end());
  }
}

bool HasWork(const TaskShare& share) {
  auto filled = [](const auto& outputs) { return !outputs.empty(); };
  return share.first_partition < share.last_partition ||
         std::any_of(share.outputs.begin(), share.outputs.end(), filled) ||
         std::any_of(share.scans.begin(), share.scans.end(),
                     [](const job::ScanSplits& scan) { return scan.splits_size() > 0; });
}

// Gives each task without a home one of the executors that fewest tasks have so far.
void Spread(const std::vector<ExecutorIndex>& executors, std::vector<TaskShare>* shares) {
  std::map<ExecutorIndex, uint32_t> used;
  for (const TaskShare& share : *shares) {
    if (share.preferred != kNoExecutor) ++used[share.preferred];
  }
  uint32_t level = 0;
  size_t next = 0;
  for (TaskShare& share : *shares) {
    if (share.preferred != kNoExecutor) continue;
    while (true) {
      if (next == executors.size()) {
        next = 0;
        ++level;
      }
      const ExecutorIndex executor = executors[next++];
      if (used[executor] > level) continue;
      ++used[executor];
      share.preferred = executor;
      break;
    }
  }
}

TaskShare FormSingleTask(const job::Stage& stage, const std::vector<InputOutputs>& inputs,
                         const std::vector<ExecutorIndex>& executors) {
  TaskShare share;
  share.outputs.resize(inputs.size());
  std::map<ExecutorIndex, uint64_t> held;
  for (const InputOutputs& input : inputs) {
    for (const AvailableOutput& output : input.outputs) {
      held[output.executor] += output.statistics->bytes();
    }
  }
  for (const job::ScanSplits& scan : stage.scans()) {
    share.scans.push_back(scan);
    for (plan::FileSplit& split : *share.scans.back().mutable_splits()) {
      split.clear_row_group_ends();
    }
  }
  uint64_t most = 0;
  for (const auto& [executor, bytes] : held) {
    if (bytes <= most) continue;
    most = bytes;
    share.preferred = executor;
  }
  if (share.preferred == kNoExecutor) share.preferred = executors.front();
  return share;
}

}  // namespace

std::pair<uint64_t, uint64_t> RangeSize(const job::OutputStatistics& statistics,
                                        uint32_t first, uint32_t last) {
  const uint64_t* all_rows = statistics.partition_rows().data();
  const uint64_t* all_bytes = statistics.partition_bytes().data();
  return {std::accumulate(all_rows + first, all_rows + last, uint64_t{0}),
          std::accumulate(all_bytes + first, all_bytes + last, uint64_t{0})};
}

std::vector<std::pair<uint32_t, uint32_t>> BalanceContiguous(
    const std::vector<uint64_t>& weights, size_t n) {
  std::vector<std::pair<uint32_t, uint32_t>> ranges;
  uint64_t remaining = std::accumulate(weights.begin(), weights.end(), uint64_t{0});
  size_t i = 0;
  while (remaining > 0) {
    while (weights[i] == 0) ++i;
    const size_t left = n - ranges.size();
    // What each of the ranges still to come should have: grows where those so far have
    // too little, shrinks after one heavy item.
    const double target = static_cast<double>(remaining) / static_cast<double>(left);
    uint64_t weight = weights[i];
    size_t end = i + 1;
    while (
        end < weights.size() &&
        (left == 1 ||
         static_cast<double>(weight) + static_cast<double>(weights[end]) / 2 <= target)) {
      weight += weights[end++];
    }
    ranges.emplace_back(static_cast<uint32_t>(i), static_cast<uint32_t>(end));
    remaining -= weight;
    i = end;
  }
  return ranges;
}

std::vector<TaskShare> FormTasks(const job::Stage& stage,
                                 const std::vector<InputOutputs>& inputs,
                                 const std::vector<ExecutorIndex>& executors,
                                 const FormationOptions& options) {
  if (stage.parallelism() == job::SINGLE_TASK) {
    return {FormSingleTask(stage, inputs, executors)};
  }
  if (MergesRanges(stage, inputs)) {
    return FormMergeTasks(stage, inputs, executors, options);
  }
  const std::vector<uint64_t> weights = PartitionWeights(inputs);
  const Work work = Measure(stage, inputs, weights, options.skew_factor);
  const size_t wanted = CountTasks(work, executors.size(), options);
  const auto groups = GroupPartitions(inputs, weights, wanted, options);
  size_t n = 0;
  for (const PartitionGroup& group : groups) n += group.tasks();
  n = std::max(n, wanted);
  Forming forming{std::vector<TaskShare>(n), std::vector<uint64_t>(n),
                  std::vector<ExecutorIndex>(n, kNoExecutor)};
  for (TaskShare& share : forming.shares) {
    share.outputs.resize(inputs.size());
    share.scans.resize(stage.scans_size());
  }
  size_t next = 0;
  for (const PartitionGroup& group : groups) {
    for (uint32_t piece = 0; piece < group.tasks(); ++piece, ++next) {
      TaskShare& share = forming.shares[next];
      share.first_partition = group.first;
      share.last_partition = group.last;
      share.piece = piece;
      share.pieces = static_cast<uint32_t>(group.tasks());
      if (!group.pieces.empty()) {
        share.split_input = group.split;
        share.split_outputs = group.pieces[piece];
      }
      forming.loads[next] += group.bytes / group.tasks();
    }
  }
  DealOutputs(inputs, &forming);
  for (int scan = 0; scan < stage.scans_size(); ++scan) {
    std::vector<job::ScanSplits> dealt = DealSplits(stage.scans(scan), &forming.loads);
    for (size_t t = 0; t < n; ++t) forming.shares[t].scans[scan] = std::move(dealt[t]);
  }
  for (size_t t = 0; t < n; ++t) forming.shares[t].preferred = forming.home[t];
  std::vector<TaskShare> shares;
  for (TaskShare& share : forming.shares) {
    if (HasWork(share)) shares.push_back(std::move(share));
  }
  if (shares.empty()) shares.push_back(std::move(forming.shares.front()));
  Spread(executors, &shares);
  return shares;
}

}  // namespace ballista::scheduler
