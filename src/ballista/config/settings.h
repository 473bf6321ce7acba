// The values of all options of a program, each with the place that it comes from.
//
// Levels, each above the one before: default, the default file
// (/etc/ballista/<program>.toml, where it is there), environment, --config-file, command
// line. Immutable once resolved, so safe to read from every thread.
#pragma once

#include <arrow/result.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ballista/config/option_spec.h"
#include "ballista/config/option_value.h"

namespace ballista::config {

// What options are resolved from; ProcessInput takes it from the process.
struct Input {
  // Without the program's name.
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> environment;
  // The file of the lowest level; empty: /etc/ballista/<program>.toml.
  std::string default_file;
  // Bytes that shares of "machine" are shares of.
  uint64_t available_memory = 0;
};

// `environment`: as main's third argument or `environ`.
Input ProcessInput(int argc, const char* const* argv, const char* const* environment);

class Settings {
 public:
  // Values of an option of `program`; it must exist and be of that type.
  const std::string& Text(const std::string& option) const;
  uint64_t Number(const std::string& option) const;
  std::chrono::milliseconds Duration(const std::string& option) const;
  bool Flag(const std::string& option) const;

  // The text that its source gives, whatever its type.
  const std::string& Given(const std::string& option) const {
    return settings_.at(option).text;
  }

  // "command line", "environment variable BALLISTA_EXECUTOR_PORT",
  // "/etc/ballista/executor.toml:3", "default".
  const std::string& Source(const std::string& option) const;
  bool IsDefault(const std::string& option) const { return Source(option) == "default"; }

  // The error for a value that turns out bad when it is used, such as a port that is
  // taken: `command line: bad value "50051" for --port: <reason>`.
  arrow::Status Refuse(const std::string& option, std::string_view reason) const;

 private:
  friend class Resolver;
  struct Setting {
    OptionValue value;
    std::string text;
    std::string source;
    std::string spelling;
  };
  std::map<std::string, Setting> settings_;
};

struct Resolution {
  Settings settings;
  // The text of --help or --version where one of them was given; the settings are then
  // empty.
  std::string message;
};

// Errors: Invalid or IOError, one sentence that names key and source.
arrow::Result<Resolution> Resolve(const ProgramSpec& program, const Input& input);

// The options that one table of a TOML file gives ("[staging]"), the rest by default; no
// other source counts. Nothing where the file has no such table; `known` is then the
// names of those that it has. Errors: Invalid or IOError, one sentence that names key and
// line.
arrow::Result<std::optional<Settings>> ReadSection(const ProgramSpec& program,
                                                   const std::string& path,
                                                   const std::string& section,
                                                   std::vector<std::string>* known);

}  // namespace ballista::config
