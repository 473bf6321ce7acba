#include "ballista/base/ids.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <array>
#include <cstdint>
#include <random>

namespace ballista {

std::string NewId() {
  std::array<uint8_t, 16> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    std::random_device source;
    for (auto& byte : bytes) byte = static_cast<uint8_t>(source());
  }
  bytes[6] = static_cast<uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<uint8_t>((bytes[8] & 0x3f) | 0x80);
  std::string id;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) id += '-';
    id += fmt::format("{:02x}", bytes[i]);
  }
  return id;
}

namespace {

bool ConsistsOf(std::string_view name, std::string_view others, size_t most) {
  if (name.empty() || name.size() > most) return false;
  for (const char c : name) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!plain && others.find(c) == std::string_view::npos) return false;
  }
  return true;
}

}  // namespace

bool IsPlainName(std::string_view name) {
  return ConsistsOf(name, "-_", 200);
}

bool IsHostName(std::string_view name) {
  return ConsistsOf(name, ".:-_[]%", 255);
}

}  // namespace ballista
