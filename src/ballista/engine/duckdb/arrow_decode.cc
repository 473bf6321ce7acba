#include "ballista/engine/duckdb/arrow_decode.h"

#include <cstring>

#include "ballista/engine/duckdb/arrow_encode.h"

namespace ballista::engine {
namespace {

using duckdb::FlatVector;
using duckdb::LogicalTypeId;
using duckdb::PhysicalType;
using duckdb::Vector;
using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

// Keeps a batch alive for as long as a vector points into it.
struct BatchHolder : public duckdb::VectorAuxiliaryData {
  explicit BatchHolder(BatchPtr held)
      : VectorAuxiliaryData(duckdb::VectorAuxiliaryDataType::ARROW_AUXILIARY),
        batch(std::move(held)) {}
  BatchPtr batch;
};

void Hold(const BatchPtr& batch, Vector* out) {
  if (auto buffer = out->GetBuffer()) {
    buffer->SetAuxiliaryData(duckdb::make_uniq<BatchHolder>(batch));
  }
}

template <typename T>
const T* Values(const arrow::ArrayData& array, int buffer, int64_t first) {
  const auto& data = array.buffers[static_cast<size_t>(buffer)];
  return data ? reinterpret_cast<const T*>(data->data()) + array.offset + first : nullptr;
}

void DecodeValidity(const arrow::ArrayData& array, int64_t first, int64_t count,
                    Vector* out) {
  if (array.buffers[0] == nullptr || array.null_count == 0) return;
  auto& mask = FlatVector::Validity(*out);
  mask.Initialize(std::max<duckdb::idx_t>(mask.Capacity(), count));
  arrow::internal::CopyBitmap(array.buffers[0]->data(), array.offset + first, count,
                              reinterpret_cast<uint8_t*>(mask.GetData()), 0);
}

void DecodeBools(const arrow::ArrayData& array, int64_t first, int64_t count,
                 Vector* out) {
  const uint8_t* bits = array.buffers[1]->data();
  auto* values = FlatVector::GetData<bool>(*out);
  for (int64_t i = 0; i < count; ++i) {
    values[i] = arrow::bit_util::GetBit(bits, array.offset + first + i);
  }
}

void DecodeSmallDecimals(const arrow::ArrayData& array, int64_t first, int64_t count,
                         Vector* out) {
  const auto* source = Values<int32_t>(array, 1, first);
  auto* values = FlatVector::GetData<int16_t>(*out);
  for (int64_t i = 0; i < count; ++i) values[i] = static_cast<int16_t>(source[i]);
}

void DecodeUuids(const arrow::ArrayData& array, int64_t first, int64_t count,
                 Vector* out) {
  const uint8_t* source = array.buffers[1]->data() + 16 * (array.offset + first);
  auto* values = FlatVector::GetData<duckdb::hugeint_t>(*out);
  for (int64_t i = 0; i < count; ++i) {
    values[i] = duckdb::BaseUUID::FromBlob(source + 16 * i);
  }
}

void DecodeIntervals(const arrow::ArrayData& array, int64_t first, int64_t count,
                     Vector* out) {
  first += array.offset;
  const auto* months = Values<int32_t>(*array.child_data[0], 1, first);
  const auto* days = Values<int32_t>(*array.child_data[1], 1, first);
  const auto* micros = Values<int64_t>(*array.child_data[2], 1, first);
  auto* values = FlatVector::GetData<duckdb::interval_t>(*out);
  for (int64_t i = 0; i < count; ++i) {
    values[i].months = months[i];
    values[i].days = days[i];
    values[i].micros = micros[i];
  }
}

// A string_t of up to 12 bytes holds them, padded with zeros; a longer one its first four
// bytes and a pointer.
void DecodeStrings(const BatchPtr& batch, const arrow::ArrayData& array, int64_t first,
                   int64_t count, Vector* out) {
  Hold(batch, out);
  const auto* offsets = Values<int32_t>(array, 1, first);
  const auto& heap_buffer = array.buffers[2];
  const char* heap =
      heap_buffer ? reinterpret_cast<const char*>(heap_buffer->data()) : "";
  const int64_t heap_size = heap_buffer ? heap_buffer->size() : 0;
  auto* values = FlatVector::GetData<duckdb::string_t>(*out);
  constexpr uint32_t kInline = duckdb::string_t::INLINE_LENGTH;
  for (int64_t i = 0; i < count; ++i) {
    const auto size = static_cast<uint32_t>(offsets[i + 1] - offsets[i]);
    const char* data = heap + offsets[i];
    if (size > kInline || offsets[i] + 16 > heap_size) {
      values[i] = duckdb::string_t(data, size);
      continue;
    }
    unsigned __int128 bytes;
    std::memcpy(&bytes, data, sizeof(bytes));
    const unsigned unused = 8 * (16 - size);
    bytes = size == 0 ? 0 : (bytes << unused) >> unused;
    uint32_t words[4] = {size, 0, 0, 0};
    std::memcpy(&words[1], &bytes, kInline);
    std::memcpy(static_cast<void*>(&values[i]), words, sizeof(words));
  }
}

void DecodeList(const BatchPtr& batch, const arrow::ArrayData& array, int64_t first,
                int64_t count, Vector* out) {
  const auto* offsets = Values<int32_t>(array, 1, first);
  auto* entries = FlatVector::GetData<duckdb::list_entry_t>(*out);
  const int32_t begin = offsets[0];
  for (int64_t i = 0; i < count; ++i) {
    entries[i].offset = static_cast<uint64_t>(offsets[i] - begin);
    entries[i].length = static_cast<uint64_t>(offsets[i + 1] - offsets[i]);
  }
  const int64_t elements = offsets[count] - begin;
  duckdb::ListVector::Reserve(*out, static_cast<uint64_t>(elements));
  duckdb::ListVector::SetListSize(*out, static_cast<uint64_t>(elements));
  DecodeVector(batch, *array.child_data[0], begin, elements,
               &duckdb::ListVector::GetEntry(*out));
}

void DecodeFixed(const BatchPtr& batch, const arrow::ArrayData& array, int64_t first,
                 int64_t count, Vector* out) {
  const auto width =
      static_cast<int64_t>(duckdb::GetTypeIdSize(out->GetType().InternalType()));
  const uint8_t* source = array.buffers[1]->data() + (array.offset + first) * width;
  const auto alignment = static_cast<uintptr_t>(std::min<int64_t>(width, 8));
  if (reinterpret_cast<uintptr_t>(source) % alignment == 0) {
    FlatVector::SetData(*out, const_cast<uint8_t*>(source));
    Hold(batch, out);
  } else {
    std::memcpy(FlatVector::GetData(*out), source, static_cast<size_t>(count * width));
  }
}

}  // namespace

void DecodeVector(const BatchPtr& batch, const arrow::ArrayData& array, int64_t first,
                  int64_t count, Vector* out) {
  const auto& type = out->GetType();
  if (type.id() == LogicalTypeId::SQLNULL) {
    out->SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
    duckdb::ConstantVector::SetNull(*out, true);
    return;
  }
  if (count == 0) return;
  DecodeValidity(array, first, count, out);
  switch (type.InternalType()) {
    case PhysicalType::BOOL:
      return DecodeBools(array, first, count, out);
    case PhysicalType::INTERVAL:
      return DecodeIntervals(array, first, count, out);
    case PhysicalType::VARCHAR:
      return DecodeStrings(batch, array, first, count, out);
    case PhysicalType::LIST:
      return DecodeList(batch, array, first, count, out);
    case PhysicalType::STRUCT: {
      auto& entries = duckdb::StructVector::GetEntries(*out);
      for (size_t i = 0; i < entries.size(); ++i) {
        DecodeVector(batch, *array.child_data[i], array.offset + first, count,
                     entries[i].get());
      }
      return;
    }
    case PhysicalType::ARRAY: {
      const auto size = static_cast<int64_t>(duckdb::ArrayType::GetSize(type));
      return DecodeVector(batch, *array.child_data[0], (array.offset + first) * size,
                          count * size, &duckdb::ArrayVector::GetEntry(*out));
    }
    default:
      break;
  }
  if (type.id() == LogicalTypeId::UUID) return DecodeUuids(array, first, count, out);
  if (!SameBytesInArrow(type)) return DecodeSmallDecimals(array, first, count, out);
  DecodeFixed(batch, array, first, count, out);
}

}  // namespace ballista::engine
