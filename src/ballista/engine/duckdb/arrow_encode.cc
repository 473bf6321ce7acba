#include "ballista/engine/duckdb/arrow_encode.h"

#include <cstring>
#include <limits>
#include <vector>

namespace ballista::engine {
namespace {

using ArrayDataPtr = std::shared_ptr<arrow::ArrayData>;
using BufferPtr = std::shared_ptr<arrow::Buffer>;
using duckdb::LogicalTypeId;
using duckdb::PhysicalType;
using duckdb::UnifiedVectorFormat;
using duckdb::Vector;

// Small strings are copied as this many bytes at once, so buffers end with a margin.
constexpr int64_t kMargin = 16;

arrow::Result<BufferPtr> Allocate(int64_t bytes) {
  ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateBuffer(bytes));
  return BufferPtr(std::move(buffer));
}

template <typename T>
void GatherAs(const uint8_t* source, const uint32_t* rows, int64_t count, uint8_t* out) {
  const auto* from = reinterpret_cast<const T*>(source);
  auto* to = reinterpret_cast<T*>(out);
  for (int64_t i = 0; i < count; ++i) to[i] = from[rows[i]];
}

struct Wide {
  uint64_t low;
  uint64_t high;
};

void Gather(const uint8_t* source, const uint32_t* rows, int64_t count, int width,
            uint8_t* out) {
  if (rows == nullptr) {
    std::memcpy(out, source, static_cast<size_t>(count * width));
    return;
  }
  switch (width) {
    case 1:
      return GatherAs<uint8_t>(source, rows, count, out);
    case 2:
      return GatherAs<uint16_t>(source, rows, count, out);
    case 4:
      return GatherAs<uint32_t>(source, rows, count, out);
    case 8:
      return GatherAs<uint64_t>(source, rows, count, out);
    default:
      return GatherAs<Wide>(source, rows, count, out);
  }
}

inline int64_t RowAt(const uint32_t* rows, int64_t i) {
  return rows ? rows[i] : i;
}

arrow::Result<BufferPtr> EncodeBits(const uint8_t* source, const uint32_t* rows,
                                    int64_t count) {
  const int64_t bytes = (count + 7) / 8;
  ARROW_ASSIGN_OR_RAISE(auto buffer, Allocate(bytes));
  auto* out = buffer->mutable_data();
  for (int64_t i = 0; i < bytes; ++i) {
    uint8_t byte = 0;
    const int64_t end = std::min<int64_t>(8, count - 8 * i);
    for (int64_t k = 0; k < end; ++k) {
      byte |= static_cast<uint8_t>((source[RowAt(rows, 8 * i + k)] != 0) << k);
    }
    out[i] = byte;
  }
  return buffer;
}

// decimal32 is the narrowest that Arrow has; DuckDB stores up to 4 digits in 16 bits.
arrow::Result<BufferPtr> EncodeSmallDecimals(const uint8_t* source, const uint32_t* rows,
                                             int64_t count) {
  ARROW_ASSIGN_OR_RAISE(auto buffer, Allocate(count * 4));
  const auto* from = reinterpret_cast<const int16_t*>(source);
  auto* to = reinterpret_cast<int32_t*>(buffer->mutable_data());
  for (int64_t i = 0; i < count; ++i) to[i] = from[RowAt(rows, i)];
  return buffer;
}

arrow::Result<BufferPtr> EncodeUuids(const uint8_t* source, const uint32_t* rows,
                                     int64_t count) {
  ARROW_ASSIGN_OR_RAISE(auto buffer, Allocate(count * 16));
  const auto* from = reinterpret_cast<const duckdb::hugeint_t*>(source);
  for (int64_t i = 0; i < count; ++i) {
    duckdb::BaseUUID::ToBlob(from[RowAt(rows, i)], buffer->mutable_data() + 16 * i);
  }
  return buffer;
}

arrow::Result<ArrayDataPtr> EncodeIntervals(
    const std::shared_ptr<arrow::DataType>& arrow_type, const uint8_t* source,
    const uint8_t* valid, const uint32_t* rows, int64_t count) {
  ARROW_ASSIGN_OR_RAISE(auto months, Allocate(count * 4));
  ARROW_ASSIGN_OR_RAISE(auto days, Allocate(count * 4));
  ARROW_ASSIGN_OR_RAISE(auto micros, Allocate(count * 8));
  const auto* from = reinterpret_cast<const duckdb::interval_t*>(source);
  for (int64_t i = 0; i < count; ++i) {
    const auto& interval = from[RowAt(rows, i)];
    reinterpret_cast<int32_t*>(months->mutable_data())[i] = interval.months;
    reinterpret_cast<int32_t*>(days->mutable_data())[i] = interval.days;
    reinterpret_cast<int64_t*>(micros->mutable_data())[i] = interval.micros;
  }
  int64_t nulls = 0;
  ARROW_ASSIGN_OR_RAISE(auto validity, EncodeValidity(valid, rows, count, &nulls));
  auto data = arrow::ArrayData::Make(arrow_type, count, {validity}, nulls);
  data->child_data = {
      arrow::ArrayData::Make(arrow::int32(), count, {nullptr, months}, 0),
      arrow::ArrayData::Make(arrow::int32(), count, {nullptr, days}, 0),
      arrow::ArrayData::Make(arrow::int64(), count, {nullptr, micros}, 0)};
  return data;
}

int FixedWidth(PhysicalType type) {
  return static_cast<int>(duckdb::GetTypeIdSize(type));
}

}  // namespace

