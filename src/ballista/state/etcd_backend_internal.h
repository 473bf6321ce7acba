// State in an etcd cluster (3.4.9 or later), through its JSON gateway.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ballista/state/etcd_client_internal.h"
#include "ballista/state/state_backend.h"

namespace ballista::state {

class EtcdBackend : public StateBackend {
 public:
  // `root` is put before every key.
  EtcdBackend(std::vector<std::string> urls, std::string root, EtcdAccess access);

  // The server answers and is new enough. Errors: kUnavailable, Invalid.
  arrow::Status CheckVersion(Deadline deadline);
  // Where there is a user. Errors: as CheckVersion.
  arrow::Status LogIn(Deadline deadline) { return client_.LogIn(deadline); }

  std::string Describe() const override { return client_.Describe(); }
  bool durable() const override { return true; }
  bool shared() const override { return true; }
  arrow::Result<std::optional<Entry>> Get(const std::string& key,
                                          Deadline deadline) override;
  arrow::Result<Snapshot> List(const std::string& prefix, Deadline deadline) override;
  arrow::Result<Committed> Commit(const Transaction& transaction,
                                  Deadline deadline) override;
  arrow::Result<LeaseId> GrantLease(std::chrono::milliseconds ttl,
                                    Deadline deadline) override;
  arrow::Status KeepAlive(LeaseId lease, Deadline deadline) override;
  arrow::Status RevokeLease(LeaseId lease, Deadline deadline) override;
  arrow::Result<std::unique_ptr<Watch>> StartWatch(const std::string& prefix,
                                                   int64_t from_revision) override;
  arrow::Status Compact(int64_t revision, Deadline deadline) override;

 private:
  EtcdClient client_;
  const std::string root_;
};

// The bounds of the keys below `prefix`, for a request of etcd.
nlohmann::json RangeOf(const std::string& prefix);

// An entry of etcd's, with `root` taken off its key.
arrow::Result<Entry> ReadEntry(const nlohmann::json& kv, const std::string& root);

// `client` must outlive it.
std::unique_ptr<Watch> StartEtcdWatch(EtcdClient* client, const std::string& root,
                                      const std::string& prefix, int64_t from_revision);

}  // namespace ballista::state
