// What compressed IPC buffers of a peer are decompressed into.
//
// Such a buffer says how long it is before any of it is decompressed, and Arrow sets that
// much memory aside at once. A claim that this process could never hold is refused as
// what it is, whatever the allocator below would do with it.
#pragma once

#include <arrow/memory_pool.h>

#include <cstdint>
#include <memory>

namespace ballista::flight {

// A pool over Arrow's own that refuses any one buffer of more than `limit` bytes with
// IOError, as damaged data are: what can be read elsewhere, or made again, is. Must
// outlive what is read into it. Thread-safe.
std::unique_ptr<arrow::MemoryPool> MakeReceivePool(int64_t limit);

// The process's, for IpcReadOptions::memory_pool wherever another process's bytes are
// read; its limit is AvailableMemory(). Lives as long as the process.
arrow::MemoryPool* ReceivePool();

}  // namespace ballista::flight
