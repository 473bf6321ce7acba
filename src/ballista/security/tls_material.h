// Certificates and keys of TLS, read and checked once at the start, so that a bad file is
// one sentence then and not a riddle at the first connection.
#pragma once

#include <arrow/result.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ballista::security {

// Makes the error for an option whose value turned out bad (config::Settings::Refuse).
using Refuse =
    std::function<arrow::Status(const std::string& option, std::string_view reason)>;

// Paths of PEM files, as the options tls-cert, tls-key, tls-ca and tls-client-ca name
// them; empty: not given.
struct TlsPaths {
  std::string cert;
  std::string key;
  std::string ca;
  std::string client_ca;
};

// PEM texts; all of them empty: no TLS. Holds a private key: not to be printed.
struct TlsMaterial {
  std::string cert;       // what this process shows, with its chain
  std::string key;        // of the first certificate of `cert`
  std::string ca;         // who may have signed the servers' certificates
  std::string client_ca;  // of the clients' certificates; empty: clients need none

  bool on() const { return !cert.empty() || !ca.empty(); }
};

// For a process of the cluster, which serves and calls. All of cert, key and ca, or none
// of them. `names`: host names or addresses that the certificate must have. Errors: what
// `refuse` makes of a file that cannot be read, holds no certificate or key, has expired,
// does not fit.
arrow::Result<TlsMaterial> LoadNodeTls(const TlsPaths& paths,
                                       const std::vector<std::string>& names,
                                       const Refuse& refuse);

// For a program that only calls: `ca` or the system's own list where it is empty, and
// cert and key where the server wants them.
arrow::Result<TlsMaterial> LoadClientTls(const TlsPaths& paths, const Refuse& refuse);

// The reason of a failed connection in words, where the transport's `message` gives one
// that has to do with TLS; else empty. `tls`: whether this side spoke it.
std::string ExplainTlsFailure(std::string_view message, bool tls);

}  // namespace ballista::security
