#include "ballista/client/connection_options.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <set>

#include "ballista/security/secrets.h"

namespace ballista::client {
namespace {

using arrow::Status;

constexpr const char* kDefaultHost = "localhost";
constexpr uint16_t kDefaultPort = 50050;

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

// Reads what is given by flags and environment together with a profile. Errors of a value
// name the flag or the line of the profile, wherever it came from.
class Resolver {
 public:
  Resolver(const ConnectionOptions& given, const Profile& profile,
           std::vector<std::string>* warnings)
      : given_(given), profile_(profile), warnings_(warnings) {}

  arrow::Result<ClientOptions> Run() {
    ClientOptions client;
    bool tls = given_.tls || (profile_.Has("tls") && profile_.Flag("tls"));
    ARROW_ASSIGN_OR_RAISE(client.servers, Servers(&tls));
    const security::TlsPaths paths{Choose("tls-cert", given_.tls_cert),
                                   Choose("tls-key", given_.tls_key),
                                   Choose("tls-ca", given_.tls_ca), ""};
    if (tls || !paths.ca.empty() || !paths.cert.empty() || !paths.key.empty()) {
      ARROW_ASSIGN_OR_RAISE(client.tls, security::LoadClientTls(paths, Refusal()));
    }
    ARROW_ASSIGN_OR_RAISE(client.authorization, Authorization());
    return client;
  }

 private:
  // A flag's or variable's text, else the profile's, else "".
  std::string Choose(const std::string& option, const std::string& given) {
    if (!given.empty() || !profile_.Has(option)) return given;
    from_profile_.insert(option);
    return profile_.Text(option);
  }

  Status Refused(const std::string& option, std::string_view reason) const {
    return from_profile_.contains(option) ? profile_.Refuse(option, reason)
                                          : Refuse(option, reason);
  }
  security::Refuse Refusal() const {
    return [this](const std::string& option, std::string_view reason) {
      return Refused(option, reason);
    };
  }

  // The schedulers; `tls` is set where a URL says so.
  arrow::Result<std::vector<flight::Address>> Servers(bool* tls) {
    auto rest = given_.host ? *given_.host : Choose("host", "");
    if (!given_.host && rest.empty()) rest = kDefaultHost;
    const size_t scheme_end = rest.find("://");
    if (scheme_end != std::string::npos) {
      const auto scheme = rest.substr(0, scheme_end);
      if (scheme != "grpc" && scheme != "grpc+tcp" && scheme != "grpc+tls") {
        return Refused("host", "a URL begins with grpc:// or grpc+tls://");
      }
      *tls = *tls || scheme == "grpc+tls";
      rest = rest.substr(scheme_end + 3);
      if (!rest.empty() && rest.back() == '/') rest.pop_back();
      if (rest.find('@') != std::string::npos) {
        return Refused("host", "a URL has no user or password here; use --user");
      }
      if (rest.empty()) return Refused("host", "the URL names no host");
    }
    auto servers = flight::ParseAddressList(rest, Port());
    if (!servers.ok()) return Refused("host", servers.status().message());
    return servers;
  }

  uint16_t Port() const {
    if (given_.port) return *given_.port;
    return profile_.Has("port") ? static_cast<uint16_t>(profile_.Number("port"))
                                : kDefaultPort;
  }

  // The first line of a file.
  arrow::Result<std::string> FirstLine(const std::string& option,
                                       const std::string& path) const {
    std::ifstream file(path);
    std::string line;
    if (!file || !std::getline(file, line) || line.empty()) {
      return Refused(option, path + " cannot be read, or its first line is empty");
    }
    return line;
  }

  // A secret of the profile from its text or file; empty where it has neither, or where
  // another host is meant than the one that it is for.
  arrow::Result<std::string> ProfileSecret(const std::string& option) {
    const auto file_option = option + "-file";
    if (profile_.Has(option) && profile_.Has(file_option)) {
      from_profile_.insert(file_option);
      return Refused(file_option, "the profile has a " + option + " too; leave out one");
    }
    if (!profile_.Has(option) && !profile_.Has(file_option)) return std::string();
    if (given_.host && profile_.Has("host") && *given_.host != profile_.Text("host")) {
      warnings_->push_back(
          fmt::format("the {} of the profile is for {} and is not sent to {}", option,
                      profile_.Text("host"), *given_.host));
      return std::string();
    }
    if (profile_.Has(option)) return profile_.Text(option);
    from_profile_.insert(file_option);
    return FirstLine(file_option, profile_.Text(file_option));
  }

