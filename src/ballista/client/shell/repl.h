// The interactive form of the shell.
#pragma once

#include "ballista/client/flight_sql_client.h"
#include "ballista/client/shell/shell_options.h"
#include "ballista/client/shell/statement_runner.h"

namespace ballista::shell {

// Reads and runs statements until the end of input. Returns the exit code.
int RunRepl(const ShellOptions& options, client::FlightSqlClient* client,
            StatementRunner* runner);

}  // namespace ballista::shell
