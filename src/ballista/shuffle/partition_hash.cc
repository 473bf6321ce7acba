#include "ballista/shuffle/partition_hash.h"

#include <arrow/extension_type.h>
#include <arrow/util/decimal.h>

#include <algorithm>
#include <array>
#include <cstring>

#define XXH_INLINE_ALL
#include <arrow/vendored/xxhash.h>

#include "ballista/base/status.h"

// Builds of the hot loop for wider vectors, chosen when the program is loaded.
// Sanitizers run before the loader has resolved them; clang builds only for those.
#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define BALLISTA_VECTOR_CLONES \
  __attribute__((target_clones("arch=skylake-avx512", "avx2", "default")))
#else
#define BALLISTA_VECTOR_CLONES
#endif

namespace ballista::shuffle {
namespace {

// Codes of so many rows are made before they are folded in: they stay in the L1 cache.
constexpr int64_t kChunkRows = 1024;

BALLISTA_VECTOR_CLONES void FoldCodes(const uint64_t* codes, int64_t rows,
                                      uint64_t* hashes) {
  for (int64_t i = 0; i < rows; ++i) hashes[i] = FoldCode(hashes[i], codes[i]);
}

// Folds `code_of(row)` of every row of `column` that is not NULL.
template <typename CodeOf>
void FoldEach(const arrow::Array& column, CodeOf&& code_of, uint64_t* hashes) {
  std::array<uint64_t, kChunkRows> codes;
  const bool has_nulls = column.null_count() > 0;
  for (int64_t begin = 0; begin < column.length(); begin += kChunkRows) {
    const int64_t rows = std::min(kChunkRows, column.length() - begin);
    if (has_nulls) {
      for (int64_t i = 0; i < rows; ++i) {
        codes[i] = column.IsNull(begin + i) ? kNullCode : code_of(begin + i);
      }
    } else {
      for (int64_t i = 0; i < rows; ++i) codes[i] = code_of(begin + i);
    }
    FoldCodes(codes.data(), rows, hashes + begin);
  }
}

// Fixed-width values of C type T, also of types whose array class is another one (dates,
// timestamps).
template <typename T>
void FoldIntegers(const arrow::Array& column, uint64_t* hashes) {
  const T* values = column.data()->GetValues<T>(1);
  FoldEach(
      column,
      [values](int64_t i) { return IntegerCode(static_cast<int64_t>(values[i])); },
      hashes);
}

template <typename T>
void FoldFloats(const arrow::Array& column, uint64_t* hashes) {
  const T* values = column.data()->GetValues<T>(1);
  FoldEach(
      column, [values](int64_t i) { return FloatCode(static_cast<double>(values[i])); },
      hashes);
}

template <typename ArrayType>
void FoldViews(const arrow::Array& column, uint64_t* hashes) {
  const auto& array = static_cast<const ArrayType&>(column);
  FoldEach(
      column, [&array](int64_t i) { return BytesCode(array.GetView(i)); }, hashes);
}

void FoldDecimal128(const arrow::Array& column, uint64_t* hashes) {
  const auto& array = static_cast<const arrow::Decimal128Array&>(column);
  FoldEach(
      column,
      [&array](int64_t i) {
        const arrow::Decimal128 value(array.GetValue(i));
        return WideIntegerCode(value.low_bits(), value.high_bits());
      },
      hashes);
}

void FoldIntervals(const arrow::Array& column, uint64_t* hashes) {
  const auto& array = static_cast<const arrow::MonthDayNanoIntervalArray&>(column);
  FoldEach(
      column,
      [&array](int64_t i) {
        const auto value = array.GetValue(i);
        return IntervalCode(value.months, value.days, value.nanoseconds / 1000);
      },
      hashes);
}

arrow::Status FoldStruct(const arrow::StructArray& column, uint64_t* hashes) {
  std::vector<uint64_t> rows(static_cast<size_t>(column.length()), 0);
  for (int field = 0; field < column.num_fields(); ++field) {
    ARROW_RETURN_NOT_OK(FoldColumn(*column.field(field), rows.data()));
  }
  FoldEach(
      column, [&rows](int64_t i) { return rows[static_cast<size_t>(i)]; }, hashes);
  return arrow::Status::OK();
}

// The row rule over a list's elements, seeded with their number.
arrow::Result<uint64_t> FoldElements(const arrow::Array& elements, int64_t begin,
                                     int64_t length) {
  uint64_t hash = Mix(static_cast<uint64_t>(length));
  for (int64_t i = begin; i < begin + length; ++i) {
    ARROW_RETURN_NOT_OK(FoldColumn(*elements.Slice(i, 1), &hash));
  }
  return hash;
}

template <typename ListArray>
arrow::Status FoldLists(const ListArray& column, uint64_t* hashes) {
  std::vector<uint64_t> codes(static_cast<size_t>(column.length()), 0);
  for (int64_t i = 0; i < column.length(); ++i) {
    if (column.IsNull(i)) continue;
    ARROW_ASSIGN_OR_RAISE(
        codes[static_cast<size_t>(i)],
        FoldElements(*column.values(), column.value_offset(i), column.value_length(i)));
  }
  FoldEach(
      column, [&codes](int64_t i) { return codes[static_cast<size_t>(i)]; }, hashes);
  return arrow::Status::OK();
}

// Every distinct value is hashed once; its code is that of the plain value.
arrow::Status FoldDictionary(const arrow::DictionaryArray& column, uint64_t* hashes) {
  const auto& values = *column.dictionary();
  if (values.type_id() != arrow::Type::STRING &&
      values.type_id() != arrow::Type::LARGE_STRING) {
    return arrow::Status::NotImplemented("a dictionary of ", values.type()->ToString(),
                                         " is no partition key");
  }
  std::vector<uint64_t> codes(static_cast<size_t>(values.length()), kNullCode);
  for (int64_t i = 0; i < values.length(); ++i) {
    if (values.IsNull(i)) continue;
    const auto text =
        values.type_id() == arrow::Type::STRING
            ? static_cast<const arrow::StringArray&>(values).GetView(i)
            : static_cast<const arrow::LargeStringArray&>(values).GetView(i);
    codes[static_cast<size_t>(i)] = BytesCode(text);
  }
  FoldEach(
      column,
      [&](int64_t i) { return codes[static_cast<size_t>(column.GetValueIndex(i))]; },
      hashes);
  return arrow::Status::OK();
}

arrow::Status FoldNested(const arrow::Array& column, uint64_t* hashes) {
  switch (column.type_id()) {
    case arrow::Type::STRUCT:
      return FoldStruct(static_cast<const arrow::StructArray&>(column), hashes);
    case arrow::Type::LIST:
      return FoldLists(static_cast<const arrow::ListArray&>(column), hashes);
    case arrow::Type::LARGE_LIST:
      return FoldLists(static_cast<const arrow::LargeListArray&>(column), hashes);
    case arrow::Type::FIXED_SIZE_LIST:
      return FoldLists(static_cast<const arrow::FixedSizeListArray&>(column), hashes);
    case arrow::Type::DICTIONARY:
      return FoldDictionary(static_cast<const arrow::DictionaryArray&>(column), hashes);
    case arrow::Type::EXTENSION:
      return FoldColumn(*static_cast<const arrow::ExtensionArray&>(column).storage(),
                        hashes);
    default:
      return arrow::Status::NotImplemented("a column of type ", column.type()->ToString(),
                                           " is no partition key");
  }
}

}  // namespace

uint64_t BytesCode(std::string_view bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

uint64_t IntervalCode(int64_t months, int64_t days, int64_t micros) {
  constexpr int64_t kMicrosPerDay = 86'400'000'000;
  constexpr int64_t kDaysPerMonth = 30;
  days += micros / kMicrosPerDay;
  micros %= kMicrosPerDay;
  months += days / kDaysPerMonth;
  days %= kDaysPerMonth;
  uint64_t hash = FoldCode(0, IntegerCode(months));
  hash = FoldCode(hash, IntegerCode(days));
  return FoldCode(hash, IntegerCode(micros));
}

arrow::Status FoldColumn(const arrow::Array& column, uint64_t* hashes) {
  switch (column.type_id()) {
    case arrow::Type::NA:
      FoldEach(
          column, [](int64_t) { return kNullCode; }, hashes);
      break;
    case arrow::Type::BOOL: {
      const auto& array = static_cast<const arrow::BooleanArray&>(column);
      FoldEach(
          column, [&](int64_t i) { return IntegerCode(array.Value(i) ? 1 : 0); }, hashes);
      break;
    }
    case arrow::Type::INT8:
      FoldIntegers<int8_t>(column, hashes);
      break;
    case arrow::Type::INT16:
      FoldIntegers<int16_t>(column, hashes);
      break;
    case arrow::Type::INT32:
    case arrow::Type::DATE32:
    case arrow::Type::TIME32:
    case arrow::Type::DECIMAL32:
      FoldIntegers<int32_t>(column, hashes);
      break;
    case arrow::Type::INT64:
    case arrow::Type::DATE64:
    case arrow::Type::TIME64:
    case arrow::Type::TIMESTAMP:
    case arrow::Type::DURATION:
    case arrow::Type::DECIMAL64:
      FoldIntegers<int64_t>(column, hashes);
      break;
    case arrow::Type::UINT8:
      FoldIntegers<uint8_t>(column, hashes);
      break;
    case arrow::Type::UINT16:
      FoldIntegers<uint16_t>(column, hashes);
      break;
    case arrow::Type::UINT32:
      FoldIntegers<uint32_t>(column, hashes);
      break;
    case arrow::Type::UINT64:
      FoldIntegers<uint64_t>(column, hashes);
      break;
    case arrow::Type::FLOAT:
      FoldFloats<float>(column, hashes);
      break;
    case arrow::Type::DOUBLE:
      FoldFloats<double>(column, hashes);
      break;
    case arrow::Type::DECIMAL128:
      FoldDecimal128(column, hashes);
      break;
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      FoldViews<arrow::BinaryArray>(column, hashes);
      break;
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
      FoldViews<arrow::LargeBinaryArray>(column, hashes);
      break;
    case arrow::Type::STRING_VIEW:
    case arrow::Type::BINARY_VIEW:
      FoldViews<arrow::BinaryViewArray>(column, hashes);
      break;
    case arrow::Type::FIXED_SIZE_BINARY:
      FoldViews<arrow::FixedSizeBinaryArray>(column, hashes);
      break;
    case arrow::Type::INTERVAL_MONTH_DAY_NANO:
      FoldIntervals(column, hashes);
      break;
    default:
      return FoldNested(column, hashes);
  }
  return arrow::Status::OK();
}

arrow::Result<std::vector<uint64_t>> HashRows(
    const std::vector<std::shared_ptr<arrow::Array>>& keys) {
  if (keys.empty()) return InternalStatus("a hash partition needs at least one key");
  std::vector<uint64_t> hashes(static_cast<size_t>(keys[0]->length()), 0);
  for (const auto& key : keys) {
    if (key->length() != keys[0]->length()) {
      return InternalStatus("the key columns of a hash partition differ in length");
    }
    ARROW_RETURN_NOT_OK(FoldColumn(*key, hashes.data()));
  }
  return hashes;
}

arrow::Result<std::vector<uint32_t>> PartitionRows(
    const std::vector<std::shared_ptr<arrow::Array>>& keys, uint32_t partitions) {
  if (partitions == 0 || partitions > kMaxPartitions) {
    return InternalStatus("a hash exchange has 1 to 65535 partitions, not " +
                          std::to_string(partitions));
  }
  ARROW_ASSIGN_OR_RAISE(const auto hashes, HashRows(keys));
  std::vector<uint32_t> result(hashes.size());
  for (size_t i = 0; i < hashes.size(); ++i) {
    result[i] = PartitionOf(hashes[i], partitions);
  }
  return result;
}

}  // namespace ballista::shuffle