  // The header of a log-in, from the first place that names one.
  arrow::Result<std::string> Authorization() {
    if (!given_.user.empty() && !given_.token_file.empty()) {
      return Refuse("token-file", "a token stands for a user: leave out --user");
    }
    if (!given_.user.empty()) return Basic(given_.user);
    if (!given_.token_file.empty()) {
      if (!given_.password_file.empty()) return NeedsUser();
      ARROW_ASSIGN_OR_RAISE(const auto token, FirstLine("token-file", given_.token_file));
      return "Bearer " + token;
    }
    if (const auto user = FromEnvironment("BALLISTA_USER"); !user.empty()) {
      return Basic(user);
    }
    const auto token = FromEnvironment("BALLISTA_TOKEN");
    if (profile_.Has("user") && (token.empty() || !given_.password_file.empty())) {
      if (profile_.Has("token") || profile_.Has("token-file")) {
        return profile_.Refuse("user",
                               "a token stands for a user; leave out one of them");
      }
      return Basic(profile_.Text("user"));
    }
    if (!given_.password_file.empty()) return NeedsUser();
    if (!token.empty()) return "Bearer " + token;
    ARROW_ASSIGN_OR_RAISE(const auto profile_token, ProfileSecret("token"));
    return profile_token.empty() ? std::string() : "Bearer " + profile_token;
  }

  static Status NeedsUser() { return Refuse("password-file", "a password needs --user"); }

  arrow::Result<std::string> Basic(const std::string& user) {
    std::string password = FromEnvironment("BALLISTA_PASSWORD");
    if (!given_.password_file.empty()) {
      ARROW_ASSIGN_OR_RAISE(password, FirstLine("password-file", given_.password_file));
    } else if (password.empty() && profile_.Has("user") &&
               profile_.Text("user") == user) {
      ARROW_ASSIGN_OR_RAISE(password, ProfileSecret("password"));
    }
    if (password.empty() && isatty(STDIN_FILENO) != 0) {
      ARROW_ASSIGN_OR_RAISE(password,
                            ReadPassword(fmt::format("Password of {}: ", user)));
    }
    if (password.empty()) {
      return Refuse("user",
                    "the password is missing: --password-file or BALLISTA_PASSWORD");
    }
    return BasicAuthorization(user, password);
  }

  const ConnectionOptions& given_;
  const Profile& profile_;
  std::vector<std::string>* const warnings_;
  std::set<std::string> from_profile_;
};

}  // namespace

void DeclareConnectionOptions(CLI::App* app, ConnectionOptions* options,
                              bool short_port) {
  app->add_option("--profile", options->profile,
                  "Profile of ~/.config/ballista/config.toml with what flags and "
                  "variables do not say; also BALLISTA_PROFILE. Default: default")
      ->type_name("NAME");
  app->add_option("--host", options->host,
                  "Host of the scheduler, or HOST:PORT, several with commas between "
                  "where they share their state; also grpc://HOST, grpc+tls://HOST")
      ->envname("BALLISTA_HOST")
      ->type_name("TEXT")
      ->default_str(kDefaultHost);
  app->add_option(short_port ? "-p,--port" : "--port", options->port,
                  "Port of the scheduler")
      ->envname("BALLISTA_PORT")
      ->type_name("UINT")
      ->check(CLI::Range(1, 65535))
      ->default_str(std::to_string(kDefaultPort));
  app->add_flag("--tls", options->tls, "Connect by TLS");
  app->add_option("--tls-ca", options->tls_ca,
                  "Certificates that the scheduler's is checked by (PEM; implies --tls)")
      ->envname("BALLISTA_TLS_CA")
      ->type_name("FILE");
  app->add_option("--tls-cert", options->tls_cert,
                  "This side's certificate, where the scheduler wants one (PEM)")
      ->envname("BALLISTA_TLS_CERT")
      ->type_name("FILE");
  app->add_option("--tls-key", options->tls_key, "Its private key (PEM)")
      ->envname("BALLISTA_TLS_KEY")
      ->type_name("FILE");
  app->add_option("--user", options->user,
                  "User to log in as, also BALLISTA_USER; the password is "
                  "BALLISTA_PASSWORD, or asked for")
      ->type_name("NAME");
  app->add_option("--password-file", options->password_file,
                  "File with the password of --user")
      ->type_name("FILE");
  app->add_option("--token-file", options->token_file,
                  "File with a token to log in by; or BALLISTA_TOKEN is one")
      ->type_name("FILE");
}

std::string BasicAuthorization(const std::string& user, const std::string& password) {
  return "Basic " + Base64(user + ":" + password);
}

arrow::Result<ClientOptions> ResolveConnection(const ConnectionOptions& options,
                                               const Profile& profile,
                                               std::vector<std::string>* warnings) {
  return Resolver(options, profile, warnings).Run();
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
