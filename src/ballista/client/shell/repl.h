// The interactive form of the shell.
#pragma once

#include <string>

#include "ballista/client/flight_sql_client.h"
#include "ballista/client/shell/statement_runner.h"

namespace ballista::shell {

// `servers`: for the greeting. Reads and runs statements until the end of input. Returns
// the exit code.
int RunRepl(std::string servers, client::FlightSqlClient* client,
            StatementRunner* runner);

}  // namespace ballista::shell
