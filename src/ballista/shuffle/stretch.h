// Rows of batches that are to stand one after the other in a new batch.
//
// Thread-safe: no state.
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace ballista::shuffle {

// Consecutive rows of one batch.
struct Stretch {
  std::shared_ptr<arrow::RecordBatch> batch;
  int64_t first = 0;
  int64_t rows = 0;
};

// The rows of the stretches, in order; at least one stretch, all of one schema. One
// stretch is not copied. Errors: CapacityError where strings would take 2 GB or more;
// OutOfMemory.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> JoinStretches(
    const std::vector<Stretch>& stretches);

}  // namespace ballista::shuffle
