#include "ballista/shuffle/data_service.h"

#include <arrow/util/key_value_metadata.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "ballista/base/status.h"
#include "ballista/flight/bounded_batches.h"
#include "ballista/flight/rpc.h"
#include "ballista/flight/status_transport.h"
#include "ballista/plan/plan.h"
#include "ballista/shuffle/batch_slice.h"
#include "ballista/shuffle/output_file.h"
#include "ballista/shuffle/output_reader.h"

namespace ballista::shuffle {
namespace {

// How often a reader that goes on is heard of.
constexpr auto kNews = std::chrono::minutes(1);

class BatchReader : public arrow::RecordBatchReader {
 public:
  explicit BatchReader(std::unique_ptr<OutputReader> reader)
      : reader_(std::move(reader)) {}

  // A reader of a range of keys learns here how many rows come.
  std::shared_ptr<arrow::Schema> schema() const override {
    if (!reader_->is_key_range()) return reader_->schema();
    return reader_->schema()->WithMetadata(arrow::key_value_metadata(
        {kRowsMetadata}, {std::to_string(reader_->num_rows())}));
  }

  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    ARROW_ASSIGN_OR_RAISE(*batch, reader_->Next());
    if (*batch != nullptr) {
      ARROW_ASSIGN_OR_RAISE(*batch, CompactViews(std::move(*batch)));
    }
    return arrow::Status::OK();
  }

 private:
  const std::unique_ptr<OutputReader> reader_;
};

// Flight's stream of batches, with typed errors and an early end when the caller is gone.
class FetchStream : public arrow::flight::FlightDataStream {
 public:
  FetchStream(const arrow::flight::ServerCallContext& context,
              const std::shared_ptr<arrow::RecordBatchReader>& reader,
              const arrow::ipc::IpcWriteOptions& options)
      : context_(context), stream_(reader, options) {}

  std::shared_ptr<arrow::Schema> schema() override { return stream_.schema(); }

  arrow::Result<arrow::flight::FlightPayload> GetSchemaPayload() override {
    return Typed(stream_.GetSchemaPayload());
  }

  arrow::Result<arrow::flight::FlightPayload> Next() override {
    if (context_.is_cancelled()) {
      return flight::ToFlightStatus(
          context_, CancelledStatus("the reader has gone", Cancelled::CLIENT));
    }
    return Typed(stream_.Next());
  }

 private:
  arrow::Result<arrow::flight::FlightPayload> Typed(
      arrow::Result<arrow::flight::FlightPayload> payload) {
    if (payload.ok()) return payload;
    return flight::ToFlightStatus(context_, payload.status());
  }

  const arrow::flight::ServerCallContext& context_;  // outlives the call's stream
  arrow::flight::RecordBatchStream stream_;
};

// A stream of which somebody is told how far it is.
class PartStream : public FetchStream {
 public:
  PartStream(const arrow::flight::ServerCallContext& context,
             const std::shared_ptr<arrow::RecordBatchReader>& reader, PartWatch watch)
      : FetchStream(context, reader, arrow::ipc::IpcWriteOptions::Defaults()),
        watch_(std::move(watch)) {
    watch_(control::PartReading::GOES_ON);
  }
  ~PartStream() override {
    watch_(whole_ ? control::PartReading::WHOLE : control::PartReading::LEFT);
  }

  arrow::Result<arrow::flight::FlightPayload> Next() override {
    ARROW_ASSIGN_OR_RAISE(auto payload, FetchStream::Next());
    whole_ = payload.ipc_message.metadata == nullptr;
    const auto now = std::chrono::steady_clock::now();
    if (now - told_ >= kNews) {
      told_ = now;
      watch_(control::PartReading::GOES_ON);
    }
    return payload;
  }

 private:
  const PartWatch watch_;
  std::chrono::steady_clock::time_point told_ = std::chrono::steady_clock::now();
  bool whole_ = false;
};

arrow::Result<std::unique_ptr<OutputReader>> OpenTicket(ShuffleStore* store,
                                                        const std::string& bytes) {
  control::FetchTicket ticket;
  ARROW_RETURN_NOT_OK(plan::ParseMessage(bytes, &ticket));
  ARROW_RETURN_NOT_OK(flight::CheckWireVersion("a fetch ticket", ticket.wire_version()));
  if (ticket.outputs().empty()) {
    return arrow::Status::Invalid("a fetch ticket names no output");
  }
  return store->Read(ticket.job_id(), {ticket.outputs().begin(), ticket.outputs().end()});
}

}  // namespace

arrow::Status ServeFetch(ShuffleStore* store,
                         const arrow::flight::ServerCallContext& context,
                         const arrow::flight::Ticket& ticket,
                         std::unique_ptr<arrow::flight::FlightDataStream>* stream) {
  auto reader = OpenTicket(store, ticket.ticket);
  if (!reader.ok()) return flight::ToFlightStatus(context, reader.status());
  ARROW_ASSIGN_OR_RAISE(const auto options, WriteOptions(store->options().compression));
  *stream = std::make_unique<FetchStream>(
      context, std::make_shared<BatchReader>(std::move(reader).ValueUnsafe()), options);
  return arrow::Status::OK();
}

arrow::Status ServePart(ShuffleStore* store,
                        const arrow::flight::ServerCallContext& context,
                        const std::string& job_id, const control::OutputRange& output,
                        PartWatch watch,
                        std::unique_ptr<arrow::flight::FlightDataStream>* stream) {
  ARROW_ASSIGN_OR_RAISE(auto reader, store->Read(job_id, {output}));
  *stream = std::make_unique<PartStream>(
      context,
      flight::BoundBatches(std::make_shared<BatchReader>(std::move(reader)),
                           flight::kMaxClientBatchBytes),
      std::move(watch));
  return arrow::Status::OK();
}

}  // namespace ballista::shuffle
