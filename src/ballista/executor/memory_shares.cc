#include "ballista/executor/memory_shares.h"

#include <algorithm>

namespace ballista::executor {
namespace {

constexpr int64_t kMebibyte = int64_t{1} << 20;
constexpr int64_t kMaxFetch = 64 * kMebibyte;

}  // namespace

int64_t EngineFloor(int64_t process_limit) {
  return std::max(process_limit / 8, 32 * kMebibyte);
}

int64_t Untracked(const MemoryUse& use) {
  return std::max<int64_t>(
      use.resident - use.engine - std::max(use.pool, use.store) - use.fetch, 0);
}

int64_t Reserve(int64_t process_limit) {
  // What is allocated between two looks does not depend on the limit.
  return std::min(process_limit / 8, 48 * kMebibyte);
}

MemoryShares Divide(const MemoryLimits& limits, const MemoryUse& use) {
  MemoryShares shares;
  shares.fetch = std::min(kMaxFetch, limits.process / 16);
  const int64_t reserve = Reserve(limits.process);
  // Arrow's beside the kept outputs: rows that are being partitioned, read or sent.
  const int64_t staged = std::max<int64_t>(use.pool - use.store, 0);
  const int64_t room =
      std::max<int64_t>(limits.process - reserve - use.untracked - staged -
                            std::max(use.fetch, shares.fetch / 2),
                        0);
  const int64_t floor = EngineFloor(limits.process);
  // The engine is held back while it uses nearly all that it may.
  const bool engine_wants = use.engine > use.engine_limit / 8 * 7;
  shares.store = std::min(limits.store, room / (engine_wants ? 8 : 3));
  // What is kept above the share counts until it is on disk.
  shares.engine = std::max(floor, room - std::max(use.store, shares.store));
  shares.pressed = engine_wants || use.resident > limits.process - reserve;
  return shares;
}

}  // namespace ballista::executor
