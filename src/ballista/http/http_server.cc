#include "ballista/http/http_server.h"

#include <arrow/result.h>
#include <httplib.h>

#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "ballista/base/version.h"

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
          {"elapsed_us", job.elapsed_us()}};
}

template <typename Items>
void SendList(const Items& items, httplib::Response* response) {
  auto list = nlohmann::json::array();
  for (const auto& item : items) list.push_back(ToJson(item));
  response->set_content(list.dump(), "application/json");
}

}  // namespace

struct HttpServer::Parts {
  httplib::Server server;
  Sources sources;
  std::thread thread;
};

HttpServer::HttpServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

HttpServer::~HttpServer() {
  parts_->server.stop();
  if (parts_->thread.joinable()) parts_->thread.join();
}

arrow::Result<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& host,
                                                             int port, Sources sources) {
  auto parts = std::make_unique<Parts>();
  parts->sources = std::move(sources);
  auto& server = parts->server;
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
  if (!server.bind_to_port(host.c_str(), port)) {
    return arrow::Status::Invalid("cannot listen on ", host, ":", port, " for HTTP");
  }
  parts->thread = std::thread([&server] { server.listen_after_bind(); });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(parts)));
}

}  // namespace ballista::http
