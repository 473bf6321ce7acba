#include "ballista/state/open.h"

#include <cctype>
#include <utility>

#include "ballista/state/etcd_backend_internal.h"
#include "ballista/state/local_backend_internal.h"

namespace ballista::state {

std::unique_ptr<StateBackend> OpenMemory() {
  // Memory has nothing to load, so nothing to fail with.
  return LocalBackend::Make(MakeMemoryStorage()).ValueOrDie();
}

arrow::Result<std::unique_ptr<StateBackend>> OpenSqlite(const std::string& folder) {
  ARROW_ASSIGN_OR_RAISE(auto storage, OpenSqliteStorage(folder));
  return LocalBackend::Make(std::move(storage));
}

arrow::Result<std::vector<std::string>> ParseEtcdUrls(const std::string& list, bool tls) {
  std::vector<std::string> urls;
  for (size_t start = 0; start <= list.size();) {
    const size_t end = std::min(list.find(',', start), list.size());
    std::string url = list.substr(start, end - start);
    start = end + 1;
    const bool has_scheme = url.starts_with("http://") || url.starts_with("https://");
    if (tls && url.starts_with("http://")) {
      return arrow::Status::Invalid("'", url,
                                    "' is without TLS, which --etcd-ca turns on");
    }
    if (!has_scheme) url = (tls ? "https://" : "http://") + url;
    const std::string address = url.substr(url.find("//") + 2);
    const size_t colon = address.rfind(':');
    const bool has_port =
        colon != std::string::npos && colon > 0 && colon + 1 < address.size() &&
        address.find_first_not_of("0123456789", colon + 1) == std::string::npos;
    const bool odd = address.find_first_of("/@?# \t\"'") != std::string::npos;
    if (!has_port || odd) {
      return arrow::Status::Invalid("'", address,
                                    "' is not host:port (such as etcd1:2379)");
    }
    urls.push_back(std::move(url));
  }
  return urls;
}

arrow::Result<std::unique_ptr<StateBackend>> OpenEtcd(std::vector<std::string> urls,
                                                      const std::string& root,
                                                      Deadline deadline,
                                                      EtcdAccess access) {
  auto backend = std::make_unique<EtcdBackend>(std::move(urls), root, std::move(access));
  ARROW_RETURN_NOT_OK(backend->CheckVersion(deadline));
  ARROW_RETURN_NOT_OK(backend->LogIn(deadline));
  return backend;
}

}  // namespace ballista::state
