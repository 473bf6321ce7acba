#include "ballista/client/shell/value_text.h"

#include <arrow/api.h>
#include <arrow/extension/opaque.h>
#include <arrow/extension_type.h>
#include <fmt/format.h>

#include <iterator>
#include <memory>

#include "ballista/client/shell/scalar_text_internal.h"

namespace ballista::shell {
namespace {

using arrow::Type;

// The elements of a list: an array and the range of it.
struct Elements {
  std::shared_ptr<arrow::Array> values;
  int64_t begin = 0;
  int64_t end = 0;
};

template <typename ListType>
Elements ElementsOfList(const arrow::Array& array, int64_t row) {
  const auto& list = static_cast<const ListType&>(array);
  const auto begin = static_cast<int64_t>(list.value_offset(row));
  return {list.values(), begin, begin + static_cast<int64_t>(list.value_length(row))};
}

// False where the array is no list.
bool ElementsOf(const arrow::Array& array, int64_t row, Elements* elements) {
  switch (array.type_id()) {
    case Type::LIST:
      *elements = ElementsOfList<arrow::ListArray>(array, row);
      return true;
    case Type::LARGE_LIST:
      *elements = ElementsOfList<arrow::LargeListArray>(array, row);
      return true;
    case Type::FIXED_SIZE_LIST:
      *elements = ElementsOfList<arrow::FixedSizeListArray>(array, row);
      return true;
    case Type::LIST_VIEW:
      *elements = ElementsOfList<arrow::ListViewArray>(array, row);
      return true;
    case Type::LARGE_LIST_VIEW:
      *elements = ElementsOfList<arrow::LargeListViewArray>(array, row);
      return true;
    default:
      return false;
  }
}

bool IsUnion(Type::type id) {
  return id == Type::SPARSE_UNION || id == Type::DENSE_UNION;
}

// The member of a union that holds the value, and where in it.
std::shared_ptr<arrow::Array> UnionValue(const arrow::Array& array, int64_t row,
                                         int64_t* value_row) {
  const auto& values = static_cast<const arrow::UnionArray&>(array);
  *value_row = array.type_id() == Type::SPARSE_UNION
                   ? row
                   : static_cast<const arrow::DenseUnionArray&>(array).value_offset(row);
  return values.field(values.child_id(row));
}

// Whether text within a list, struct or map has to be quoted to be told from its syntax.
bool NeedsQuotes(std::string_view text) {
  if (text.empty() || text.front() == ' ' || text.back() == ' ') return true;
  if (text.size() == 4 && (text[0] | 0x20) == 'n' && (text[1] | 0x20) == 'u' &&
      (text[2] | 0x20) == 'l' && (text[3] | 0x20) == 'l') {
    return true;
  }
  return text.find_first_of("\"'(),:=[\\]{}\n\r\t") != std::string_view::npos;
}

void AppendQuoted(std::string_view text, std::string* out) {
  *out += '\'';
  for (const char c : text) {
    if (c == '\'' || c == '\\') *out += '\\';
    *out += c;
  }
  *out += '\'';
}

void AppendNested(const arrow::Array& array, int64_t row, std::string* out);

void AppendMap(const arrow::MapArray& map, int64_t row, std::string* out) {
  *out += '{';
  const int64_t end = map.value_offset(row) + map.value_length(row);
  for (int64_t i = map.value_offset(row); i < end; ++i) {
    if (i > map.value_offset(row)) *out += ", ";
    AppendNested(*map.keys(), i, out);
    *out += '=';
    AppendNested(*map.items(), i, out);
  }
  *out += '}';
}

void AppendStruct(const arrow::StructArray& values, int64_t row, std::string* out) {
  *out += '{';
  for (int i = 0; i < values.num_fields(); ++i) {
    if (i > 0) *out += ", ";
    AppendQuoted(values.type()->field(i)->name(), out);
    *out += ": ";
    AppendNested(*values.field(i), row, out);
  }
  *out += '}';
}

// `nested`: within another value.
void AppendAny(const arrow::Array& array, int64_t row, bool nested, std::string* out) {
  const arrow::Array* inner = nullptr;
  int64_t inner_row = 0;
  Elements elements;
  if (IsUnion(array.type_id())) {
    const auto member = UnionValue(array, row, &inner_row);
    AppendAny(*member, inner_row, nested, out);
  } else if (array.type_id() == Type::NA || array.IsNull(row)) {
    *out += "NULL";
  } else if (Unwrap(array, row, &inner, &inner_row)) {
    AppendAny(*inner, inner_row, nested, out);
  } else if (array.type_id() == Type::MAP) {
    AppendMap(static_cast<const arrow::MapArray&>(array), row, out);
  } else if (array.type_id() == Type::STRUCT) {
    AppendStruct(static_cast<const arrow::StructArray&>(array), row, out);
  } else if (ElementsOf(array, row, &elements)) {
    *out += '[';
    for (int64_t i = elements.begin; i < elements.end; ++i) {
      if (i > elements.begin) *out += ", ";
      AppendNested(*elements.values, i, out);
    }
    *out += ']';
  } else if (!nested) {
    AppendScalar(array, row, TemporalStyle::kSql, out);
  } else {
    std::string text;
    const auto kind = AppendScalar(array, row, TemporalStyle::kSql, &text);
    if (kind == ScalarKind::kString && NeedsQuotes(text)) {
      AppendQuoted(text, out);
    } else {
      *out += text;
    }
  }
}

void AppendNested(const arrow::Array& array, int64_t row, std::string* out) {
  AppendAny(array, row, true, out);
}

void AppendJsonMap(const arrow::MapArray& map, int64_t row, std::string* out) {
  *out += '{';
  const int64_t end = map.value_offset(row) + map.value_length(row);
  for (int64_t i = map.value_offset(row); i < end; ++i) {
    if (i > map.value_offset(row)) *out += ',';
    std::string key;
    AppendText(*map.keys(), i, &key);
    AppendJsonString(key, out);
    *out += ':';
    AppendJson(*map.items(), i, out);
  }
  *out += '}';
}

void AppendJsonScalar(const arrow::Array& array, int64_t row, std::string* out) {
  std::string text;
  switch (AppendScalar(array, row, TemporalStyle::kIso, &text)) {
    case ScalarKind::kNumber:
    case ScalarKind::kBoolean:
      *out += text;
      break;
    case ScalarKind::kNotFinite:
      *out += text == "nan"   ? "\"NaN\""
              : text == "inf" ? "\"Infinity\""
                              : "\"-Infinity\"";
      break;
    case ScalarKind::kString:
      AppendJsonString(text, out);
      break;
    case ScalarKind::kJson:
      // A line break in JSON is always a blank: within a string it would be escaped.
      for (const char c : text) *out += c == '\n' || c == '\r' ? ' ' : c;
      break;
  }
}

}  // namespace

void AppendText(const arrow::Array& array, int64_t row, std::string* out) {
  AppendAny(array, row, false, out);
}

bool IsNullValue(const arrow::Array& array, int64_t row) {
  const arrow::Array* inner = nullptr;
  int64_t inner_row = 0;
  if (IsUnion(array.type_id())) {
    const auto member = UnionValue(array, row, &inner_row);
    return IsNullValue(*member, inner_row);
  }
  if (array.type_id() == Type::NA || array.IsNull(row)) return true;
  return Unwrap(array, row, &inner, &inner_row) && IsNullValue(*inner, inner_row);
}

void AppendJson(const arrow::Array& array, int64_t row, std::string* out) {
  const arrow::Array* inner = nullptr;
  int64_t inner_row = 0;
  Elements elements;
  if (IsUnion(array.type_id())) {
    const auto member = UnionValue(array, row, &inner_row);
    AppendJson(*member, inner_row, out);
  } else if (array.type_id() == Type::NA || array.IsNull(row)) {
    *out += "null";
  } else if (Unwrap(array, row, &inner, &inner_row)) {
    AppendJson(*inner, inner_row, out);
  } else if (array.type_id() == Type::MAP) {
    AppendJsonMap(static_cast<const arrow::MapArray&>(array), row, out);
  } else if (array.type_id() == Type::STRUCT) {
    const auto& values = static_cast<const arrow::StructArray&>(array);
    *out += '{';
    for (int i = 0; i < values.num_fields(); ++i) {
      if (i > 0) *out += ',';
      AppendJsonString(values.type()->field(i)->name(), out);
      *out += ':';
      AppendJson(*values.field(i), row, out);
    }
    *out += '}';
  } else if (ElementsOf(array, row, &elements)) {
    *out += '[';
    for (int64_t i = elements.begin; i < elements.end; ++i) {
      if (i > elements.begin) *out += ',';
      AppendJson(*elements.values, i, out);
    }
    *out += ']';
  } else {
    AppendJsonScalar(array, row, out);
  }
}

void AppendJsonString(std::string_view text, std::string* out) {
  *out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        *out += "\\\"";
        break;
      case '\\':
        *out += "\\\\";
        break;
      case '\n':
        *out += "\\n";
        break;
      case '\r':
        *out += "\\r";
        break;
      case '\t':
        *out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          fmt::format_to(std::back_inserter(*out), "\\u{:04x}", static_cast<int>(c));
        } else {
          *out += c;
        }
    }
  }
  *out += '"';
}

bool IsNumeric(const arrow::DataType& type) {
  if (type.id() == Type::EXTENSION) {
    const auto& extension = static_cast<const arrow::ExtensionType&>(type);
    if (extension.extension_name() != "arrow.opaque") return false;
    const auto name = static_cast<const arrow::extension::OpaqueType&>(type).type_name();
    return name == "hugeint" || name == "uhugeint" || name == "bignum";
  }
  return arrow::is_integer(type.id()) || arrow::is_floating(type.id()) ||
         arrow::is_decimal(type.id());
}

}  // namespace ballista::shell
