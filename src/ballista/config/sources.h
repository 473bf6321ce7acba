// Reads the options that one source gives, as text; each knows where it stands, for
// messages. Internal to config/.
#pragma once

#include <arrow/result.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ballista/config/option_spec.h"

namespace ballista::config {

// An option's text as a source gives it.
struct SourceValue {
  std::string text;
  // "command line", "environment variable BALLISTA_EXECUTOR_PORT", "executor.toml:3".
  std::string source;
  // The option as the source spells it: "--port", "port", "scheduler_port"; empty where
  // `source` names it.
  std::string spelling;
};

// By the option's name.
using SourceValues = std::map<std::string, SourceValue>;

struct CommandLine {
  SourceValues values;
  // The text of --help or --version where one of them was given.
  std::string message;
};

// `arguments`: without the program's name. Errors: Invalid, one sentence.
arrow::Result<CommandLine> ReadCommandLine(const ProgramSpec& program,
                                           const std::vector<std::string>& arguments);

// Variables of other prefixes are not looked at, nor those that Kubernetes makes for a
// service of that prefix (BALLISTA_SCHEDULER_SERVICE_HOST and the like). Errors: Invalid.
arrow::Result<SourceValues> ReadEnvironment(
    const ProgramSpec& program,
    const std::vector<std::pair<std::string, std::string>>& environment);

// A TOML file whose keys are the options', with underscores or hyphens. Errors: Invalid,
// one sentence with file and line; IOError when the file cannot be read.
arrow::Result<SourceValues> ReadFile(const ProgramSpec& program, const std::string& path);

// The same of one of the tables ("[staging]") that a file consists of; nothing where
// there is none of that name. `known`: the names of all of them.
arrow::Result<std::optional<SourceValues>> ReadFileSection(
    const ProgramSpec& program, const std::string& path, const std::string& section,
    std::vector<std::string>* known);

}  // namespace ballista::config
