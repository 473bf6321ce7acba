#include "ballista/http/http_server.h"

#include <thread>

#include "ballista/base/log.h"
#include "ballista/http/guarded_server.h"
#include "ballista/profile.pb.h"
#include "ballista/profile/json.h"

namespace ballista::http {
namespace {

// "/a//b/" has empty parts, which no path has that is served.
std::vector<std::string> Split(const std::string& path) {
  std::vector<std::string> parts;
  size_t begin = 1;
  while (begin < path.size()) {
    const size_t end = std::min(path.find('/', begin), path.size());
    parts.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  if (path.size() > 1 && path.back() == '/') parts.emplace_back();
  return parts;
}

bool IsHealth(const std::string& path) {
  return path == "/health" || path == "/health/live" || path == "/health/ready";
}

Response Error(int status, const std::string& message) {
  profile::ErrorAnswer answer;
  answer.set_error(message);
  return {status, "application/json", profile::ToJson(answer)};
}

// A page of another site may send a browser's credentials along with what it asks for.
bool ComesFromElsewhere(const httplib::Request& request) {
  const auto site = request.get_header_value("Sec-Fetch-Site");
  if (!site.empty() && site != "same-origin" && site != "none") return true;
  const auto origin = request.get_header_value("Origin");
  if (origin.empty()) return false;
  const size_t host = origin.find("://");
  return host == std::string::npos ||
         origin.substr(host + 3) != request.get_header_value("Host");
}

void Send(const Response& from, httplib::Response* to) {
  to->status = from.status;
  // A page must not be shown, nor used, within another one.
  to->set_header("Content-Security-Policy",
                 "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'");
  to->set_header("X-Content-Type-Options", "nosniff");
  to->set_header("Referrer-Policy", "no-referrer");
  to->set_header("Cache-Control", "no-store");
  for (const auto& [name, value] : from.headers) to->set_header(name, value);
  // With a charset, so that the library does not take it for something to compress: it
  // does so by Brotli at its slowest, which takes seconds for the tasks of a large job.
  const bool json = from.type == "application/json";
  to->set_content(from.body, json ? from.type + "; charset=utf-8" : from.type);
}

}  // namespace

struct HttpServer::Parts {
  std::unique_ptr<GuardedServer> server;
  std::shared_ptr<security::Authenticator> authenticator;
  bool cluster_only = false;
  Handler handler;
  std::thread thread;

  arrow::Result<security::Identity> Check(const httplib::Request& request) const {
    if (authenticator == nullptr || !authenticator->enabled()) {
      return security::Identity{};
    }
    ARROW_ASSIGN_OR_RAISE(auto identity, authenticator->Authenticate(
                                             request.get_header_value("Authorization")));
    if (!cluster_only || identity.MayActAsCluster()) return identity;
    return arrow::Status::Invalid(
        "this port is for the cluster's own: send the cluster token as 'Authorization: "
        "Bearer ...'");
  }

  Response Answer(const httplib::Request& request) const {
    security::Identity who;
    if (!IsHealth(request.path)) {
      auto allowed = Check(request);
      if (!allowed.ok()) {
        Response refused = Error(401, allowed.status().message());
        refused.headers = {{"WWW-Authenticate", "Basic realm=\"Ballista\""}};
        return refused;
      }
      who = *std::move(allowed);
    }
    const bool reads = request.method == "GET" || request.method == "HEAD";
    if (!reads && request.method != "POST") {
      return Error(405, "only GET, HEAD and POST are answered here");
    }
    if (!reads && ComesFromElsewhere(request)) {
      return Error(403, "a page of another site may not ask for this");
    }
    return handler({reads ? "GET" : "POST",
                    Split(request.path),
                    {request.params.begin(), request.params.end()},
                    std::move(who)});
  }
};

HttpServer::HttpServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

HttpServer::~HttpServer() {
  parts_->server->stop();
  if (parts_->thread.joinable()) parts_->thread.join();
  parts_->server->Finish();
}

arrow::Result<std::unique_ptr<HttpServer>> HttpServer::Start(
    const HttpOptions& options, const security::ProcessSecurity& security,
    Handler handler) {
  auto parts = std::make_unique<Parts>();
  ARROW_ASSIGN_OR_RAISE(parts->server, GuardedServer::Make(security.tls));
  parts->authenticator = security.authenticator;
  parts->cluster_only = options.cluster_only;
  parts->handler = std::move(handler);
  auto& server = *parts->server;
  // In front of httplib's own routes, which match regular expressions; and before a body
  // is read.
  server.set_pre_routing_handler(
      [self = parts.get()](const httplib::Request& request, httplib::Response& response) {
        Send(self->Answer(request), &response);
        return httplib::Server::HandlerResponse::Handled;
      });
  if (!server.bind_to_port(options.host, options.port)) {
    return arrow::Status::Invalid("cannot listen on ", options.host, ":", options.port,
                                  " for HTTP");
  }
  parts->thread = std::thread([&server] { server.listen_after_bind(); });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(parts)));
}

}  // namespace ballista::http
