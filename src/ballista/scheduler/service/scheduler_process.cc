#include "ballista/scheduler/service/scheduler_process.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

#include "ballista/base/idle_release.h"
#include "ballista/base/log.h"
#include "ballista/base/process_memory.h"
#include "ballista/base/version.h"
#include "ballista/catalog/upload_store.h"
#include "ballista/flight/client_pool.h"
#include "ballista/flight/server.h"
#include "ballista/http/http_server.h"
#include "ballista/http/rest_api.h"
#include "ballista/scheduler/service/adaptive_replanner.h"
#include "ballista/scheduler/service/flight_sql_service.h"
#include "ballista/scheduler/service/job_spans.h"
#include "ballista/scheduler/service/kept_catalog.h"
#include "ballista/scheduler/service/monitor.h"
#include "ballista/scheduler/service/open_state.h"
#include "ballista/scheduler/service/state_keeper.h"
#include "ballista/security/path_guard.h"
#include "ballista/security/process_security.h"
#include "ballista/sql/session.h"
#include "ballista/trace/open.h"

namespace ballista::scheduler {
namespace {

constexpr size_t kMaxSessions = 10000;
constexpr auto kDrainedReadResults = std::chrono::milliseconds(500);
constexpr auto kSessionIdleLimit = std::chrono::hours(1);
// So long without a statement, and memory that only statements need is given back.
constexpr auto kIdleTime = std::chrono::seconds(10);

arrow::Result<security::ProcessSecurity> LoadSecurity(
    const config::SchedulerConfig& config, const SchedulerProcess::Refuse& refuse) {
  security::SecurityOptions options;
  options.tls = {config.tls_cert, config.tls_key, config.tls_ca, config.tls_client_ca};
  options.cluster_token_file = config.cluster_token_file;
  options.auth_file = config.auth_file;
  options.bind_host = config.bind_host;
  return security::LoadSecurity(options, refuse);
}

// Null: large uploads are refused. A scheduler does without where it has no folder by
// default.
arrow::Result<std::shared_ptr<catalog::UploadStore>> OpenUploads(
    const config::SchedulerConfig& config, const SchedulerProcess::Refuse& refuse) {
  if (config.upload_quota == 0) return nullptr;
  std::error_code error;
  const auto folder = config.upload_dir.empty()
                          ? std::filesystem::temp_directory_path(error).string()
                          : config.upload_dir;
  auto uploads =
      catalog::UploadStore::Make(folder, static_cast<int64_t>(config.upload_quota));
  if (uploads.ok()) return uploads;
  if (!config.upload_dir.empty()) return refuse("upload-dir", uploads.status().message());
  LOG_WARN("scheduler",
           "Uploads over 64 MiB are refused, for want of an --upload-dir: {}",
           uploads.status().message());
  return nullptr;
}

}  // namespace

struct SchedulerProcess::Parts {
  Parts(const config::SchedulerConfig& config, std::unique_ptr<sql::SqlEngine> engine,
        const security::ProcessSecurity& security, std::unique_ptr<StateKeeper> opened,
        std::unique_ptr<history::History> kept, std::shared_ptr<trace::Exporter> spans,
        std::shared_ptr<catalog::UploadStore> files)
      : uploads(std::move(files)),
        sql(std::move(engine)),
        exporter(std::move(spans)),
        clients({security.tls, security.cluster_token}),
        keeper(std::move(opened)),
        history(std::move(kept)),
        rows(static_cast<int64_t>(config.result_memory_limit)),
        jobs(MakeOptions(config), &replanner, &clients, config.heartbeat_interval,
             keeper.get()),
        catalog(keeper == nullptr
                    ? nullptr
                    : std::make_unique<KeptCatalog>(sql.get(), keeper.get())),
        queries(&jobs, &clients, config.result_timeout, &rows, keeper.get(),
                catalog.get(), exporter.get()),
        sessions(
            sql.get(), kMaxSessions, kSessionIdleLimit,
            [this](const std::string& id) {
              queries.CloseSession(id);
              service.CloseSession(id);
            },
            keeper.get()),
        service(&jobs, &queries, &sessions, &rows, uploads.get()),
        monitor(config, &jobs, &queries, history.get(), exporter.get()) {
    jobs.LimitInlineResults(&rows);
    if (config.flight_endpoints == config::SchedulerConfig::FlightEndpoints::kExecutors) {
      queries.GiveOutParts(security.tls.on());
    }
    jobs.KeepReadResults(std::min(config.result_reread_timeout, config.result_timeout));
    if (!WantsProfiles(config)) return;
    jobs.OnJobEnded([this](JobEnded ended) {
      Trace(ended);
      history->Add(std::move(ended.profile), std::move(ended.graph));
    });
  }
  ~Parts() {
    if (keeper != nullptr) keeper->StopEvents();
  }

