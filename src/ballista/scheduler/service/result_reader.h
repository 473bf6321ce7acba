// A job's result as one stream: its parts in order, from the task statuses or from the
// executors that keep them.
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ballista/flight/client_pool.h"
#include "ballista/scheduler/core_messages.h"

namespace ballista::scheduler {

// An executor that sends nothing for this long, while its part is waited for, is called
// again, and then given up.
inline constexpr std::chrono::milliseconds kResultStall = std::chrono::seconds(30);

// What a reader asks of whoever runs the job. A part that is lost before the client has a
// row of it is computed again meanwhile; of one that the client has begun to read nothing
// can be taken back, and its rows may come in another order the next time.
class ResultSource {
 public:
  virtual ~ResultSource() = default;
  // The result, when all parts from `task` (of the result stage) on can be read, those
  // before having been read. Waits as long as the job runs. Errors: that of the job;
  // KeyError where it is not known (any more).
  virtual arrow::Result<std::shared_ptr<const JobFinished>> From(uint32_t task) = 0;
  // The first rows of the part are there, and are to be given to the client. False: they
  // are not those of the result any more.
  virtual bool Begin(const ResultPart& part) = 0;
  // More of them are given.
  virtual void Touch(const ResultPart& part) = 0;
  // Whether the part is still one of the result.
  virtual bool Has(const ResultPart& part) = 0;
  // The part, of which the client has no row, could not be read.
  virtual void Lose(const ResultPart& part, const std::string& reason) = 0;
  // The error that the job has ended with; OK: none, or there is no such job.
  virtual arrow::Status WhyEnded() = 0;
};

// `done` is called once, when the reader is destroyed, but where this fails with KeyError
// (the job is not known here). The reader is not thread-safe. A
// connection that breaks is made again, and goes on where it stopped. Errors of ReadNext:
// ExecutorLost when an executor is gone, or silent for `limit` three times, with a part
// of which the client has rows; what the job has ended with.
// `task`: of its part alone.
arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> OpenResultReader(
    std::unique_ptr<ResultSource> source, flight::ClientPool* clients,
    std::chrono::milliseconds limit, std::function<void(bool whole)> done,
    std::optional<uint32_t> task = std::nullopt);

}  // namespace ballista::scheduler
