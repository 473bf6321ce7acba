// The command line options of a program that connects to a scheduler, shared by all of
// them: where it is, TLS, and who is asking.
#pragma once

#include <arrow/result.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ballista/client/flight_sql_client.h"
#include "ballista/client/profile.h"

namespace ballista::client {

// What flags and environment variables give; the rest may come from a profile.
struct ConnectionOptions {
  // Of a profile (profile.h); empty: BALLISTA_PROFILE or the default one.
  std::string profile;
  // A name or address, or host:port; several with commas between; before them, if at all,
  // grpc:// or grpc+tls://. Default: localhost.
  std::optional<std::string> host;
  std::optional<uint16_t> port;  // default: 50050
  bool tls = false;
  std::string tls_ca;
  std::string tls_cert;
  std::string tls_key;
  std::string user;
  std::string password_file;
  std::string token_file;
};

// Adds --profile, --host, --port, --tls, --tls-ca, --tls-cert, --tls-key, --user,
// --password-file and --token-file. BALLISTA_HOST, BALLISTA_PORT, BALLISTA_TLS_CA,
// BALLISTA_TLS_CERT and BALLISTA_TLS_KEY count too. `short_port`: -p means --port.
void DeclareConnectionOptions(CLI::App* app, ConnectionOptions* options, bool short_port);

// What is given, completed by `profile`, with files read. The first of these that names a
// log-in decides about it: flags; BALLISTA_USER and BALLISTA_TOKEN; the profile. The
// password may also be BALLISTA_PASSWORD; one that is nowhere is asked for where standard
// input is a terminal. A profile's password and token go to no other host than the
// profile's own. `warnings`: sentences that the caller shows. Errors: Invalid or IOError,
// one sentence without any secret.
arrow::Result<ClientOptions> ResolveConnection(const ConnectionOptions& options,
                                               const Profile& profile,
                                               std::vector<std::string>* warnings);

// The authorization header of a log-in by password.
std::string BasicAuthorization(const std::string& user, const std::string& password);

// The line that is typed on the terminal, not shown; from standard input where that is no
// terminal. Error: IOError.
arrow::Result<std::string> ReadPassword(const std::string& prompt);

// A message about unknown arguments up to the first "=": what follows may be a secret
// that somebody meant to give.
std::string WithoutValue(std::string message);

}  // namespace ballista::client
