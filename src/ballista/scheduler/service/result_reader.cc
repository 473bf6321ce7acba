#include "ballista/scheduler/service/result_reader.h"

#include <arrow/flight/client.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>

#include <utility>

#include "ballista/base/status.h"
#include "ballista/base/version.h"
#include "ballista/flight/status_transport.h"

namespace ballista::scheduler {
namespace {

class ResultReader : public arrow::RecordBatchReader {
 public:
  ResultReader(JobFinished result, flight::ClientPool* clients,
               std::function<void()> touch, std::function<void()> done)
      : result_(std::move(result)),
        clients_(clients),
        touch_(std::move(touch)),
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
      ARROW_RETURN_NOT_OK(Failed(OpenRemote(part, &schema)));
    }
    if (schema_ == nullptr) schema_ = schema;
    return arrow::Status::OK();
  }

  arrow::Status OpenRemote(const ResultPart& part,
                           std::shared_ptr<arrow::Schema>* schema) {
    control::FetchTicket ticket;
    ticket.set_wire_version(kWireVersion);
    ticket.set_job_id(result_.job_id);
    auto* range = ticket.add_outputs();
    range->set_stage_id(part.stage_id);
    range->set_task_index(part.task_index);
    range->set_attempt(part.attempt);
    range->set_last_partition(part.partitions);
    ARROW_ASSIGN_OR_RAISE(client_,
                          clients_->Get(part.executor.host(), part.executor.port()));
    auto stream = client_->DoGet(arrow::flight::Ticket{ticket.SerializeAsString()});
    if (!stream.ok()) return flight::FromFlightStatus(stream.status());
    stream_ = std::move(*stream);
    auto received = stream_->GetSchema();
    if (!received.ok()) return flight::FromFlightStatus(received.status());
    *schema = *received;
    return arrow::Status::OK();
  }

  arrow::Result<std::shared_ptr<arrow::RecordBatch>> NextOfPart() {
    std::shared_ptr<arrow::RecordBatch> batch;
    if (inline_ != nullptr) {
      ARROW_RETURN_NOT_OK(inline_->ReadNext(&batch));
      return batch;
    }
    auto chunk = stream_->Next();
    if (!chunk.ok()) return Failed(flight::FromFlightStatus(chunk.status()));
    return chunk->data;
  }

  // Names the executor in the error of a part that could not be read.
  arrow::Status Failed(const arrow::Status& status) const {
    if (status.ok() || GetErrorDetail(status) != nullptr) return status;
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
  const std::function<void()> touch_;
  const std::function<void()> done_;
  size_t part_ = 0;
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<arrow::ipc::RecordBatchStreamReader> inline_;
  std::shared_ptr<arrow::flight::FlightClient> client_;
  std::unique_ptr<arrow::flight::FlightStreamReader> stream_;
};

}  // namespace

arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> OpenResultReader(
    JobFinished result, flight::ClientPool* clients, std::function<void()> touch,
    std::function<void()> done) {
  auto reader = std::make_shared<ResultReader>(std::move(result), clients,
                                               std::move(touch), std::move(done));
  ARROW_RETURN_NOT_OK(reader->Start());
  return reader;
}

}  // namespace ballista::scheduler
