// What this process holds of the machine's memory. Thread-safe.
#pragma once

#include <cstdint>

namespace ballista {

// Resident bytes of this process now, its libraries' pages included; 0 where the kernel
// does not say. Costs about ten microseconds.
int64_t ResidentBytes();

// Gives memory that malloc has free back to the system. Costs up to milliseconds on a
// large heap.
void TrimHeap();

}  // namespace ballista
