// The scheduler's HTTP interface (--http-port): health, version, executors and jobs as
// JSON.
//
//   GET /health         200 "ok" while the process serves; needs no credentials
//   GET /version        {"version": "0.5.0"}
//   GET /api/executors  [{"id", "host", "port", "slots", "threads", "memory_limit"}, ...]
//   GET /api/jobs       [{"job_id", "state", "stages", "tasks", "finished_tasks",
//   "elapsed_us", "queue_position", "waiting_for"}, ...]
#pragma once

#include <arrow/result.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ballista/control.pb.h"
#include "ballista/security/process_security.h"

namespace ballista::http {

// What the pages show; each is called on the server's threads.
struct Sources {
  std::function<std::vector<control::ExecutorMetadata>()> executors;
  std::function<std::vector<control::JobProgressResponse>()> jobs;
};

class HttpServer {
 public:
  // Listens on return. Errors: Invalid, one sentence, for a port in use.
  static arrow::Result<std::unique_ptr<HttpServer>> Start(
      const std::string& host, int port, const security::ProcessSecurity& security,
      Sources sources);
  ~HttpServer();

 private:
  struct Parts;
  explicit HttpServer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace ballista::http
