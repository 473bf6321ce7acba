#include "ballista/flight/allocator.h"

#include <malloc.h>

namespace ballista::flight {

void TuneAllocator() {
#ifdef __GLIBC__
  constexpr int kMegabyte = 1 << 20;
  ::mallopt(M_MMAP_THRESHOLD, 32 * kMegabyte);  // the most that glibc takes
  ::mallopt(M_TRIM_THRESHOLD, 512 * kMegabyte);
  ::mallopt(M_TOP_PAD, 64 * kMegabyte);
#endif
}

}  // namespace ballista::flight
