// Flight streams that misbehave, for the tests of fetching.
#pragma once

#include <arrow/flight/server.h>

#include <memory>
#include <utility>

namespace ballista::shuffle::testing {

// A stream that fails once, after a number of batches.
class BreakingStream : public arrow::flight::FlightDataStream {
 public:
  BreakingStream(std::unique_ptr<arrow::flight::FlightDataStream> stream, int batches)
      : stream_(std::move(stream)), batches_(batches) {}
  std::shared_ptr<arrow::Schema> schema() override { return stream_->schema(); }
  arrow::Result<arrow::flight::FlightPayload> GetSchemaPayload() override {
    return stream_->GetSchemaPayload();
  }
  arrow::Result<arrow::flight::FlightPayload> Next() override {
    if (batches_-- > 0) return stream_->Next();
    return arrow::flight::MakeFlightError(arrow::flight::FlightStatusCode::Unavailable,
                                          "the test broke the stream");
  }

 private:
  std::unique_ptr<arrow::flight::FlightDataStream> stream_;
  int batches_;
};

}  // namespace ballista::shuffle::testing
