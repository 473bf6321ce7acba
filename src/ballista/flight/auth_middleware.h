// Credentials of Flight calls, both sides.
//
// A server checks the authorization header of every call before anything else sees the
// call. A log-in (Flight's Handshake with "Basic ..." or a token) is answered with a
// session token in the same header, which the stock drivers then send on.
#pragma once

#include <arrow/flight/client_middleware.h>
#include <arrow/flight/server.h>

#include <memory>
#include <string>

#include "ballista/security/authenticator.h"
#include "ballista/security/tls_material.h"

namespace ballista::flight {

struct ServerSecurity {
  security::TlsMaterial tls;
  // Null, or not enabled(): everybody is let in.
  std::shared_ptr<security::Authenticator> authenticator;
  // Whether the cluster's own processes alone may call. Anybody may come with a ticket
  // (DoGet) all the same, which the server has to check by itself, and is given a token
  // that stands for nothing where he logs in first, as stock clients do.
  bool cluster_only = false;
};

// TLS and the check of every call.
void Secure(const ServerSecurity& security, arrow::flight::FlightServerOptions* options);

// Who makes the call, by what Secure put in front of the server.
security::Identity IdentityOf(const arrow::flight::ServerCallContext& context);

// Puts "authorization: <value>" on every call of a client.
std::shared_ptr<arrow::flight::ClientMiddlewareFactory> SendAuthorization(
    std::string value);

}  // namespace ballista::flight
