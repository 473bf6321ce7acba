#include "ballista/base/process_memory.h"

#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string_view>

namespace ballista {
namespace {

// Segments that nobody may write to are in memory as they are in the file; what is
// relocated lies in others.
int ReleaseSegments(dl_phdr_info* object, size_t, void* page) {
  const auto page_size = *static_cast<const uintptr_t*>(page);
  const std::string_view name(object->dlpi_name);
  // The kernel's own is no file; the program has no name.
  if (!name.empty() && name.front() != '/') return 0;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const uintptr_t begin = object->dlpi_addr + segment.p_vaddr;
    const uintptr_t first = begin / page_size * page_size;
    ::madvise(reinterpret_cast<void*>(first), begin + segment.p_memsz - first,
              MADV_DONTNEED);
  }
  return 0;
}

}  // namespace

int64_t ResidentBytes() {
  static const int64_t page = ::sysconf(_SC_PAGESIZE);
  const int file = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  std::array<char, 128> text{};
  const ssize_t length = ::read(file, text.data(), text.size());
  ::close(file);
  if (length <= 0) return 0;
  // "size resident shared ...", in pages.
  const std::string_view line(text.data(), static_cast<size_t>(length));
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) return 0;
  int64_t pages = 0;
  std::from_chars(line.data() + space + 1, line.data() + line.size(), pages);
  return pages * page;
}

void TrimHeap() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

void ReleaseCode() {
  auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  ::dl_iterate_phdr(ReleaseSegments, &page);
}

}  // namespace ballista
