// What the file system of a folder has room for. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

namespace ballista {

// Bytes that this process may still write there; 0 where the folder cannot be read.
int64_t FreeDiskBytes(const std::string& folder);

// Why a folder is a bad place for large temporary files, half a sentence; empty: it is
// not. `wanted_bytes`: less free space than that is called little.
std::string WhyPoorForSpilling(const std::string& folder, int64_t wanted_bytes);

}  // namespace ballista
