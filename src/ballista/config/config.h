// The configuration of the programs: what a main calls first.
//
//   auto parsed = config::Parse<config::ExecutorConfig>(
//       config::ProcessInput(argc, argv, environ));
//   if (!parsed.ok()) { <print "executor: " and its message>; return 2; }
//   if (!parsed->message.empty()) { <print it>; return 0; }  // --help, --version
//
// settings.h says which level wins; docs/configuration.md lists the options.
#pragma once

#include <arrow/result.h>

#include <string>
#include <utility>

#include "ballista/config/executor_config.h"
#include "ballista/config/scheduler_config.h"
#include "ballista/config/settings.h"

namespace ballista::config {

template <typename Config>
struct Parsed {
  Config config;
  // The same values with their sources, for messages (Settings::Refuse).
  Settings settings;
  // Of --help and --version: what to print on standard output before ending with exit
  // code 0. Else empty.
  std::string message;
};

// Config: ExecutorConfig or SchedulerConfig. Errors: Invalid or IOError, whose message is
// one sentence that names key, source and, for an unknown key, the nearest known one.
template <typename Config>
arrow::Result<Parsed<Config>> Parse(const Input& input) {
  ARROW_ASSIGN_OR_RAISE(auto resolution, Resolve(Config::Program(), input));
  Parsed<Config> parsed;
  parsed.message = std::move(resolution.message);
  if (!parsed.message.empty()) return parsed;
  parsed.config = Config::FromSettings(resolution.settings);
  parsed.settings = std::move(resolution.settings);
  return parsed;
}

// The configuration of the scheduler inside an `executor --local`: defaults, but for what
// the executor's options say of it. Neither scheduler.toml nor BALLISTA_SCHEDULER_*
// count. Error: Invalid, where the machine is too small for the defaults.
arrow::Result<SchedulerConfig> LocalSchedulerConfig(const ExecutorConfig& executor);

}  // namespace ballista::config
