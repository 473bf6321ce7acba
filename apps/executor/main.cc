// The executor program; with --local, a scheduler and an executor in one process.
#include <fmt/ranges.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ballista/base/log.h"
#include "ballista/base/machine_resources.h"
#include "ballista/base/signals.h"
#include "ballista/base/work_folder.h"
#include "ballista/config/config.h"
#include "ballista/config/work_dir.h"
#include "ballista/engine/duckdb/duckdb_engine.h"
#include "ballista/executor/executor_process.h"
#include "ballista/flight/address_list.h"
#include "ballista/flight/allocator.h"
#include "ballista/flight/transport_setup.h"
#include "ballista/scheduler/service/scheduler_process.h"
#include "ballista/security/path_guard.h"
#include "ballista/security/process_security.h"
#include "ballista/trace/open.h"

namespace ballista {
namespace {

arrow::Status Run(const config::Parsed<config::ExecutorConfig>& parsed) {
  auto config = parsed.config;
  ARROW_RETURN_NOT_OK(log::ConfigureFromEnvironment(
      config.log_format == config::ExecutorConfig::LogFormat::kJson));
  ARROW_ASSIGN_OR_RAISE(auto signals, StopSignals::Catch());
  ARROW_ASSIGN_OR_RAISE(const auto work_dir, config::WorkDir::Open(parsed.settings));
  std::vector<std::string> work_dirs;
  for (const auto& path : work_dir.paths()) work_dirs.push_back(path.string());
  config.work_dir = fmt::format("{}", fmt::join(work_dirs, ","));
  if (config.threads == 0) config.threads = AvailableCores();
  LOG_INFO("executor", "Running with config: {}", config::ToString(config));
  work_dir.WarnOfPoorOnes(static_cast<int64_t>(config.memory_limit));

  security::SecurityOptions security_options;
  security_options.tls = {config.tls_cert, config.tls_key, config.tls_ca,
                          config.tls_client_ca};
  security_options.cluster_token_file = config.cluster_token_file;
  security_options.bind_host = config.bind_host;
  security_options.names = {config.external_host};
  ARROW_ASSIGN_OR_RAISE(
      const auto security,
      security::LoadSecurity(security_options,
                             [&](const std::string& option, std::string_view reason) {
                               return parsed.settings.Refuse(option, reason);
                             }));

  std::unique_ptr<scheduler::SchedulerProcess> scheduler;
  if (config.local) {
    ARROW_ASSIGN_OR_RAISE(const auto scheduler_config,
                          config::LocalSchedulerConfig(config));
    ARROW_ASSIGN_OR_RAISE(
        scheduler,
        scheduler::SchedulerProcess::Start(
            scheduler_config, [&](const std::string& option, std::string_view reason) {
              return parsed.settings.Refuse(option == "port" ? "scheduler-port" : option,
                                            reason);
            }));
    // With TLS, the name that the certificate is sure to have.
    config.scheduler_host = security.tls.on() ? config.external_host : "127.0.0.1";
  }

  // A folder of its own for the engine's temporary files: removed at the end, or by the
  // next executor that starts here.
  ARROW_ASSIGN_OR_RAISE(const auto spill,
                        WorkFolder::Create(work_dir.roomiest().string()));
  engine::DuckDbEngineOptions options;
  options.threads = static_cast<int>(config.threads);
  options.memory_limit = config.memory_limit - config.shuffle_memory_limit;
  options.temp_directory = spill->path();
  options.max_temp_bytes = config.disk_quota;
  auto guard = security::PathGuard::Make(config.data_dirs);
  if (!guard.ok()) {
    return parsed.settings.Refuse("data-dirs", guard.status().message());
  }
  options.guard = *guard;
  ARROW_ASSIGN_OR_RAISE(auto engine, engine::DuckDbEngine::Make(options));
  auto schedulers =
      flight::ParseAddressList(config.scheduler_host, config.scheduler_port);
  if (!schedulers.ok()) {
    return parsed.settings.Refuse("scheduler-host", schedulers.status().message());
  }
  auto exporter =
      trace::OpenExporter(config.otlp_endpoint, "ballista-executor",
                          config.external_host + ":" + std::to_string(config.port));
  if (!exporter.ok()) {
    return parsed.settings.Refuse("otlp-endpoint", exporter.status().message());
  }
  auto started = executor::ExecutorProcess::Start(config, work_dirs, *schedulers,
                                                  security, engine.get(), *exporter);
  if (started.status().IsInvalid()) {
    return parsed.settings.Refuse("port", started.status().message());
  }
  ARROW_ASSIGN_OR_RAISE(auto executor, std::move(started));
  if (scheduler != nullptr) {
    scheduler->AddMetrics([at = executor.get()](auto* out) { at->Describe(out); });
  }
  signals.Wait();
  signals.ExitAtNext();
  LOG_INFO("executor", "Stopping");
  if (scheduler != nullptr) {
    // This process is the whole cluster.
    scheduler->Drain(config.drain_timeout);
  } else {
    executor->Drain(config.drain_timeout);
  }
  // Its port shows the executor's metrics.
  if (scheduler != nullptr) scheduler->StopHttp();
  executor->Stop();
  if (scheduler != nullptr) scheduler->Stop();
  return arrow::Status::OK();
}

int Main(int argc, char** argv) {
  flight::TuneAllocator();
  flight::SetUpTransport();
  RaiseOpenFileLimit();
  auto parsed =
      config::Parse<config::ExecutorConfig>(config::ProcessInput(argc, argv, environ));
  if (!parsed.ok()) {
    std::fprintf(stderr, "executor: %s\n", parsed.status().message().c_str());
    return 2;
  }
  if (!parsed->message.empty()) {
    std::fputs(parsed->message.c_str(), stdout);
    return 0;
  }
  const auto status = Run(*parsed);
  if (status.ok()) return 0;
  std::fprintf(stderr, "executor: %s\n", status.message().c_str());
  return 1;
}

}  // namespace
}  // namespace ballista

int main(int argc, char** argv) {
  return ballista::Main(argc, argv);
}
