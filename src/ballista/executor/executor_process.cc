#include "ballista/executor/executor_process.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <utility>

#include "ballista/base/ids.h"
#include "ballista/base/log.h"
#include "ballista/base/status.h"
#include "ballista/base/version.h"
#include "ballista/executor/executor_service.h"
#include "ballista/executor/memory_arbiter.h"
#include "ballista/executor/scheduler_links.h"
#include "ballista/executor/task_runner.h"
#include "ballista/flight/client_pool.h"
#include "ballista/flight/server.h"
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

control::ExecutorMetadata Describe(const config::ExecutorConfig& config) {
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
        const std::vector<flight::Address>& schedulers)
      : self(std::move(metadata)),
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
               .drain = [] { kill(getpid(), SIGTERM); }}),
        runner(
            {.executor_id = self.id(),
             .slots = static_cast<int>(config.concurrent_tasks)},
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
  }

  arrow::Result<std::vector<std::shared_ptr<shuffle::TaskInputSource>>> OpenInputs(
      const job::StageDefinition& stage, const job::TaskDefinition& task);

  const control::ExecutorMetadata self;
  const std::shared_ptr<flight::ClientPool> clients;
  const std::unique_ptr<shuffle::ShuffleStore> store;
  const std::shared_ptr<shuffle::MemoryBudget> fetch_budget;
  MemoryArbiter memory;
  shuffle::FetchContext fetch;
  SchedulerLinks links;
  TaskRunner runner;
  ExecutorService service;
  flight::RunningServer server;
};

arrow::Result<std::vector<std::shared_ptr<shuffle::TaskInputSource>>>
ExecutorProcess::Parts::OpenInputs(const job::StageDefinition& stage,
                                   const job::TaskDefinition& task) {
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
    const security::ProcessSecurity& security, engine::ExecutionEngine* engine) {
  shuffle::StoreOptions options;
  options.work_dirs = work_dirs;
  options.disk_quota = static_cast<int64_t>(config.disk_quota);
  const auto self = Describe(config);
  options.executor_id = self.id();
  options.memory_limit = static_cast<int64_t>(config.shuffle_memory_limit);
  options.compression = CompressionOf(config);
  ARROW_ASSIGN_OR_RAISE(auto store, shuffle::ShuffleStore::Open(std::move(options)));
  auto parts = std::make_unique<Parts>(config, self, security, engine, std::move(store),
                                       schedulers);
  ARROW_RETURN_NOT_OK(parts->server.Start(&parts->service, config.bind_host, config.port,
                                          {security.tls, security.authenticator, true}));
  LOG_INFO("executor", "Ballista v{} C++ Executor listening on {}:{}", kVersion,
           config.bind_host, parts->service.port());
  parts->links.Start();
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

void ExecutorProcess::Stop() {
  parts_->links.Stop();
  parts_->server.Stop();
}

}  // namespace ballista::executor
