#include "ballista/flight/allocator.h"

#include <malloc.h>

namespace ballista::flight {

void TuneAllocator() {
#ifdef __GLIBC__
  constexpr int kMegabyte = 1 << 20;
  ::mallopt(M_MMAP_THRESHOLD, 32 * kMegabyte);  // the most that glibc takes
  ::mallopt(M_TRIM_THRESHOLD, 512 * kMegabyte);
  ::mallopt(M_TOP_PAD, 64 * kMegabyte);
  // What one thread of gRPC has freed is for the next one; in an arena for each thread
  // the messages of a stream touch fresh pages for as long as it lasts. DuckDB and Arrow
  // have allocators of their own, so that few threads meet here.
  ::mallopt(M_ARENA_MAX, 1);
#endif
}

}  // namespace ballista::flight
