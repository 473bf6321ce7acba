#include "ballista/profile/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <iterator>
#include <string_view>
#include <vector>

namespace ballista::profile {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Length of the valid UTF-8 sequence at the start of `text`; 0: there is none.
size_t SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  size_t length = 0;
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) length = 2;
  if (first >= 0xE0 && first <= 0xEF) length = 3;
  if (first >= 0xF0 && first <= 0xF4) length = 4;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  const bool overlong =
      (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool surrogate = first == 0xED && second > 0x9F;
  const bool too_large = first == 0xF4 && second > 0x8F;
  return overlong || surrogate || too_large ? 0 : length;
}

void AppendText(std::string_view text, std::string* out) {
  out->push_back('"');
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    const char first = text[0];
    if (length == 0) {
      *out += "\xEF\xBF\xBD";
    } else if (first == '"' || first == '\\') {
      out->push_back('\\');
      out->push_back(first);
    } else if (first == '\n') {
      *out += "\\n";
    } else if (static_cast<unsigned char>(first) < 0x20 || first == 0x7F) {
      fmt::format_to(std::back_inserter(*out), "\\u{:04x}", static_cast<unsigned>(first));
    } else {
      out->append(text.substr(0, length));
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  out->push_back('"');
}

void AppendBytes(std::string_view bytes, std::string* out) {
  out->push_back('"');
  for (const unsigned char byte : bytes) {
    fmt::format_to(std::back_inserter(*out), "{:02x}", byte);
  }
  out->push_back('"');
}

// JOB_STATE_RUNNING of JobState: "running".
void AppendEnum(const google::protobuf::EnumValueDescriptor& value, std::string* out) {
  std::string prefix;
  for (const char c : value.type()->name()) {
    if (std::isupper(static_cast<unsigned char>(c)) != 0 && !prefix.empty())
      prefix += '_';
    prefix += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  prefix += '_';
  std::string_view name = value.name();
  if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  out->push_back('"');
  for (const char c : name) *out += static_cast<char>(std::tolower(c));
  out->push_back('"');
}

void AppendNumber(double value, std::string* out) {
  fmt::format_to(std::back_inserter(*out), "{}", std::isfinite(value) ? value : 0.0);
}

void AppendMessage(const Message& message, std::string_view empty, std::string* out);

// `index`: -1 for a field that is not repeated.
void AppendValue(const Message& message, const FieldDescriptor& field, int index,
                 std::string_view empty, std::string* out) {
  const Reflection& get = *message.GetReflection();
  const bool many = index >= 0;
  std::string scratch;
  const auto integer = [&](auto value) {
    fmt::format_to(std::back_inserter(*out), "{}", value);
  };
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return integer(many ? get.GetRepeatedInt32(message, &field, index)
                          : get.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return integer(many ? get.GetRepeatedInt64(message, &field, index)
                          : get.GetInt64(message, &field));
    case FieldDescriptor::CPPTYPE_UINT32:
      return integer(many ? get.GetRepeatedUInt32(message, &field, index)
                          : get.GetUInt32(message, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return integer(many ? get.GetRepeatedUInt64(message, &field, index)
                          : get.GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return AppendNumber(many ? get.GetRepeatedDouble(message, &field, index)
                               : get.GetDouble(message, &field),
                          out);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return AppendNumber(many ? get.GetRepeatedFloat(message, &field, index)
                               : get.GetFloat(message, &field),
                          out);
    case FieldDescriptor::CPPTYPE_BOOL:
      *out += (many ? get.GetRepeatedBool(message, &field, index)
                    : get.GetBool(message, &field))
                  ? "true"
                  : "false";
      return;
    case FieldDescriptor::CPPTYPE_ENUM:
      return AppendEnum(*(many ? get.GetRepeatedEnum(message, &field, index)
                               : get.GetEnum(message, &field)),
                        out);
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string& value =
          many ? get.GetRepeatedStringReference(message, &field, index, &scratch)
               : get.GetStringReference(message, &field, &scratch);
      return field.type() == FieldDescriptor::TYPE_BYTES ? AppendBytes(value, out)
                                                         : AppendText(value, out);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return AppendMessage(many ? get.GetRepeatedMessage(message, &field, index)
                                : get.GetMessage(message, &field),
                           empty, out);
  }
}

void AppendMessage(const Message& message, std::string_view empty, std::string* out) {
  const Reflection& get = *message.GetReflection();
  out->push_back('{');
  bool first = true;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    const bool single_message =
        !field.is_repeated() && field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (single_message && !get.HasField(message, &field)) continue;
    if (!first) out->push_back(',');
    first = false;
    out->push_back('"');
    *out += field.name();
    *out += "\":";
    if (!field.is_repeated()) {
      AppendValue(message, field, -1, empty, out);
      continue;
    }
    out->push_back('[');
    const int size = field.name() == empty ? 0 : get.FieldSize(message, &field);
    for (int k = 0; k < size; ++k) {
      if (k > 0) out->push_back(',');
      AppendValue(message, field, k, empty, out);
    }
    out->push_back(']');
  }
  out->push_back('}');
}

}  // namespace

std::string ToJson(const Message& message, std::string_view empty) {
  std::string out;
  AppendMessage(message, empty, &out);
  return out;
}

}  // namespace ballista::profile
