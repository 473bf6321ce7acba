#include "ballista/executor/executor_process.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <utility>

#include "ballista/base/ids.h"
#include "ballista/base/log.h"
#include "ballista/base/process_memory.h"
#include "ballista/base/status.h"
#include "ballista/base/version.h"
#include "ballista/executor/executor_service.h"
#include "ballista/executor/memory_arbiter.h"
#include "ballista/executor/remote_uploads.h"
#include "ballista/executor/scheduler_links.h"
#include "ballista/executor/task_runner.h"
#include "ballista/executor/task_spans.h"
#include "ballista/flight/client_pool.h"
#include "ballista/flight/server.h"
#include "ballista/http/rest_api.h"
#include "ballista/shuffle/memory_budget.h"
#include "ballista/shuffle/merge_input.h"
#include "ballista/shuffle/shuffle_store.h"
#include "ballista/shuffle/task_input.h"

namespace ballista::executor {
namespace {

// Bytes fetched from other executors and not consumed yet, by all tasks together.
constexpr int64_t kFetchBudget = int64_t{64} << 20;

constexpr auto kDrainPoll = std::chrono::milliseconds(50);
constexpr auto kHandBackBefore = std::chrono::milliseconds(3000);

arrow::Compression::type CompressionOf(const config::ExecutorConfig& config) {
  switch (config.shuffle_compression) {
    case config::ExecutorConfig::ShuffleCompression::kLz4:
      return arrow::Compression::LZ4_FRAME;
    case config::ExecutorConfig::ShuffleCompression::kZstd:
      return arrow::Compression::ZSTD;
    case config::ExecutorConfig::ShuffleCompression::kNone:
      break;
  }
  return arrow::Compression::UNCOMPRESSED;
}

control::ExecutorMetadata MetadataOf(const config::ExecutorConfig& config) {
  control::ExecutorMetadata self;
  self.set_id(NewId());
  self.set_incarnation(NewId());
  self.set_host(config.external_host);
  self.set_port(config.port);
  self.set_task_slots(config.concurrent_tasks);
  self.set_threads(config.threads);
  self.set_memory_limit(config.memory_limit);
  self.set_version(kVersion);
  return self;
}

}  // namespace

struct ExecutorProcess::Parts {
  Parts(const config::ExecutorConfig& config, control::ExecutorMetadata metadata,
        const security::ProcessSecurity& security, engine::ExecutionEngine* engine,
        std::unique_ptr<shuffle::ShuffleStore> opened,
        const std::vector<flight::Address>& schedulers,
        std::shared_ptr<trace::Exporter> spans)
      : self(std::move(metadata)),
        engine(engine),
        exporter(std::move(spans)),
        clients(std::make_shared<flight::ClientPool>(
            flight::ClientSecurity{security.tls, security.cluster_token})),
        store(std::move(opened)),
        fetch_budget(std::make_shared<shuffle::MemoryBudget>(kFetchBudget)),
        memory({.process = static_cast<int64_t>(config.memory_limit),
                .store = static_cast<int64_t>(config.shuffle_memory_limit)},
               engine->resources(), store.get(), fetch_budget),
        // By TLS a name is what a certificate is for, and stands for one scheduler.
        links(schedulers, /*follow_dns=*/!security.tls.on(), self, clients.get(),
              {.running_tasks = [this] { return runner.Running(); },
               .held_jobs = [this] { return store->Jobs(); },
               .held = [this] { return runner.Held(); },
               // As if the process had got the signal that asks for it.
               .drain = [] { kill(getpid(), SIGTERM); },
               .describe_use = [this](auto* request) { DescribeUse(request); }}),
        runner(
            {.executor_id = self.id(),
             .slots = static_cast<int>(config.concurrent_tasks),
             .exporter = exporter},
            engine, store.get(), &memory,
            [this](const job::StageDefinition& stage, const job::TaskDefinition& task) {
              return OpenInputs(stage, task);
            },
            [this](control::TaskStatus status) { links.Report(std::move(status)); }),
        service(self, &runner, &links, store.get(),
                [this] { return fetch.budget->used(); }) {
    fetch.executor_id = self.id();
    fetch.store = store.get();
    fetch.clients = clients;
    fetch.budget = fetch_budget;
    engine->ReadUploadsFrom(
        std::make_shared<RemoteUploads>([this] { return links.Addresses(); }, clients));
  }
  ~Parts() { engine->ReadUploadsFrom(nullptr); }

  arrow::Result<std::vector<std::shared_ptr<shuffle::TaskInputSource>>> OpenInputs(
      const job::StageDefinition& stage, const job::TaskDefinition& task);
  void DescribeUse(control::HeartbeatRequest* request) const;
  void Describe(metrics::Exposition* out) const;
  profile::Readiness Ready() const;

