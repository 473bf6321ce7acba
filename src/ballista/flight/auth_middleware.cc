#include "ballista/flight/auth_middleware.h"

#include <arrow/flight/server_auth.h>
#include <arrow/flight/server_middleware.h>

#include <atomic>
#include <chrono>
#include <utility>

#include "ballista/base/log.h"

namespace ballista::flight {
namespace {

namespace fl = arrow::flight;
using security::Identity;

constexpr const char* kMiddleware = "ballista-identity";
constexpr const char* kHeader = "authorization";
// Drivers that log in at every server want to have one.
constexpr const char* kNobodysToken = "tickets-only";

class IdentityMiddleware : public fl::ServerMiddleware {
 public:
  IdentityMiddleware(Identity identity, std::string session_token)
      : identity_(std::move(identity)), session_token_(std::move(session_token)) {}

  const Identity& identity() const { return identity_; }

  std::string name() const override { return kMiddleware; }
  void SendingHeaders(fl::AddCallHeaders* headers) override {
    if (!session_token_.empty()) headers->AddHeader(kHeader, "Bearer " + session_token_);
  }
  void CallCompleted(const arrow::Status&) override {}

 private:
  const Identity identity_;
  const std::string session_token_;
};

class IdentityCheck : public fl::ServerMiddlewareFactory {
 public:
  explicit IdentityCheck(const ServerSecurity& security)
      : authenticator_(security.authenticator), cluster_only_(security.cluster_only) {}

  arrow::Status StartCall(const fl::CallInfo& info, const fl::ServerCallContext& context,
                          std::shared_ptr<fl::ServerMiddleware>* middleware) override {
    const auto header = context.incoming_headers().find(kHeader);
    auto identity = authenticator_->Authenticate(
        header == context.incoming_headers().end() ? std::string_view() : header->second);
    if (cluster_only_ && IsForTickets(info.method)) {
      const bool known = identity.ok() && identity->MayActAsCluster();
      *middleware = std::make_shared<IdentityMiddleware>(
          known ? *identity : Identity{Identity::Kind::kClient, ""},
          info.method == fl::FlightMethod::Handshake ? kNobodysToken : "");
      return arrow::Status::OK();
    }
    if (!identity.ok()) {
      LogRefusal(context, identity.status().message());
      return fl::MakeFlightError(fl::FlightStatusCode::Unauthenticated,
                                 identity.status().message());
    }
    if (const char* reason = Forbidden(*identity, info.method)) {
      LogRefusal(context, reason);
      return fl::MakeFlightError(fl::FlightStatusCode::Unauthorized, reason);
    }
    std::string session_token;
    if (info.method == fl::FlightMethod::Handshake && authenticator_->checks_clients()) {
      session_token = authenticator_->IssueSessionToken(*identity);
    }
    *middleware = std::make_shared<IdentityMiddleware>(*std::move(identity),
                                                       std::move(session_token));
    return arrow::Status::OK();
  }

 private:
  static bool IsForTickets(fl::FlightMethod method) {
    return method == fl::FlightMethod::DoGet || method == fl::FlightMethod::Handshake;
  }

  const char* Forbidden(const Identity& identity, fl::FlightMethod method) const {
    if (cluster_only_) {
      return identity.MayActAsCluster()
                 ? nullptr
                 : "this executor answers the processes of its cluster alone, which show "
                   "the cluster token (cluster-token-file)";
    }
    // What a scheduler may be asked for by another one; the server looks at the rest.
    const bool of_cluster = method == fl::FlightMethod::DoAction ||
                            method == fl::FlightMethod::ListActions ||
                            method == fl::FlightMethod::DoGet;
    return identity.MayActAsClient() || of_cluster
               ? nullptr
               : "the cluster token is no client's: it runs no queries";
  }

  // At most one line a second: an attack must not fill the disk.
  void LogRefusal(const fl::ServerCallContext& context, const std::string& reason) {
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    auto last = last_logged_.load();
    ++refused_;
    constexpr auto kSecond =
        std::chrono::steady_clock::duration(std::chrono::seconds(1)).count();
    if (now - last < kSecond || !last_logged_.compare_exchange_strong(last, now)) return;
    LOG_WARN("security", "a call from {} was refused ({} so far): {}", context.peer(),
             refused_.load(), reason);
  }

  const std::shared_ptr<security::Authenticator> authenticator_;
  const bool cluster_only_;
  std::atomic<int64_t> last_logged_{0};
  std::atomic<uint64_t> refused_{0};
};

class AuthorizationSender : public fl::ClientMiddleware {
 public:
  explicit AuthorizationSender(const std::string& value) : value_(value) {}
  void SendingHeaders(fl::AddCallHeaders* headers) override {
    headers->AddHeader(kHeader, value_);
  }
  void ReceivedHeaders(const fl::CallHeaders&) override {}
  void CallCompleted(const arrow::Status&) override {}

 private:
  const std::string& value_;  // the factory's, which outlives the call
};

class AuthorizationFactory : public fl::ClientMiddlewareFactory {
 public:
  explicit AuthorizationFactory(std::string value) : value_(std::move(value)) {}
  void StartCall(const fl::CallInfo&,
                 std::unique_ptr<fl::ClientMiddleware>* middleware) override {
    *middleware = std::make_unique<AuthorizationSender>(value_);
  }

 private:
  const std::string value_;
};

}  // namespace

void Secure(const ServerSecurity& security, fl::FlightServerOptions* options) {
  if (security.tls.on()) {
    options->tls_certificates = {{security.tls.cert, security.tls.key}};
    options->verify_client = !security.tls.client_ca.empty();
    options->root_certificates = security.tls.client_ca;
  }
  if (security.authenticator == nullptr || !security.authenticator->enabled()) return;
  options->middleware.emplace_back(kMiddleware,
                                   std::make_shared<IdentityCheck>(security));
  // Without a handler Flight refuses every Handshake; the check is the middleware's.
  if (security.authenticator->checks_clients() || security.cluster_only) {
    options->auth_handler = std::make_shared<fl::NoOpAuthHandler>();
  }
}

Identity IdentityOf(const fl::ServerCallContext& context) {
  const auto* middleware =
      dynamic_cast<IdentityMiddleware*>(context.GetMiddleware(kMiddleware));
  return middleware == nullptr ? Identity{} : middleware->identity();
}

std::shared_ptr<fl::ClientMiddlewareFactory> SendAuthorization(std::string value) {
  return std::make_shared<AuthorizationFactory>(std::move(value));
}

}  // namespace ballista::flight
