// What a scheduler shows of itself over HTTP: jobs that are there and those of the
// history as one list, profiles, executors, metrics.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "ballista/config/config.h"
#include "ballista/history/history.h"
#include "ballista/http/rest_api.h"
#include "ballista/metrics/exposition.h"
#include "ballista/scheduler/service/job_service.h"
#include "ballista/scheduler/service/query_service.h"
#include "ballista/scheduler/service/state_keeper.h"
#include "ballista/trace/exporter.h"

namespace ballista::scheduler {

// Whether the core need say what ended jobs were.
bool WantsProfiles(const config::SchedulerConfig& config);

// The history that the options ask for; with a keeper (may be null) what it keeps is
// there again after a restart.
std::unique_ptr<history::History> OpenHistory(const config::SchedulerConfig& config,
                                              StateKeeper* keeper);

// Thread-safe. Borrows what it shows.
class Monitor {
 public:
  using Describe = std::function<void(metrics::Exposition*)>;

  Monitor(const config::SchedulerConfig& config, JobService* jobs, QueryService* queries,
          const history::History* history, const trace::Exporter* exporter);

  http::Sources Sources();
  // More metrics, of what else is in this process.
  void AddMetrics(Describe describe);

 private:
  using SharedProfile = std::shared_ptr<const profile::QueryProfile>;

  profile::ClusterOverview Overview() const;
  profile::JobList List(const http::JobFilter& filter) const;
  arrow::Result<SharedProfile> Find(const std::string& job_id);
  arrow::Result<SharedProfile> FindFor(const security::Identity& who,
                                       const std::string& job_id);
  arrow::Status Cancel(const security::Identity& who, const std::string& job_id);
  profile::Readiness Ready() const;
  profile::ConfigList Config() const;
  std::string Metrics() const;
  void DescribeJobs(metrics::Exposition* out) const;
  void DescribeTasks(metrics::Exposition* out) const;
  void DescribeExecutors(metrics::Exposition* out) const;
  void DescribeHistory(metrics::Exposition* out) const;
  void DescribeTraces(metrics::Exposition* out) const;

  const config::SchedulerConfig config_;
  JobService* const jobs_;
  QueryService* const queries_;
  const history::History* const history_;
  const trace::Exporter* const exporter_;  // may be null
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  const uint64_t begun_ms_;

  mutable std::mutex mutex_;
  std::vector<Describe> more_metrics_;
  // Of jobs that run: many ask for the same one at a time. By id, with their ages.
  std::map<std::string, std::pair<std::chrono::steady_clock::time_point, SharedProfile>>
      recent_;
};

}  // namespace ballista::scheduler
