// Substrait plans from outside: whatever the bytes are, translation ends in a data frame
// or in an error of the user's, and what it makes is validated and summed up.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "ballista/base/status.h"
#include "ballista/plan/data_frame.h"
#include "ballista/substrait/translate.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ballista;
  const auto frame = substrait::Translate({reinterpret_cast<const char*>(data), size});
  if (!frame.ok()) {
    const auto* detail = GetErrorDetail(frame.status());
    if (detail != nullptr && detail->has_user()) return 0;
    std::fprintf(stderr, "not the user's: %s\n", frame.status().ToString().c_str());
    std::abort();
  }
  (void)plan::Summary(*frame);
  (void)plan::Validate(*frame);
  return 0;
}
