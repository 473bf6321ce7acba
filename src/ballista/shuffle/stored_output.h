// One task's output in the store: batches in memory, or pieces of them in one file.
//
// Internal to shuffle/. Thread-safe: writers append, a spiller moves batches to the file
// and readers look slices up, all at once. What it holds is counted in `StoreTotals`.
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ballista/job.pb.h"
#include "ballista/shuffle/exchange.h"
#include "ballista/shuffle/output_file.h"
#include "ballista/shuffle/run_index.h"

namespace ballista::shuffle {

struct StoreTotals {
  std::atomic<int64_t> memory_bytes{0};
  std::atomic<int64_t> disk_bytes{0};
};

// Rows of a batch of an output: in memory, or in the file.
struct Slice {
  std::shared_ptr<arrow::RecordBatch> batch;  // nullptr: read `position` of `file`
  std::shared_ptr<OutputFile> file;
  FilePosition position;
  int64_t first_row = 0;  // within the batch or the piece
  int64_t rows = 0;
  int64_t bytes = 0;  // estimate of the rows' Arrow bytes

  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Load() const;
  // Its piece follows that of the other one in the file.
  bool Follows(const Slice& other) const;
};

// The rows of each slice. Pieces that follow each other are read at once.
arrow::Result<arrow::RecordBatchVector> LoadSlices(const std::vector<Slice>& slices);

class StoredOutput {
 public:
  // `path`: of the file, made when something is spilled; `disk`: what that is taken from.
  // `run`: where the batches come in the order of sort keys, else null.
  StoredOutput(job::TaskId id, const job::Output& output, std::unique_ptr<RunIndex> run,
               std::string path, arrow::Compression::type compression,
               std::shared_ptr<StoreTotals> totals, std::shared_ptr<DiskShare> disk);
  ~StoredOutput();

  const job::TaskId& id() const { return id_; }
  uint32_t partitions() const { return partitions_; }
  bool is_run() const { return run_ != nullptr; }

  arrow::Status SetSchema(std::shared_ptr<arrow::Schema> schema);
  std::shared_ptr<arrow::Schema> schema() const;

  // Keeps the batch in memory. Gives its index. Errors: Cancelled after Remove; Internal
  // for offsets that do not fit.
  arrow::Result<size_t> Append(PartitionedBatch batch);

  // Moves batch `index` to the file; does nothing where it is there or removed. Called by
  // one thread at a time for one index. After an error the batch is where it was.
  arrow::Status Spill(size_t index);

  // No Append after it. Idempotent. Errors: Cancelled after Remove; Internal without a
  // schema.
  arrow::Result<job::OutputStatistics> Commit();
  bool committed() const;

  // Drops everything; slices that readers hold stay valid.
  void Remove();

  // The rest is for committed outputs. Errors: Cancelled after Remove.
  arrow::Result<size_t> num_batches() const;
  // Rows of partitions [first, last) of batch `index`, in order; none: empty.
  arrow::Result<std::vector<Slice>> Find(size_t index, uint32_t first,
                                         uint32_t last) const;
  int64_t CountRows(uint32_t first, uint32_t last) const;

  // The rest is for runs.
  // The number of the first row with a key of at least `bound` (at most kMaxBoundBytes);
  // the number of rows where there is none. Errors also: IOError.
  arrow::Result<int64_t> FindRow(std::string_view bound) const;
  int64_t num_rows() const;
  // Of rows [first, last) of the run those in batch `index`; none: empty.
  arrow::Result<std::vector<Slice>> FindRows(size_t index, int64_t first,
                                             int64_t last) const;

  int64_t memory_bytes() const;
  int64_t disk_bytes() const;
  bool over_job_quota() const { return disk_->over_job_quota(); }

 private:
  // Partitions [first_partition, last_partition) of a batch, in the file.
  struct Piece {
    uint32_t first_partition;
    uint32_t last_partition;
    FilePosition position;
  };
  struct StoredBatch {
    std::shared_ptr<arrow::RecordBatch> batch;
    std::vector<uint32_t> offsets;
    int64_t memory_bytes = 0;
    double row_bytes = 0;
    std::vector<Piece> pieces;
  };

  arrow::Status CheckBatch(const PartitionedBatch& batch) const;
  void AddStatistics(const PartitionedBatch& batch);
  arrow::Result<std::shared_ptr<OutputFile>> File();
  arrow::Result<std::vector<Piece>> WritePieces(OutputFile* file,
                                                const arrow::RecordBatch& batch,
                                                const std::vector<uint32_t>& offsets,
                                                double row_bytes) const;
  arrow::Status RemovedStatus() const;
  // All of a batch of an output of one partition.
  Slice WholeBatch(size_t index) const;

  const job::TaskId id_;
  const bool hashed_;
  const uint32_t partitions_;
  const std::string path_;
  const arrow::Compression::type compression_;
  const std::shared_ptr<StoreTotals> totals_;
  const std::unique_ptr<RunIndex> run_;  // what it holds is under the mutex
  const std::shared_ptr<DiskShare> disk_;

  mutable std::mutex mutex_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<StoredBatch> batches_;
  std::shared_ptr<OutputFile> file_;
  std::vector<uint64_t> partition_rows_;
  std::vector<uint64_t> partition_bytes_;
  int64_t memory_bytes_ = 0;
  int64_t disk_bytes_ = 0;
  bool committed_ = false;
  bool removed_ = false;
};

}  // namespace ballista::shuffle
