#include "ballista/shuffle/run_merger.h"

#include <algorithm>
#include <utility>

#include "ballista/shuffle/batch_slice.h"

namespace ballista::shuffle {
namespace {

// A stretch of so many rows is handed on as a slice, without a copy.
constexpr int64_t kLongStretch = 4096;

}  // namespace

RunMerger::RunMerger(SortKeyEncoder encoder, std::vector<NextBatch> runs)
    : encoder_(std::move(encoder)) {
  for (auto& next : runs) runs_.emplace_back().next = std::move(next);
}

arrow::Status RunMerger::Load(Run* run) {
  do {
    ARROW_ASSIGN_OR_RAISE(run->batch, run->next());
    if (run->batch == nullptr) {
      run->keys = {};
      return arrow::Status::OK();
    }
  } while (run->batch->num_rows() == 0);
  run->row = 0;
  run->row_bytes = static_cast<double>(BatchBytes(*run->batch)) /
                   static_cast<double>(run->batch->num_rows());
  ARROW_ASSIGN_OR_RAISE(run->keys,
                        encoder_.Encode(*run->batch, 0, run->batch->num_rows()));
  run->key = run->keys[0];
  return arrow::Status::OK();
}

bool RunMerger::Before(size_t a, size_t b) const {
  if (runs_[a].batch == nullptr || runs_[b].batch == nullptr) {
    return runs_[a].batch != nullptr || (runs_[b].batch == nullptr && a < b);
  }
  const int order = runs_[a].key.compare(runs_[b].key);
  return order < 0 || (order == 0 && a < b);
}

arrow::Status RunMerger::Begin() {
  begun_ = true;
  for (Run& run : runs_) ARROW_RETURN_NOT_OK(Load(&run));
  // Winners of the matches, bottom up; node k + r is the leaf of run r.
  const size_t k = runs_.size();
  std::vector<size_t> winners(2 * k);
  tree_.assign(std::max<size_t>(k, 1), 0);
  for (size_t r = 0; r < k; ++r) winners[k + r] = r;
  for (size_t node = k - 1; node >= 1 && k > 1; --node) {
    const size_t a = winners[2 * node];
    const size_t b = winners[2 * node + 1];
    const bool first = Before(a, b);
    winners[node] = first ? a : b;
    tree_[node] = first ? b : a;
  }
  tree_[0] = k > 1 ? winners[1] : 0;
  return arrow::Status::OK();
}

void RunMerger::Replay(size_t r) {
  size_t winner = r;
  for (size_t node = (r + runs_.size()) / 2; node >= 1; node /= 2) {
    if (Before(tree_[node], winner)) std::swap(tree_[node], winner);
  }
  tree_[0] = winner;
}

std::optional<size_t> RunMerger::SecondBest() const {
  std::optional<size_t> best;
  for (size_t node = (tree_[0] + runs_.size()) / 2; node >= 1; node /= 2) {
    if (!best || Before(tree_[node], *best)) best = tree_[node];
  }
  return best;
}

int64_t RunMerger::CountBefore(size_t winner, std::optional<size_t> second) const {
  const Run& run = runs_[winner];
  const int64_t left = run.batch->num_rows() - run.row;
  if (!second || runs_[*second].batch == nullptr) return left;
  const std::string_view limit = runs_[*second].key;
  const bool first_of_equals = winner < *second;
  const auto before = [&](int64_t i) {
    const int order = run.keys[run.row + i].compare(limit);
    return order < 0 || (order == 0 && first_of_equals);
  };
  int64_t known = 1;  // rows of which it is known: the winner's own
  int64_t step = 1;
  while (known < left && before(std::min(known + step, left) - 1)) {
    known = std::min(known + step, left);
    step *= 2;
  }
  int64_t end =
      std::min(known + step, left);  // row end - 1 is not before, or end = known
  while (known + 1 < end) {
    const int64_t middle = known + (end - known) / 2;
    (before(middle - 1) ? known : end) = middle;
  }
  return known;
}

arrow::Status RunMerger::Advance(Run* run, int64_t rows) {
  run->row += rows;
  if (run->row == run->batch->num_rows()) return Load(run);
  run->key = run->keys[run->row];
  return arrow::Status::OK();
}

arrow::Result<std::vector<Stretch>> RunMerger::Next(int64_t max_rows, int64_t max_bytes) {
  std::vector<Stretch> stretches;
  if (runs_.empty()) return stretches;
  if (!begun_) ARROW_RETURN_NOT_OK(Begin());
  int64_t rows = 0;
  double bytes = 0;
  while (rows < max_rows && bytes < static_cast<double>(max_bytes)) {
    const size_t winner = tree_[0];
    Run& run = runs_[winner];
    if (run.batch == nullptr) break;
    const int64_t count = CountBefore(winner, SecondBest());
    if (count >= kLongStretch && !stretches.empty()) break;
    rows += count;
    bytes += static_cast<double>(count) * run.row_bytes;
    if (!stretches.empty() && stretches.back().batch == run.batch &&
        stretches.back().first + stretches.back().rows == run.row) {
      stretches.back().rows += count;
    } else {
      stretches.push_back({run.batch, run.row, count});
    }
    ARROW_RETURN_NOT_OK(Advance(&run, count));
    Replay(winner);
    if (count >= kLongStretch) break;
  }
  return stretches;
}

}  // namespace ballista::shuffle
