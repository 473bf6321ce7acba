// Merges sorted runs: a tournament (loser tree) over their next rows' sort keys. From the
// run that wins, as many rows are taken as come before the next best run's, found by
// doubling steps, so that runs that hardly overlap are passed on in long stretches.
//
// Holds one batch of each run. Rows with equal keys come in the order of their runs.
// Not thread-safe.
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "ballista/shuffle/sort_key.h"
#include "ballista/shuffle/stretch.h"

namespace ballista::shuffle {

class RunMerger {
 public:
  // The next batch of a run, in order; null at the end. May block.
  using NextBatch = std::function<arrow::Result<std::shared_ptr<arrow::RecordBatch>>()>;

  RunMerger(SortKeyEncoder encoder, std::vector<NextBatch> runs);

  // The next rows in order: at least one, at most about `max_rows` and `max_bytes`; a
  // long stretch comes alone, whatever its size. Empty: there are no more. Errors: those
  // of the runs and of the encoder.
  arrow::Result<std::vector<Stretch>> Next(int64_t max_rows, int64_t max_bytes);

 private:
  struct Run {
    NextBatch next;
    std::shared_ptr<arrow::RecordBatch> batch;  // null: at its end
    SortKeys keys;
    int64_t row = 0;
    double row_bytes = 0;
    std::string_view key;  // of `row`
  };

  arrow::Status Begin();
  arrow::Status Advance(Run* run, int64_t rows);
  arrow::Status Load(Run* run);
  // Whether run a's next row comes before run b's.
  bool Before(size_t a, size_t b) const;
  // Plays the matches of run `r` from its leaf to the root; the winner is tree_[0].
  void Replay(size_t r);
  // The best of all runs but the winner.
  std::optional<size_t> SecondBest() const;
  // How many rows of the winner's batch come before the second best's next row.
  int64_t CountBefore(size_t winner, std::optional<size_t> second) const;

  const SortKeyEncoder encoder_;
  std::vector<Run> runs_;
  // tree_[0] is the winner; tree_[i] for i in [1, k) the loser of the match at inner node
  // i. Run r enters at node (r + k) / 2.
  std::vector<size_t> tree_;
  bool begun_ = false;
};

}  // namespace ballista::shuffle
