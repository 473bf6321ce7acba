#include "ballista/engine/duckdb/task_state.h"

#include "ballista/engine/duckdb/pch_internal.h"

namespace ballista::engine {

void TaskState::Fail(arrow::Status status) {
  std::lock_guard lock(mutex_);
  if (status_.ok()) status_ = std::move(status);
}

arrow::Status TaskState::status() const {
  std::lock_guard lock(mutex_);
  return status_;
}

void TaskState::Throw() const {
  if (cancelled) throw duckdb::InterruptException();
  throw duckdb::IOException(status().message());
}

void TaskState::FailAndThrow(arrow::Status status) {
  Fail(std::move(status));
  Throw();
}

void TaskState::ThrowIfCancelled() const {
  if (cancelled) Throw();
}

}  // namespace ballista::engine
