// Sizes and layout of record batches and of slices of them.
//
// All functions are thread-safe (they have no state).
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace ballista::shuffle {

// Adds to bytes[p] the Arrow bytes of rows [offsets[p], offsets[p + 1]): exact for
// fixed-width types, strings and binary; for others a share by rows of the column's
// bytes.
void AddPartitionBytes(const arrow::RecordBatch& batch,
                       const std::vector<uint32_t>& offsets,
                       std::vector<uint64_t>* bytes);

// The same for the whole batch.
uint64_t BatchBytes(const arrow::RecordBatch& batch);

// Whether columns agree in number and type, whatever their names.
bool SameTypes(const arrow::Schema& a, const arrow::Schema& b);

// A batch whose buffers hold its rows alone where IPC would send more: slices of string
// views and of list views share all buffers of the batch they were cut from.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> CompactViews(
    std::shared_ptr<arrow::RecordBatch> batch);

}  // namespace ballista::shuffle
