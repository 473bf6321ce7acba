#include "ballista/config/config.h"

#include "ballista/base/machine_resources.h"
#include "ballista/config/work_dir.h"

namespace ballista::config {
namespace {

std::string FirstFolder(const std::string& work_dir) {
  const auto folders = SplitFolders(work_dir);
  return folders.empty() ? "" : folders.front();
}

}  // namespace

arrow::Result<SchedulerConfig> LocalSchedulerConfig(const ExecutorConfig& executor) {
  Input input;
  // An empty file, so that the scheduler's own is not read.
  input.default_file = "/dev/null";
  input.available_memory = AvailableMemory();
  input.arguments = {"--bind-host=" + executor.bind_host,
                     "--port=" + std::to_string(executor.scheduler_port),
                     "--http-port=" + std::to_string(executor.http_port),
                     "--log-format=" + std::string(ToString(executor.log_format)),
                     "--tls-cert=" + executor.tls_cert,
                     "--tls-key=" + executor.tls_key,
                     "--tls-ca=" + executor.tls_ca,
                     "--tls-client-ca=" + executor.tls_client_ca,
                     "--cluster-token-file=" + executor.cluster_token_file,
                     "--auth-file=" + executor.auth_file,
                     "--data-dirs=" + executor.data_dirs,
                     "--upload-dir=" + FirstFolder(executor.work_dir),
                     "--otlp-endpoint=" + executor.otlp_endpoint};
  ARROW_ASSIGN_OR_RAISE(auto parsed, Parse<SchedulerConfig>(input));
  return parsed.config;
}

}  // namespace ballista::config
