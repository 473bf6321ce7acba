// A Flight stream whose compressed buffers claim to be longer than they are, for tests.
#pragma once

#include <arrow/buffer.h>
#include <arrow/flight/server.h>

#include <bit>
#include <cstring>
#include <memory>
#include <utility>

namespace ballista::flight::testing {

// The length before a compressed buffer of an IPC message, which is little-endian.
inline std::shared_ptr<arrow::Buffer> WithClaim(const arrow::Buffer& buffer,
                                                int64_t claim) {
  static_assert(std::endian::native == std::endian::little);
  auto bytes = buffer.ToString();
  std::memcpy(bytes.data(), &claim, sizeof(claim));
  return arrow::Buffer::FromString(std::move(bytes));
}

// `stream` is one that compresses.
class ClaimingStream : public arrow::flight::FlightDataStream {
 public:
  ClaimingStream(std::unique_ptr<arrow::flight::FlightDataStream> stream, int64_t claim)
      : stream_(std::move(stream)), claim_(claim) {}
  std::shared_ptr<arrow::Schema> schema() override { return stream_->schema(); }
  arrow::Result<arrow::flight::FlightPayload> GetSchemaPayload() override {
    return stream_->GetSchemaPayload();
  }
  arrow::Result<arrow::flight::FlightPayload> Next() override {
    ARROW_ASSIGN_OR_RAISE(auto payload, stream_->Next());
    for (auto& buffer : payload.ipc_message.body_buffers) {
      if (buffer != nullptr && buffer->size() > static_cast<int64_t>(sizeof(claim_))) {
        buffer = WithClaim(*buffer, claim_);
      }
    }
    return payload;
  }

 private:
  const std::unique_ptr<arrow::flight::FlightDataStream> stream_;
  const int64_t claim_;
};

}  // namespace ballista::flight::testing
