// How an executor's memory limit is divided at a moment between those who use it.
//
// The engine, the kept task outputs and the fetch buffers say what they hold. What the
// process holds beside that (libraries, stacks, gRPC's buffers, what allocators have
// free) nobody says: it is the difference to the resident memory, and is taken from the
// limit before the rest is divided. Kept outputs give way to the engine: they go to disk
// once and are read once, what an engine spills is often read again and again.
#pragma once

#include <cstdint>

namespace ballista::executor {

struct MemoryLimits {
  int64_t process = 0;  // bytes that the process shall be resident with
  int64_t store = 0;    // the most that kept outputs take of it
};

// Bytes now.
struct MemoryUse {
  int64_t resident = 0;
  int64_t engine = 0;
  int64_t engine_limit = 0;
  int64_t store = 0;
  int64_t fetch = 0;
  int64_t pool = 0;       // Arrow's, which holds most of the store's batches
  int64_t untracked = 0;  // estimate of what nobody holds and nobody can give back
};

struct MemoryShares {
  int64_t engine = 0;
  int64_t store = 0;
  int64_t fetch = 0;
  // There is no room for one more task beside those that run.
  bool pressed = false;
};

// The least that the engine is left with, however much the others hold.
int64_t EngineFloor(int64_t process_limit);

// Above the limit less so many bytes the process is near its limit.
int64_t Reserve(int64_t process_limit);

// Of the resident bytes, those that nobody says to hold: free memory in allocators is
// among them, unless they have just given it back.
int64_t Untracked(const MemoryUse& use);

MemoryShares Divide(const MemoryLimits& limits, const MemoryUse& use);

}  // namespace ballista::executor
