// Dealing out the splits of a scan.
#include <algorithm>
#include <functional>
#include <numeric>
#include <queue>

#include "ballista/scheduler/task_formation.h"

namespace ballista::scheduler {

namespace {

// Whole files are kept whole while the fullest task has at most this much of the mean.
constexpr double kEvenEnough = 1.1;

uint64_t Weight(const plan::FileSplit& split) {
  return std::max<uint64_t>(split.size_bytes(), 1);
}

uint64_t EndRow(const plan::FileSplit& split) {
  return split.row_count() > 0 ? split.first_row() + split.row_count()
                               : split.total_rows();
}

// Rows at which the split can be cut, strictly inside it.
std::vector<uint64_t> CutRows(const plan::FileSplit& split) {
  std::vector<uint64_t> cuts;
  for (uint64_t end : split.row_group_ends()) {
    if (end > split.first_row() && end < EndRow(split)) cuts.push_back(end);
  }
  return cuts;
}

plan::FileSplit WithoutRowGroups(const plan::FileSplit& split) {
  plan::FileSplit result = split;
  result.clear_row_group_ends();
  return result;
}

// A split, or the part of one between two neighbouring cuts.
struct Piece {
  int split = 0;
  uint64_t first_row = 0;
  uint64_t end_row = 0;
  uint64_t weight = 0;
};

std::vector<Piece> MakePieces(const job::ScanSplits& splits) {
  std::vector<Piece> pieces;
  for (int i = 0; i < splits.splits_size(); ++i) {
    const plan::FileSplit& split = splits.splits(i);
    const double bytes_per_row =
        static_cast<double>(Weight(split)) /
        static_cast<double>(std::max<uint64_t>(EndRow(split) - split.first_row(), 1));
    std::vector<uint64_t> ends = CutRows(split);
    if (ends.empty()) {
      pieces.push_back({i, split.first_row(), EndRow(split), Weight(split)});
      continue;
    }
    ends.push_back(EndRow(split));
    uint64_t first = split.first_row();
    for (uint64_t end : ends) {
      auto weight =
          static_cast<uint64_t>(static_cast<double>(end - first) * bytes_per_row);
      pieces.push_back({i, first, end, std::max<uint64_t>(weight, 1)});
      first = end;
    }
  }
  return pieces;
}

struct Deal {
  std::vector<job::ScanSplits> shares;
  std::vector<uint64_t> loads;

  uint64_t Fullest() const { return *std::max_element(loads.begin(), loads.end()); }
};

// Largest file first, each to the task with the least so far.
Deal DealWholeFiles(const job::ScanSplits& splits, const std::vector<uint64_t>& loads) {
  const size_t n = loads.size();
  std::vector<int> order(splits.splits_size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return Weight(splits.splits(a)) > Weight(splits.splits(b));
  });
  using Entry = std::pair<uint64_t, size_t>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> least;
  for (size_t task = 0; task < n; ++task) least.emplace(loads[task], task);
  std::vector<std::vector<int>> dealt(n);
  for (int i : order) {
    auto [load, task] = least.top();
    least.pop();
    dealt[task].push_back(i);
    least.emplace(load + Weight(splits.splits(i)), task);
  }
  Deal deal{std::vector<job::ScanSplits>(n), loads};
  for (size_t task = 0; task < n; ++task) {
    std::sort(dealt[task].begin(), dealt[task].end());
    for (int i : dealt[task]) {
      deal.loads[task] += Weight(splits.splits(i));
      *deal.shares[task].add_splits() = WithoutRowGroups(splits.splits(i));
    }
  }
  return deal;
}

// Appends pieces [first, last), neighbours of one file as one range.
uint64_t AppendPieces(const job::ScanSplits& splits, const std::vector<Piece>& pieces,
                      size_t first, size_t last, job::ScanSplits* share) {
  uint64_t bytes = 0;
  for (size_t i = first; i < last;) {
    const plan::FileSplit& split = splits.splits(pieces[i].split);
    const uint64_t first_row = pieces[i].first_row;
    uint64_t end_row = 0;
    uint64_t weight = 0;
    const int of_split = pieces[i].split;
    for (; i < last && pieces[i].split == of_split; ++i) {
      end_row = pieces[i].end_row;
      weight += pieces[i].weight;
    }
    plan::FileSplit* added = share->add_splits();
    *added = WithoutRowGroups(split);
    if (first_row != split.first_row() || end_row != EndRow(split)) {
      added->set_first_row(first_row);
      added->set_row_count(end_row - first_row);
      added->set_size_bytes(weight);
    }
    bytes += weight;
  }
  return bytes;
}

// Files one after the other, cut between row groups where a task has enough.
Deal DealRowGroups(const job::ScanSplits& splits, const std::vector<uint64_t>& loads) {
  const size_t n = loads.size();
  const std::vector<Piece> pieces = MakePieces(splits);
  std::vector<uint64_t> weights;
  weights.reserve(pieces.size());
  for (const Piece& piece : pieces) weights.push_back(piece.weight);
  auto ranges = BalanceContiguous(weights, n);
  // The largest range to the task with the least so far.
  std::vector<std::pair<uint64_t, size_t>> by_weight;
  for (size_t i = 0; i < ranges.size(); ++i) {
    by_weight.emplace_back(
        std::accumulate(weights.begin() + ranges[i].first,
                        weights.begin() + ranges[i].second, uint64_t{0}),
        i);
  }
  std::vector<size_t> tasks(n);
  std::iota(tasks.begin(), tasks.end(), size_t{0});
  if (std::any_of(loads.begin(), loads.end(),
                  [&](uint64_t l) { return l != loads[0]; })) {
    std::stable_sort(by_weight.begin(), by_weight.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    std::stable_sort(tasks.begin(), tasks.end(),
                     [&](size_t a, size_t b) { return loads[a] < loads[b]; });
  }
  Deal deal{std::vector<job::ScanSplits>(n), loads};
  for (size_t i = 0; i < by_weight.size(); ++i) {
    const auto [first, last] = ranges[by_weight[i].second];
    const size_t task = tasks[i];
    deal.loads[task] += AppendPieces(splits, pieces, first, last, &deal.shares[task]);
  }
  return deal;
}

}  // namespace

uint64_t CountPieces(const job::ScanSplits& splits) {
  uint64_t pieces = 0;
  for (const plan::FileSplit& split : splits.splits()) {
    pieces += CutRows(split).size() + 1;
  }
  return pieces;
}

std::vector<job::ScanSplits> DealSplits(const job::ScanSplits& splits,
                                        std::vector<uint64_t>* loads) {
  Deal deal = DealWholeFiles(splits, *loads);
  const uint64_t total =
      std::accumulate(deal.loads.begin(), deal.loads.end(), uint64_t{0});
  const double mean = static_cast<double>(total) / static_cast<double>(loads->size());
  if (static_cast<double>(deal.Fullest()) > kEvenEnough * mean) {
    Deal cut = DealRowGroups(splits, *loads);
    if (cut.Fullest() < deal.Fullest()) deal = std::move(cut);
  }
  *loads = std::move(deal.loads);
  return std::move(deal.shares);
}

}  // namespace ballista::scheduler