bool IsFixedWidth(const duckdb::LogicalType& type) {
  return type.id() != LogicalTypeId::SQLNULL &&
         duckdb::TypeIsConstantSize(type.InternalType());
}

bool IsString(const duckdb::LogicalType& type) {
  return type.InternalType() == PhysicalType::VARCHAR;
}

bool SameBytesInArrow(const duckdb::LogicalType& type) {
  switch (type.InternalType()) {
    case PhysicalType::BOOL:
    case PhysicalType::INTERVAL:
      return false;
    case PhysicalType::INT16:
      return type.id() != LogicalTypeId::DECIMAL;
    case PhysicalType::INT128:
      return type.id() != LogicalTypeId::UUID;
    default:
      return IsFixedWidth(type);
  }
}

arrow::Result<BufferPtr> EncodeValidity(const uint8_t* valid, const uint32_t* rows,
                                        int64_t count, int64_t* null_count) {
  *null_count = 0;
  if (valid == nullptr) return BufferPtr();
  ARROW_ASSIGN_OR_RAISE(auto bitmap, EncodeBits(valid, rows, count));
  *null_count = count - arrow::internal::CountSetBits(bitmap->data(), 0, count);
  if (*null_count == 0) return BufferPtr();
  return bitmap;
}

arrow::Result<ArrayDataPtr> EncodeFixed(
    const duckdb::LogicalType& type, const std::shared_ptr<arrow::DataType>& arrow_type,
    const uint8_t* source, const uint8_t* valid, const uint32_t* rows, int64_t count) {
  if (type.InternalType() == PhysicalType::INTERVAL) {
    return EncodeIntervals(arrow_type, source, valid, rows, count);
  }
  BufferPtr values;
  if (type.InternalType() == PhysicalType::BOOL) {
    ARROW_ASSIGN_OR_RAISE(values, EncodeBits(source, rows, count));
  } else if (type.id() == LogicalTypeId::UUID) {
    ARROW_ASSIGN_OR_RAISE(values, EncodeUuids(source, rows, count));
  } else if (!SameBytesInArrow(type)) {
    ARROW_ASSIGN_OR_RAISE(values, EncodeSmallDecimals(source, rows, count));
  } else {
    const int width = FixedWidth(type.InternalType());
    ARROW_ASSIGN_OR_RAISE(values, Allocate(count * width));
    Gather(source, rows, count, width, values->mutable_data());
  }
  int64_t nulls = 0;
  ARROW_ASSIGN_OR_RAISE(auto validity, EncodeValidity(valid, rows, count, &nulls));
  return arrow::ArrayData::Make(arrow_type, count, {validity, values}, nulls);
}

arrow::Result<ArrayDataPtr> EncodeStrings(
    const std::shared_ptr<arrow::DataType>& arrow_type, const duckdb::string_t* source,
    const uint8_t* valid, const uint32_t* rows, int64_t count) {
  int64_t bytes = 0;
  for (int64_t i = 0; i < count; ++i) bytes += source[RowAt(rows, i)].GetSize();
  if (bytes > std::numeric_limits<int32_t>::max()) {
    return arrow::Status::CapacityError("a batch of ", count, " rows has ", bytes,
                                        " bytes of strings in one column; Arrow's utf8 "
                                        "holds no more than 2147483647");
  }
  ARROW_ASSIGN_OR_RAISE(auto offsets, Allocate((count + 1) * 4));
  ARROW_ASSIGN_OR_RAISE(auto padded, Allocate(bytes + kMargin));
  auto* offset = reinterpret_cast<int32_t*>(offsets->mutable_data());
  auto* heap = reinterpret_cast<char*>(padded->mutable_data());
  int32_t position = 0;
  offset[0] = 0;
  for (int64_t i = 0; i < count; ++i) {
    const auto& value = source[RowAt(rows, i)];
    const uint32_t size = value.GetSize();
    if (size <= duckdb::string_t::INLINE_LENGTH) {
      std::memcpy(heap + position, value.GetPrefix(), duckdb::string_t::INLINE_LENGTH);
    } else {
      std::memcpy(heap + position, value.GetPointer(), size);
    }
    position += static_cast<int32_t>(size);
    offset[i + 1] = position;
  }
  int64_t nulls = 0;
  ARROW_ASSIGN_OR_RAISE(auto validity, EncodeValidity(valid, rows, count, &nulls));
  return arrow::ArrayData::Make(arrow_type, count,
                                {validity, offsets, arrow::SliceBuffer(padded, 0, bytes)},
                                nulls);
}

