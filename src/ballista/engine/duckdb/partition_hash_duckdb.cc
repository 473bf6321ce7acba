#include "ballista/engine/duckdb/partition_hash_duckdb.h"

#include <vector>

#include "ballista/shuffle/partition_hash.h"

// One copy of a loop for each generation of vector instructions, chosen when the program
// is loaded. Sanitizers cannot instrument the choosing; clang builds only for those.
#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define VECTOR_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VECTOR_CLONES
#endif

namespace ballista::engine {
namespace {

using duckdb::idx_t;
using duckdb::LogicalTypeId;
using duckdb::PhysicalType;
using duckdb::UnifiedVectorFormat;
using duckdb::Vector;

using shuffle::FoldCode;
using shuffle::kNullCode;

VECTOR_CLONES void CombineAll(uint64_t* hashes, const uint64_t* values, idx_t count) {
  for (idx_t i = 0; i < count; ++i) hashes[i] = FoldCode(hashes[i], values[i]);
}

VECTOR_CLONES void CombineInt64(uint64_t* hashes, const int64_t* values, idx_t count) {
  for (idx_t i = 0; i < count; ++i) {
    hashes[i] = FoldCode(hashes[i], static_cast<uint64_t>(values[i]));
  }
}

VECTOR_CLONES void CombineInt32(uint64_t* hashes, const int32_t* values, idx_t count) {
  for (idx_t i = 0; i < count; ++i) {
    hashes[i] = FoldCode(hashes[i], static_cast<uint64_t>(int64_t{values[i]}));
  }
}

uint64_t Canonical(duckdb::hugeint_t v) {
  return shuffle::WideIntegerCode(v.lower, v.upper);
}

uint64_t Canonical(duckdb::uhugeint_t v) {
  return shuffle::WideIntegerCode(v.lower, static_cast<int64_t>(v.upper));
}

uint64_t Canonical(double v) {
  return shuffle::FloatCode(v);
}

uint64_t Canonical(float v) {
  return shuffle::FloatCode(v);
}

uint64_t Canonical(const duckdb::string_t& v) {
  return shuffle::BytesCode({v.GetData(), v.GetSize()});
}

// Intervals that DuckDB finds equal have one normal form.
uint64_t Canonical(duckdb::interval_t v) {
  int64_t months = 0;
  int64_t days = 0;
  int64_t micros = 0;
  v.Normalize(months, days, micros);
  return shuffle::IntervalCode(months, days, micros);
}

template <typename T>
uint64_t Canonical(T v) {
  if constexpr (std::is_signed_v<T>) {
    return static_cast<uint64_t>(static_cast<int64_t>(v));
  } else {
    return static_cast<uint64_t>(v);
  }
}

uint64_t CanonicalUuid(duckdb::hugeint_t v) {
  uint8_t bytes[16];
  duckdb::BaseUUID::ToBlob(v, bytes);
  return shuffle::BytesCode({reinterpret_cast<const char*>(bytes), sizeof(bytes)});
}

// values[i] = the canonical 64 bits of row i.
template <typename T, typename Function>
void Fill(const UnifiedVectorFormat& format, idx_t count, uint64_t* values,
          Function canonical) {
  const auto* data = UnifiedVectorFormat::GetData<T>(format);
  if (format.validity.AllValid()) {
    for (idx_t i = 0; i < count; ++i)
      values[i] = canonical(data[format.sel->get_index(i)]);
    return;
  }
  for (idx_t i = 0; i < count; ++i) {
    const idx_t row = format.sel->get_index(i);
    values[i] = format.validity.RowIsValid(row) ? canonical(data[row]) : kNullCode;
  }
}

template <typename T>
void Fill(const UnifiedVectorFormat& format, idx_t count, uint64_t* values) {
  Fill<T>(format, count, values, [](const T& v) { return Canonical(v); });
}

void CanonicalValues(Vector& vector, idx_t count, uint64_t* values);

void SetNulls(const UnifiedVectorFormat& format, idx_t count, uint64_t* values) {
  if (format.validity.AllValid()) return;
  for (idx_t i = 0; i < count; ++i) {
    if (!format.validity.RowIsValid(format.sel->get_index(i))) values[i] = kNullCode;
  }
}

void CanonicalStruct(Vector& vector, idx_t count, uint64_t* values) {
  vector.Flatten(count);
  UnifiedVectorFormat format;
  vector.ToUnifiedFormat(count, format);
  std::vector<uint64_t> fields(count);
  std::fill(values, values + count, 0);
  for (auto& child : duckdb::StructVector::GetEntries(vector)) {
    CanonicalValues(*child, count, fields.data());
    CombineAll(values, fields.data(), count);
  }
  SetNulls(format, count, values);
}

// LIST and ARRAY: `first(row)` and `length(row)` say where a row's elements are.
template <typename First, typename Length>
void CanonicalElements(Vector& child, idx_t child_count,
                       const UnifiedVectorFormat& format, idx_t count, uint64_t* values,
                       First first, Length length) {
  std::vector<uint64_t> elements(child_count);
  CanonicalValues(child, child_count, elements.data());
  for (idx_t i = 0; i < count; ++i) {
    const idx_t row = format.sel->get_index(i);
    if (!format.validity.RowIsValid(row)) {
      values[i] = kNullCode;
      continue;
    }
    uint64_t hash = shuffle::Mix(length(row));
    for (idx_t k = 0; k < length(row); ++k) {
      hash = FoldCode(hash, elements[first(row) + k]);
    }
    values[i] = hash;
  }
}

void CanonicalList(Vector& vector, idx_t count, uint64_t* values) {
  UnifiedVectorFormat format;
  vector.ToUnifiedFormat(count, format);
  const auto* entries = UnifiedVectorFormat::GetData<duckdb::list_entry_t>(format);
  CanonicalElements(
      duckdb::ListVector::GetEntry(vector), duckdb::ListVector::GetListSize(vector),
      format, count, values, [&](idx_t row) { return entries[row].offset; },
      [&](idx_t row) { return entries[row].length; });
}

void CanonicalArray(Vector& vector, idx_t count, uint64_t* values) {
  vector.Flatten(count);
  UnifiedVectorFormat format;
  vector.ToUnifiedFormat(count, format);
  const idx_t size = duckdb::ArrayType::GetSize(vector.GetType());
  CanonicalElements(
      duckdb::ArrayVector::GetEntry(vector), count * size, format, count, values,
      [&](idx_t row) { return row * size; }, [&](idx_t) { return size; });
}

void CanonicalFlat(const UnifiedVectorFormat& format, const duckdb::LogicalType& type,
                   idx_t count, uint64_t* values) {
  switch (type.InternalType()) {
    case PhysicalType::BOOL:
      return Fill<bool>(format, count, values);
    case PhysicalType::INT8:
      return Fill<int8_t>(format, count, values);
    case PhysicalType::INT16:
      return Fill<int16_t>(format, count, values);
    case PhysicalType::INT32:
      return Fill<int32_t>(format, count, values);
    case PhysicalType::INT64:
      return Fill<int64_t>(format, count, values);
    case PhysicalType::UINT8:
      return Fill<uint8_t>(format, count, values);
    case PhysicalType::UINT16:
      return Fill<uint16_t>(format, count, values);
    case PhysicalType::UINT32:
      return Fill<uint32_t>(format, count, values);
    case PhysicalType::UINT64:
      return Fill<uint64_t>(format, count, values);
    case PhysicalType::INT128:
      if (type.id() == LogicalTypeId::UUID) {
        return Fill<duckdb::hugeint_t>(format, count, values, CanonicalUuid);
      }
      return Fill<duckdb::hugeint_t>(format, count, values);
    case PhysicalType::UINT128:
      return Fill<duckdb::uhugeint_t>(format, count, values);
    case PhysicalType::FLOAT:
      return Fill<float>(format, count, values);
    case PhysicalType::DOUBLE:
      return Fill<double>(format, count, values);
    case PhysicalType::INTERVAL:
      return Fill<duckdb::interval_t>(format, count, values);
    case PhysicalType::VARCHAR:
      return Fill<duckdb::string_t>(format, count, values);
    default:
      throw duckdb::InvalidInputException("rows cannot be partitioned by a %s",
                                          type.ToString());
  }
}

void CanonicalValues(Vector& vector, idx_t count, uint64_t* values) {
  const auto& type = vector.GetType();
  switch (type.id()) {
    case LogicalTypeId::SQLNULL:
      std::fill(values, values + count, kNullCode);
      return;
    case LogicalTypeId::STRUCT:
    case LogicalTypeId::UNION:
      return CanonicalStruct(vector, count, values);
    case LogicalTypeId::LIST:
      return CanonicalList(vector, count, values);
    case LogicalTypeId::ARRAY:
      return CanonicalArray(vector, count, values);
    case LogicalTypeId::MAP:
      throw duckdb::InvalidInputException("rows cannot be partitioned by a MAP");
    default: {
      UnifiedVectorFormat format;
      vector.ToUnifiedFormat(count, format);
      CanonicalFlat(format, type, count, values);
    }
  }
}

// The common keys, without a pass over canonical values. Whether it was one.
bool CombineDirectly(Vector& vector, idx_t count, uint64_t* hashes) {
  if (vector.GetVectorType() != duckdb::VectorType::FLAT_VECTOR) return false;
  if (!duckdb::FlatVector::Validity(vector).AllValid()) return false;
  switch (vector.GetType().InternalType()) {
    case PhysicalType::INT64:
      CombineInt64(hashes, duckdb::FlatVector::GetData<int64_t>(vector), count);
      return true;
    case PhysicalType::INT32:
      CombineInt32(hashes, duckdb::FlatVector::GetData<int32_t>(vector), count);
      return true;
    default:
      return false;
  }
}

}  // namespace

void HashRows(duckdb::DataChunk& chunk, const std::vector<uint32_t>& keys,
              uint64_t* hashes) {
  const idx_t count = chunk.size();
  std::fill(hashes, hashes + count, 0);
  uint64_t values[STANDARD_VECTOR_SIZE];
  for (uint32_t key : keys) {
    auto& vector = chunk.data[key];
    if (CombineDirectly(vector, count, hashes)) continue;
    CanonicalValues(vector, count, values);
    CombineAll(hashes, values, count);
  }
}

VECTOR_CLONES void ToPartitions(const uint64_t* hashes, uint64_t count,
                                uint32_t num_partitions, uint16_t* partitions) {
  for (uint64_t i = 0; i < count; ++i) {
    partitions[i] = static_cast<uint16_t>(((hashes[i] >> 32) * num_partitions) >> 32);
  }
}

}  // namespace ballista::engine
