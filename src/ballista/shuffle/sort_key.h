// The sort key of a row: bytes whose order by memcmp is the order that an ORDER BY asks
// for.
//
// It is part of the wire contract (docs/plan-ir.md, "Sort key", with test vectors): the
// bounds of the ranges in which a sorted output is read are such bytes, and executors in
// other languages must place them alike. Types whose values have no such form (nested
// ones) have no sort key; the planner does not ask for it.
//
// All functions are thread-safe (they have no state that changes).
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ballista/plan.pb.h"

namespace ballista::shuffle {

// Bounds and samples are cut to so many bytes: any bytes can be a bound.
inline constexpr size_t kMaxBoundBytes = 256;

// Sort keys of consecutive rows.
class SortKeys {
 public:
  int64_t size() const { return size_; }
  std::string_view operator[](int64_t row) const {
    if (width_ > 0) {
      return {bytes_.get() + row * width_, static_cast<size_t>(width_)};
    }
    return {bytes_.get() + offsets_[row],
            static_cast<size_t>(offsets_[row + 1] - offsets_[row])};
  }

 private:
  friend class SortKeyEncoder;
  int64_t size_ = 0;
  int64_t width_ = 0;  // of every key; 0: they differ
  std::vector<int64_t> offsets_;
  std::unique_ptr<char[]> bytes_;
};

class SortKeyEncoder {
 public:
  // `keys`: plain columns, with their types. Errors: Internal for others, and for types
  // without a sort key.
  static arrow::Result<SortKeyEncoder> Make(const std::vector<plan::SortKey>& keys);

  // Of rows [first, first + rows) of a batch in the layout of exchanges. Errors: Internal
  // where a column is missing or not of its type's layout; OutOfMemory.
  arrow::Result<SortKeys> Encode(const arrow::RecordBatch& batch, int64_t first,
                                 int64_t rows) const;

  // Of one row.
  arrow::Result<std::string> EncodeRow(const arrow::RecordBatch& batch,
                                       int64_t row) const;

 private:
  struct Key {
    int column;
    plan::Type::Id type;
    bool descending;
    bool nulls_first;
  };
  std::vector<Key> keys_;
};

}  // namespace ballista::shuffle
