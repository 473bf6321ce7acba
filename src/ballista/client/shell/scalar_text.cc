#include <arrow/api.h>
#include <arrow/extension/bool8.h>
#include <arrow/extension/opaque.h>
#include <arrow/extension_type.h>
#include <arrow/util/decimal.h>
#include <arrow/util/float16.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>

#include "ballista/client/shell/scalar_text_internal.h"

namespace ballista::shell {
namespace {

using arrow::Type;

template <typename ArrayType>
auto ValueOf(const arrow::Array& array, int64_t row) {
  return static_cast<const ArrayType&>(array).GetView(row);
}

template <typename ArrayType>
ScalarKind AppendInteger(const arrow::Array& array, int64_t row, std::string* out) {
  fmt::format_to(std::back_inserter(*out), "{}", ValueOf<ArrayType>(array, row));
  return ScalarKind::kNumber;
}

// The shortest text that reads back as the same value, always with a point or exponent.
template <typename Float>
ScalarKind AppendFloat(Float value, std::string* out) {
  if (std::isnan(value)) {
    *out += "nan";
    return ScalarKind::kNotFinite;
  }
  if (std::isinf(value)) {
    *out += value < 0 ? "-inf" : "inf";
    return ScalarKind::kNotFinite;
  }
  const size_t begin = out->size();
  fmt::format_to(std::back_inserter(*out), "{}", value);
  if (out->find_first_of(".e", begin) == std::string::npos) *out += ".0";
  return ScalarKind::kNumber;
}

// With all digits of the scale: Arrow's own text turns small values to exponents.
template <typename ArrayType, typename Decimal>
ScalarKind AppendDecimal(const arrow::Array& array, int64_t row, std::string* out) {
  const auto& decimals = static_cast<const ArrayType&>(array);
  std::string digits = Decimal(decimals.GetValue(row)).ToIntegerString();
  const bool negative = digits[0] == '-';
  if (negative) digits.erase(0, 1);
  const int32_t scale = static_cast<const arrow::DecimalType&>(*array.type()).scale();
  if (scale > 0) {
    const auto places = static_cast<size_t>(scale);
    if (digits.size() <= places) digits.insert(0, places + 1 - digits.size(), '0');
    digits.insert(digits.size() - places, 1, '.');
  } else {
    digits.append(static_cast<size_t>(-scale), '0');
  }
  if (negative) *out += '-';
  *out += digits;
  return ScalarKind::kNumber;
}

ScalarKind AppendBlob(std::string_view bytes, std::string* out) {
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F && c != '\\' && c != '"' && c != '\'') {
      *out += c;
    } else {
      fmt::format_to(std::back_inserter(*out), "\\x{:02X}", byte);
    }
  }
  return ScalarKind::kString;
}

template <typename ArrayType>
ScalarKind AppendStringValue(const arrow::Array& array, int64_t row, std::string* out) {
  *out += ValueOf<ArrayType>(array, row);
  return ScalarKind::kString;
}

void AppendUnsigned128(unsigned __int128 value, std::string* out) {
  const size_t begin = out->size();
  do {
    *out += static_cast<char>('0' + static_cast<int>(value % 10));
    value /= 10;
  } while (value != 0);
  std::reverse(out->begin() + static_cast<std::ptrdiff_t>(begin), out->end());
}

// 16 bytes, little-endian.
ScalarKind AppendHugeint(std::string_view bytes, bool is_signed, std::string* out) {
  unsigned __int128 value = 0;
  std::memcpy(&value, bytes.data(), sizeof(value));
  if (is_signed && static_cast<__int128>(value) < 0) {
    *out += '-';
    value = -value;
  }
  AppendUnsigned128(value, out);
  return ScalarKind::kNumber;
}

