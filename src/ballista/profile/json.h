// Messages as JSON: fields by their names, numbers as numbers (also 64-bit ones), enums
// in lower case without the enum's prefix, bytes as hexadecimal digits. Every field is
// there but messages that are not set. What is no UTF-8 in a text becomes U+FFFD.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

namespace ballista::profile {

// `empty`: name of repeated fields that are given without their elements.
std::string ToJson(const google::protobuf::Message& message, std::string_view empty = "");

}  // namespace ballista::profile
