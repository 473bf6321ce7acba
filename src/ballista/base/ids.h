// Identifiers of jobs, sessions, executors: random UUIDs (version 4) as text.
#pragma once

#include <string>

namespace ballista {

// Thread-safe; from the operating system's random source.
std::string NewId();

}  // namespace ballista
