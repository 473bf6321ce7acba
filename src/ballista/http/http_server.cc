#include "ballista/http/http_server.h"

#include <arrow/result.h>

#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "ballista/base/version.h"
#include "ballista/http/guarded_server.h"

namespace ballista::http {
namespace {

nlohmann::json ToJson(const control::ExecutorMetadata& executor) {
  return {{"id", executor.id()},           {"host", executor.host()},
          {"port", executor.port()},       {"slots", executor.task_slots()},
          {"threads", executor.threads()}, {"memory_limit", executor.memory_limit()}};
}

nlohmann::json ToJson(const control::JobProgressResponse& job) {
  uint64_t tasks = 0;
  uint64_t finished = 0;
  for (const auto& stage : job.stages()) {
    tasks += stage.tasks();
    finished += stage.finished();
  }
  return {{"job_id", job.job_id()},
          {"state", control::JobProgressResponse::State_Name(job.state())},
          {"stages", job.stages_size()},
          {"tasks", tasks},
          {"finished_tasks", finished},
          {"elapsed_us", job.elapsed_us()},
          {"queue_position", job.queue_position()},
          {"waiting_for", job.waiting_for()}};
}

template <typename Items>
void SendList(const Items& items, httplib::Response* response) {
  auto list = nlohmann::json::array();
  for (const auto& item : items) list.push_back(ToJson(item));
  response->set_content(list.dump(), "application/json");
}

// Of every page but the bare health check.
void RequireCredentials(std::shared_ptr<security::Authenticator> authenticator,
                        httplib::Server* server) {
  if (authenticator == nullptr || !authenticator->enabled()) return;
  server->set_pre_routing_handler(
      [authenticator](const httplib::Request& request, httplib::Response& response) {
        using Answer = httplib::Server::HandlerResponse;
        if (request.path == "/health") return Answer::Unhandled;
        const auto identity =
            authenticator->Authenticate(request.get_header_value("Authorization"));
        if (identity.ok()) return Answer::Unhandled;
        response.status = 401;
        response.set_header("WWW-Authenticate", "Basic realm=\"Ballista\"");
        response.set_content(identity.status().message() + "\n", "text/plain");
        return Answer::Handled;
      });
}

}  // namespace

struct HttpServer::Parts {
  std::unique_ptr<GuardedServer> server;
  Sources sources;
  std::thread thread;
};

HttpServer::HttpServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

HttpServer::~HttpServer() {
  parts_->server->stop();
  if (parts_->thread.joinable()) parts_->thread.join();
}

arrow::Result<std::unique_ptr<HttpServer>> HttpServer::Start(
    const std::string& host, int port, const security::ProcessSecurity& security,
    Sources sources) {
  auto parts = std::make_unique<Parts>();
  ARROW_ASSIGN_OR_RAISE(parts->server, GuardedServer::Make(security.tls));
  parts->sources = std::move(sources);
  auto& server = *parts->server;
  RequireCredentials(security.authenticator, &server);
  const Sources* shown = &parts->sources;
  server.Get("/health", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("ok\n", "text/plain");
  });
  server.Get("/version", [](const httplib::Request&, httplib::Response& response) {
    response.set_content(nlohmann::json{{"version", kVersion}}.dump(),
                         "application/json");
  });
  server.Get("/api/executors",
             [shown](const httplib::Request&, httplib::Response& response) {
               SendList(shown->executors(), &response);
             });
  server.Get("/api/jobs", [shown](const httplib::Request&, httplib::Response& response) {
    SendList(shown->jobs(), &response);
  });
  if (!server.bind_to_port(host, port)) {
    return arrow::Status::Invalid("cannot listen on ", host, ":", port, " for HTTP");
  }
  parts->thread = std::thread([&server] { server.listen_after_bind(); });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(parts)));
}

}  // namespace ballista::http
