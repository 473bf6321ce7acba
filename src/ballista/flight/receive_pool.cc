#include "ballista/flight/receive_pool.h"

#include <algorithm>
#include <limits>

#include "ballista/base/machine_resources.h"

namespace ballista::flight {
namespace {

class BoundedPool : public arrow::ProxyMemoryPool {
 public:
  explicit BoundedPool(int64_t limit)
      : ProxyMemoryPool(arrow::default_memory_pool()), limit_(limit) {}

  arrow::Status Allocate(int64_t size, int64_t alignment, uint8_t** out) override {
    ARROW_RETURN_NOT_OK(Check(size));
    return ProxyMemoryPool::Allocate(size, alignment, out);
  }
  arrow::Status Reallocate(int64_t old_size, int64_t new_size, int64_t alignment,
                           uint8_t** ptr) override {
    ARROW_RETURN_NOT_OK(Check(new_size));
    return ProxyMemoryPool::Reallocate(old_size, new_size, alignment, ptr);
  }

 private:
  arrow::Status Check(int64_t size) const {
    if (size <= limit_) return arrow::Status::OK();
    return arrow::Status::IOError(
        "a received buffer claims ", size, " bytes, more than the ", limit_,
        " bytes of memory here: the data are damaged, or their sender is none of ours");
  }

  const int64_t limit_;
};

int64_t MachineLimit() {
  const uint64_t memory = AvailableMemory();
  constexpr auto kNoLimit = std::numeric_limits<int64_t>::max();
  return memory == 0 ? kNoLimit
                     : static_cast<int64_t>(std::min<uint64_t>(memory, kNoLimit));
}

}  // namespace

std::unique_ptr<arrow::MemoryPool> MakeReceivePool(int64_t limit) {
  return std::make_unique<BoundedPool>(limit);
}

arrow::MemoryPool* ReceivePool() {
  // Never destroyed: buffers may be freed while the process ends.
  static arrow::MemoryPool* const pool = new BoundedPool(MachineLimit());
  return pool;
}

}  // namespace ballista::flight
