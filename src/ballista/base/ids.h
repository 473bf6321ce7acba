// Identifiers of jobs, sessions, executors: random UUIDs (version 4) as text.
#pragma once

#include <string>
#include <string_view>

namespace ballista {

// Thread-safe; from the operating system's random source.
std::string NewId();

// Whether a text from outside may be part of a file's name and of a log line: 1 to 200
// letters, digits, - and _.
bool IsPlainName(std::string_view name);

// Whether it may be a host name or an address: 1 to 255 letters, digits and . : - _ [ ]
// %.
bool IsHostName(std::string_view name);

}  // namespace ballista