// Three bytes of header, whose first bit says that the value is not negative, then the
// magnitude, most significant byte first; all of it inverted for a negative value.
ScalarKind AppendBignum(std::string_view bytes, std::string* out) {
  if (bytes.size() < 4) return AppendBlob(bytes, out);
  const bool negative = (static_cast<unsigned char>(bytes[0]) & 0x80) == 0;
  std::string digits = "0";  // least significant first
  for (const char c : bytes.substr(3)) {
    int carry = static_cast<unsigned char>(negative ? ~c : c);
    for (char& digit : digits) {
      carry += (digit - '0') * 256;
      digit = static_cast<char>('0' + carry % 10);
      carry /= 10;
    }
    for (; carry != 0; carry /= 10) digits += static_cast<char>('0' + carry % 10);
  }
  if (negative) *out += '-';
  out->append(digits.rbegin(), digits.rend());
  return ScalarKind::kNumber;
}

// One byte that says how many leading bits of the rest are padding.
ScalarKind AppendBits(std::string_view bytes, std::string* out) {
  if (bytes.empty()) return ScalarKind::kString;
  const size_t padding = static_cast<unsigned char>(bytes[0]);
  for (size_t bit = padding; bit < (bytes.size() - 1) * 8; ++bit) {
    const auto byte = static_cast<unsigned char>(bytes[1 + bit / 8]);
    *out += (byte >> (7 - bit % 8) & 1) != 0 ? '1' : '0';
  }
  return ScalarKind::kString;
}

// The microseconds above 24 bits that hold 15:59:59 less the offset, in seconds.
ScalarKind AppendTimeWithZone(std::string_view bytes, std::string* out) {
  constexpr int64_t kLargestOffset = 16 * 3600 - 1;
  uint64_t bits = 0;
  std::memcpy(&bits, bytes.data(), sizeof(bits));
  AppendTimeOfDay(static_cast<int64_t>(bits >> 24), arrow::TimeUnit::MICRO, out);
  AppendUtcOffset(kLargestOffset - static_cast<int64_t>(bits & 0xFFFFFF), out);
  return ScalarKind::kString;
}

ScalarKind AppendUuid(std::string_view bytes, std::string* out) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *out += '-';
    fmt::format_to(std::back_inserter(*out), "{:02x}",
                   static_cast<unsigned char>(bytes[i]));
  }
  return ScalarKind::kString;
}

std::string_view BytesOf(const arrow::Array& array, int64_t row) {
  switch (array.type_id()) {
    case Type::STRING:
    case Type::BINARY:
      return ValueOf<arrow::BinaryArray>(array, row);
    case Type::LARGE_STRING:
    case Type::LARGE_BINARY:
      return ValueOf<arrow::LargeBinaryArray>(array, row);
    case Type::STRING_VIEW:
    case Type::BINARY_VIEW:
      return ValueOf<arrow::BinaryViewArray>(array, row);
    case Type::FIXED_SIZE_BINARY:
      return ValueOf<arrow::FixedSizeBinaryArray>(array, row);
    default:
      return {};
  }
}

ScalarKind AppendExtension(const arrow::ExtensionArray& array, int64_t row,
                           TemporalStyle style, std::string* out) {
  const auto& type = static_cast<const arrow::ExtensionType&>(*array.type());
  const arrow::Array& storage = *array.storage();
  const std::string_view bytes = BytesOf(storage, row);
  const std::string name = type.extension_name();
  if (name == "arrow.uuid" && bytes.size() == 16) return AppendUuid(bytes, out);
  if (name == "arrow.json") {
    *out += bytes;
    return ScalarKind::kJson;
  }
  if (name == "arrow.bool8") {
    *out += ValueOf<arrow::Int8Array>(storage, row) != 0 ? "true" : "false";
    return ScalarKind::kBoolean;
  }
  if (name == "arrow.opaque") {
    const std::string_view what =
        static_cast<const arrow::extension::OpaqueType&>(type).type_name();
    if (what == "hugeint" && bytes.size() == 16) return AppendHugeint(bytes, true, out);
    if (what == "uhugeint" && bytes.size() == 16) return AppendHugeint(bytes, false, out);
    if (what == "bignum") return AppendBignum(bytes, out);
    if (what == "bit") return AppendBits(bytes, out);
    if (what == "time_tz" && bytes.size() == 8) return AppendTimeWithZone(bytes, out);
  }
  return AppendScalar(storage, row, style, out);
}

