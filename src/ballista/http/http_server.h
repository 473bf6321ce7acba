// A process's HTTP port (--http-port): takes requests, checks who asks, and hands them to
// one function that answers.
//
// Everything is bounded: connections (8 are served, 64 wait, more wait in the kernel's
// backlog), one request each, 5 s for a request with its answer, 64 KiB of body, 8 KiB of
// path. Requests have no body that is read.
#pragma once

#include <arrow/result.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ballista/security/process_security.h"

namespace ballista::http {

struct Request {
  std::string method;
  std::vector<std::string> path;  // "/a/b" is {"a", "b"}, "/" is {}; decoded
  std::multimap<std::string, std::string> parameters;
  security::Identity who;  // asks
};

struct Response {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers = {};
};

struct HttpOptions {
  std::string host;
  int port = 0;
  // Whether the cluster token is needed where there is one, as for the other port of an
  // executor. Else any client that is let in may ask.
  bool cluster_only = false;
};

class HttpServer {
 public:
  using Handler = std::function<Response(const Request&)>;

  // Listens on return. `handler` is called on the server's threads. What is below
  // /health needs no credentials. Errors: Invalid, one sentence, for a port in use.
  static arrow::Result<std::unique_ptr<HttpServer>> Start(
      const HttpOptions& options, const security::ProcessSecurity& security,
      Handler handler);
  ~HttpServer();

 private:
  struct Parts;
  explicit HttpServer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace ballista::http
