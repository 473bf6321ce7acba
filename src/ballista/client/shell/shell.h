// The `ballista` program.
#pragma once

namespace ballista::shell {

// Returns the exit code: 0, 1 after a failed statement, 2 for a wrong command line, 130
// after Ctrl-C in a script.
int RunShell(int argc, const char* const* argv);

}  // namespace ballista::shell
