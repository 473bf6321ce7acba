#include "ballista/client/server_error.h"

#include <arrow/flight/types.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "ballista/base/status.h"

namespace ballista::client {
namespace {

namespace flight = arrow::flight;

// Flight's client puts "Flight returned … error, with message: " before a server's words
// and ". gRPC client debug context: …" and the like after them.
std::string ServersWords(const std::string& message) {
  std::string_view words = message;
  constexpr std::string_view kBefore = "error, with message: ";
  if (const size_t at = words.find(kBefore); at != std::string_view::npos) {
    words.remove_prefix(at + kBefore.size());
  }
  for (const std::string_view after :
       {". gRPC client debug context:", ". Client context:", ". Detail: "}) {
    if (const size_t at = words.find(after); at != std::string_view::npos) {
      words = words.substr(0, at);
    }
  }
  return std::string(words);
}

// The detail of an error of an asynchronous call, or nullptr.
const flight::TransportStatusDetail* TransportDetail(const arrow::Status& status) {
  const auto detail = flight::TransportStatusDetail::Unwrap(status);
  return detail.has_value() ? &detail->get() : nullptr;
}

// The headers of an error as asynchronous calls give them, not read by Flight.
arrow::Status FromHeaders(const arrow::Status& status,
                          const flight::TransportStatusDetail& transport) {
  auto code = status.code();
  std::string message(transport.message());
  for (const auto& [header, value] : transport.details()) {
    if (header == "grpc-status-details-bin") return DecodeStatus(value);
    if (header == "x-arrow-status") {
      code = static_cast<arrow::StatusCode>(std::atoi(value.c_str()));
    } else if (header == "x-arrow-status-message-bin") {
      message = value;
    }
  }
  if (code == arrow::StatusCode::OK) code = arrow::StatusCode::IOError;
  return arrow::Status(code, ServersWords(message), status.detail());
}

}  // namespace

arrow::Status FromServerError(const arrow::Status& status) {
  if (status.ok() || GetErrorDetail(status) != nullptr) return status;
  if (const auto* transport = TransportDetail(status)) {
    return FromHeaders(status, *transport);
  }
  const auto detail = flight::FlightStatusDetail::UnwrapStatus(status);
  if (detail != nullptr && !detail->extra_info().empty()) {
    return DecodeStatus(detail->extra_info());
  }
  return arrow::Status(status.code(), ServersWords(status.message()), status.detail());
}

bool IsUnreachable(const arrow::Status& status) {
  if (const auto* transport = TransportDetail(status)) {
    return transport->code() == flight::TransportStatusCode::kUnavailable ||
           transport->code() == flight::TransportStatusCode::kTimedOut;
  }
  const auto detail = flight::FlightStatusDetail::UnwrapStatus(status);
  return detail != nullptr && (detail->code() == flight::FlightStatusCode::Unavailable ||
                               detail->code() == flight::FlightStatusCode::TimedOut);
}

}  // namespace ballista::client
