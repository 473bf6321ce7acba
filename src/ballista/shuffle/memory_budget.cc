#include "ballista/shuffle/memory_budget.h"

#include <algorithm>

namespace ballista::shuffle {

void MemoryBudget::Acquire(int64_t bytes, const std::function<bool()>& admit_anyway) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return used_ + bytes <= limit_ || admit_anyway(); });
  used_ += bytes;
  peak_ = std::max(peak_, used_);
}

void MemoryBudget::Adjust(int64_t difference) {
  {
    std::lock_guard lock(mutex_);
    used_ += difference;
    peak_ = std::max(peak_, used_);
  }
  if (difference < 0) changed_.notify_all();
}

void MemoryBudget::Notify() {
  { std::lock_guard lock(mutex_); }
  changed_.notify_all();
}

int64_t MemoryBudget::used() const {
  std::lock_guard lock(mutex_);
  return used_;
}

int64_t MemoryBudget::peak() const {
  std::lock_guard lock(mutex_);
  return peak_;
}

int64_t MemoryBudget::limit() const {
  std::lock_guard lock(mutex_);
  return limit_;
}

void MemoryBudget::SetLimit(int64_t bytes) {
  {
    std::lock_guard lock(mutex_);
    limit_ = bytes;
  }
  changed_.notify_all();
}

}  // namespace ballista::shuffle
