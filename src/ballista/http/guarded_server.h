// httplib's server with what it lacks for a port that anybody may reach: a deadline for a
// whole request, a bound on connections, none of which costs a thread before it asks for
// something, and TLS from texts in memory.
#pragma once

#include <httplib.h>
#include <openssl/ssl.h>

#include <memory>

#include "ballista/http/silent_connections.h"
#include "ballista/security/tls_material.h"

namespace ballista::http {

class GuardedServer : public httplib::Server {
 public:
  // Errors: Invalid, where OpenSSL does not take the certificates.
  static arrow::Result<std::unique_ptr<GuardedServer>> Make(
      const security::TlsMaterial& tls);
  ~GuardedServer() override;

  // After it has stopped listening: answers what is being answered, and no more.
  void Finish();

 private:
  struct FreeContext {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };

  GuardedServer();
  arrow::Status UseTls(const security::TlsMaterial& tls);
  // One request, then the connection is closed.
  bool process_and_close_socket(socket_t socket) override;
  void Serve(socket_t socket);

  std::unique_ptr<httplib::TaskQueue> answering_;
  std::unique_ptr<SilentConnections> silent_;
  std::unique_ptr<SSL_CTX, FreeContext> tls_;  // null: none
};

}  // namespace ballista::http
