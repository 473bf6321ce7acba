// What a config spec (*_config_spec.toml) says of a program and its options, as the
// generated tables hold it.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace ballista::config {

enum class OptionType { kString, kPath, kNumber, kBytes, kDuration, kBool, kEnum };

struct OptionSpec {
  // As on the command line without its dashes: "scheduler-host".
  std::string name;
  OptionType type = OptionType::kString;
  std::string default_value;
  // What the default means, where default_value does not say it; else empty.
  std::string default_text;
  std::string doc;

  // Of kNumber, kBytes (bytes) and kDuration (milliseconds); both ends included.
  uint64_t min = 0;
  uint64_t max = std::numeric_limits<uint64_t>::max();
  // kString, kPath: not empty.
  bool required = false;
  // kEnum: the accepted values.
  std::vector<std::string> values;
  // kBytes: what a percentage is a share of: "machine" or an option declared before;
  // empty: no percentages.
  std::string share_of;
  // Names of options declared before that bound this one; empty: none.
  std::string at_most;
  std::string more_than;
  // Said at the end of what is expected of a value.
  std::string note;
  // Whether a TOML file may have it.
  bool in_file = true;
};

struct ProgramSpec {
  std::string name;   // "executor"
  std::string title;  // "C++ Executor", as in the line of --version
  std::string about;
  std::vector<OptionSpec> options;

  // "/etc/ballista/executor.toml"
  std::string default_file() const { return "/etc/ballista/" + name + ".toml"; }
  // "BALLISTA_EXECUTOR_"
  std::string environment_prefix() const;
  // The option, or nullptr.
  const OptionSpec* Find(const std::string& option) const;
};

// "scheduler-host" as the key of a TOML file: "scheduler_host".
std::string FileKey(const std::string& option);

// "scheduler-host" as the end of an environment variable: "SCHEDULER_HOST".
std::string EnvironmentName(const std::string& option);

}  // namespace ballista::config
