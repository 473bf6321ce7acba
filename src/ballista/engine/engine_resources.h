// What an engine holds of memory and disk, and the limits that it keeps to; for whoever
// divides a process's memory between the engine and the rest.
#pragma once

#include <cstdint>

namespace ballista::engine {

struct EngineUsage {
  int64_t memory_bytes = 0;  // that the engine accounts for
  int64_t memory_limit = 0;
  int64_t spilled_bytes = 0;  // in its temporary files now
};

// Thread-safe.
class EngineResources {
 public:
  virtual ~EngineResources() = default;

  virtual EngineUsage Usage() = 0;

  // Asks the engine to keep to so many bytes: it spills what is above. Where it cannot,
  // since that much is in use at the moment, its limit becomes what it uses. Gives the
  // limit that holds now.
  virtual int64_t SetMemoryLimit(int64_t bytes) = 0;

  // The most that its temporary files may take; what is there stays.
  virtual void SetSpillLimit(int64_t bytes) = 0;

  // Gives memory that the engine's allocator has free back to the system.
  virtual void ReleaseFree() = 0;
};

}  // namespace ballista::engine
