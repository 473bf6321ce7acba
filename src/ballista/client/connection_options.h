// The command line options of a program that connects to a scheduler, shared by all of
// them: where it is, TLS, and who is asking.
#pragma once

#include <arrow/result.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "ballista/client/flight_sql_client.h"

namespace ballista::client {

struct ConnectionOptions {
  // A name or address, or host:port; several with commas between; before them, if at all,
  // grpc:// or grpc+tls://.
  std::string host = "localhost";
  uint16_t port = 50050;
  bool tls = false;
  std::string tls_ca;
  std::string tls_cert;
  std::string tls_key;
  std::string user;
  std::string password_file;
  std::string token_file;
};

// Adds --host, --port, --tls, --tls-ca, --tls-cert, --tls-key, --user, --password-file
// and
// --token-file. BALLISTA_HOST, BALLISTA_PORT, BALLISTA_TLS_CA and BALLISTA_USER count
// too. `short_port`: -p means --port.
void DeclareConnectionOptions(CLI::App* app, ConnectionOptions* options, bool short_port);

// Reads the files. The password may also be BALLISTA_PASSWORD, the token BALLISTA_TOKEN;
// a password that is nowhere is asked for where standard input is a terminal. Errors:
// Invalid or IOError, one sentence without any secret.
arrow::Result<ClientOptions> ResolveConnection(const ConnectionOptions& options);

// The line that is typed on the terminal, not shown; from standard input where that is no
// terminal. Error: IOError.
arrow::Result<std::string> ReadPassword(const std::string& prompt);

// A message about unknown arguments up to the first "=": what follows may be a secret
// that somebody meant to give.
std::string WithoutValue(std::string message);

}  // namespace ballista::client