namespace {

// The rows of a vector, as positions in its physical data, and their validity by
// physical position.
struct PhysicalRows {
  std::vector<uint32_t> rows;
  std::vector<uint8_t> valid;  // by physical row; empty: no NULL among `rows`
};

PhysicalRows Resolve(const UnifiedVectorFormat& format, const uint32_t* rows,
                     int64_t count) {
  PhysicalRows result;
  result.rows.resize(static_cast<size_t>(count));
  uint32_t last = 0;
  for (int64_t i = 0; i < count; ++i) {
    const auto row = static_cast<uint32_t>(
        format.sel->get_index(static_cast<duckdb::idx_t>(RowAt(rows, i))));
    result.rows[static_cast<size_t>(i)] = row;
    last = std::max(last, row);
  }
  if (!format.validity.AllValid()) {
    result.valid.assign(last + 1, 1);
    for (uint32_t row : result.rows) result.valid[row] = format.validity.RowIsValid(row);
  }
  return result;
}

const uint8_t* ValidBytes(const PhysicalRows& rows) {
  return rows.valid.empty() ? nullptr : rows.valid.data();
}

arrow::Result<ArrayDataPtr> EncodeStringVector(
    const std::shared_ptr<arrow::DataType>& arrow_type, const UnifiedVectorFormat& format,
    const PhysicalRows& rows, int64_t count) {
  const auto* source = UnifiedVectorFormat::GetData<duckdb::string_t>(format);
  if (rows.valid.empty()) {
    return EncodeStrings(arrow_type, source, nullptr, rows.rows.data(), count);
  }
  std::vector<duckdb::string_t> values;
  std::vector<uint8_t> valid;
  values.reserve(static_cast<size_t>(count));
  for (uint32_t row : rows.rows) {
    valid.push_back(rows.valid[row]);
    values.push_back(rows.valid[row] ? source[row] : duckdb::string_t("", 0));
  }
  return EncodeStrings(arrow_type, values.data(), valid.data(), nullptr, count);
}

arrow::Result<ArrayDataPtr> EncodeStruct(
    const std::shared_ptr<arrow::DataType>& arrow_type, Vector& vector,
    uint64_t source_count, const PhysicalRows& rows, int64_t count) {
  int64_t nulls = 0;
  ARROW_ASSIGN_OR_RAISE(
      auto validity, EncodeValidity(ValidBytes(rows), rows.rows.data(), count, &nulls));
  auto data = arrow::ArrayData::Make(arrow_type, count, {validity}, nulls);
  auto& entries = duckdb::StructVector::GetEntries(vector);
  for (size_t i = 0; i < entries.size(); ++i) {
    const auto& field = arrow_type->field(static_cast<int>(i));
    ARROW_ASSIGN_OR_RAISE(
        auto child,
        EncodeVector(field->type(), *entries[i], source_count, rows.rows.data(), count));
    data->child_data.push_back(std::move(child));
  }
  return data;
}

arrow::Result<ArrayDataPtr> EncodeList(const std::shared_ptr<arrow::DataType>& arrow_type,
                                       Vector& vector, const UnifiedVectorFormat& format,
                                       const PhysicalRows& rows, int64_t count) {
  const auto* entries = UnifiedVectorFormat::GetData<duckdb::list_entry_t>(format);
  ARROW_ASSIGN_OR_RAISE(auto offsets, Allocate((count + 1) * 4));
  auto* offset = reinterpret_cast<int32_t*>(offsets->mutable_data());
  std::vector<uint32_t> elements;
  offset[0] = 0;
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t row = rows.rows[static_cast<size_t>(i)];
    if (rows.valid.empty() || rows.valid[row]) {
      for (uint64_t k = 0; k < entries[row].length; ++k) {
        elements.push_back(static_cast<uint32_t>(entries[row].offset + k));
      }
    }
    if (elements.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
      return arrow::Status::CapacityError("a batch of lists has over 2^31 elements");
    }
    offset[i + 1] = static_cast<int32_t>(elements.size());
  }
  int64_t nulls = 0;
  ARROW_ASSIGN_OR_RAISE(
      auto validity, EncodeValidity(ValidBytes(rows), rows.rows.data(), count, &nulls));
  auto data = arrow::ArrayData::Make(arrow_type, count, {validity, offsets}, nulls);
  ARROW_ASSIGN_OR_RAISE(
      auto child,
      EncodeVector(arrow_type->field(0)->type(), duckdb::ListVector::GetEntry(vector),
                   duckdb::ListVector::GetListSize(vector), elements.data(),
                   static_cast<int64_t>(elements.size())));
  data->child_data.push_back(std::move(child));
  return data;
}

