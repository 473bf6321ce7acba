#include "ballista/shuffle/sort_key.h"

#include <arrow/array.h>
#include <fmt/format.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "ballista/base/status.h"

namespace ballista::shuffle {
namespace {

using plan::Type;

// Where the next byte of each row's key goes.
struct Cursors {
  char* bytes;
  std::vector<int64_t> at;
};

struct Order {
  bool descending;
  char null_marker;
  char valid_marker;
};

Order MakeOrder(bool descending, bool nulls_first) {
  return {descending, static_cast<char>(nulls_first ? 0 : 2), 1};
}

template <typename T>
T BigEndian(T value) {
  if constexpr (sizeof(T) == 1 || std::endian::native == std::endian::big) {
    return value;
  } else if constexpr (sizeof(T) == 2) {
    return static_cast<T>(__builtin_bswap16(value));
  } else if constexpr (sizeof(T) == 4) {
    return static_cast<T>(__builtin_bswap32(value));
  } else {
    return static_cast<T>(__builtin_bswap64(value));
  }
}

// Words of a value, the most significant first, such that they compare as unsigned ones.
template <typename Word, size_t kWords>
using Words = std::array<Word, kWords>;

// Writes marker and value of each row; a NULL's value is zeros, so that keys of
// fixed-width types have one width.
template <typename Word, size_t kWords, typename WordsOf>
void WriteFixed(const arrow::Array& column, const Order& order, WordsOf&& words_of,
                Cursors* out) {
  const bool has_nulls = column.null_count() > 0;
  for (int64_t i = 0; i < column.length(); ++i) {
    char* to = out->bytes + out->at[static_cast<size_t>(i)];
    out->at[static_cast<size_t>(i)] += 1 + static_cast<int64_t>(sizeof(Word) * kWords);
    if (has_nulls && column.IsNull(i)) {
      *to = order.null_marker;
      std::memset(to + 1, 0, sizeof(Word) * kWords);
      continue;
    }
    *to = order.valid_marker;
    Words<Word, kWords> words = words_of(i);
    for (Word& word : words) {
      word = BigEndian(static_cast<Word>(order.descending ? ~word : word));
    }
    std::memcpy(to + 1, words.data(), sizeof(words));
  }
}

template <typename T>
void WriteIntegers(const arrow::Array& column, const Order& order, Cursors* out) {
  using Unsigned = std::make_unsigned_t<T>;
  const T* values = column.data()->GetValues<T>(1);
  constexpr Unsigned kFlip = std::is_signed_v<T> ? Unsigned{1} << (8 * sizeof(T) - 1) : 0;
  WriteFixed<Unsigned, 1>(
      column, order,
      [=](int64_t i) {
        return Words<Unsigned, 1>{
            static_cast<Unsigned>(static_cast<Unsigned>(values[i]) ^ kFlip)};
      },
      out);
}

template <typename T, typename Bits>
void WriteFloats(const arrow::Array& column, const Order& order, Cursors* out) {
  const T* values = column.data()->GetValues<T>(1);
  constexpr Bits kSign = Bits{1} << (8 * sizeof(Bits) - 1);
  WriteFixed<Bits, 1>(
      column, order,
      [=](int64_t i) {
        T value = values[i] == 0 ? T{0} : values[i];
        if (std::isnan(value)) value = std::numeric_limits<T>::quiet_NaN();
        const auto bits = std::bit_cast<Bits>(value);
        return Words<Bits, 1>{static_cast<Bits>(bits & kSign ? ~bits : bits | kSign)};
      },
      out);
}

// 128-bit integers, little-endian.
void WriteWide(const arrow::Array& column, const Order& order, bool is_signed,
               Cursors* out) {
  const auto* values = column.data()->buffers[1]->data() + 16 * column.data()->offset;
  const uint64_t flip = is_signed ? uint64_t{1} << 63 : 0;
  WriteFixed<uint64_t, 2>(
      column, order,
      [=](int64_t i) {
        Words<uint64_t, 2> words;
        std::memcpy(&words[1], values + 16 * i, 8);
        std::memcpy(&words[0], values + 16 * i + 8, 8);
        words[0] ^= flip;
        return words;
      },
      out);
}

// TIME_TZ compares by the instant, then by the offset; both are in the bits.
void WriteTimeTz(const arrow::Array& column, const Order& order, Cursors* out) {
  const auto* values = column.data()->GetValues<uint64_t>(1);
  WriteFixed<uint64_t, 1>(
      column, order,
      [=](int64_t i) {
        const uint64_t bits = values[i];
        return Words<uint64_t, 1>{bits + (((bits & 0xffffff) * 1'000'000) << 24)};
      },
      out);
}

void WriteIntervals(const arrow::StructArray& column, const Order& order, Cursors* out) {
  constexpr int64_t kMicrosPerDay = 86'400'000'000;
  constexpr int64_t kDaysPerMonth = 30;
  constexpr uint64_t kFlip = uint64_t{1} << 63;
  // Fields are as long as the struct's own buffers: rows count from its offset.
  const int64_t offset = column.data()->offset;
  const auto* months = column.data()->child_data[0]->GetValues<int32_t>(1) + offset;
  const auto* days = column.data()->child_data[1]->GetValues<int32_t>(1) + offset;
  const auto* micros = column.data()->child_data[2]->GetValues<int64_t>(1) + offset;
  WriteFixed<uint64_t, 3>(
      column, order,
      [=](int64_t i) {
        const int64_t all_days = days[i] + micros[i] / kMicrosPerDay;
        const int64_t m = months[i] + all_days / kDaysPerMonth;
        const int64_t d = all_days % kDaysPerMonth;
        const int64_t rest = micros[i] % kMicrosPerDay;
        return Words<uint64_t, 3>{static_cast<uint64_t>(m) ^ kFlip,
                                  static_cast<uint64_t>(d) ^ kFlip,
                                  static_cast<uint64_t>(rest) ^ kFlip};
      },
      out);
}

void WriteBooleans(const arrow::Array& column, const Order& order, Cursors* out) {
  const auto& array = static_cast<const arrow::BooleanArray&>(column);
  WriteFixed<uint8_t, 1>(
      column, order,
      [&](int64_t i) { return Words<uint8_t, 1>{static_cast<uint8_t>(array.Value(i))}; },
      out);
}

void WriteUuids(const arrow::Array& column, const Order& order, Cursors* out) {
  const auto& array = static_cast<const arrow::FixedSizeBinaryArray&>(column);
  WriteFixed<uint64_t, 2>(
      column, order,
      [&](int64_t i) {
        Words<uint64_t, 2> words;
        std::memcpy(words.data(), array.GetValue(i), 16);
        for (uint64_t& word : words) word = BigEndian(word);
        return words;
      },
      out);
}

// ---- strings: each zero byte becomes 00 ff, 00 00 ends the value

int64_t CountZeros(std::string_view text) {
  int64_t zeros = 0;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    at = static_cast<const char*>(std::memchr(at, 0, static_cast<size_t>(end - at)));
    if (at == nullptr) break;
    ++zeros;
    ++at;
  }
  return zeros;
}

int64_t StringWidth(std::string_view text) {
  return static_cast<int64_t>(text.size()) + CountZeros(text) + 2;
}

char* WriteString(std::string_view text, char* to) {
  if (CountZeros(text) == 0) {
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
    to += text.size();
  } else {
    for (const char c : text) {
      *to++ = c;
      if (c == 0) *to++ = static_cast<char>(0xff);
    }
  }
  *to++ = 0;
  *to++ = 0;
  return to;
}

void WriteStrings(const arrow::BinaryArray& column, const Order& order, Cursors* out) {
  for (int64_t i = 0; i < column.length(); ++i) {
    char* const begin = out->bytes + out->at[static_cast<size_t>(i)];
    char* to = begin;
    if (column.IsNull(i)) {
      *to++ = order.null_marker;
    } else {
      *to++ = order.valid_marker;
      to = WriteString(column.GetView(i), to);
      if (order.descending) {
        for (char* c = begin + 1; c < to; ++c) *c = static_cast<char>(~*c);
      }
    }
    out->at[static_cast<size_t>(i)] += to - begin;
  }
}

// ---- which type is written how

// Bytes of a value; 0: they differ from row to row, -1: no sort key.
int ValueWidth(Type::Id type, arrow::Type::type layout) {
  using A = arrow::Type;
  const auto is = [layout](std::initializer_list<A::type> any) {
    for (const auto id : any) {
      if (layout == id) return true;
    }
    return false;
  };
  switch (type) {
    case Type::BOOLEAN:
      return is({A::BOOL}) ? 1 : -1;
    case Type::TINYINT:
      return is({A::INT8}) ? 1 : -1;
    case Type::UTINYINT:
      return is({A::UINT8}) ? 1 : -1;
    case Type::SMALLINT:
      return is({A::INT16}) ? 2 : -1;
    case Type::USMALLINT:
      return is({A::UINT16}) ? 2 : -1;
    case Type::INTEGER:
      return is({A::INT32}) ? 4 : -1;
    case Type::DATE:
      return is({A::DATE32}) ? 4 : -1;
    case Type::UINTEGER:
      return is({A::UINT32}) ? 4 : -1;
    case Type::FLOAT:
      return is({A::FLOAT}) ? 4 : -1;
    case Type::BIGINT:
      return is({A::INT64}) ? 8 : -1;
    case Type::TIME:
    case Type::TIME_NS:
      return is({A::TIME64}) ? 8 : -1;
    case Type::TIMESTAMP:
    case Type::TIMESTAMP_S:
    case Type::TIMESTAMP_MS:
    case Type::TIMESTAMP_NS:
    case Type::TIMESTAMP_TZ:
      return is({A::TIMESTAMP}) ? 8 : -1;
    case Type::UBIGINT:
    case Type::TIME_TZ:
      return is({A::UINT64}) ? 8 : -1;
    case Type::DOUBLE:
      return is({A::DOUBLE}) ? 8 : -1;
    case Type::HUGEINT:
    case Type::UHUGEINT:
      return is({A::DECIMAL128}) ? 16 : -1;
    case Type::DECIMAL:
      if (is({A::DECIMAL32})) return 4;
      if (is({A::DECIMAL64})) return 8;
      return is({A::DECIMAL128}) ? 16 : -1;
    case Type::UUID:
      return is({A::FIXED_SIZE_BINARY}) ? 16 : -1;
    case Type::INTERVAL:
      return is({A::STRUCT}) ? 24 : -1;
    case Type::ENUM:
      return is({A::UINT8}) ? 1 : is({A::UINT16}) ? 2 : is({A::UINT32}) ? 4 : -1;
    case Type::VARCHAR:
    case Type::BLOB:
    case Type::BIT:
    case Type::BIGNUM:
      return is({A::STRING, A::BINARY}) ? 0 : -1;
    default:
      return -1;
  }
}

void WriteColumn(const arrow::Array& column, Type::Id type, const Order& order,
                 Cursors* out) {
  if (type == Type::TIME_TZ) return WriteTimeTz(column, order, out);
  switch (column.type_id()) {
    case arrow::Type::BOOL:
      return WriteBooleans(column, order, out);
    case arrow::Type::INT8:
      return WriteIntegers<int8_t>(column, order, out);
    case arrow::Type::UINT8:
      return WriteIntegers<uint8_t>(column, order, out);
    case arrow::Type::INT16:
      return WriteIntegers<int16_t>(column, order, out);
    case arrow::Type::UINT16:
      return WriteIntegers<uint16_t>(column, order, out);
    case arrow::Type::INT32:
    case arrow::Type::DATE32:
    case arrow::Type::DECIMAL32:
      return WriteIntegers<int32_t>(column, order, out);
    case arrow::Type::UINT32:
      return WriteIntegers<uint32_t>(column, order, out);
    case arrow::Type::INT64:
    case arrow::Type::TIME64:
    case arrow::Type::TIMESTAMP:
    case arrow::Type::DECIMAL64:
      return WriteIntegers<int64_t>(column, order, out);
    case arrow::Type::UINT64:
      return WriteIntegers<uint64_t>(column, order, out);
    case arrow::Type::FLOAT:
      return WriteFloats<float, uint32_t>(column, order, out);
    case arrow::Type::DOUBLE:
      return WriteFloats<double, uint64_t>(column, order, out);
    case arrow::Type::DECIMAL128:
      return WriteWide(column, order, type != Type::UHUGEINT, out);
    case arrow::Type::FIXED_SIZE_BINARY:
      return WriteUuids(column, order, out);
    case arrow::Type::STRUCT:
      return WriteIntervals(static_cast<const arrow::StructArray&>(column), order, out);
    default:
      return WriteStrings(static_cast<const arrow::BinaryArray&>(column), order, out);
  }
}

}  // namespace

