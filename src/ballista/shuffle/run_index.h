// What is kept of a sorted run beside its batches: where to look for a key, and a bounded
// sample of the keys, from which the scheduler draws the bounds of ranges.
//
// Internal to shuffle/. Not thread-safe: the output that owns it guards it.
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ballista/job.pb.h"
#include "ballista/shuffle/sort_key.h"

namespace ballista::shuffle {

class RunIndex {
 public:
  explicit RunIndex(SortKeyEncoder encoder) : encoder_(std::move(encoder)) {}

  // The run's next batch, with rows. Errors: those of the encoder.
  arrow::Status Add(const arrow::RecordBatch& batch, double row_bytes);

  // The batch in which the first row with a key of at least `bound` is, or after whose
  // last row it is; -1: the run's first row is that row. `bound`: at most kMaxBoundBytes.
  int64_t FindBatch(std::string_view bound) const;

  // That row's position within the batch that FindBatch gave.
  arrow::Result<int64_t> FindRow(const arrow::RecordBatch& batch,
                                 std::string_view bound) const;

  // The run's row number of the batch's first row; of the end for the number of batches.
  int64_t first_row(int64_t batch) const {
    return first_rows_[static_cast<size_t>(batch)];
  }

  // The samples of the complete run: at most kMaxSamples, evenly spaced by rows.
  void AddSamples(job::OutputStatistics* statistics) const;

  static constexpr size_t kMaxSamples = 256;

 private:
  struct Sample {
    int64_t row;
    double bytes_before;
    std::string key;
  };

  const SortKeyEncoder encoder_;
  std::vector<std::string> first_keys_;  // cut to kMaxBoundBytes
  std::vector<int64_t> first_rows_ = {0};
  double bytes_ = 0;
  // Of rows 0, stride_, 2 * stride_, ...
  std::vector<Sample> samples_;
  int64_t stride_ = 32;
};

}  // namespace ballista::shuffle
