// The partition hash of rows (docs/plan-ir.md, "Partition hash") over DuckDB's vectors.
// It gives for every row what ballista::shuffle gives for the Arrow form of the row, so
// that executors of any kind put equal keys into the same partition.
#pragma once

#include <cstdint>

#include "ballista/engine/duckdb/pch_internal.h"

namespace ballista::engine {

// hashes[i] = the hash of row i over `keys` (columns of `chunk`), in order. No more than
// STANDARD_VECTOR_SIZE rows. Thread-safe. Throws duckdb::InvalidInputException for a key
// that cannot be hashed (MAP).
void HashRows(duckdb::DataChunk& chunk, const std::vector<uint32_t>& keys,
              uint64_t* hashes);

// partitions[i] = where a row with hashes[i] goes. `num_partitions`: 1..65535.
void ToPartitions(const uint64_t* hashes, uint64_t count, uint32_t num_partitions,
                  uint16_t* partitions);

}  // namespace ballista::engine
