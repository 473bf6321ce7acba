#include "ballista/base/process_memory.h"

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string_view>

namespace ballista {

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

}  // namespace ballista
