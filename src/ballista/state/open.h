// Opens a state backend.
#pragma once

#include <arrow/result.h>

#include <memory>
#include <string>
#include <vector>

#include "ballista/state/state_backend.h"

namespace ballista::state {

std::unique_ptr<StateBackend> OpenMemory();

// Makes the folder where it is not there. One process at a time may have it open.
// Errors: kInUse, kDamaged, kUnavailable, IOError; sentences for people.
arrow::Result<std::unique_ptr<StateBackend>> OpenSqlite(const std::string& folder);

// What an etcd asks for beside its address; each may be empty. The files are PEM, and are
// read for each new connection.
struct EtcdAccess {
  std::string user;
  std::string password;
  std::string
      ca_file;  // who may have signed etcd's certificate; empty: the system's list
  std::string cert_file;
  std::string key_file;
};

// Splits "host:2379,https://other:2379"; without a scheme it is http, with `tls` https.
// Invalid, half a sentence that begins with the bad part, for what is no such list, and
// for http:// with `tls`.
arrow::Result<std::vector<std::string>> ParseEtcdUrls(const std::string& list,
                                                      bool tls = false);

// Every key is put below `root`. Waits for the server until the deadline. Errors:
// kUnavailable; Invalid for a server that is too old or something else, and where it does
// not take the user's password.
arrow::Result<std::unique_ptr<StateBackend>> OpenEtcd(std::vector<std::string> urls,
                                                      const std::string& root,
                                                      Deadline deadline,
                                                      EtcdAccess access = {});

}  // namespace ballista::state
