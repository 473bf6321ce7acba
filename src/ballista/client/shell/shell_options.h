// The command line of `ballista`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ballista/client/connection_options.h"
#include "ballista/client/shell/result_writer.h"

namespace ballista::shell {

struct ShellOptions {
  client::ConnectionOptions connection;
  // --add-user and --add-token: the name; nothing else is done then.
  std::string add_user;
  std::string add_token;
  std::string auth_file;
  // -c and -f in the order given.
  struct Script {
    bool is_file = false;
    std::string value;
  };
  std::vector<Script> scripts;
  std::optional<Format> format;  // of flag or environment
  std::string output;            // a file; empty for standard output
  bool timing = false;
  bool progress = true;
  int64_t max_rows = 1000;    // of a table on a terminal; 0 for all
  std::string otlp_endpoint;  // a collector's; empty: no spans
};

// Reads the arguments, and BALLISTA_FORMAT and the variables of the connection. Returns
// true to go on; false to end at once with `exit_code`, help or a usage error having been
// printed.
bool ParseShellOptions(int argc, const char* const* argv, ShellOptions* options,
                       int* exit_code);

}  // namespace ballista::shell
