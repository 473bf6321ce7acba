#include "ballista/shuffle/stretch.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/builder.h>
#include <arrow/type_traits.h>
#include <arrow/util/bit_util.h>

#include <cstring>
#include <limits>

namespace ballista::shuffle {
namespace {

using arrow::ArrayData;

int64_t CountRows(const std::vector<Stretch>& stretches) {
  int64_t rows = 0;
  for (const auto& stretch : stretches) rows += stretch.rows;
  return rows;
}

const ArrayData& ColumnOf(const Stretch& stretch, int column) {
  return *stretch.batch->column_data(column);
}

void CopyBits(const uint8_t* from, int64_t from_bit, int64_t count, uint8_t* to,
              int64_t to_bit) {
  for (int64_t i = 0; i < count; ++i) {
    arrow::bit_util::SetBitTo(to, to_bit + i,
                              arrow::bit_util::GetBit(from, from_bit + i));
  }
}

// The validity of the rows; null where all are valid.
arrow::Result<std::shared_ptr<arrow::Buffer>> JoinValidity(
    const std::vector<Stretch>& stretches, int column, int64_t rows) {
  bool has_nulls = false;
  for (const auto& stretch : stretches) {
    has_nulls = has_nulls || ColumnOf(stretch, column).MayHaveNulls();
  }
  if (!has_nulls) return nullptr;
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> bits, arrow::AllocateBitmap(rows));
  int64_t at = 0;
  for (const auto& stretch : stretches) {
    const ArrayData& data = ColumnOf(stretch, column);
    if (data.MayHaveNulls()) {
      CopyBits(data.buffers[0]->data(), data.offset + stretch.first, stretch.rows,
               bits->mutable_data(), at);
    } else {
      arrow::bit_util::SetBitsTo(bits->mutable_data(), at, stretch.rows, true);
    }
    at += stretch.rows;
  }
  return bits;
}

// Values of a width known to the compiler: most stretches are a row or two long.
template <size_t kWidth>
void CopyValues(const std::vector<Stretch>& stretches, int column, uint8_t* to) {
  for (const auto& stretch : stretches) {
    const ArrayData& data = ColumnOf(stretch, column);
    const uint8_t* from = data.buffers[1]->data() +
                          (data.offset + stretch.first) * static_cast<int64_t>(kWidth);
    if (stretch.rows == 1) {
      std::memcpy(to, from, kWidth);
      to += kWidth;
      continue;
    }
    const size_t bytes = static_cast<size_t>(stretch.rows) * kWidth;
    std::memcpy(to, from, bytes);
    to += bytes;
  }
}

arrow::Result<std::shared_ptr<arrow::Buffer>> JoinFixed(
    const std::vector<Stretch>& stretches, int column, int64_t rows, int width) {
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> values,
                        arrow::AllocateBuffer(rows * width));
  uint8_t* to = values->mutable_data();
  switch (width) {
    case 1:
      CopyValues<1>(stretches, column, to);
      break;
    case 2:
      CopyValues<2>(stretches, column, to);
      break;
    case 4:
      CopyValues<4>(stretches, column, to);
      break;
    case 8:
      CopyValues<8>(stretches, column, to);
      break;
    default:
      CopyValues<16>(stretches, column, to);
      break;
  }
  return values;
}

arrow::Result<std::shared_ptr<ArrayData>> JoinStrings(
    const std::vector<Stretch>& stretches, int column, int64_t rows) {
  ARROW_ASSIGN_OR_RAISE(
      std::shared_ptr<arrow::Buffer> offsets,
      arrow::AllocateBuffer((rows + 1) * static_cast<int64_t>(sizeof(int32_t))));
  auto* to = reinterpret_cast<int32_t*>(offsets->mutable_data());
  int64_t total = 0;
  *to++ = 0;
  for (const auto& stretch : stretches) {
    const auto* from = ColumnOf(stretch, column).GetValues<int32_t>(1) + stretch.first;
    if (total + from[stretch.rows] - from[0] > std::numeric_limits<int32_t>::max()) {
      return arrow::Status::CapacityError("the strings of one batch take over 2 GB");
    }
    const auto shift = static_cast<int32_t>(total) - from[0];
    for (int64_t i = 1; i <= stretch.rows; ++i) *to++ = from[i] + shift;
    total += from[stretch.rows] - from[0];
  }
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> bytes,
                        arrow::AllocateBuffer(total));
  uint8_t* out = bytes->mutable_data();
  for (const auto& stretch : stretches) {
    const ArrayData& data = ColumnOf(stretch, column);
    const auto* from = data.GetValues<int32_t>(1) + stretch.first;
    const auto length = static_cast<size_t>(from[stretch.rows] - from[0]);
    if (length == 0) continue;
    std::memcpy(out, data.buffers[2]->data() + from[0], length);
    out += length;
  }
  ARROW_ASSIGN_OR_RAISE(auto validity, JoinValidity(stretches, column, rows));
  return ArrayData::Make(ColumnOf(stretches[0], column).type, rows,
                         {std::move(validity), std::move(offsets), std::move(bytes)});
}

// Any type, a stretch at a time.
arrow::Result<std::shared_ptr<ArrayData>> JoinAny(const std::vector<Stretch>& stretches,
                                                  int column, int64_t rows) {
  ARROW_ASSIGN_OR_RAISE(auto builder,
                        arrow::MakeBuilder(ColumnOf(stretches[0], column).type));
  ARROW_RETURN_NOT_OK(builder->Reserve(rows));
  for (const auto& stretch : stretches) {
    ARROW_RETURN_NOT_OK(builder->AppendArraySlice(
        arrow::ArraySpan(ColumnOf(stretch, column)), stretch.first, stretch.rows));
  }
  ARROW_ASSIGN_OR_RAISE(const auto array, builder->Finish());
  return array->data();
}

arrow::Result<std::shared_ptr<ArrayData>> JoinColumn(
    const std::vector<Stretch>& stretches, int column, int64_t rows) {
  const auto& type = ColumnOf(stretches[0], column).type;
  if (type->id() == arrow::Type::STRING || type->id() == arrow::Type::BINARY) {
    return JoinStrings(stretches, column, rows);
  }
  const int bits = arrow::is_fixed_width(type->id()) ? type->bit_width() : 0;
  if (bits != 8 && bits != 16 && bits != 32 && bits != 64 && bits != 128) {
    return JoinAny(stretches, column, rows);
  }
  if (type->id() == arrow::Type::DICTIONARY) return JoinAny(stretches, column, rows);
  if (type->num_fields() > 0) return JoinAny(stretches, column, rows);
  ARROW_ASSIGN_OR_RAISE(auto values, JoinFixed(stretches, column, rows, bits / 8));
  ARROW_ASSIGN_OR_RAISE(auto validity, JoinValidity(stretches, column, rows));
  return ArrayData::Make(type, rows, {std::move(validity), std::move(values)});
}

}  // namespace

arrow::Result<std::shared_ptr<arrow::RecordBatch>> JoinStretches(
    const std::vector<Stretch>& stretches) {
  if (stretches.size() == 1) {
    return stretches[0].batch->Slice(stretches[0].first, stretches[0].rows);
  }
  const int64_t rows = CountRows(stretches);
  const auto& schema = stretches[0].batch->schema();
  arrow::ArrayDataVector columns;
  for (int i = 0; i < schema->num_fields(); ++i) {
    ARROW_ASSIGN_OR_RAISE(auto column, JoinColumn(stretches, i, rows));
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(schema, rows, std::move(columns));
}

}  // namespace ballista::shuffle
