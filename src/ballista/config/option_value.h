// Values of options: from text, and back to it.
#pragma once

#include <arrow/result.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "ballista/config/option_spec.h"

namespace ballista::config {

// By type: kString, kPath and kEnum hold text; kNumber, kBytes (bytes) and kDuration
// (milliseconds) a number; kBool a bool.
using OptionValue = std::variant<std::string, uint64_t, bool>;

// `text` as a value of `spec`. `whole`: the bytes that a percentage is a share of.
// Error: Invalid, whose message says what a value must be ("a whole number from 1 to
// 65535") without naming option or source.
arrow::Result<OptionValue> ParseOptionValue(const OptionSpec& spec,
                                            const std::string& text, uint64_t whole);

// A size ("0", "512 MiB", "1.5GB", units of 1000 or 1024, any case). Error: Invalid.
arrow::Result<uint64_t> ParseBytes(std::string_view text);

// A duration ("500ms", "2s", "5min", "1h"). Error: Invalid.
arrow::Result<std::chrono::milliseconds> ParseDuration(std::string_view text);

// The shortest exact text: "2GiB", "1536MiB", "1000" and "2s", "1500ms".
std::string FormatBytes(uint64_t bytes);
std::string FormatDuration(std::chrono::milliseconds duration);

}  // namespace ballista::config
