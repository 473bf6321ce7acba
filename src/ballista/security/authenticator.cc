#include "ballista/security/authenticator.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <utility>

namespace ballista::security {
namespace {

using arrow::Status;

constexpr size_t kMaxKnown = 10'000;
constexpr int kPasswordChecks = 2;
constexpr auto kWaitForCheck = std::chrono::seconds(5);
constexpr auto kRemember = std::chrono::minutes(5);
constexpr std::chrono::seconds kSessionLifetime = std::chrono::hours(24 * 7);
constexpr std::string_view kSession = "session.";

int64_t Now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// What follows `scheme` and blanks, where the header begins with it (in any case).
std::optional<std::string_view> After(std::string_view header, std::string_view scheme) {
  if (header.size() <= scheme.size() || header[scheme.size()] != ' ') return std::nullopt;
  for (size_t i = 0; i < scheme.size(); ++i) {
    if ((header[i] | 0x20) != scheme[i]) return std::nullopt;
  }
  header.remove_prefix(scheme.size());
  while (!header.empty() && header.front() == ' ') header.remove_prefix(1);
  return header;
}

std::string_view Bytes(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

}  // namespace

Authenticator::Authenticator(std::shared_ptr<CredentialCheck> clients,
                             const std::string& cluster_token)
    : clients_(std::move(clients)),
      has_cluster_token_(!cluster_token.empty()),
      cluster_token_(Sha256(cluster_token)),
      session_key_(has_cluster_token_ ? Hex(HmacSha256(cluster_token, "session tokens"))
                                      : NewToken()),
      key_(NewToken()),
      password_checks_(kPasswordChecks) {}

arrow::Result<Identity> Authenticator::Authenticate(std::string_view authorization) {
  if (!enabled()) return Identity{};
  const auto token = After(authorization, "bearer");
  if (has_cluster_token_ && token &&
      EqualInConstantTime(Bytes(Sha256(*token)), Bytes(cluster_token_))) {
    return Identity{Identity::Kind::kCluster, ""};
  }
  if (clients_ == nullptr) return Identity{Identity::Kind::kClient, ""};
  ARROW_ASSIGN_OR_RAISE(auto client, AuthenticateClient(authorization));
  // Not remembered: it may be taken away at any time.
  client.administrator = clients_->IsAdministrator(client.name);
  return client;
}

arrow::Result<Identity> Authenticator::AuthenticateClient(
    std::string_view authorization) {
  if (authorization.empty()) {
    return Status::Invalid(
        "credentials are needed here: a client's user and password or token, or an "
        "executor's cluster token (cluster-token-file)");
  }
  if (auto known = Recall(authorization)) return *std::move(known);
  return Check(authorization);
}

arrow::Result<Identity> Authenticator::Check(std::string_view authorization) {
  if (const auto encoded = After(authorization, "basic")) {
    ARROW_ASSIGN_OR_RAISE(auto identity, CheckPassword(*encoded));
    Remember(authorization, identity);
    return identity;
  }
  if (const auto token = After(authorization, "bearer")) {
    if (auto client = CheckSessionToken(*token)) return *std::move(client);
    if (auto owner = clients_->UserOfToken(std::string(*token))) {
      return Identity{Identity::Kind::kClient, *std::move(owner)};
    }
    return Status::Invalid("the token is not valid here, or not any more");
  }
  return Status::Invalid("the authorization header must say Basic or Bearer");
}

arrow::Result<Identity> Authenticator::CheckPassword(std::string_view encoded) {
  const auto wrong = [] { return Status::Invalid("wrong user or password"); };
  const auto decoded = DecodeBase64(encoded);
  if (!decoded.ok()) return wrong();
  const size_t colon = decoded->find(':');
  if (colon == std::string::npos) return wrong();
  if (!password_checks_.try_acquire_for(kWaitForCheck)) {
    return Status::Invalid("too many passwords are being checked; try again later");
  }
  auto user = decoded->substr(0, colon);
  const bool right = clients_->IsPassword(user, decoded->substr(colon + 1));
  password_checks_.release();
  if (!right) return wrong();
  return Identity{Identity::Kind::kClient, std::move(user)};
}

// "session.<seconds since 1970>.<user>.<signature>"; a user's name may have dots.
std::string Authenticator::IssueSessionToken(const Identity& client) const {
  const int64_t expires = Now() + kSessionLifetime.count();
  return fmt::format("{}{}.{}.{}", kSession, expires, client.name,
                     Signature(client.name, expires));
}

std::string Authenticator::Signature(const std::string& user, int64_t expires) const {
  return Hex(HmacSha256(session_key_,
                        fmt::format("{} {} {}", expires, user, clients_->Stamp(user))));
}

std::optional<Identity> Authenticator::CheckSessionToken(std::string_view token) const {
  if (token.substr(0, kSession.size()) != kSession) return std::nullopt;
  token.remove_prefix(kSession.size());
  const size_t first = token.find('.');
  const size_t last = token.rfind('.');
  if (first == std::string_view::npos || first == last) return std::nullopt;
  int64_t expires = 0;
  const auto parsed = std::from_chars(token.data(), token.data() + first, expires);
  const std::string user(token.substr(first + 1, last - first - 1));
  if (parsed.ptr != token.data() + first || expires < Now() ||
      clients_->Stamp(user).empty() ||
      !EqualInConstantTime(token.substr(last + 1), Signature(user, expires))) {
    return std::nullopt;
  }
  return Identity{Identity::Kind::kClient, user};
}

std::optional<Identity> Authenticator::Recall(std::string_view authorization) {
  const auto key = HmacSha256(key_, authorization);
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(key);
  if (found == known_.end()) return std::nullopt;
  const Known& known = found->second;
  if (std::chrono::steady_clock::now() < known.expires &&
      known.stamp == clients_->Stamp(known.identity.name)) {
    return known.identity;
  }
  known_.erase(found);
  return std::nullopt;
}

void Authenticator::Remember(std::string_view authorization, const Identity& identity) {
  const auto key = HmacSha256(key_, authorization);
  auto stamp = clients_->Stamp(identity.name);
  const std::lock_guard lock(mutex_);
  if (known_.size() >= kMaxKnown) known_.clear();
  known_[key] = {identity, std::move(stamp),
                 std::chrono::steady_clock::now() + kRemember};
}

}  // namespace ballista::security
