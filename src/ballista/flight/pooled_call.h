// A typed call to an address, over the pool's connection to it; a connection that broke
// is replaced, so that the next call starts afresh.
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "ballista/flight/client_pool.h"
#include "ballista/flight/rpc.h"
#include "ballista/flight/status_transport.h"

namespace ballista::flight {

// Errors: those of the server, typed; a transport error (IsTransient) where there was no
// answer.
template <typename Response, typename Request>
arrow::Result<Response> CallPeer(ClientPool* clients, const std::string& host,
                                 uint32_t port, std::string_view action, Request request,
                                 std::chrono::milliseconds timeout) {
  ARROW_ASSIGN_OR_RAISE(auto client, clients->Get(host, port));
  auto response = Call<Response>(client.get(), action, std::move(request), timeout);
  if (!response.ok() && IsTransient(response.status())) {
    clients->Evict(host, port, client);
  }
  return response;
}

}  // namespace ballista::flight