arrow::Result<ArrayDataPtr> EncodeArray(
    const std::shared_ptr<arrow::DataType>& arrow_type, Vector& vector,
    uint64_t source_count, const PhysicalRows& rows, int64_t count) {
  const auto size = duckdb::ArrayType::GetSize(vector.GetType());
  std::vector<uint32_t> elements;
  elements.reserve(static_cast<size_t>(count) * size);
  for (uint32_t row : rows.rows) {
    for (uint64_t k = 0; k < size; ++k) {
      elements.push_back(static_cast<uint32_t>(row * size + k));
    }
  }
  int64_t nulls = 0;
  ARROW_ASSIGN_OR_RAISE(
      auto validity, EncodeValidity(ValidBytes(rows), rows.rows.data(), count, &nulls));
  auto data = arrow::ArrayData::Make(arrow_type, count, {validity}, nulls);
  ARROW_ASSIGN_OR_RAISE(
      auto child, EncodeVector(arrow_type->field(0)->type(),
                               duckdb::ArrayVector::GetEntry(vector), source_count * size,
                               elements.data(), static_cast<int64_t>(elements.size())));
  data->child_data.push_back(std::move(child));
  return data;
}

}  // namespace

arrow::Result<ArrayDataPtr> EncodeVector(
    const std::shared_ptr<arrow::DataType>& arrow_type, Vector& vector,
    uint64_t source_count, const uint32_t* rows, int64_t count) {
  const auto& type = vector.GetType();
  if (type.id() == LogicalTypeId::SQLNULL) {
    return arrow::ArrayData::Make(arrow_type, count, {nullptr}, count);
  }
  const auto physical = type.InternalType();
  if (physical == PhysicalType::STRUCT || physical == PhysicalType::ARRAY) {
    vector.Flatten(source_count);
  }
  UnifiedVectorFormat format;
  vector.ToUnifiedFormat(source_count, format);
  const PhysicalRows resolved = Resolve(format, rows, count);
  switch (physical) {
    case PhysicalType::VARCHAR:
      return EncodeStringVector(arrow_type, format, resolved, count);
    case PhysicalType::STRUCT:
      return EncodeStruct(arrow_type, vector, source_count, resolved, count);
    case PhysicalType::LIST:
      return EncodeList(arrow_type, vector, format, resolved, count);
    case PhysicalType::ARRAY:
      return EncodeArray(arrow_type, vector, source_count, resolved, count);
    default:
      return EncodeFixed(type, arrow_type, format.data, ValidBytes(resolved),
                         resolved.rows.data(), count);
  }
}

namespace {

// Rows may share their elements (a constant list): each row has its own in Arrow.
uint64_t ListBytes(Vector& vector, uint64_t count) {
  UnifiedVectorFormat format;
  vector.ToUnifiedFormat(count, format);
  const auto* entries = UnifiedVectorFormat::GetData<duckdb::list_entry_t>(format);
  uint64_t elements = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const auto row = format.sel->get_index(i);
    if (format.validity.RowIsValid(row)) elements += entries[row].length;
  }
  const uint64_t stored = duckdb::ListVector::GetListSize(vector);
  if (stored == 0) return 0;
  const uint64_t strings = StringBytes(duckdb::ListVector::GetEntry(vector), stored);
  return elements * (8 + strings / stored);
}

}  // namespace

uint64_t StringBytes(Vector& vector, uint64_t count) {
  switch (vector.GetType().InternalType()) {
    case PhysicalType::VARCHAR: {
      UnifiedVectorFormat format;
      vector.ToUnifiedFormat(count, format);
      const auto* strings = UnifiedVectorFormat::GetData<duckdb::string_t>(format);
      uint64_t bytes = 0;
      for (uint64_t i = 0; i < count; ++i) {
        const auto row = format.sel->get_index(i);
        if (format.validity.RowIsValid(row)) bytes += strings[row].GetSize();
      }
      return bytes;
    }
    case PhysicalType::STRUCT: {
      vector.Flatten(count);
      uint64_t bytes = 0;
      for (auto& child : duckdb::StructVector::GetEntries(vector)) {
        bytes += StringBytes(*child, count);
      }
      return bytes;
    }
    case PhysicalType::LIST:
      return ListBytes(vector, count);
    case PhysicalType::ARRAY: {
      vector.Flatten(count);
      const auto size = count * duckdb::ArrayType::GetSize(vector.GetType());
      return 8 * size + StringBytes(duckdb::ArrayVector::GetEntry(vector), size);
    }
    default:
      return 0;
  }
}

}  // namespace ballista::engine