  const control::ExecutorMetadata self;
  engine::ExecutionEngine* const engine;
  const std::shared_ptr<trace::Exporter> exporter;  // may be null
  const std::shared_ptr<flight::ClientPool> clients;
  const std::unique_ptr<shuffle::ShuffleStore> store;
  const std::shared_ptr<shuffle::MemoryBudget> fetch_budget;
  MemoryArbiter memory;
  shuffle::FetchContext fetch;
  SchedulerLinks links;
  TaskRunner runner;
  ExecutorService service;
  flight::RunningServer server;
  std::unique_ptr<http::HttpServer> http;
};

void ExecutorProcess::Parts::DescribeUse(control::HeartbeatRequest* request) const {
  request->set_memory_used(static_cast<uint64_t>(ResidentBytes()));
  int64_t disk = store->Usage().disk_bytes;
  if (auto* resources = engine->resources()) disk += resources->Usage().spilled_bytes;
  request->set_disk_used(static_cast<uint64_t>(disk));
}

profile::Readiness ExecutorProcess::Parts::Ready() const {
  profile::Readiness ready;
  const std::string why = links.WhyNotReady();
  ready.set_ready(why.empty());
  ready.set_reason(why);
  return ready;
}

void ExecutorProcess::Parts::Describe(metrics::Exposition* out) const {
  const TaskCounters& counters = runner.counters();
  const auto number = [](auto value) { return static_cast<double>(value); };
  out->Gauge("ballista_executor_slots", "Tasks that run at the same time, at most.",
             self.task_slots());
  out->Gauge("ballista_executor_tasks_running", "Tasks that run or wait for memory.",
             number(runner.Running().size()));
  out->Gauge("ballista_executor_ready", "1 while a scheduler gives it tasks.",
             links.WhyNotReady().empty() ? 1 : 0);
  out->Counter("ballista_executor_tasks_total", "Attempts of tasks that ended, by how.");
  out->Value({{"state", "finished"}}, number(counters.finished.value()));
  out->Value({{"state", "failed"}}, number(counters.failed.value()));
  out->Value({{"state", "cancelled"}}, number(counters.cancelled.value()));
  out->Histogram("ballista_executor_task_seconds", "Time of finished tasks.",
                 counters.task);
  out->Counter("ballista_executor_output_rows_total", "Rows that finished tasks put out.",
               counters.rows_written);
  out->Counter("ballista_executor_shuffle_bytes_total",
               "Bytes of rows between tasks: written, and by where they were read from "
               "(network: other executors; process: this one) or moved to (disk).");
  out->Value({{"tier", "written"}}, number(counters.bytes_written.value()));
  out->Value({{"tier", "network"}}, number(counters.bytes_fetched.value()));
  out->Value({{"tier", "process"}}, number(counters.bytes_local.value()));
  out->Value({{"tier", "disk"}}, number(counters.bytes_spilled.value()));
  const auto spans = exporter == nullptr ? trace::Exporter::Counts{} : exporter->counts();
  out->Counter("ballista_executor_trace_spans_total", "Spans, by what became of them.");
  out->Value({{"state", "sent"}}, number(spans.sent));
  out->Value({{"state", "lost"}}, number(spans.lost));
  const MemoryUse use = memory.LastUse();
  out->Gauge("ballista_executor_memory_bytes", "Memory by who holds it.");
  out->Value({{"owner", "engine"}}, number(use.engine));
  out->Value({{"owner", "outputs"}}, number(use.store));
  out->Value({{"owner", "fetched"}}, number(use.fetch));
  out->Value({{"owner", "other"}}, number(std::max<int64_t>(Untracked(use), 0)));
  out->Gauge("ballista_executor_memory_limit_bytes", "The limit of the whole process.",
             number(self.memory_limit()));
  const auto outputs = store->Usage();
  out->Gauge("ballista_executor_outputs", "Outputs of tasks that are kept.",
             number(outputs.outputs));
  out->Gauge("ballista_executor_disk_bytes", "Files in the work folders, by whose.");
  out->Value({{"owner", "outputs"}}, number(outputs.disk_bytes));
  auto* resources = engine->resources();
  out->Value({{"owner", "engine"}},
             resources == nullptr ? 0 : number(resources->Usage().spilled_bytes));
}

arrow::Result<std::vector<std::shared_ptr<shuffle::TaskInputSource>>>
ExecutorProcess::Parts::OpenInputs(const job::StageDefinition& stage,
                                   const job::TaskDefinition& task) {
  shuffle::FetchContext fetch = this->fetch;
  const auto trace =
      exporter == nullptr ? std::nullopt : trace::FindJobTrace(stage.settings());
  if (trace) {
    fetch.on_fetched = [exporter = exporter, trace = *trace,
                        id = task.id()](const shuffle::FetchReport& report) {
      exporter->Add(FetchSpan(trace, id, report));
    };
  }
  std::vector<std::shared_ptr<shuffle::TaskInputSource>> sources;
  for (int i = 0; i < task.inputs_size(); ++i) {
    const auto& input = stage.inputs(i);
    shuffle::TaskInputOptions options;
    options.in_order = input.mode() == job::StageInput::MERGE;
    std::shared_ptr<shuffle::TaskInputSource> source;
    if (options.in_order && input.merge_keys_size() > 0) {
      ARROW_ASSIGN_OR_RAISE(
          source, shuffle::MakeMergeInput(
                      fetch, task, task.inputs(i),
                      {input.merge_keys().begin(), input.merge_keys().end()}, options));
    } else {
      ARROW_ASSIGN_OR_RAISE(source,
                            shuffle::MakeTaskInput(fetch, task, task.inputs(i), options));
    }
    sources.push_back(std::move(source));
  }
  return sources;
}

ExecutorProcess::ExecutorProcess(std::unique_ptr<Parts> parts)
    : parts_(std::move(parts)) {}

ExecutorProcess::~ExecutorProcess() {
  Stop();
}

arrow::Result<std::unique_ptr<ExecutorProcess>> ExecutorProcess::Start(
    const config::ExecutorConfig& config, const std::vector<std::string>& work_dirs,
    const std::vector<flight::Address>& schedulers,
    const security::ProcessSecurity& security, engine::ExecutionEngine* engine,
    std::shared_ptr<trace::Exporter> exporter) {
  shuffle::StoreOptions options;
  options.work_dirs = work_dirs;
  options.disk_quota = static_cast<int64_t>(config.disk_quota);
  const auto self = MetadataOf(config);
  options.executor_id = self.id();
  options.memory_limit = static_cast<int64_t>(config.shuffle_memory_limit);
  options.compression = CompressionOf(config);
  ARROW_ASSIGN_OR_RAISE(auto store, shuffle::ShuffleStore::Open(std::move(options)));
  auto parts = std::make_unique<Parts>(config, self, security, engine, std::move(store),
                                       schedulers, std::move(exporter));
  ARROW_RETURN_NOT_OK(parts->server.Start(&parts->service, config.bind_host, config.port,
                                          {security.tls, security.authenticator, true}));
  LOG_INFO("executor", "Ballista v{} C++ Executor listening on {}:{}", kVersion,
           config.bind_host, parts->service.port());
  parts->links.Start();
  // With --local the scheduler's port has the executor's metrics, too.
  if (config.http_port != 0 && !config.local) {
    http::Sources sources;
    sources.ready = [from = parts.get()] { return from->Ready(); };
    sources.metrics = [from = parts.get()] {
      metrics::Exposition out;
      metrics::DescribeProcess("executor", &out);
      from->Describe(&out);
      return out.Take();
    };
    auto http = http::HttpServer::Start({config.bind_host, config.http_port, true},
                                        security, http::MakeRestApi(std::move(sources)));
    // The caller takes what is Invalid for a matter of the other port.
    if (!http.ok()) {
      return arrow::Status::IOError(http.status().message(),
                                    ": choose another --http-port");
    }
    parts->http = std::move(*http);
    LOG_INFO("executor", "HTTP interface listening on {}:{}", config.bind_host,
             config.http_port);
  }
  return std::unique_ptr<ExecutorProcess>(new ExecutorProcess(std::move(parts)));
}

int ExecutorProcess::port() const {
  return parts_->service.port();
}

void ExecutorProcess::Drain(std::chrono::milliseconds limit) {
  const auto start = std::chrono::steady_clock::now();
  // What is handed back needs time to be taken up, and outputs to be read.
  const auto hand_back = start + limit - std::min(limit / 5, kHandBackBefore);
  LOG_INFO("executor", "Draining, at most for {} ms: {} tasks run", limit.count(),
           parts_->runner.Running().size());
  parts_->links.StartDraining();
  const auto nothing_left = [this] {
    return parts_->runner.Running().empty() && parts_->store->Jobs().empty();
  };
  bool handed_back = false;
  while (std::chrono::steady_clock::now() < start + limit) {
    if (parts_->links.WaitUntilItMayLeave(kDrainPoll, nothing_left)) return;
    if (!handed_back && std::chrono::steady_clock::now() >= hand_back) {
      handed_back = true;
      const size_t tasks = parts_->runner.HandBack();
      if (tasks > 0) LOG_INFO("executor", "{} tasks are handed back", tasks);
    }
  }
  LOG_WARN("executor", "Leaves with outputs that may still be needed");
}

void ExecutorProcess::Describe(metrics::Exposition* out) const {
  parts_->Describe(out);
}

void ExecutorProcess::Stop() {
  parts_->http.reset();
  parts_->links.Stop();
  parts_->server.Stop();
}

}  // namespace ballista::executor
