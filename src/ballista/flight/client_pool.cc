#include "ballista/flight/client_pool.h"

#include "ballista/flight/auth_middleware.h"

namespace ballista::flight {
namespace {

// A server without a setting of its own refuses idle pings that come more often than
// every five minutes, and closes the connection.
constexpr int kKeepaliveMs = 310'000;
constexpr int kKeepaliveTimeoutMs = 8'000;  // also TCP_USER_TIMEOUT: unanswered bytes
// A busy peer may take a while to shake hands.
constexpr int kConnectTimeoutMs = 5'000;
constexpr int kMaxMetadataBytes = 1 << 20;

}  // namespace

std::string FormatAddress(const std::string& host, uint32_t port) {
  const bool bare_ipv6 = host.find(':') != std::string::npos && host.front() != '[';
  return (bare_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

arrow::Result<arrow::flight::Location> MakeLocation(const std::string& host,
                                                    uint32_t port, bool tls) {
  if (host.empty() || port == 0 || port > 65535) {
    return arrow::Status::Invalid("no address of a peer: '", host, ":", port, "'");
  }
  return arrow::flight::Location::Parse((tls ? "grpc+tls://" : "grpc+tcp://") +
                                        FormatAddress(host, port));
}

arrow::flight::FlightClientOptions ClientOptions(const ClientSecurity& security) {
  auto options = arrow::flight::FlightClientOptions::Defaults();
  options.generic_options = {
      {"grpc.max_receive_message_length", -1},
      {"grpc.max_send_message_length", -1},
      {"grpc.max_metadata_size", kMaxMetadataBytes},
      {"grpc.keepalive_time_ms", kKeepaliveMs},
      {"grpc.keepalive_timeout_ms", kKeepaliveTimeoutMs},
      {"grpc.initial_reconnect_backoff_ms", 100},
      {"grpc.min_reconnect_backoff_ms", kConnectTimeoutMs},
      {"grpc.max_reconnect_backoff_ms", 2'000},
      // Clients of one process do not share a broken connection behind the pool's back.
      {"grpc.use_local_subchannel_pool", 1},
  };
  options.tls_root_certs = security.tls.ca;
  options.cert_chain = security.tls.cert;
  options.private_key = security.tls.key;
  if (!security.cluster_token.empty()) {
    options.middleware.push_back(SendAuthorization("Bearer " + security.cluster_token));
  }
  return options;
}

arrow::Result<std::shared_ptr<arrow::flight::FlightClient>> ClientPool::Get(
    const std::string& host, uint32_t port) {
  std::lock_guard lock(mutex_);
  auto& client = clients_[{host, port}];
  if (client == nullptr) {
    ARROW_ASSIGN_OR_RAISE(const auto location, MakeLocation(host, port, tls_));
    ARROW_ASSIGN_OR_RAISE(client,
                          arrow::flight::FlightClient::Connect(location, options_));
  }
  return client;
}

void ClientPool::Evict(const std::string& host, uint32_t port,
                       const std::shared_ptr<arrow::flight::FlightClient>& client) {
  std::lock_guard lock(mutex_);
  const auto found = clients_.find({host, port});
  if (found != clients_.end() && found->second == client) clients_.erase(found);
}

void ClientPool::Remove(const std::string& host, uint32_t port) {
  std::lock_guard lock(mutex_);
  clients_.erase({host, port});
}

size_t ClientPool::size() const {
  std::lock_guard lock(mutex_);
  return clients_.size();
}

}  // namespace ballista::flight
