// Who a caller is, by the authorization header of its call: the one check in front of
// every Flight call and HTTP request.
//
// Two kinds of callers: clients (a user's password or token, or a session token that a
// log-in by password gave) and the cluster's own processes (the cluster token). With
// neither kind of secret configured everybody is let in as kAnyone. With a cluster token
// alone, whoever does not have it is a client without a name.
//
// Thread-safe. Passwords are slow to check, on purpose: at most two at a time, and what
// was right is remembered for a few minutes, by a keyed hash, so that neither memory
// holds a secret nor time tells of one. A session token is signed with the cluster token:
// every scheduler of the cluster takes it, also after a restart.
#pragma once

#include <arrow/result.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <string_view>

#include "ballista/security/credential_check.h"
#include "ballista/security/secrets.h"

namespace ballista::security {

struct Identity {
  enum class Kind { kAnyone, kClient, kCluster };
  Kind kind = Kind::kAnyone;
  std::string name;  // of a client; empty without client authentication
  bool administrator = false;

  bool MayActAsClient() const { return kind != Kind::kCluster; }
  bool MayActAsCluster() const { return kind != Kind::kClient; }
  // Whether it may read and stop what is that user's.
  bool MayTouch(const std::string& owner) const {
    return MayActAsCluster() || administrator || name == owner;
  }
  // Whether it may change the cluster itself: send an executor away.
  bool MayManage() const { return MayActAsCluster() || administrator; }
};

inline constexpr const char* kForAdministrators =
    "this is for administrators alone (a line 'NAME administrator' in the scheduler's "
    "auth-file)";

class Authenticator {
 public:
  // `clients`: null for no client authentication. `cluster_token`: empty for none.
  Authenticator(std::shared_ptr<CredentialCheck> clients,
                const std::string& cluster_token);

  // Whether anybody is refused anything at all.
  bool enabled() const { return clients_ != nullptr || has_cluster_token_; }
  bool checks_clients() const { return clients_ != nullptr; }

  // `authorization`: the header's value ("Basic ...", "Bearer ..."); empty: none given.
  // Error: Invalid, one sentence for the caller, for a secret that is missing or wrong.
  arrow::Result<Identity> Authenticate(std::string_view authorization);

  // A token that stands for the client for a week, or until the client's password or
  // tokens change.
  std::string IssueSessionToken(const Identity& client) const;

 private:
  struct Known {
    Identity identity;
    std::string stamp;
    std::chrono::steady_clock::time_point expires;
  };

  arrow::Result<Identity> AuthenticateClient(std::string_view authorization);
  arrow::Result<Identity> Check(std::string_view authorization);
  arrow::Result<Identity> CheckPassword(std::string_view encoded);
  std::optional<Identity> Recall(std::string_view authorization);
  void Remember(std::string_view authorization, const Identity& identity);
  std::string Signature(const std::string& user, int64_t expires) const;
  std::optional<Identity> CheckSessionToken(std::string_view token) const;

  const std::shared_ptr<CredentialCheck> clients_;
  const bool has_cluster_token_;
  const Digest cluster_token_;  // SHA-256
  const std::string session_key_;
  const std::string key_;  // of the hashes in known_
  std::counting_semaphore<> password_checks_;
  std::mutex mutex_;
  std::map<Digest, Known> known_;
};

}  // namespace ballista::security
