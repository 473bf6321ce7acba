#include "ballista/base/log.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include "ballista/base/nearest_name.h"

namespace ballista::log {
namespace {

std::atomic<Level> current_level{Level::kInfo};
std::atomic<bool> json_lines{false};

const char* Name(Level level) {
  switch (level) {
    case Level::kTrace:
      return "TRACE";
    case Level::kDebug:
      return "DEBUG";
    case Level::kInfo:
      return "INFO";
    case Level::kWarn:
      return "WARN";
    case Level::kError:
      return "ERROR";
    case Level::kOff:
      break;
  }
  return "OFF";
}

// Messages have parts of statements and data in them: none may look like another line.
void AppendOneLine(std::string* out, std::string_view text) {
  for (const char c : text) {
    if (c == '\n' || c == '\r') {
      *out += c == '\n' ? "\\n" : "\\r";
    } else {
      out->push_back(c);
    }
  }
}

void AppendJsonString(std::string* out, std::string_view text) {
  out->push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (byte < 0x20) {
      *out += fmt::format("\\u{:04x}", byte);
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

}  // namespace

void Configure(const Options& options) {
  current_level = options.level;
  json_lines = options.json;
}

bool ParseLevel(std::string_view name, Level* level) {
  static constexpr std::pair<std::string_view, Level> kLevels[] = {
      {"trace", Level::kTrace}, {"debug", Level::kDebug}, {"info", Level::kInfo},
      {"warn", Level::kWarn},   {"error", Level::kError}, {"off", Level::kOff}};
  for (const auto& [text, value] : kLevels) {
    if (text == name) {
      *level = value;
      return true;
    }
  }
  return false;
}

arrow::Status ConfigureFromEnvironment(bool json) {
  Options options;
  options.json = json;
  const char* name = std::getenv("BALLISTA_LOG");
  if (name != nullptr && *name != '\0' && !ParseLevel(name, &options.level)) {
    const auto nearest =
        NearestName(name, {"trace", "debug", "info", "warn", "error", "off"});
    return arrow::Status::Invalid(fmt::format(
        "environment variable BALLISTA_LOG: bad value \"{}\": expected trace, debug, "
        "info, warn, error or off; the nearest is \"{}\"",
        name, nearest));
  }
  Configure(options);
  return arrow::Status::OK();
}

bool Enabled(Level level) {
  return level >= current_level.load(std::memory_order_relaxed);
}

void Write(Level level, std::string_view target, std::string_view message) {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char time[32];
  std::strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%SZ", &utc);
  std::string line;
  if (json_lines.load(std::memory_order_relaxed)) {
    line = fmt::format(R"({{"time":"{}","level":"{}","target":)", time, Name(level));
    AppendJsonString(&line, target);
    line += R"(,"message":)";
    AppendJsonString(&line, message);
    line += "}\n";
  } else {
    line = fmt::format("[{} {} {}] ", time, Name(level), target);
    AppendOneLine(&line, message);
    line += '\n';
  }
  // One write a line, so that lines of several threads do not mix.
  size_t done = 0;
  while (done < line.size()) {
    const ssize_t n = ::write(STDERR_FILENO, line.data() + done, line.size() - done);
    if (n <= 0) return;
    done += static_cast<size_t>(n);
  }
}

}  // namespace ballista::log
