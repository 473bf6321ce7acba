// The partition hash: which partition of a hash exchange a row belongs to.
//
// It is part of the wire contract (docs/plan-ir.md, "Partition hash", with test vectors),
// so that executors in other languages partition alike, and it is deliberately not the
// hash of the engine's own tables: rows of one partition would share bits of that one.
//
// A row's hash starts at 0 and folds in one 64-bit code a key column, left to right:
// FoldCode. The functions above HashRow give the codes of single values, for engines that
// partition before their rows are Arrow.
//
// All functions are thread-safe (they have no state).
#pragma once

#include <arrow/array.h>
#include <arrow/result.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

namespace ballista::shuffle {

inline constexpr uint64_t kNullCode = 0x9e3779b97f4a7c15ULL;
inline constexpr uint32_t kMaxPartitions = 65535;

inline constexpr uint64_t Mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  x ^= x >> 33;
  return x;
}

inline constexpr uint64_t FoldCode(uint64_t hash, uint64_t code) {
  return Mix(std::rotl(hash, 1) ^ code);
}

// `partitions`: 1..kMaxPartitions.
inline constexpr uint32_t PartitionOf(uint64_t hash, uint32_t partitions) {
  return static_cast<uint32_t>(((hash >> 32) * partitions) >> 32);
}

// ---- codes of values
// Integers, dates, times, timestamps, booleans: the value, sign-extended or
// zero-extended.
inline constexpr uint64_t IntegerCode(int64_t value) {
  return static_cast<uint64_t>(value);
}

// Decimals and 128-bit integers: two's complement. A value that fits a signed 64-bit
// integer has that integer's code, so that the storage width does not matter.
inline constexpr uint64_t WideIntegerCode(uint64_t low, int64_t high) {
  const bool narrow = high == (static_cast<int64_t>(low) >> 63);
  return narrow ? low : Mix(low) ^ static_cast<uint64_t>(high);
}

// Both widths of floating point: equal values have equal codes, and NaNs are one value.
inline uint64_t FloatCode(double value) {
  if (std::isnan(value)) return 0x7ff8000000000000ULL;
  return std::bit_cast<uint64_t>(value == 0 ? 0.0 : value);
}

// Strings, binary, UUIDs (16 bytes, big-endian): XXH3 of the bytes.
uint64_t BytesCode(std::string_view bytes);

// Intervals, carried as comparison carries them: 86400000000 us = 1 day, 30 days = 1
// month.
uint64_t IntervalCode(int64_t months, int64_t days, int64_t micros);

// ---- rows of Arrow arrays
// Adds the column to the rows' hashes: hashes[i] = FoldCode(hashes[i], code of row i).
// `hashes` has column.length() entries. Errors: NotImplemented for a type that is no key
// (maps, unions, run-end encoded).
arrow::Status FoldColumn(const arrow::Array& column, uint64_t* hashes);

// The hash of each row of `keys` (at least one, of one length).
arrow::Result<std::vector<uint64_t>> HashRows(
    const std::vector<std::shared_ptr<arrow::Array>>& keys);

// The partition of each row of `keys`.
arrow::Result<std::vector<uint32_t>> PartitionRows(
    const std::vector<std::shared_ptr<arrow::Array>>& keys, uint32_t partitions);

}  // namespace ballista::shuffle
