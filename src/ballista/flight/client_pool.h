// Connections to other processes, one for each address, shared by all that talk to it.
//
// A FlightClient is one HTTP/2 connection that carries any number of calls at once and is
// thread-safe. Get never blocks on the network: the connection is made by the first call
// on it. Every call must have a deadline (rpc.h) or another end (a stream that its reader
// cancels); a dead peer is noticed by TCP_USER_TIMEOUT and HTTP/2 pings.
//
// Thread-safe. A client that was handed out stays usable after Evict and after the pool's
// end.
#pragma once

#include <arrow/flight/client.h>
#include <arrow/result.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "ballista/security/tls_material.h"

namespace ballista::flight {

// "host:port" with IPv6 addresses in brackets.
std::string FormatAddress(const std::string& host, uint32_t port);

arrow::Result<arrow::flight::Location> MakeLocation(const std::string& host,
                                                    uint32_t port, bool tls = false);

// How this process shows itself to the others of its cluster.
struct ClientSecurity {
  security::TlsMaterial tls;
  std::string cluster_token;  // empty: none
};

// The options of every client of ours: no limit of a message's size, room for error
// trailers, keepalive.
arrow::flight::FlightClientOptions ClientOptions(const ClientSecurity& security = {});

class ClientPool {
 public:
  explicit ClientPool(ClientSecurity security = {})
      : tls_(security.tls.on()), options_(ClientOptions(security)) {}
  ClientPool(const ClientPool&) = delete;
  ClientPool& operator=(const ClientPool&) = delete;

  // Errors: Invalid for an address that cannot be one.
  arrow::Result<std::shared_ptr<arrow::flight::FlightClient>> Get(const std::string& host,
                                                                  uint32_t port);

  // After a transport error on `client`: the next Get of the address makes a new
  // connection. Does nothing where another client has taken its place.
  void Evict(const std::string& host, uint32_t port,
             const std::shared_ptr<arrow::flight::FlightClient>& client);

  // Forgets the address: its executor has left.
  void Remove(const std::string& host, uint32_t port);

  size_t size() const;

 private:
  using Address = std::pair<std::string, uint32_t>;

  const bool tls_;
  const arrow::flight::FlightClientOptions options_;
  mutable std::mutex mutex_;
  std::map<Address, std::shared_ptr<arrow::flight::FlightClient>> clients_;
};

}  // namespace ballista::flight
