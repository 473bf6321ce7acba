#include "ballista/scheduler/service/result_reader.h"

#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>

#include <algorithm>
#include <utility>

#include "ballista/base/log.h"
#include "ballista/base/status.h"
#include "ballista/base/version.h"
#include "ballista/flight/status_transport.h"
#include "ballista/flight/timed_stream.h"

namespace ballista::scheduler {
namespace {

// Calls for a part without a row more.
constexpr int kTries = 3;

class ResultReader : public arrow::RecordBatchReader {
 public:
  ResultReader(JobFinished result, flight::ClientPool* clients,
               std::chrono::milliseconds limit, std::function<void()> touch,
               std::function<arrow::Status()> why_ended, std::function<void()> done)
      : result_(std::move(result)),
        clients_(clients),
        limit_(limit),
        touch_(std::move(touch)),
        why_ended_(std::move(why_ended)),
        done_(std::move(done)) {}

  ~ResultReader() override {
    stream_.reset();
    done_();
  }

  // Opens the first part, which tells the schema.
  arrow::Status Start() {
    if (result_.parts.empty()) return InternalStatus("a result without any part");
    ARROW_RETURN_NOT_OK(OpenPart());
    return arrow::Status::OK();
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    while (true) {
      ARROW_ASSIGN_OR_RAISE(*batch, NextOfPart());
      if (*batch != nullptr) {
        touch_();
        return arrow::Status::OK();
      }
      if (++part_ >= result_.parts.size()) return arrow::Status::OK();
      rows_ = 0;
      ARROW_RETURN_NOT_OK(OpenPart());
    }
  }

 private:
  arrow::Status OpenPart() {
    const auto& part = result_.parts[part_];
    stream_.reset();
    inline_.reset();
    std::shared_ptr<arrow::Schema> schema;
    if (part.inline_result != nullptr) {
      // Owned: batches point into it, and outlive the part.
      auto buffer = arrow::Buffer::FromString(*part.inline_result);
      ARROW_ASSIGN_OR_RAISE(inline_,
                            arrow::ipc::RecordBatchStreamReader::Open(
                                std::make_shared<arrow::io::BufferReader>(buffer)));
      schema = inline_->schema();
    } else {
      ARROW_RETURN_NOT_OK(OpenRemoteAgain(part, arrow::Status::OK()));
      schema = stream_->schema();
    }
    if (schema_ == nullptr) schema_ = schema;
    return arrow::Status::OK();
  }

  // Goes on in the part after `failure`, or begins where that is OK, as long as another
  // call may help.
  arrow::Status OpenRemoteAgain(const ResultPart& part, arrow::Status failure) {
    while (true) {
      if (!failure.ok()) {
        stream_.reset();
        if (!flight::IsTransient(failure) || ++tries_ >= kTries) return Failed(failure);
        LOG_WARN("scheduler", "reading the result of job {} from executor {} again: {}",
                 result_.job_id, part.executor.executor_id(), failure.message());
      }
      failure = OpenRemote(part);
      if (failure.ok()) return failure;
    }
  }

  arrow::Status OpenRemote(const ResultPart& part) {
    control::FetchTicket ticket;
    ticket.set_wire_version(kWireVersion);
    ticket.set_job_id(result_.job_id);
    auto* range = ticket.add_outputs();
    range->set_stage_id(part.stage_id);
    range->set_task_index(part.task_index);
    range->set_attempt(part.attempt);
    range->set_last_partition(part.partitions);
    const auto& host = part.executor.host();
    ARROW_ASSIGN_OR_RAISE(const auto client, clients_->Get(host, part.executor.port()));
    auto stream = flight::TimedStream::Open(client, {ticket.SerializeAsString()}, limit_);
    if (!stream.ok()) {
      clients_->Evict(host, part.executor.port(), client);
      return stream.status();
    }
    stream_ = std::move(*stream);
    skip_ = rows_;
    return arrow::Status::OK();
  }

  arrow::Result<std::shared_ptr<arrow::RecordBatch>> NextOfPart() {
    std::shared_ptr<arrow::RecordBatch> batch;
    if (inline_ != nullptr) {
      ARROW_RETURN_NOT_OK(inline_->ReadNext(&batch));
      return batch;
    }
    while (true) {
      auto next = stream_->Next();
      if (!next.ok()) {
        ARROW_RETURN_NOT_OK(OpenRemoteAgain(result_.parts[part_], next.status()));
        continue;
      }
      batch = std::move(*next);
      if (batch == nullptr) return batch;
      // An output's rows have a fixed order: those that were given are passed over.
      const int64_t skipped = std::min(skip_, batch->num_rows());
      skip_ -= skipped;
      if (skipped == batch->num_rows() && skipped > 0) continue;
      if (skipped > 0) batch = batch->Slice(skipped);
      rows_ += batch->num_rows();
      tries_ = 0;
      return batch;
    }
  }

  // What the client is told of a part that could not be read: why the job has ended
  // meanwhile, which took the part away from its executor, or that the executor is gone.
  arrow::Status Failed(const arrow::Status& status) const {
    if (status.ok()) return status;
    ARROW_RETURN_NOT_OK(why_ended_());
    const auto* detail = GetErrorDetail(status);
    if (detail != nullptr && !detail->has_fetch_failed()) return status;
    const auto& executor = result_.parts[part_].executor;
    return ExecutorLostStatus("the result of job " + result_.job_id +
                                  " could not be read from the executor at " +
                                  executor.host() + ":" +
                                  std::to_string(executor.port()) +
                                  "; run the query again: " + status.message(),
                              executor.executor_id());
  }

  const JobFinished result_;
  flight::ClientPool* const clients_;
  const std::chrono::milliseconds limit_;
  const std::function<void()> touch_;
  const std::function<arrow::Status()> why_ended_;
  const std::function<void()> done_;
  size_t part_ = 0;
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<arrow::ipc::RecordBatchStreamReader> inline_;
  std::unique_ptr<flight::TimedStream> stream_;
  int64_t rows_ = 0;  // of the part, that were given
  int64_t skip_ = 0;  // of these, what the stream at hand begins with
  int tries_ = 0;     // calls for the part since its last row
};

}  // namespace

arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> OpenResultReader(
    JobFinished result, flight::ClientPool* clients, std::chrono::milliseconds limit,
    std::function<void()> touch, std::function<arrow::Status()> why_ended,
    std::function<void()> done) {
  auto reader =
      std::make_shared<ResultReader>(std::move(result), clients, limit, std::move(touch),
                                     std::move(why_ended), std::move(done));
  ARROW_RETURN_NOT_OK(reader->Start());
  return reader;
}

}  // namespace ballista::scheduler