arrow::Result<SortKeyEncoder> SortKeyEncoder::Make(
    const std::vector<plan::SortKey>& keys) {
  SortKeyEncoder encoder;
  if (keys.empty()) return InternalStatus("a sorted output has no sort key");
  for (const auto& key : keys) {
    if (key.expression().kind_case() != plan::Expression::kColumn) {
      return InternalStatus("the sort key of an output is no plain column");
    }
    encoder.keys_.push_back({static_cast<int>(key.expression().column()),
                             key.expression().type().id(), key.descending(),
                             key.nulls_first()});
  }
  return encoder;
}

arrow::Result<SortKeys> SortKeyEncoder::Encode(const arrow::RecordBatch& batch,
                                               int64_t first, int64_t rows) const {
  SortKeys result;
  result.size_ = rows;
  const auto count = static_cast<size_t>(rows);
  int64_t fixed = 0;
  std::vector<int64_t> variable;  // by row
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (const Key& key : keys_) {
    if (key.column >= batch.num_columns()) {
      return InternalStatus(
          fmt::format("a sort key is column {} of {}", key.column, batch.num_columns()));
    }
    columns.push_back(batch.column(key.column)->Slice(first, rows));
    const auto& column = *columns.back();
    const int width = ValueWidth(key.type, column.type_id());
    if (width < 0) {
      return InternalStatus(fmt::format("a column of type {} held as {} has no sort key",
                                        plan::Type::Id_Name(key.type),
                                        column.type()->ToString()));
    }
    fixed += 1 + width;
    if (width > 0) continue;
    variable.resize(count);
    const auto& strings = static_cast<const arrow::BinaryArray&>(column);
    for (int64_t i = 0; i < rows; ++i) {
      if (strings.IsValid(i)) {
        variable[static_cast<size_t>(i)] += StringWidth(strings.GetView(i));
      }
    }
  }
  Cursors cursors;
  cursors.at.resize(count);
  int64_t total = 0;
  for (size_t i = 0; i < count; ++i) {
    cursors.at[i] = total;
    total += fixed + (variable.empty() ? 0 : variable[i]);
  }
  if (variable.empty()) {
    result.width_ = fixed;
  } else {
    result.offsets_ = cursors.at;
    result.offsets_.push_back(total);
  }
  result.bytes_.reset(new char[static_cast<size_t>(total)]);
  cursors.bytes = result.bytes_.get();
  for (size_t k = 0; k < keys_.size(); ++k) {
    WriteColumn(*columns[k], keys_[k].type,
                MakeOrder(keys_[k].descending, keys_[k].nulls_first), &cursors);
  }
  return result;
}

arrow::Result<std::string> SortKeyEncoder::EncodeRow(const arrow::RecordBatch& batch,
                                                     int64_t row) const {
  ARROW_ASSIGN_OR_RAISE(const SortKeys keys, Encode(batch, row, 1));
  return std::string(keys[0]);
}

}  // namespace ballista::shuffle
