// Users' passwords and tokens from a file of hashes (--auth-file). A line for each:
//
//   # anything
//   alice password $y$j9T$...          a hash of crypt(5)
//   loader token sha256:6e0c...        SHA-256 of a random token, 64 hexadecimal digits
//   alice administrator                may read and stop other users' queries
//
// Names consist of letters, digits and . _ @ -; a name may have one password and any
// number of tokens. A file that has changed is read again within a second; one that has
// become wrong is reported in the log, and what was read before stays in force.
#pragma once

#include <arrow/result.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "ballista/security/credential_check.h"

namespace ballista::security {

class CredentialFile : public CredentialCheck {
 public:
  // Errors: IOError or Invalid, half a sentence ("line 3: ...") without any secret.
  static arrow::Result<std::unique_ptr<CredentialFile>> Open(std::string path);

  bool IsPassword(const std::string& user, const std::string& password) override;
  std::optional<std::string> UserOfToken(const std::string& token) override;
  std::string Stamp(const std::string& user) override;
  bool IsAdministrator(const std::string& user) override;

 private:
  struct User {
    std::string password_hash;
    std::vector<std::string> token_digests;  // 32 bytes each
    std::string stamp;                       // empty: it has neither password nor token
    bool administrator = false;
  };
  using Users = std::map<std::string, User>;

  explicit CredentialFile(std::string path) : path_(std::move(path)) {}
  static arrow::Result<Users> Parse(std::string_view text);
  arrow::Status Read();
  std::shared_ptr<const Users> Current();

  const std::string path_;
  std::mutex mutex_;
  std::shared_ptr<const Users> users_;
  std::string version_;  // of the file: device, inode, size, time
  std::chrono::steady_clock::time_point looked_;
};

// Puts a line for `name` into the file, in the place of the user's password where it is
// one; makes the file, for its owner alone, where it is missing. The file is replaced
// whole. Errors: IOError; Invalid for a bad name or a file that is none of these.
arrow::Status WritePassword(const std::string& path, const std::string& name,
                            const std::string& password);
arrow::Status WriteToken(const std::string& path, const std::string& name,
                         const std::string& token);

}  // namespace ballista::security
