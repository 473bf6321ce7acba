// Versions of the product and of what it says to its peers.
#pragma once

#include <cstdint>

namespace ballista {

inline constexpr const char* kVersion = "0.5.0";

// Of control messages, tickets and plans between processes. Peers of another one are
// refused.
inline constexpr uint32_t kWireVersion = 1;
inline constexpr uint32_t kPlanVersion = 1;

}  // namespace ballista