ScalarKind AppendTemporal(const arrow::Array& array, int64_t row, TemporalStyle style,
                          std::string* out) {
  constexpr int64_t kMillisecondsADay = 86400000;
  constexpr int64_t kNanosecondsAMillisecond = 1000000;
  const arrow::DataType& type = *array.type();
  switch (type.id()) {
    case Type::DATE32:
      AppendDate(ValueOf<arrow::Date32Array>(array, row), out);
      break;
    case Type::DATE64:
      AppendDate(ValueOf<arrow::Date64Array>(array, row) / kMillisecondsADay, out);
      break;
    case Type::TIME32:
      AppendTimeOfDay(ValueOf<arrow::Time32Array>(array, row),
                      static_cast<const arrow::TimeType&>(type).unit(), out);
      break;
    case Type::TIME64:
      AppendTimeOfDay(ValueOf<arrow::Time64Array>(array, row),
                      static_cast<const arrow::TimeType&>(type).unit(), out);
      break;
    case Type::TIMESTAMP: {
      const auto& timestamp = static_cast<const arrow::TimestampType&>(type);
      AppendTimestamp(ValueOf<arrow::TimestampArray>(array, row), timestamp.unit(),
                      timestamp.timezone(), style, out);
      break;
    }
    case Type::INTERVAL_MONTHS:
      AppendInterval(ValueOf<arrow::MonthIntervalArray>(array, row), 0, 0, out);
      break;
    case Type::INTERVAL_DAY_TIME: {
      const auto value =
          static_cast<const arrow::DayTimeIntervalArray&>(array).GetValue(row);
      AppendInterval(0, value.days, value.milliseconds * kNanosecondsAMillisecond, out);
      break;
    }
    default: {
      const auto value =
          static_cast<const arrow::MonthDayNanoIntervalArray&>(array).GetValue(row);
      AppendInterval(value.months, value.days, value.nanoseconds, out);
      break;
    }
  }
  return ScalarKind::kString;
}

ScalarKind AppendDuration(const arrow::Array& array, int64_t row, std::string* out) {
  int64_t nanoseconds = ValueOf<arrow::DurationArray>(array, row);
  switch (static_cast<const arrow::DurationType&>(*array.type()).unit()) {
    case arrow::TimeUnit::SECOND:
      nanoseconds *= 1000000000;
      break;
    case arrow::TimeUnit::MILLI:
      nanoseconds *= 1000000;
      break;
    case arrow::TimeUnit::MICRO:
      nanoseconds *= 1000;
      break;
    case arrow::TimeUnit::NANO:
      break;
  }
  AppendInterval(0, 0, nanoseconds, out);
  return ScalarKind::kString;
}

}  // namespace

