#include "ballista/base/status.h"

#include <cstring>
#include <utility>

#include "ballista/control.pb.h"

namespace ballista {

std::string StatusDetail::ToString() const {
  return detail_.ShortDebugString();
}

const ErrorDetail* GetErrorDetail(const arrow::Status& status) {
  const auto& detail = status.detail();
  if (detail == nullptr || std::strcmp(detail->type_id(), StatusDetail::kTypeId) != 0) {
    return nullptr;
  }
  return &static_cast<const StatusDetail&>(*detail).detail();
}

arrow::Status WithDetail(arrow::StatusCode code, std::string message,
                         ErrorDetail detail) {
  return arrow::Status(code, std::move(message),
                       std::make_shared<StatusDetail>(std::move(detail)));
}

arrow::Status UserErrorStatus(UserError::Kind kind, std::string message, int position) {
  ErrorDetail detail;
  detail.mutable_user()->set_kind(kind);
  detail.mutable_user()->set_position(position);
  const auto code = kind == UserError::NOT_SUPPORTED ? arrow::StatusCode::NotImplemented
                                                     : arrow::StatusCode::Invalid;
  return WithDetail(code, std::move(message), std::move(detail));
}

arrow::Status FetchFailedStatus(std::string message, const FetchFailed& what) {
  ErrorDetail detail;
  *detail.mutable_fetch_failed() = what;
  return WithDetail(arrow::StatusCode::IOError, std::move(message), std::move(detail));
}

arrow::Status ExecutorLostStatus(std::string message, std::string executor_id) {
  ErrorDetail detail;
  detail.mutable_executor_lost()->set_executor_id(std::move(executor_id));
  return WithDetail(arrow::StatusCode::IOError, std::move(message), std::move(detail));
}

arrow::Status ResourcesExhaustedStatus(std::string message,
                                       ResourcesExhausted::Resource resource,
                                       uint64_t limit_bytes) {
  ErrorDetail detail;
  detail.mutable_resources_exhausted()->set_resource(resource);
  detail.mutable_resources_exhausted()->set_limit_bytes(limit_bytes);
  const auto code = resource == ResourcesExhausted::MEMORY
                        ? arrow::StatusCode::OutOfMemory
                        : arrow::StatusCode::CapacityError;
  return WithDetail(code, std::move(message), std::move(detail));
}

arrow::Status CancelledStatus(std::string message, Cancelled::Reason reason) {
  ErrorDetail detail;
  detail.mutable_cancelled()->set_reason(reason);
  return WithDetail(arrow::StatusCode::Cancelled, std::move(message), std::move(detail));
}

arrow::Status InternalStatus(std::string message) {
  ErrorDetail detail;
  detail.mutable_internal();
  return WithDetail(arrow::StatusCode::UnknownError, std::move(message),
                    std::move(detail));
}

std::string EncodeStatus(const arrow::Status& status) {
  control::TaskFailed encoded;
  encoded.set_status_code(static_cast<uint32_t>(status.code()));
  encoded.set_message(status.message());
  if (const auto* detail = GetErrorDetail(status)) *encoded.mutable_detail() = *detail;
  return encoded.SerializeAsString();
}

arrow::Status DecodeStatus(std::string_view bytes) {
  control::TaskFailed encoded;
  if (!encoded.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return InternalStatus("an error arrived whose bytes are no status");
  }
  const auto code = static_cast<arrow::StatusCode>(encoded.status_code());
  if (code == arrow::StatusCode::OK) return arrow::Status::OK();
  if (!encoded.has_detail()) return arrow::Status(code, encoded.message());
  return WithDetail(code, encoded.message(), encoded.detail());
}

}  // namespace ballista
