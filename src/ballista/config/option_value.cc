#include "ballista/config/option_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "ballista/base/nearest_name.h"

namespace ballista::config {
namespace {

using std::chrono::milliseconds;

struct Unit {
  std::string_view name;  // lower case
  uint64_t factor;
};

constexpr std::array<Unit, 10> kSizeUnits = {{{"", 1},
                                              {"b", 1},
                                              {"kb", 1'000},
                                              {"mb", 1'000'000},
                                              {"gb", 1'000'000'000},
                                              {"tb", 1'000'000'000'000},
                                              {"kib", 1ULL << 10},
                                              {"mib", 1ULL << 20},
                                              {"gib", 1ULL << 30},
                                              {"tib", 1ULL << 40}}};

constexpr std::array<Unit, 5> kTimeUnits = {
    {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"min", 60'000}, {"h", 3'600'000}}};

template <typename Number>
std::optional<Number> ReadNumber(std::string_view text, std::string_view* rest) {
  Number number{};
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  *rest = text.substr(static_cast<size_t>(end - text.data()));
  return number;
}

std::string UnitOf(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  std::string unit(text);
  std::transform(unit.begin(), unit.end(), unit.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return unit;
}

// "<number> <unit>" times the unit's factor; nothing for other text and what does not
// fit.
template <size_t kCount>
std::optional<uint64_t> ParseQuantity(std::string_view text,
                                      const std::array<Unit, kCount>& units) {
  std::string_view rest;
  // Whole numbers stay exact over all 64 bits; others go through a double.
  const auto whole = ReadNumber<uint64_t>(text, &rest);
  const bool is_whole = whole && !rest.starts_with('.');
  std::optional<double> real;
  if (!is_whole) real = ReadNumber<double>(text, &rest);
  if (!is_whole && (!real || !std::isfinite(*real) || *real < 0)) return std::nullopt;
  const std::string unit = UnitOf(rest);
  const auto* found = std::find_if(units.begin(), units.end(),
                                   [&](const Unit& one) { return one.name == unit; });
  if (found == units.end()) return std::nullopt;
  if (is_whole) {
    uint64_t product = 0;
    if (__builtin_mul_overflow(*whole, found->factor, &product)) return std::nullopt;
    return product;
  }
  const double product = std::round(*real * static_cast<double>(found->factor));
  if (product >= 0x1p64) return std::nullopt;
  return static_cast<uint64_t>(product);
}

std::optional<uint64_t> ParseShare(std::string_view text, uint64_t whole) {
  std::string_view rest;
  const auto percent = ReadNumber<double>(text, &rest);
  if (!percent || !(*percent >= 0 && *percent <= 100) || UnitOf(rest) != "%") {
    return std::nullopt;
  }
  return static_cast<uint64_t>(*percent / 100 * static_cast<double>(whole));
}

// "memory-limit", or what "machine" stands for.
std::string WholeOf(const OptionSpec& spec) {
  return spec.share_of == "machine" ? "the available memory" : spec.share_of;
}

std::string Bound(const OptionSpec& spec, uint64_t value) {
  if (spec.type == OptionType::kBytes) return FormatBytes(value);
  if (spec.type == OptionType::kDuration) {
    return FormatDuration(milliseconds(static_cast<int64_t>(value)));
  }
  return std::to_string(value);
}

std::string Range(const OptionSpec& spec) {
  if (spec.max != std::numeric_limits<uint64_t>::max()) {
    return fmt::format(" from {} to {}", Bound(spec, spec.min), Bound(spec, spec.max));
  }
  return spec.min > 0 ? " of at least " + Bound(spec, spec.min) : "";
}

std::string Expected(const OptionSpec& spec) {
  switch (spec.type) {
    case OptionType::kNumber:
      return "a whole number" + Range(spec);
    case OptionType::kBytes:
      return spec.share_of.empty()
                 ? "a size such as 2GiB" + Range(spec)
                 : fmt::format("a size such as 2GiB or a share of {} such as 50%{}{}",
                               WholeOf(spec), spec.min > 0 ? "," : "", Range(spec));
    case OptionType::kDuration:
      return "a duration such as 500ms, 10s or 5min" + Range(spec);
    case OptionType::kBool:
      return "true or false";
    case OptionType::kEnum:
      return spec.values.size() == 1
                 ? spec.values.front()
                 : fmt::format("one of {}", fmt::join(spec.values, ", "));
    case OptionType::kString:
    case OptionType::kPath:
      break;
  }
  return "a text that is not empty";
}

arrow::Status NotExpected(const OptionSpec& spec, const std::string& text) {
  std::string message = "expected " + Expected(spec);
  if (spec.type == OptionType::kEnum && spec.values.size() > 1) {
    message += fmt::format("; the nearest is \"{}\"", NearestName(text, spec.values));
  }
  if (!spec.note.empty()) message += " (" + spec.note + ")";
  return arrow::Status::Invalid(message);
}

std::optional<uint64_t> ParseScalar(const OptionSpec& spec, const std::string& text,
                                    uint64_t whole) {
  switch (spec.type) {
    case OptionType::kBytes: {
      auto bytes = ParseQuantity(text, kSizeUnits);
      if (!bytes && !spec.share_of.empty()) bytes = ParseShare(text, whole);
      return bytes;
    }
    case OptionType::kDuration:
      return ParseQuantity(text, kTimeUnits);
    default: {
      std::string_view rest;
      const auto number = ReadNumber<uint64_t>(text, &rest);
      return rest.empty() ? number : std::nullopt;
    }
  }
}

}  // namespace

arrow::Result<OptionValue> ParseOptionValue(const OptionSpec& spec,
                                            const std::string& text, uint64_t whole) {
  switch (spec.type) {
    case OptionType::kString:
    case OptionType::kPath:
      if (spec.required && text.empty()) return NotExpected(spec, text);
      return OptionValue(text);
    case OptionType::kEnum:
      if (std::find(spec.values.begin(), spec.values.end(), text) == spec.values.end()) {
        return NotExpected(spec, text);
      }
      return OptionValue(text);
    case OptionType::kBool:
      if (text == "true" || text == "1") return OptionValue(true);
      if (text == "false" || text == "0") return OptionValue(false);
      return NotExpected(spec, text);
    case OptionType::kNumber:
    case OptionType::kBytes:
    case OptionType::kDuration:
      break;
  }
  const auto number = ParseScalar(spec, text, whole);
  if (!number || *number < spec.min || *number > spec.max) return NotExpected(spec, text);
  return OptionValue(*number);
}

arrow::Result<uint64_t> ParseBytes(std::string_view text) {
  const auto bytes = ParseQuantity(text, kSizeUnits);
  if (!bytes) {
    return arrow::Status::Invalid(
        fmt::format("\"{}\" is no size such as 2GiB or 500MB", text));
  }
  return *bytes;
}

arrow::Result<milliseconds> ParseDuration(std::string_view text) {
  const auto time = ParseQuantity(text, kTimeUnits);
  if (!time || *time > static_cast<uint64_t>(milliseconds::max().count())) {
    return arrow::Status::Invalid(
        fmt::format("\"{}\" is no duration such as 500ms, 10s or 5min", text));
  }
  return milliseconds(static_cast<int64_t>(*time));
}

std::string FormatBytes(uint64_t bytes) {
  constexpr std::array<Unit, 4> kUnits = {
      {{"TiB", 1ULL << 40}, {"GiB", 1ULL << 30}, {"MiB", 1ULL << 20}, {"KiB", 1 << 10}}};
  for (const auto& unit : kUnits) {
    if (bytes != 0 && bytes % unit.factor == 0) {
      return fmt::format("{}{}", bytes / unit.factor, unit.name);
    }
  }
  return std::to_string(bytes);
}

std::string FormatDuration(milliseconds duration) {
  constexpr std::array<Unit, 3> kUnits = {
      {{"h", 3'600'000}, {"min", 60'000}, {"s", 1'000}}};
  const auto time = static_cast<uint64_t>(duration.count());
  for (const auto& unit : kUnits) {
    if (time != 0 && time % unit.factor == 0) {
      return fmt::format("{}{}", time / unit.factor, unit.name);
    }
  }
  return fmt::format("{}ms", time);
}

}  // namespace ballista::config
