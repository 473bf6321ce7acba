// Times that processes tell each other, or that outlive one.
#pragma once

#include <chrono>
#include <cstdint>

namespace ballista {

// Milliseconds since 1970; system time, which may be set meanwhile.
inline uint64_t UnixMs(
    std::chrono::system_clock::time_point time = std::chrono::system_clock::now()) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch())
          .count());
}

}  // namespace ballista
