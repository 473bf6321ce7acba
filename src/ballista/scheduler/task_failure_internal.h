// What a failed task's error means for it and for its job.
#pragma once

#include <arrow/status.h>

#include "ballista/errors.pb.h"

namespace ballista::scheduler {

enum class FailureClass {
  kJobFails,      // the statement is wrong: no other attempt can succeed
  kJobCancelled,  // somebody asked for the end of it
  kFetchFailed,   // an input is gone: it is computed again, the task is not to blame
  kInterrupted,   // the executor is shutting down: the task is not to blame
  kRetry,         // may succeed elsewhere
};

FailureClass Classify(const arrow::Status& status);

}  // namespace ballista::scheduler
