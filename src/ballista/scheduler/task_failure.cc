#include "ballista/base/status.h"
#include "ballista/scheduler/task_failure_internal.h"

namespace ballista::scheduler {

FailureClass Classify(const arrow::Status& status) {
  const ErrorDetail* detail = GetErrorDetail(status);
  if (detail == nullptr) return FailureClass::kRetry;
  switch (detail->kind_case()) {
    case ErrorDetail::kUser:
      return FailureClass::kJobFails;
    case ErrorDetail::kFetchFailed:
      return FailureClass::kFetchFailed;
    case ErrorDetail::kCancelled:
      switch (detail->cancelled().reason()) {
        case Cancelled::SHUTDOWN:
          return FailureClass::kInterrupted;
        case Cancelled::CLIENT:
        case Cancelled::DEADLINE:
        case Cancelled::SESSION_CLOSED:
          return FailureClass::kJobCancelled;
        default:
          return FailureClass::kRetry;
      }
    default:
      return FailureClass::kRetry;
  }
}

}  // namespace ballista::scheduler
