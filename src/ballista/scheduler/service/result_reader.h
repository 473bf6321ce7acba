// A job's result as one stream: its parts in order, from the task statuses or from the
// executors that keep them.
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <functional>
#include <memory>
#include <string>

#include "ballista/flight/client_pool.h"
#include "ballista/scheduler/core_messages.h"

namespace ballista::scheduler {

// `touch` is called as the stream goes on; `done` once, when the reader is destroyed. The
// reader is not thread-safe. Errors of ReadNext: FetchFailed when an executor with a part
// of the result is gone.
arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> OpenResultReader(
    JobFinished result, flight::ClientPool* clients, std::function<void()> touch,
    std::function<void()> done);

}  // namespace ballista::scheduler