  void Trace(const JobEnded& ended) {
    if (exporter == nullptr) return;
    const auto trace = trace::FindJobTrace(ended.graph.settings());
    if (!trace) return;
    for (auto& span : JobSpans(ended.profile, *trace, trace::UnixNanos())) {
      exporter->Add(std::move(span));
    }
  }

  // Takes what is kept, and what others leave from then on.
  arrow::Status TakeUp() {
    if (keeper == nullptr) return arrow::Status::OK();
    ARROW_RETURN_NOT_OK(catalog->Load());
    sessions.ForgetOldSessions();
    ARROW_ASSIGN_OR_RAISE(auto recovered, keeper->Load());
    jobs.Recover(std::move(recovered));
    StateKeeper::Events events;
    events.on_lost = [this] {
      jobs.LoseJobs();
      sessions.ForgetKept();
    };
    events.on_joined = [this](const std::string& id) { jobs.BeginAnew(id); };
    events.on_recovered = [this](StateKeeper::Recovered found) {
      LOG_INFO("scheduler", "Taking over from {} schedulers that have ended: {} jobs",
               found.ended_schedulers.size(), found.jobs.size());
      sessions.ForgetOldSessions();
      jobs.Recover(std::move(found));
    };
    keeper->StartEvents(std::move(events));
    return arrow::Status::OK();
  }

  static CoreOptions MakeOptions(const config::SchedulerConfig& config) {
    CoreOptions options;
    options.executor_timeout = std::chrono::duration_cast<Time>(config.executor_timeout);
    options.executor_wait = std::chrono::duration_cast<Time>(config.executor_wait);
    options.result_ttl = std::chrono::duration_cast<Time>(config.result_timeout);
    options.durable =
        config.config_backend != config::SchedulerConfig::ConfigBackend::kMemory;
    // Executors find out by a heartbeat that there is a new scheduler.
    options.recovery_wait =
        std::max(options.recovery_wait, 3 * Time(config.heartbeat_interval));
    options.max_running_jobs = config.max_running_jobs;
    options.max_queued_jobs = config.max_queued_jobs;
    options.profiles = WantsProfiles(config);
    return options;
  }

