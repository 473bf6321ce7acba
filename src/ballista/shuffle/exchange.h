// The two ends of an exchange, as a running task sees them: where its output goes, and
// where its inputs come from.
//
// Shapes: an output is a sequence of `PartitionedBatch`es. A batch's rows are sorted by
// partition; `offsets` has P + 1 entries and rows [offsets[p], offsets[p + 1]) belong to
// partition p (P = 1 for an unpartitioned output: {0, num_rows}). An input is a sequence
// of record batches in any order,
// but for merged runs.
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace ballista::shuffle {

struct PartitionedBatch {
  std::shared_ptr<arrow::RecordBatch> batch;
  std::vector<uint32_t> offsets;
};

// Takes a task's output. Write is called by several threads at once; the batch is the
// sink's from then on.
class OutputSink {
 public:
  virtual ~OutputSink() = default;

  // Once, before the first Write; also for an output without a row.
  virtual arrow::Status SetSchema(std::shared_ptr<arrow::Schema> schema) = 0;

  // Thread-safe. May block on disk. Errors: ResourcesExhausted (disk), IOError,
  // Cancelled.
  virtual arrow::Status Write(PartitionedBatch batch) = 0;
};

// Gives the rows of one input of a task. Next is called by several threads at once.
class ExchangeSource {
 public:
  virtual ~ExchangeSource() = default;

  virtual std::shared_ptr<arrow::Schema> schema() const = 0;

  // Number of rows that Next will give in all: exact, but of a range of keys an estimate.
  virtual int64_t num_rows() const = 0;

  // How many threads can call Next with profit; at least 1.
  virtual int max_concurrency() const = 0;

  // The next batch, or nullptr when there is none left. Thread-safe; blocks on the
  // network. Errors: FetchFailed (names the output that could not be read), Cancelled.
  virtual arrow::Result<std::shared_ptr<arrow::RecordBatch>> Next() = 0;

  // Makes every blocked and later Next return Cancelled, soon.
  virtual void Cancel() = 0;
};

}  // namespace ballista::shuffle
