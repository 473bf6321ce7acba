// What of the machine this process may use: the limits of its cgroups (version 1 and 2,
// nested ones too), its CPU affinity, and what the machine has.
//
// `root` is the folder that holds proc/ and sys/, for tests; "/" is the machine itself.
// Files that are missing or unreadable set no limit. Thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>

namespace ballista {

// Bytes of memory: the smallest of the machine's and of every limit of a cgroup that
// holds this process. 0 only where not even the machine's size can be read.
uint64_t AvailableMemory(const std::filesystem::path& root = "/");

// Cores: the CPUs that this process may run on, or the cgroup's CPU quota rounded up
// where that is less. At least 1.
uint32_t AvailableCores(const std::filesystem::path& root = "/");

// As many open files as the system lets this process have: each connection is one.
void RaiseOpenFileLimit();

}  // namespace ballista
