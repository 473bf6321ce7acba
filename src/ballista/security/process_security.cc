#include "ballista/security/process_security.h"

#include <sys/stat.h>

#include <utility>

#include "ballista/base/log.h"
#include "ballista/security/credential_file.h"
#include "ballista/security/secrets.h"

namespace ballista::security {
namespace {

void WarnOfReaders(const std::string& path) {
  struct stat info {};
  if (path.empty() || ::stat(path.c_str(), &info) != 0) return;
  if ((info.st_mode & (S_IROTH | S_IWOTH)) == 0) return;
  LOG_WARN("security", "{} can be read or written by every user of this machine", path);
}

}  // namespace

bool IsLoopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host == "[::1]" ||
         host.rfind("127.", 0) == 0;
}

arrow::Result<ProcessSecurity> LoadSecurity(const SecurityOptions& options,
                                            const Refuse& refuse) {
  ProcessSecurity security;
  ARROW_ASSIGN_OR_RAISE(security.tls, LoadNodeTls(options.tls, options.names, refuse));
  WarnOfReaders(options.tls.key);
  WarnOfReaders(options.cluster_token_file);
  WarnOfReaders(options.auth_file);
  if (!options.cluster_token_file.empty()) {
    const auto token = ReadSecretFile(options.cluster_token_file);
    if (!token.ok()) return refuse("cluster-token-file", token.status().message());
    security.cluster_token = *token;
  }
  std::shared_ptr<CredentialCheck> clients;
  if (!options.auth_file.empty()) {
    auto file = CredentialFile::Open(options.auth_file);
    if (!file.ok()) return refuse("auth-file", file.status().message());
    clients = std::move(*file);
    if (security.cluster_token.empty()) {
      return refuse("auth-file",
                    "it needs cluster-token-file too, else anybody could join the "
                    "cluster as an executor and see the data");
    }
  }
  security.authenticator =
      std::make_shared<Authenticator>(std::move(clients), security.cluster_token);
  if (!security.authenticator->enabled() && security.tls.client_ca.empty() &&
      !IsLoopback(options.bind_host)) {
    LOG_WARN("security",
             "{} is not loopback, and everybody who reaches this port can read and write "
             "files with the rights of this process: see docs/security.md",
             options.bind_host);
  }
  return security;
}

}  // namespace ballista::security
