#include "ballista/flight/status_transport.h"

#include <arrow/flight/types.h>

#include <string>
#include <string_view>

#include "ballista/base/status.h"
#include "ballista/control.pb.h"
#include "ballista/plan/plan.h"
#include "ballista/rpc_status.pb.h"

namespace ballista::flight {
namespace {

constexpr const char* kDetailsTrailer = "grpc-status-details-bin";

// The gRPC code that Arrow's server sends for a Status without a Flight detail.
int GrpcCode(arrow::StatusCode code) {
  switch (code) {
    case arrow::StatusCode::Cancelled:
      return 1;
    case arrow::StatusCode::Invalid:
      return 3;
    case arrow::StatusCode::KeyError:
      return 5;
    case arrow::StatusCode::AlreadyExists:
      return 6;
    case arrow::StatusCode::NotImplemented:
      return 12;
    default:
      return 2;  // UNKNOWN
  }
}

// At most `limit` bytes, ending at a whole UTF-8 character.
std::string CutMessage(const std::string& message, size_t limit) {
  if (message.size() <= limit) return message;
  size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xc0) == 0x80) --end;
  return message.substr(0, end) + "...";
}

}  // namespace

arrow::Status ToFlightStatus(const arrow::flight::ServerCallContext& context,
                             const arrow::Status& status) {
  if (status.ok()) return status;
  const bool typed_by_flight =
      arrow::flight::FlightStatusDetail::UnwrapStatus(status) != nullptr;
  if (typed_by_flight) return status;

  RpcStatus encoded;
  encoded.set_code(GrpcCode(status.code()));
  encoded.set_message(CutMessage(status.message(), kMaxMessageBytes));
  control::TaskFailed failure;
  failure.set_status_code(static_cast<uint32_t>(status.code()));
  if (const auto* detail = GetErrorDetail(status)) *failure.mutable_detail() = *detail;
  encoded.add_details()->PackFrom(failure);
  context.AddTrailer(kDetailsTrailer, encoded.SerializeAsString());
  return arrow::Status(status.code(), encoded.message());
}

std::optional<arrow::Status> ParseStatusTrailer(std::string_view bytes) {
  RpcStatus encoded;
  control::TaskFailed failure;
  // Quiet, whatever the bytes: protobuf itself would report them on standard error.
  if (!plan::ParseMessage(bytes, &encoded).ok() || encoded.details().empty() ||
      !encoded.details(0).Is<control::TaskFailed>() ||
      !plan::ParseMessage(encoded.details(0).value(), &failure).ok()) {
    return std::nullopt;
  }
  const auto code = static_cast<arrow::StatusCode>(failure.status_code());
  if (code == arrow::StatusCode::OK) return std::nullopt;
  if (!failure.has_detail()) return arrow::Status(code, encoded.message());
  return WithDetail(code, encoded.message(), failure.detail());
}

arrow::Status FromFlightStatus(const arrow::Status& status) {
  if (status.ok()) return status;
  const auto detail = arrow::flight::FlightStatusDetail::UnwrapStatus(status);
  if (detail == nullptr || detail->extra_info().empty()) return status;
  return ParseStatusTrailer(detail->extra_info()).value_or(status);
}

bool IsTransient(const arrow::Status& status) {
  if (status.ok() || GetErrorDetail(status) != nullptr) return false;
  const auto detail = arrow::flight::FlightStatusDetail::UnwrapStatus(status);
  if (detail == nullptr) return false;
  switch (detail->code()) {
    case arrow::flight::FlightStatusCode::Unavailable:
    case arrow::flight::FlightStatusCode::TimedOut:
      return true;
    case arrow::flight::FlightStatusCode::Internal:
    case arrow::flight::FlightStatusCode::Cancelled:
      // The peer's end cut the stream (HTTP/2 reset), or refused a call that came while
      // its server stopped: no status of ours.
      return detail->extra_info().empty();
    default:
      return false;
  }
}

}  // namespace ballista::flight
