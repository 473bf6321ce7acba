// Bounds the bytes that a process has fetched from others and not yet consumed.
//
// All inputs of all tasks share one budget. To keep inputs that are not being read from
// blocking one that is, an input whose consumer has nothing left to take is always
// admitted: the bound is the limit plus, for each input, one batch a stream.
//
// Thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

namespace ballista::shuffle {

class MemoryBudget {
 public:
  explicit MemoryBudget(int64_t limit_bytes) : limit_(limit_bytes) {}

  // Takes `bytes`, waiting until they fit or `admit_anyway` is true. The predicate is
  // looked at again whenever bytes are released and after Notify; it must not block.
  void Acquire(int64_t bytes, const std::function<bool()>& admit_anyway);

  // Changes what was taken once the exact size is known. Never waits.
  void Adjust(int64_t difference);

  void Release(int64_t bytes) { Adjust(-bytes); }

  // Something that a predicate looks at has changed.
  void Notify();

  int64_t used() const;
  int64_t peak() const;
  int64_t limit() const;
  // What is taken already stays.
  void SetLimit(int64_t bytes);

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int64_t limit_;
  int64_t used_ = 0;
  int64_t peak_ = 0;
};

}  // namespace ballista::shuffle
