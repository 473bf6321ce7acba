#include "ballista/scheduler/service/open_state.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
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
  for (const auto& [name, value] :
       {std::pair("etcd-user", config.etcd_user),
        std::pair("etcd-password-file", config.etcd_password_file),
        std::pair("etcd-ca", config.etcd_ca), std::pair("etcd-cert", config.etcd_cert),
        std::pair("etcd-key", config.etcd_key)}) {
    if (!etcd && !value.empty()) {
      return refuse(name, "it is for --config-backend etcd alone");
    }
  }
  if (config.etcd_user.empty() != config.etcd_password_file.empty()) {
    return refuse("etcd-user", "it and --etcd-password-file are given together");
  }
  if (config.etcd_cert.empty() != config.etcd_key.empty()) {
    return refuse("etcd-cert", "it and --etcd-key are given together");
  }
  return arrow::Status::OK();
}

// Its first line. Errors: half a sentence.
arrow::Result<std::string> ReadPassword(const std::string& path) {
  std::ifstream file(path);
  if (!file) return arrow::Status::IOError("it cannot be read: ", std::strerror(errno));
  std::string line;
  std::getline(file, line);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  if (line.empty()) return arrow::Status::Invalid("its first line is the password");
  return line;
}

arrow::Result<state::EtcdAccess> AccessOf(const config::SchedulerConfig& config,
                                          const RefuseOption& refuse) {
  state::EtcdAccess access;
  access.user = config.etcd_user;
  access.ca_file = config.etcd_ca;
  access.cert_file = config.etcd_cert;
  access.key_file = config.etcd_key;
  if (!config.etcd_password_file.empty()) {
    auto password = ReadPassword(config.etcd_password_file);
    if (!password.ok()) return refuse("etcd-password-file", password.status().message());
    access.password = *std::move(password);
  }
  // One sentence now, in place of a riddle at the first connection.
  const std::pair<const char*, std::string> files[] = {{"etcd-ca", config.etcd_ca},
                                                       {"etcd-cert", config.etcd_cert},
                                                       {"etcd-key", config.etcd_key}};
  for (const auto& [name, path] : files) {
    if (!path.empty() && ::access(path.c_str(), R_OK) != 0) {
      return refuse(name, std::string("it cannot be read: ") + std::strerror(errno));
    }
  }
  return access;
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
  ARROW_ASSIGN_OR_RAISE(const auto etcd_access, AccessOf(config, refuse));
  const char* option = "etcd-urls";
  const auto open = [&]() -> arrow::Result<std::unique_ptr<state::StateBackend>> {
    if (config.config_backend == Backend::kSqlite) {
      option = "state-dir";
      return state::OpenSqlite(config.state_dir);
    }
    ARROW_ASSIGN_OR_RAISE(
        auto urls, state::ParseEtcdUrls(config.etcd_urls, !config.etcd_ca.empty()));
    return state::OpenEtcd(std::move(urls), kEtcdRoot, state::In(kOpenTimeout),
                           etcd_access);
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
