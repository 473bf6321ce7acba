// What knows the clients' passwords and tokens. The one here reads a file
// (credential_file.h); another one, over a directory service say, implements this.
//
// Implementations are thread-safe. They compare secrets in constant time, take as long
// for a user that is not there as for a wrong password, and never log a secret.
#pragma once

#include <optional>
#include <string>

namespace ballista::security {

class CredentialCheck {
 public:
  virtual ~CredentialCheck() = default;

  // May take long: a caller keeps what it learns for a while.
  virtual bool IsPassword(const std::string& user, const std::string& password) = 0;

  // The name of the user whose token it is.
  virtual std::optional<std::string> UserOfToken(const std::string& token) = 0;

  // A text that changes when the user's password or tokens do; empty: there is no such
  // user (any more). Whoever keeps an answer of the above compares it before use. Quick.
  virtual std::string Stamp(const std::string& user) = 0;

  // Whether the user may read and stop what is other users'. Quick.
  virtual bool IsAdministrator(const std::string& user) = 0;
};

}  // namespace ballista::security
