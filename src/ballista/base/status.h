// Typed errors over arrow::Status.
//
// Every failure that another process or the scheduler has to act on carries an
// ErrorDetail (errors.proto) as its StatusDetail. `EncodeStatus` and `DecodeStatus` take
// a whole Status, detail included, through any transport. All functions are thread-safe;
// a StatusDetail is immutable.
#pragma once

#include <arrow/status.h>

#include <memory>
#include <string>
#include <string_view>

#include "ballista/errors.pb.h"

namespace ballista {

// The detail that an arrow::Status carries.
class StatusDetail : public arrow::StatusDetail {
 public:
  explicit StatusDetail(ErrorDetail detail) : detail_(std::move(detail)) {}

  static constexpr const char* kTypeId = "ballista::StatusDetail";
  const char* type_id() const override { return kTypeId; }
  std::string ToString() const override;

  const ErrorDetail& detail() const { return detail_; }

 private:
  ErrorDetail detail_;
};

// The ErrorDetail of `status`, or nullptr when it has none. Owned by `status`.
const ErrorDetail* GetErrorDetail(const arrow::Status& status);

arrow::Status WithDetail(arrow::StatusCode code, std::string message, ErrorDetail detail);

// The statement is wrong. `position`: byte offset in its text, -1 where not known.
arrow::Status UserErrorStatus(UserError::Kind kind, std::string message,
                              int position = -1);

arrow::Status FetchFailedStatus(std::string message, const FetchFailed& what);

arrow::Status ExecutorLostStatus(std::string message, std::string executor_id);

arrow::Status ResourcesExhaustedStatus(std::string message,
                                       ResourcesExhausted::Resource resource,
                                       uint64_t limit_bytes);

arrow::Status CancelledStatus(std::string message, Cancelled::Reason reason);

// A bug of ours: the message says what was expected.
arrow::Status InternalStatus(std::string message);

// A status as bytes (code, message, detail) and back. Bytes that are no status decode to
// an Internal error.
std::string EncodeStatus(const arrow::Status& status);
arrow::Status DecodeStatus(std::string_view bytes);

}  // namespace ballista
