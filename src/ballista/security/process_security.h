// What a process of the cluster needs of security/, from its options.
#pragma once

#include <arrow/result.h>

#include <memory>
#include <string>
#include <vector>

#include "ballista/security/authenticator.h"
#include "ballista/security/tls_material.h"

namespace ballista::security {

struct SecurityOptions {
  TlsPaths tls;
  std::string cluster_token_file;
  std::string auth_file;
  std::string bind_host;
  // Names or addresses that the certificate must have.
  std::vector<std::string> names;
};

struct ProcessSecurity {
  TlsMaterial tls;
  std::string cluster_token;  // empty: none
  std::shared_ptr<Authenticator> authenticator;
};

// Reads and checks all files. Logs a warning where the process listens beyond loopback
// and lets in everybody. Errors: what `refuse` makes of the option that is wrong.
arrow::Result<ProcessSecurity> LoadSecurity(const SecurityOptions& options,
                                            const Refuse& refuse);

// Whether a name or an address is this machine's loopback ("localhost", "127.0.0.1",
// "::1").
bool IsLoopback(const std::string& host);

}  // namespace ballista::security
