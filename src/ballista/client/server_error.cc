#include "ballista/client/server_error.h"

#include <arrow/flight/types.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "ballista/base/status.h"
#include "ballista/flight/status_transport.h"

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

flight::FlightStatusCode FlightCode(flight::TransportStatusCode code) {
  switch (code) {
    case flight::TransportStatusCode::kUnavailable:
      return flight::FlightStatusCode::Unavailable;
    case flight::TransportStatusCode::kTimedOut:
      return flight::FlightStatusCode::TimedOut;
    case flight::TransportStatusCode::kCancelled:
      return flight::FlightStatusCode::Cancelled;
    default:
      return flight::FlightStatusCode::Failed;
  }
}

// The error of an asynchronous call as the blocking calls give it: Flight leaves its
// headers unread.
arrow::Status ReadHeaders(const arrow::Status& status,
                          const flight::TransportStatusDetail& transport) {
  auto code = status.code();
  std::string message(transport.message());
  std::string extra_info;
  for (const auto& [header, value] : transport.details()) {
    if (header == "grpc-status-details-bin") {
      extra_info = value;
    } else if (header == "x-arrow-status") {
      code = static_cast<arrow::StatusCode>(std::atoi(value.c_str()));
    } else if (header == "x-arrow-status-message-bin") {
      message = value;
    }
  }
  if (code == arrow::StatusCode::OK) code = arrow::StatusCode::IOError;
  return arrow::Status(code, std::move(message),
                       std::make_shared<flight::FlightStatusDetail>(
                           FlightCode(transport.code()), std::move(extra_info)));
}

}  // namespace

arrow::Status FromServerError(const arrow::Status& status) {
  if (status.ok() || GetErrorDetail(status) != nullptr) return status;
  const auto* transport = TransportDetail(status);
  const auto read = transport == nullptr ? status : ReadHeaders(status, *transport);
  auto typed = ballista::flight::FromFlightStatus(read);
  if (GetErrorDetail(typed) != nullptr) return typed;
  return arrow::Status(typed.code(), ServersWords(typed.message()), typed.detail());
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

bool LostServer(const arrow::Status& status) {
  if (status.ok()) return false;
  if (IsUnreachable(status)) return true;
  // Not every broken connection is told as one.
  for (const char* sign : {"Connection reset", "Socket closed", "recvmsg:"}) {
    if (status.message().find(sign) != std::string::npos) return true;
  }
  return false;
}

bool IsRefused(const arrow::Status& status) {
  if (const auto* transport = TransportDetail(status)) {
    return transport->code() == flight::TransportStatusCode::kUnauthenticated ||
           transport->code() == flight::TransportStatusCode::kUnauthorized;
  }
  const auto detail = flight::FlightStatusDetail::UnwrapStatus(status);
  return detail != nullptr &&
         (detail->code() == flight::FlightStatusCode::Unauthenticated ||
          detail->code() == flight::FlightStatusCode::Unauthorized);
}

}  // namespace ballista::client
