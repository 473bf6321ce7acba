// One line that says how far a job is.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "ballista/profile.pb.h"

namespace ballista::shell {

// "1.2 GB", "640 B": three digits at most, powers of 1000.
std::string FormatBytes(uint64_t bytes);

// "3.4 s", "2 min 05 s".
std::string FormatElapsed(std::chrono::milliseconds elapsed);

// "[=====>    ] 62% stage 3/5 · tasks 12/20 · 1.2 GB · 3.4 s", at most `width` columns.
// Where no stage is known yet: "planning · 0.4 s", or "queued · …".
std::string RenderProgress(const profile::QueryProfile& profile,
                           std::chrono::milliseconds elapsed, int width);

}  // namespace ballista::shell
