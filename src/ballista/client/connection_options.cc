#include "ballista/client/connection_options.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "ballista/security/secrets.h"

namespace ballista::client {
namespace {

using arrow::Status;

Status Refuse(const std::string& option, std::string_view reason) {
  return Status::Invalid("--", option, ": ", std::string(reason));
}

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// "user:password" as the header of HTTP's basic authentication wants it.
std::string Base64(const std::string& text) {
  std::string encoded(4 * ((text.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  encoded.resize(static_cast<size_t>(size));
  return encoded;
}

// The first line of a file.
arrow::Result<std::string> FirstLine(const std::string& option, const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!file || !std::getline(file, line) || line.empty()) {
    return Refuse(option, path + " cannot be read, or its first line is empty");
  }
  return line;
}

// The schedulers, and TLS where a URL says so.
arrow::Result<std::vector<flight::Address>> ReadServers(ConnectionOptions* options) {
  auto rest = options->host;
  const size_t scheme_end = rest.find("://");
  if (scheme_end != std::string::npos) {
    const auto scheme = rest.substr(0, scheme_end);
    if (scheme != "grpc" && scheme != "grpc+tcp" && scheme != "grpc+tls") {
      return Refuse("host", "a URL begins with grpc:// or grpc+tls://");
    }
    options->tls = options->tls || scheme == "grpc+tls";
    rest = rest.substr(scheme_end + 3);
    if (!rest.empty() && rest.back() == '/') rest.pop_back();
    if (rest.find('@') != std::string::npos) {
      return Refuse("host", "a URL has no user or password here; use --user");
    }
    if (rest.empty()) return Refuse("host", "the URL names no host");
  }
  auto servers = flight::ParseAddressList(rest, options->port);
  if (!servers.ok()) return Refuse("host", servers.status().message());
  return servers;
}

arrow::Result<std::string> Authorization(const ConnectionOptions& options) {
  std::string token = FromEnvironment("BALLISTA_TOKEN");
  if (!options.token_file.empty()) {
    ARROW_ASSIGN_OR_RAISE(token, FirstLine("token-file", options.token_file));
  }
  if (options.user.empty()) {
    if (!options.password_file.empty()) {
      return Refuse("password-file", "a password needs --user");
    }
    return token.empty() ? std::string() : "Bearer " + token;
  }
  if (!options.token_file.empty()) {
    return Refuse("token-file", "a token stands for a user: leave out --user");
  }
  std::string password = FromEnvironment("BALLISTA_PASSWORD");
  if (!options.password_file.empty()) {
    ARROW_ASSIGN_OR_RAISE(password, FirstLine("password-file", options.password_file));
  } else if (password.empty() && isatty(STDIN_FILENO) != 0) {
    ARROW_ASSIGN_OR_RAISE(password,
                          ReadPassword(fmt::format("Password of {}: ", options.user)));
  }
  if (password.empty()) {
    return Refuse("user",
                  "the password is missing: --password-file or BALLISTA_PASSWORD");
  }
  return "Basic " + Base64(options.user + ":" + password);
}

}  // namespace

void DeclareConnectionOptions(CLI::App* app, ConnectionOptions* options,
                              bool short_port) {
  app->add_option("--host", options->host,
                  "Host of the scheduler, or HOST:PORT, several with commas between "
                  "where they share their state; also grpc://HOST, grpc+tls://HOST")
      ->envname("BALLISTA_HOST")
      ->capture_default_str();
  app->add_option(short_port ? "-p,--port" : "--port", options->port,
                  "Port of the scheduler")
      ->envname("BALLISTA_PORT")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  app->add_flag("--tls", options->tls, "Connect by TLS");
  app->add_option("--tls-ca", options->tls_ca,
                  "Certificates that the scheduler's is checked by (PEM; implies --tls)")
      ->envname("BALLISTA_TLS_CA")
      ->type_name("FILE");
  app->add_option("--tls-cert", options->tls_cert,
                  "This side's certificate, where the scheduler wants one (PEM)")
      ->type_name("FILE");
  app->add_option("--tls-key", options->tls_key, "Its private key (PEM)")
      ->type_name("FILE");
  app->add_option("--user", options->user,
                  "User to log in as; the password is BALLISTA_PASSWORD, or asked for")
      ->envname("BALLISTA_USER")
      ->type_name("NAME");
  app->add_option("--password-file", options->password_file,
                  "File with the password of --user")
      ->type_name("FILE");
  app->add_option("--token-file", options->token_file,
                  "File with a token to log in by; or BALLISTA_TOKEN is one")
      ->type_name("FILE");
}

arrow::Result<ClientOptions> ResolveConnection(const ConnectionOptions& given) {
  ConnectionOptions options = given;
  ClientOptions client;
  ARROW_ASSIGN_OR_RAISE(client.servers, ReadServers(&options));
  if (options.tls || !options.tls_ca.empty() || !options.tls_cert.empty() ||
      !options.tls_key.empty()) {
    ARROW_ASSIGN_OR_RAISE(
        client.tls, security::LoadClientTls(
                        {options.tls_cert, options.tls_key, options.tls_ca, ""}, Refuse));
  }
  ARROW_ASSIGN_OR_RAISE(client.authorization, Authorization(options));
  return client;
}

std::string WithoutValue(std::string message) {
  const size_t equals = message.find('=');
  if (equals != std::string::npos) message.replace(equals, std::string::npos, "=...");
  return message;
}

arrow::Result<std::string> ReadPassword(const std::string& prompt) {
  const bool terminal = isatty(STDIN_FILENO) != 0;
  termios shown{};
  if (terminal) {
    fmt::print(stderr, "{}", prompt);
    tcgetattr(STDIN_FILENO, &shown);
    termios hidden = shown;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
  }
  std::string line;
  const bool read = static_cast<bool>(std::getline(std::cin, line));
  if (terminal) {
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    fmt::print(stderr, "\n");
  }
  if (!read) return Status::IOError("no password was given");
  return line;
}

}  // namespace ballista::client
