// What the paths of the HTTP port answer. web/openapi.json describes them.
//
// Every list is paged, and every number in a request is checked: what is wrong gets 400
// with one sentence. A path that nothing is behind gets 404.
#pragma once

#include <arrow/result.h>

#include <functional>
#include <memory>
#include <string>

#include "ballista/http/http_server.h"
#include "ballista/profile.pb.h"

namespace ballista::http {

// Which jobs of a list are wanted.
struct JobFilter {
  profile::JobState state = profile::JOB_STATE_UNKNOWN;  // UNKNOWN: any
  std::string text;  // in the statement, the id or the session's id; letters' case aside
  uint32_t offset = 0;
  uint32_t limit = 0;
  security::Identity who;  // asks; a user sees what is his alone, an administrator all
};

inline constexpr uint32_t kMaxPage = 5000;

// What is shown; each is called on the server's threads and gives a copy. Those that a
// process does not have are empty: their paths answer 404.
struct Sources {
  std::function<profile::Readiness()> ready;
  std::function<std::string()> metrics;  // text for Prometheus
  std::function<profile::ClusterOverview()> overview;
  std::function<profile::ExecutorList()> executors;
  // Errors: KeyError for an unknown one.
  std::function<arrow::Result<std::string>(const std::string& executor)> drain;
  std::function<profile::JobList(const JobFilter&)> jobs;
  // Complete, with plan and figures. Errors: KeyError for a job that is unknown, or
  // another user's.
  std::function<arrow::Result<std::shared_ptr<const profile::QueryProfile>>(
      const security::Identity& who, const std::string& job_id)>
      profile;
  // Errors: KeyError where there is no such job, it has ended, or is another user's.
  std::function<arrow::Status(const security::Identity& who, const std::string& job_id)>
      cancel;
  std::function<profile::ConfigList()> config;
};

HttpServer::Handler MakeRestApi(Sources sources);

}  // namespace ballista::http
