// Splitting what one task would have too much of: a range of partitions that is read by
// several tasks, each of its own outputs of one input.
#include <algorithm>
#include <numeric>
#include <queue>

#include "ballista/scheduler/task_formation.h"

namespace ballista::scheduler {

namespace {

// A split must take off at least this share of the heavy task, and another piece at least
// this share of what is left: each piece reads the other inputs once more.
constexpr double kWorthwhile = 0.2;
constexpr double kWorthAnotherPiece = 0.05;
// Neighbouring ranges are joined while they have at most this much of the mean.
constexpr double kEvenEnough = 1.2;

bool CanSplit(const InputOutputs& input) {
  return input.splittable && input.mode == job::StageInput::PARTITIONED &&
         input.kind == job::Output::HASH;
}

// Bytes of the group's partitions in each output of an input; at least 1, since one that
// is computed again may have rows where it had none.
std::vector<uint64_t> OutputBytes(const InputOutputs& input,
                                  const PartitionGroup& group) {
  std::vector<uint64_t> bytes;
  bytes.reserve(input.outputs.size());
  for (const AvailableOutput& output : input.outputs) {
    const auto size = RangeSize(*output.statistics, group.first, group.last);
    bytes.push_back(std::max<uint64_t>(size.second, 1));
  }
  return bytes;
}

// Largest first, each to the piece with the least so far.
std::vector<std::vector<uint32_t>> Deal(const std::vector<uint64_t>& bytes, size_t n,
                                        uint64_t* most) {
  std::vector<uint32_t> order(bytes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return bytes[a] > bytes[b]; });
  using Entry = std::pair<uint64_t, size_t>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> least;
  for (size_t piece = 0; piece < n; ++piece) least.emplace(0, piece);
  std::vector<std::vector<uint32_t>> pieces(n);
  *most = 0;
  for (uint32_t output : order) {
    const auto [load, piece] = least.top();
    least.pop();
    pieces[piece].push_back(output);
    least.emplace(load + bytes[output], piece);
    *most = std::max(*most, load + bytes[output]);
  }
  for (auto& piece : pieces) std::sort(piece.begin(), piece.end());
  return pieces;
}

// The number of pieces with which all is done soonest, if the executors share the work
// evenly but for the largest piece.
size_t ChoosePieces(double split, double others, double total, size_t tasks,
                    size_t most) {
  size_t best = 1;
  double best_time = split + others;
  for (size_t k = 2; k <= most; ++k) {
    const auto pieces = static_cast<double>(k);
    const double time =
        std::max(others + split / pieces,
                 (total + (pieces - 1) * others) / static_cast<double>(tasks));
    if (time > best_time * (1 - kWorthAnotherPiece)) continue;
    best = k;
    best_time = time;
  }
  return best;
}

void Split(const std::vector<InputOutputs>& inputs, uint64_t total, size_t tasks,
           const FormationOptions& options, PartitionGroup* group) {
  std::vector<uint64_t> bytes;  // of the largest splittable input
  uint64_t largest = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!CanSplit(inputs[i])) continue;
    std::vector<uint64_t> here = OutputBytes(inputs[i], *group);
    const uint64_t sum = std::accumulate(here.begin(), here.end(), uint64_t{0});
    if (sum <= largest) continue;
    largest = sum;
    bytes = std::move(here);
    group->split = i;
  }
  if (largest == 0) return;
  uint64_t most =
      std::count_if(bytes.begin(), bytes.end(), [](uint64_t one) { return one > 1; });
  most = std::min<uint64_t>(most, tasks);
  if (options.min_task_bytes > 0) {
    most = std::min(most, std::max<uint64_t>(largest / options.min_task_bytes, 1));
  }
  const uint64_t others = group->bytes - std::min(group->bytes, largest);
  const size_t pieces =
      ChoosePieces(static_cast<double>(largest), static_cast<double>(others),
                   static_cast<double>(total), tasks, most);
  if (pieces < 2) return;
  uint64_t heaviest = 0;
  auto dealt = Deal(bytes, pieces, &heaviest);
  // An output is not cut: one that has it all leaves it all to one task.
  if (static_cast<double>(heaviest + others) >
      (1 - kWorthwhile) * static_cast<double>(group->bytes)) {
    return;
  }
  group->pieces = std::move(dealt);
}

}  // namespace

uint64_t CountSplittableOutputs(const std::vector<InputOutputs>& inputs) {
  uint64_t most = 0;
  for (const InputOutputs& input : inputs) {
    if (!CanSplit(input)) continue;
    const uint64_t filled = std::count_if(
        input.outputs.begin(), input.outputs.end(),
        [](const AvailableOutput& output) { return output.statistics->rows() > 0; });
    most = std::max(most, filled);
  }
  return most;
}

std::vector<PartitionGroup> GroupPartitions(const std::vector<InputOutputs>& inputs,
                                            const std::vector<uint64_t>& weights,
                                            size_t tasks,
                                            const FormationOptions& options) {
  std::vector<PartitionGroup> groups;
  uint64_t total = 0;
  for (const auto& [first, last] : BalanceContiguous(weights, tasks)) {
    PartitionGroup& group = groups.emplace_back();
    // The ranges cover the empty partitions too: an output that is computed again may
    // have rows where it had none.
    group.first = groups.size() == 1 ? 0 : groups[groups.size() - 2].last;
    group.last = last;
    group.bytes =
        std::accumulate(weights.begin() + first, weights.begin() + last, uint64_t{0});
    total += group.bytes;
  }
  if (groups.empty()) return groups;
  groups.back().last = static_cast<uint32_t>(weights.size());
  if (options.skew_factor == 0 || tasks < 2) return groups;

  size_t count = groups.size();
  for (PartitionGroup& group : groups) {
    const double mean_of_others =
        static_cast<double>(total - group.bytes) / static_cast<double>(tasks - 1);
    if (static_cast<double>(group.bytes) <= options.skew_factor * mean_of_others)
      continue;
    Split(inputs, total, tasks, options, &group);
    count += group.tasks() - 1;
  }
  // Where there are now more tasks than were asked for, light neighbours become one.
  const double enough =
      kEvenEnough * static_cast<double>(total) / static_cast<double>(tasks);
  for (size_t i = 1; i < groups.size() && count > tasks;) {
    PartitionGroup& left = groups[i - 1];
    PartitionGroup& right = groups[i];
    if (left.tasks() > 1 || right.tasks() > 1 ||
        static_cast<double>(left.bytes + right.bytes) > enough) {
      ++i;
      continue;
    }
    left.last = right.last;
    left.bytes += right.bytes;
    groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(i));
    --count;
  }
  return groups;
}

}  // namespace ballista::scheduler
