// What the parts of one running task share: its first error, whether it was cancelled,
// and its counters. Private to the engine. Thread-safe.
#pragma once

#include <arrow/status.h>

#include <atomic>
#include <cstdint>
#include <mutex>

namespace ballista::engine {

class TaskState {
 public:
  // Keeps the first failure: what a thread of DuckDB reports by an exception loses its
  // type on the way, this does not.
  void Fail(arrow::Status status);
  arrow::Status status() const;

  // Throws what makes DuckDB stop the query: after Fail, or when the task was cancelled.
  [[noreturn]] void Throw() const;
  void FailAndThrow(arrow::Status status);
  void ThrowIfCancelled() const;

  std::atomic<bool> cancelled{false};
  std::atomic<uint64_t> input_rows{0};
  std::atomic<uint64_t> output_rows{0};
  std::atomic<uint64_t> output_bytes{0};

 private:
  mutable std::mutex mutex_;
  arrow::Status status_;
};

}  // namespace ballista::engine
