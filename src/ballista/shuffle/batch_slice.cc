#include "ballista/shuffle/batch_slice.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/type_traits.h>
#include <arrow/util/byte_size.h>

namespace ballista::shuffle {
namespace {

// Bits of the fixed-width part of one row.
int64_t RowBits(const arrow::Array& column) {
  const int64_t validity = column.data()->MayHaveNulls() ? 1 : 0;
  const auto id = column.type_id();
  if (id == arrow::Type::NA) return 0;
  if (id == arrow::Type::STRING || id == arrow::Type::BINARY) return 32 + validity;
  if (id == arrow::Type::LARGE_STRING || id == arrow::Type::LARGE_BINARY) {
    return 64 + validity;
  }
  return column.type()->bit_width() + validity;
}

bool IsString(arrow::Type::type id) {
  return id == arrow::Type::STRING || id == arrow::Type::BINARY;
}

bool IsLargeString(arrow::Type::type id) {
  return id == arrow::Type::LARGE_STRING || id == arrow::Type::LARGE_BINARY;
}

bool IsFlat(const arrow::Array& column) {
  const auto id = column.type_id();
  return id == arrow::Type::NA || IsString(id) || IsLargeString(id) ||
         (arrow::is_fixed_width(id) && id != arrow::Type::DICTIONARY);
}

// Bytes of string data of rows [begin, end).
int64_t StringBytes(const arrow::Array& column, int64_t begin, int64_t end) {
  if (IsString(column.type_id())) {
    const auto* offsets = column.data()->GetValues<int32_t>(1);
    return offsets == nullptr ? 0 : offsets[end] - offsets[begin];
  }
  if (IsLargeString(column.type_id())) {
    const auto* offsets = column.data()->GetValues<int64_t>(1);
    return offsets == nullptr ? 0 : offsets[end] - offsets[begin];
  }
  return 0;
}

int64_t ColumnBytes(const arrow::Array& column) {
  const auto bytes = arrow::util::ReferencedBufferSize(column);
  return bytes.ok() ? *bytes : arrow::util::TotalBufferSize(column);
}

bool HasViews(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::STRING_VIEW:
    case arrow::Type::BINARY_VIEW:
    case arrow::Type::LIST_VIEW:
    case arrow::Type::LARGE_LIST_VIEW:
      return true;
    default:
      break;
  }
  for (const auto& field : type.fields()) {
    if (HasViews(*field->type())) return true;
  }
  return false;
}

arrow::Result<std::shared_ptr<arrow::Array>> Rebuild(const arrow::Array& column) {
  ARROW_ASSIGN_OR_RAISE(auto builder, arrow::MakeBuilder(column.type()));
  ARROW_RETURN_NOT_OK(builder->Reserve(column.length()));
  ARROW_RETURN_NOT_OK(
      builder->AppendArraySlice(arrow::ArraySpan(*column.data()), 0, column.length()));
  return builder->Finish();
}

}  // namespace

void AddPartitionBytes(const arrow::RecordBatch& batch,
                       const std::vector<uint32_t>& offsets,
                       std::vector<uint64_t>* bytes) {
  const size_t partitions = offsets.size() - 1;
  if (batch.num_rows() == 0) return;
  for (int i = 0; i < batch.num_columns(); ++i) {
    const auto& column = *batch.column(i);
    if (IsFlat(column)) {
      const int64_t row_bits = RowBits(column);
      for (size_t p = 0; p < partitions; ++p) {
        const int64_t rows = offsets[p + 1] - offsets[p];
        (*bytes)[p] += static_cast<uint64_t>(
            (rows * row_bits + 7) / 8 + StringBytes(column, offsets[p], offsets[p + 1]));
      }
    } else {
      const double row_bytes = static_cast<double>(ColumnBytes(column)) /
                               static_cast<double>(batch.num_rows());
      for (size_t p = 0; p < partitions; ++p) {
        const double rows = offsets[p + 1] - offsets[p];
        (*bytes)[p] += static_cast<uint64_t>(rows * row_bytes);
      }
    }
  }
}

uint64_t BatchBytes(const arrow::RecordBatch& batch) {
  std::vector<uint64_t> bytes(1, 0);
  AddPartitionBytes(batch, {0, static_cast<uint32_t>(batch.num_rows())}, &bytes);
  return bytes[0];
}

bool SameTypes(const arrow::Schema& a, const arrow::Schema& b) {
  if (a.num_fields() != b.num_fields()) return false;
  for (int i = 0; i < a.num_fields(); ++i) {
    if (!a.field(i)->type()->Equals(*b.field(i)->type())) return false;
  }
  return true;
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> CompactViews(
    std::shared_ptr<arrow::RecordBatch> batch) {
  for (int i = 0; i < batch->num_columns(); ++i) {
    const auto column = batch->column(i);
    if (!HasViews(*column->type())) continue;
    ARROW_ASSIGN_OR_RAISE(auto compact, Rebuild(*column));
    ARROW_ASSIGN_OR_RAISE(batch, batch->SetColumn(i, batch->schema()->field(i), compact));
  }
  return batch;
}

}  // namespace ballista::shuffle