  const std::shared_ptr<catalog::UploadStore> uploads;  // null: there are none
  std::unique_ptr<sql::SqlEngine> sql;
  std::shared_ptr<trace::Exporter> exporter;  // null: there are no traces
  flight::ClientPool clients;
  AdaptiveReplanner replanner;
  std::unique_ptr<StateKeeper> keeper;  // null: nothing is kept
  std::unique_ptr<history::History> history;
  const RowsBudget rows;
  JobService jobs;
  std::unique_ptr<KeptCatalog> catalog;
  QueryService queries;
  SessionRegistry sessions;
  FlightSqlService service;
  Monitor monitor;
  flight::RunningServer server;
  std::unique_ptr<http::HttpServer> http;
  // Most of an idle scheduler would be DuckDB's code that the start has touched.
  IdleRelease idle{[this] { return queries.Executed(); },
                   [] {
                     TrimHeap();
                     ReleaseCode();
                   },
                   kIdleTime};
};

SchedulerProcess::SchedulerProcess(std::unique_ptr<Parts> parts)
    : parts_(std::move(parts)) {}

SchedulerProcess::~SchedulerProcess() {
  Stop();
}

arrow::Result<std::unique_ptr<SchedulerProcess>> SchedulerProcess::Start(
    const config::SchedulerConfig& config, const Refuse& refuse) {
  sql::SqlEngineOptions options;
  options.memory_limit = config.memory_limit;
  auto guard = security::PathGuard::Make(config.data_dirs);
  if (!guard.ok()) return refuse("data-dirs", guard.status().message());
  options.guard = *guard;
  ARROW_ASSIGN_OR_RAISE(options.uploads, OpenUploads(config, refuse));
  ARROW_ASSIGN_OR_RAISE(auto engine, sql::SqlEngine::Make(options));
  ARROW_ASSIGN_OR_RAISE(const auto security, LoadSecurity(config, refuse));
  ARROW_ASSIGN_OR_RAISE(auto keeper, OpenState(config, refuse));
  auto history = OpenHistory(config, keeper.get());
  auto exporter =
      trace::OpenExporter(config.otlp_endpoint, "ballista-scheduler",
                          fmt::format("{}:{}", config.bind_host, config.port));
  if (!exporter.ok()) return refuse("otlp-endpoint", exporter.status().message());
  auto parts =
      std::make_unique<Parts>(config, std::move(engine), security, std::move(keeper),
                              std::move(history), *exporter, options.uploads);
  parts->jobs.WatchStuckJobs(config.stuck_query_log);
  ARROW_RETURN_NOT_OK(parts->TakeUp());
  const auto started = parts->server.Start(&parts->service, config.bind_host, config.port,
                                           {security.tls, security.authenticator});
  if (!started.ok()) return refuse("port", started.message());
  LOG_INFO("scheduler", "Ballista v{} Scheduler listening on {}:{}", kVersion,
           config.bind_host, parts->service.port());
  if (config.http_port != 0) {
    auto http = http::HttpServer::Start({config.bind_host, config.http_port}, security,
                                        http::MakeRestApi(parts->monitor.Sources()));
    if (!http.ok()) return refuse("http-port", http.status().message());
    parts->http = std::move(*http);
    LOG_INFO("scheduler", "HTTP interface listening on {}:{}", config.bind_host,
             config.http_port);
  }
  return std::unique_ptr<SchedulerProcess>(new SchedulerProcess(std::move(parts)));
}

void SchedulerProcess::AddMetrics(std::function<void(metrics::Exposition*)> describe) {
  parts_->monitor.AddMetrics(std::move(describe));
}

int SchedulerProcess::port() const {
  return parts_->service.port();
}

void SchedulerProcess::Drain(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  parts_->queries.StopTaking();
  // Those who have their rows by then do not come again.
  parts_->jobs.KeepReadResults(kDrainedReadResults);
  const auto left = [this] {
    // In this order: one that becomes a job or a result meanwhile is counted.
    const size_t executing = parts_->queries.Executing();
    return executing + parts_->jobs.Kept().jobs + parts_->queries.KeptResults();
  };
  if (left() == 0) return;
  LOG_INFO("scheduler", "Waiting for {} queries to be answered, at most {} ms", left(),
           limit.count());
  while (left() > 0 && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  if (left() > 0) LOG_WARN("scheduler", "{} queries end without an answer", left());
}

void SchedulerProcess::StopHttp() {
  parts_->http.reset();
}

void SchedulerProcess::Stop() {
  parts_->http.reset();
  parts_->jobs.LeaveKept();
  parts_->server.Stop();
}

}  // namespace ballista::scheduler
