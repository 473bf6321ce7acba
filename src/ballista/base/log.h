// Logging: lines of the documented form on standard error,
//   [2026-11-22T10:00:00Z INFO scheduler] Ballista v0.5.0 Scheduler listening on
//   0.0.0.0:50050
// or one JSON object a line. The level is BALLISTA_LOG (trace, debug, info, warn, error,
// off; default info).
//
// Thread-safe. `LOG_INFO("scheduler", "listening on {}", address)`: target, then an fmt
// format string.
#pragma once

#include <arrow/status.h>
#include <fmt/format.h>

#include <string>
#include <string_view>

namespace ballista::log {

enum class Level { kTrace, kDebug, kInfo, kWarn, kError, kOff };

struct Options {
  Level level = Level::kInfo;
  bool json = false;
};

// Once, at the start of a process, before threads; until then: level info, text.
void Configure(const Options& options);

// Reads a level's name ("info"). False for an unknown one.
bool ParseLevel(std::string_view name, Level* level);

// Configure with the level that BALLISTA_LOG names (info where it is not set or empty).
// Error: Invalid, one sentence, for a value that is no level.
arrow::Status ConfigureFromEnvironment(bool json);

bool Enabled(Level level);
void Write(Level level, std::string_view target, std::string_view message);

}  // namespace ballista::log

#define BALLISTA_LOG_AT(level, target, ...)                              \
  do {                                                                   \
    if (::ballista::log::Enabled(level)) {                               \
      ::ballista::log::Write(level, target, ::fmt::format(__VA_ARGS__)); \
    }                                                                    \
  } while (false)
#define LOG_TRACE(target, ...) \
  BALLISTA_LOG_AT(::ballista::log::Level::kTrace, target, __VA_ARGS__)
#define LOG_DEBUG(target, ...) \
  BALLISTA_LOG_AT(::ballista::log::Level::kDebug, target, __VA_ARGS__)
#define LOG_INFO(target, ...) \
  BALLISTA_LOG_AT(::ballista::log::Level::kInfo, target, __VA_ARGS__)
#define LOG_WARN(target, ...) \
  BALLISTA_LOG_AT(::ballista::log::Level::kWarn, target, __VA_ARGS__)
#define LOG_ERROR(target, ...) \
  BALLISTA_LOG_AT(::ballista::log::Level::kError, target, __VA_ARGS__)
