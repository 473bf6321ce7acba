// Takes typed errors (base/status.h) through Flight.
//
// A server method returns `ToFlightStatus(context, status)`. The caller gets the gRPC
// code that the Arrow code stands for, the plain message, and the whole Status in the
// standard trailer `grpc-status-details-bin` (rpc_status.proto). Our clients get the
// Status back by `FromFlightStatus`; stock clients show code and message.
//
// The ErrorDetail always arrives whole. A message longer than kMaxMessageBytes is cut:
// trailers are limited to 8 KB by many clients, and the message travels in three of them.
//
// All functions are thread-safe.
#pragma once

#include <arrow/flight/server.h>
#include <arrow/status.h>

#include <cstddef>
#include <optional>
#include <string_view>

namespace ballista::flight {

inline constexpr size_t kMaxMessageBytes = 1500;

// For a method of a Flight server, or a stream that it made, while `context`'s call runs.
arrow::Status ToFlightStatus(const arrow::flight::ServerCallContext& context,
                             const arrow::Status& status);

// What a call of a Flight client returned. Errors of the transport itself keep their
// arrow::flight detail: see IsTransient.
arrow::Status FromFlightStatus(const arrow::Status& status);

// The Status in the bytes of the trailer `grpc-status-details-bin`; no value for bytes of
// another server.
std::optional<arrow::Status> ParseStatusTrailer(std::string_view bytes);

template <typename T>
arrow::Result<T> FromFlightResult(arrow::Result<T> result) {
  if (result.ok()) return result;
  return FromFlightStatus(result.status());
}

// Whether the same call may succeed when it is made again: the connection could not be
// made or broke, or the deadline passed. Never for an error that the server typed.
bool IsTransient(const arrow::Status& status);

}  // namespace ballista::flight
