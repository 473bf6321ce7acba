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

// Takes the pages of code and constants, of this program and its libraries, out of the
// process. Those that are used come back from the system's page cache, sixteen with one
// page fault: what only the start or the last queries needed is gone, and the next query
// costs two or three milliseconds more. A debugger's breakpoints go with the pages.
void ReleaseCode();

}  // namespace ballista
