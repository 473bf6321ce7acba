// Reads partitions of committed outputs of the store, as batches of about 1 MB: rows of
// neighbouring partitions of one stored batch are one slice; large slices are handed over
// as they are (no copy where they are in memory), small ones are joined.
//
// The rows come in a fixed order: range after range, and within one stored batch after
// stored batch, in the order in which they were written. Two readers of the same ranges
// give the same sequence of rows (batches may be cut differently).
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ballista/shuffle/stored_output.h"

namespace ballista::shuffle {

class OutputReader {
 public:
  struct Range {
    std::shared_ptr<StoredOutput> output;
    uint32_t first_partition;
    uint32_t last_partition;
    // Of a run that is read by rows: [first_row, last_row).
    bool by_rows = false;
    int64_t first_row = 0;
    int64_t last_row = 0;
  };

  // `ranges`: at least one; all outputs have the same types. Errors: Internal.
  static arrow::Result<std::unique_ptr<OutputReader>> Make(std::vector<Range> ranges,
                                                           std::string executor_id);

  // Of the first range; every batch has it.
  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }
  int64_t num_rows() const { return num_rows_; }
  // Whether only some keys' rows of a sorted run are read.
  bool is_key_range() const { return ranges_[0].by_rows; }

  // The next batch, never an empty one; nullptr at the end. Thread-safe; with several
  // callers the order is that of their calls' beginnings. Errors: FetchFailed where an
  // output was removed or its file cannot be read.
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Next();

 private:
  struct Group {
    std::vector<Slice> slices;
    std::shared_ptr<StoredOutput> output;  // of the last slice
  };

  OutputReader(std::vector<Range> ranges, std::shared_ptr<arrow::Schema> schema,
               int64_t num_rows, std::string executor_id);

  // Slices for one batch; none at the end.
  arrow::Result<Group> NextGroup();
  // Fills pending_ from the next stored batch that has rows; false at the end.
  arrow::Result<bool> FillPending();
  // One batch, or several where they cannot be joined.
  arrow::Result<arrow::RecordBatchVector> LoadGroup(const Group& group);
  arrow::Status Failed(const StoredOutput& output, const arrow::Status& why) const;

  const std::vector<Range> ranges_;
  const std::shared_ptr<arrow::Schema> schema_;
  const int64_t num_rows_;
  const std::string executor_id_;

  std::mutex mutex_;
  size_t range_ = 0;
  size_t batch_ = 0;
  std::vector<Slice> pending_;  // of one stored batch, the next one last
  std::shared_ptr<StoredOutput> pending_output_;
  std::deque<std::shared_ptr<arrow::RecordBatch>> ready_;
};

}  // namespace ballista::shuffle
