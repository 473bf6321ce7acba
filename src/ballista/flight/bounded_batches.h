// Cuts a stream's batches so that stock clients can take them: gRPC clients refuse
// messages over a limit of their own (16 MiB in the ADBC driver, 4 MiB in others).
#pragma once

#include <arrow/record_batch.h>

#include <cstdint>
#include <memory>

namespace ballista::flight {

// Of one message of a result: stock clients take up to 4 MiB and more.
inline constexpr int64_t kMaxClientBatchBytes = int64_t{3} << 20;

// Batches of at most `max_bytes` of Arrow data; a single row may be larger, it cannot be
// cut. No copy. Not thread-safe.
std::shared_ptr<arrow::RecordBatchReader> BoundBatches(
    std::shared_ptr<arrow::RecordBatchReader> reader, int64_t max_bytes);

}  // namespace ballista::flight
