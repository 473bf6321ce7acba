// A state backend in one process: revisions, leases, watches. Where the entries are is
// the storage's affair.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "ballista/state/state_backend.h"

namespace ballista::state {

// The first key after all that begin with `prefix`; empty: there is none.
std::string PrefixEnd(std::string prefix);

// Entries, leases and the store's revision. Called by one thread at a time.
class Storage {
 public:
  struct Lease {
    std::chrono::milliseconds ttl{0};
    std::set<std::string> keys;
  };
  struct Contents {
    int64_t revision = 0;
    std::map<LeaseId, Lease> leases;
  };
  // All of it or nothing.
  struct Batch {
    int64_t revision = 0;
    std::vector<std::string> erased;
    std::vector<Entry> put;
    std::vector<LeaseId> leases_ended;
    std::vector<std::pair<LeaseId, std::chrono::milliseconds>> leases_granted;
  };

  virtual ~Storage() = default;
  virtual std::string Describe() const = 0;
  virtual bool durable() const = 0;
  virtual arrow::Result<Contents> Load() = 0;
  virtual arrow::Result<std::optional<Entry>> Get(const std::string& key) = 0;
  // By key.
  virtual arrow::Result<std::vector<Entry>> List(const std::string& prefix) = 0;
  virtual arrow::Status Apply(const Batch& batch) = 0;
};

std::unique_ptr<Storage> MakeMemoryStorage();

// Opens, or makes, `folder`/state.sqlite. Errors: kInUse, kDamaged, IOError.
arrow::Result<std::unique_ptr<Storage>> OpenSqliteStorage(const std::string& folder);

class LocalBackend : public StateBackend {
 public:
  // Loads what the storage has.
  static arrow::Result<std::unique_ptr<LocalBackend>> Make(
      std::unique_ptr<Storage> storage);
  ~LocalBackend() override;

  std::string Describe() const override { return storage_->Describe(); }
  bool durable() const override { return storage_->durable(); }
  bool shared() const override { return false; }
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
  class LocalWatch;
  struct Lease {
    std::chrono::milliseconds ttl{0};
    Deadline ends;
    std::set<std::string> keys;
  };
  using Lock = std::unique_lock<std::timed_mutex>;

  explicit LocalBackend(std::unique_ptr<Storage> storage)
      : storage_(std::move(storage)) {}

  arrow::Result<Lock> Take(Deadline deadline);
  arrow::Result<bool> Holds(const Compare& compare);
  arrow::Result<std::vector<std::string>> Existing(const Erase& erase);
  // The batch is in the storage: leases and history follow, watches are told.
  void Publish(const Storage::Batch& batch);
  void Forget(size_t changes);
  arrow::Status EndLease(LeaseId id);
  void RunExpiry();

  const std::unique_ptr<Storage> storage_;
  std::timed_mutex mutex_;
  std::condition_variable_any changed_;      // for watches
  std::condition_variable_any lease_added_;  // for the expiry thread
  int64_t revision_ = 0;
  std::map<LeaseId, Lease> leases_;
  std::map<std::string, LeaseId> leased_;  // keys with a lease
  std::deque<Change> history_;
  size_t history_bytes_ = 0;
  int64_t oldest_ = 1;  // changes of this revision and later are in the history
  bool stopping_ = false;
  std::thread expiry_;
};

}  // namespace ballista::state
