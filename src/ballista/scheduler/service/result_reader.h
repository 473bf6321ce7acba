// A job's result as one stream: its parts in order, from the task statuses or from the
// executors that keep them.
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "ballista/flight/client_pool.h"
#include "ballista/scheduler/core_messages.h"

namespace ballista::scheduler {

// An executor that sends nothing for this long, while its part is waited for, is called
// again, and then given up.
inline constexpr std::chrono::milliseconds kResultStall = std::chrono::seconds(30);

// `touch` is called as the stream goes on; `done` once, when the reader is destroyed;
// `why_ended` gives the error that the job has ended with since, or OK. The reader is not
// thread-safe. A connection that breaks is made again, and goes on where it stopped.
// Errors of ReadNext: ExecutorLost when an executor with a part of the result is gone, or
// silent for `limit` three times; what the job has ended with, where its parts were
// dropped for that.
arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> OpenResultReader(
    JobFinished result, flight::ClientPool* clients, std::chrono::milliseconds limit,
    std::function<void()> touch, std::function<arrow::Status()> why_ended,
    std::function<void()> done);

}  // namespace ballista::scheduler
