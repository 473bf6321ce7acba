#include "ballista/scheduler/service/open_state.h"

#include <unistd.h>

#include <utility>

#include "ballista/base/log.h"
#include "ballista/state/open.h"

namespace ballista::scheduler {
namespace {

constexpr auto kOpenTimeout = std::chrono::seconds(15);
constexpr const char* kEtcdRoot = "ballista/";

using Backend = config::SchedulerConfig::ConfigBackend;

// What belongs to one backend is not given for another.
arrow::Status CheckBackendOptions(const config::SchedulerConfig& config,
                                  const RefuseOption& refuse) {
  const bool sqlite = config.config_backend == Backend::kSqlite;
  const bool etcd = config.config_backend == Backend::kEtcd;
  if (sqlite && config.state_dir.empty()) {
    return refuse("config-backend", "sqlite needs --state-dir, a folder of its own");
  }
  if (etcd && config.etcd_urls.empty()) {
    return refuse("config-backend", "etcd needs --etcd-urls, such as etcd1:2379");
  }
  if (!sqlite && !config.state_dir.empty()) {
    return refuse("state-dir", "it is for --config-backend sqlite alone");
  }
  if (!etcd && !config.etcd_urls.empty()) {
    return refuse("etcd-urls", "it is for --config-backend etcd alone");
  }
  return arrow::Status::OK();
}

// Where other schedulers find this one.
std::string ExternalHost(const config::SchedulerConfig& config) {
  if (!config.external_host.empty()) return config.external_host;
  if (config.bind_host != "0.0.0.0" && config.bind_host != "::") return config.bind_host;
  char name[256] = "localhost";
  (void)gethostname(name, sizeof(name) - 1);
  return name;
}

}  // namespace

arrow::Result<std::unique_ptr<StateKeeper>> OpenState(
    const config::SchedulerConfig& config, const RefuseOption& refuse) {
  ARROW_RETURN_NOT_OK(CheckBackendOptions(config, refuse));
  if (config.config_backend == Backend::kMemory) return nullptr;
  const char* option = "etcd-urls";
  const auto open = [&]() -> arrow::Result<std::unique_ptr<state::StateBackend>> {
    if (config.config_backend == Backend::kSqlite) {
      option = "state-dir";
      return state::OpenSqlite(config.state_dir);
    }
    ARROW_ASSIGN_OR_RAISE(auto urls, state::ParseEtcdUrls(config.etcd_urls));
    return state::OpenEtcd(std::move(urls), kEtcdRoot, state::In(kOpenTimeout));
  };
  auto backend = open();
  if (!backend.ok()) return refuse(option, backend.status().message());
  record::Scheduler self;
  self.set_host(ExternalHost(config));
  self.set_port(config.port);
  auto keeper = StateKeeper::Open(std::move(*backend), self);
  if (!keeper.ok()) return refuse(option, keeper.status().message());
  LOG_INFO("scheduler", "Keeping state in {}", (*keeper)->Describe());
  return keeper;
}

}  // namespace ballista::scheduler