ScalarKind AppendScalar(const arrow::Array& array, int64_t row, TemporalStyle style,
                        std::string* out) {
  switch (array.type_id()) {
    case Type::BOOL:
      *out += ValueOf<arrow::BooleanArray>(array, row) ? "true" : "false";
      return ScalarKind::kBoolean;
    case Type::INT8:
      return AppendInteger<arrow::Int8Array>(array, row, out);
    case Type::UINT8:
      return AppendInteger<arrow::UInt8Array>(array, row, out);
    case Type::INT16:
      return AppendInteger<arrow::Int16Array>(array, row, out);
    case Type::UINT16:
      return AppendInteger<arrow::UInt16Array>(array, row, out);
    case Type::INT32:
      return AppendInteger<arrow::Int32Array>(array, row, out);
    case Type::UINT32:
      return AppendInteger<arrow::UInt32Array>(array, row, out);
    case Type::INT64:
      return AppendInteger<arrow::Int64Array>(array, row, out);
    case Type::UINT64:
      return AppendInteger<arrow::UInt64Array>(array, row, out);
    case Type::HALF_FLOAT:
      return AppendFloat(
          arrow::util::Float16::FromBits(ValueOf<arrow::HalfFloatArray>(array, row))
              .ToFloat(),
          out);
    case Type::FLOAT:
      return AppendFloat(ValueOf<arrow::FloatArray>(array, row), out);
    case Type::DOUBLE:
      return AppendFloat(ValueOf<arrow::DoubleArray>(array, row), out);
    case Type::DECIMAL32:
      return AppendDecimal<arrow::Decimal32Array, arrow::Decimal32>(array, row, out);
    case Type::DECIMAL64:
      return AppendDecimal<arrow::Decimal64Array, arrow::Decimal64>(array, row, out);
    case Type::DECIMAL128:
      return AppendDecimal<arrow::Decimal128Array, arrow::Decimal128>(array, row, out);
    case Type::DECIMAL256:
      return AppendDecimal<arrow::Decimal256Array, arrow::Decimal256>(array, row, out);
    case Type::STRING:
      return AppendStringValue<arrow::StringArray>(array, row, out);
    case Type::LARGE_STRING:
      return AppendStringValue<arrow::LargeStringArray>(array, row, out);
    case Type::STRING_VIEW:
      return AppendStringValue<arrow::StringViewArray>(array, row, out);
    case Type::BINARY:
    case Type::LARGE_BINARY:
    case Type::BINARY_VIEW:
    case Type::FIXED_SIZE_BINARY:
      return AppendBlob(BytesOf(array, row), out);
    case Type::DATE32:
    case Type::DATE64:
    case Type::TIME32:
    case Type::TIME64:
    case Type::TIMESTAMP:
    case Type::INTERVAL_MONTHS:
    case Type::INTERVAL_DAY_TIME:
    case Type::INTERVAL_MONTH_DAY_NANO:
      return AppendTemporal(array, row, style, out);
    case Type::DURATION:
      return AppendDuration(array, row, out);
    case Type::EXTENSION:
      return AppendExtension(static_cast<const arrow::ExtensionArray&>(array), row, style,
                             out);
    default: {
      const auto scalar = array.GetScalar(row);
      *out += scalar.ok() ? (*scalar)->ToString() : scalar.status().message();
      return ScalarKind::kString;
    }
  }
}

bool Unwrap(const arrow::Array& array, int64_t row, const arrow::Array** inner,
            int64_t* inner_row) {
  switch (array.type_id()) {
    case Type::DICTIONARY: {
      const auto& dictionary = static_cast<const arrow::DictionaryArray&>(array);
      *inner = dictionary.dictionary().get();
      *inner_row = dictionary.GetValueIndex(row);
      return true;
    }
    case Type::RUN_END_ENCODED: {
      const auto& runs = static_cast<const arrow::RunEndEncodedArray&>(array);
      *inner = runs.values().get();
      const auto& ends = *runs.run_ends();
      const int64_t position = row + runs.offset();
      int64_t run = 0;
      while (run + 1 < ends.length() && [&] {
        switch (ends.type_id()) {
          case Type::INT16:
            return ValueOf<arrow::Int16Array>(ends, run) <= position;
          case Type::INT32:
            return ValueOf<arrow::Int32Array>(ends, run) <= position;
          default:
            return ValueOf<arrow::Int64Array>(ends, run) <= position;
        }
      }()) {
        ++run;
      }
      *inner_row = run;
      return true;
    }
    case Type::EXTENSION: {
      const auto& storage = static_cast<const arrow::ExtensionArray&>(array).storage();
      // An extension over a nested type shows as that type.
      if (!arrow::is_nested(storage->type_id())) return false;
      *inner = storage.get();
      *inner_row = row;
      return true;
    }
    default:
      return false;
  }
}

}  // namespace ballista::shell
