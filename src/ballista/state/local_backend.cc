#include <algorithm>
#include <utility>

#include "ballista/base/log.h"
#include "ballista/state/local_backend_internal.h"
#include "ballista/state/state_error.h"

namespace ballista::state {
namespace {

// What is kept of changes for watches.
constexpr size_t kMaxHistory = 10000;
constexpr size_t kMaxHistoryBytes = 16 << 20;
// A lease whose end could not be written is tried again after this time.
constexpr auto kExpiryRetry = std::chrono::seconds(1);

size_t BytesOf(const Change& change) {
  return change.entry.key.size() + change.entry.value.size();
}

arrow::Status Gone(LeaseId lease) {
  return MakeStateError(StateError::kLeaseGone,
                        "lease " + std::to_string(lease) + " has ended");
}

}  // namespace

std::string PrefixEnd(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) {
    prefix.pop_back();
  }
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

class LocalBackend::LocalWatch : public Watch {
 public:
  LocalWatch(LocalBackend* backend, std::string prefix, int64_t next)
      : backend_(backend), prefix_(std::move(prefix)), next_(next) {}

  arrow::Result<std::vector<Change>> Next(Deadline deadline) override {
    std::vector<Change> changes;
    auto locked = backend_->Take(deadline);
    if (!locked.ok()) return changes;
    Lock lock = std::move(*locked);
    while (true) {
      if (next_ < backend_->oldest_) {
        return MakeStateError(StateError::kCompacted,
                              "changes before revision " +
                                  std::to_string(backend_->oldest_) +
                                  " are not kept any more");
      }
      const auto& history = backend_->history_;
      auto at = std::lower_bound(history.begin(), history.end(), next_,
                                 [](const Change& change, int64_t revision) {
                                   return change.entry.revision < revision;
                                 });
      for (; at != history.end(); ++at) {
        if (at->entry.key.starts_with(prefix_)) changes.push_back(*at);
      }
      next_ = std::max(next_, backend_->revision_ + 1);
      if (!changes.empty()) return changes;
      if (backend_->changed_.wait_until(lock, deadline) == std::cv_status::timeout) {
        return changes;
      }
    }
  }

 private:
  LocalBackend* const backend_;
  const std::string prefix_;
  int64_t next_;
};

arrow::Result<std::unique_ptr<LocalBackend>> LocalBackend::Make(
    std::unique_ptr<Storage> storage) {
  std::unique_ptr<LocalBackend> backend(new LocalBackend(std::move(storage)));
  ARROW_ASSIGN_OR_RAISE(auto contents, backend->storage_->Load());
  backend->revision_ = contents.revision;
  backend->oldest_ = contents.revision + 1;
  for (auto& [id, lease] : contents.leases) {
    for (const std::string& key : lease.keys) backend->leased_[key] = id;
    backend->leases_[id] = {lease.ttl, In(lease.ttl), std::move(lease.keys)};
  }
  backend->expiry_ = std::thread([raw = backend.get()] { raw->RunExpiry(); });
  return backend;
}

LocalBackend::~LocalBackend() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  lease_added_.notify_all();
  if (expiry_.joinable()) expiry_.join();
}

arrow::Result<LocalBackend::Lock> LocalBackend::Take(Deadline deadline) {
  Lock lock(mutex_, deadline);
  if (!lock.owns_lock()) {
    return MakeStateError(StateError::kUnavailable,
                          Describe() + " did not answer in time");
  }
  return lock;
}

arrow::Result<std::optional<Entry>> LocalBackend::Get(const std::string& key,
                                                      Deadline deadline) {
  ARROW_ASSIGN_OR_RAISE(const Lock lock, Take(deadline));
  return storage_->Get(key);
}

arrow::Result<Snapshot> LocalBackend::List(const std::string& prefix, Deadline deadline) {
  ARROW_ASSIGN_OR_RAISE(const Lock lock, Take(deadline));
  Snapshot snapshot;
  ARROW_ASSIGN_OR_RAISE(snapshot.entries, storage_->List(prefix));
  snapshot.revision = revision_;
  return snapshot;
}

arrow::Result<bool> LocalBackend::Holds(const Compare& compare) {
  ARROW_ASSIGN_OR_RAISE(const auto entry, storage_->Get(compare.key));
  return (entry.has_value() ? entry->revision : 0) == compare.revision;
}

arrow::Result<std::vector<std::string>> LocalBackend::Existing(const Erase& erase) {
  std::vector<std::string> keys;
  if (erase.prefix) {
    ARROW_ASSIGN_OR_RAISE(auto entries, storage_->List(erase.key));
    for (Entry& entry : entries) keys.push_back(std::move(entry.key));
  } else {
    ARROW_ASSIGN_OR_RAISE(const auto entry, storage_->Get(erase.key));
    if (entry.has_value()) keys.push_back(erase.key);
  }
  return keys;
}

arrow::Result<Committed> LocalBackend::Commit(const Transaction& transaction,
                                              Deadline deadline) {
  ARROW_RETURN_NOT_OK(CheckTransaction(transaction));
  ARROW_ASSIGN_OR_RAISE(const Lock lock, Take(deadline));
  for (const Compare& compare : transaction.compares) {
    ARROW_ASSIGN_OR_RAISE(const bool holds, Holds(compare));
    if (!holds) return Committed{false, revision_};
  }
  Storage::Batch batch;
  batch.revision = revision_ + 1;
  std::set<std::string> erased;
  for (const Erase& erase : transaction.erases) {
    ARROW_ASSIGN_OR_RAISE(const auto keys, Existing(erase));
    erased.insert(keys.begin(), keys.end());
  }
  batch.erased.assign(erased.begin(), erased.end());
  for (const Put& put : transaction.puts) {
    if (put.lease != 0 && !leases_.contains(put.lease)) return Gone(put.lease);
    batch.put.push_back({put.key, put.value, batch.revision, put.lease});
  }
  if (batch.erased.empty() && batch.put.empty()) return Committed{true, revision_};
  ARROW_RETURN_NOT_OK(storage_->Apply(batch));
  Publish(batch);
  return Committed{true, revision_};
}

void LocalBackend::Publish(const Storage::Batch& batch) {
  const auto unlease = [this](const std::string& key) {
    const auto it = leased_.find(key);
    if (it == leased_.end()) return;
    const auto lease = leases_.find(it->second);
    if (lease != leases_.end()) lease->second.keys.erase(key);
    leased_.erase(it);
  };
  revision_ = batch.revision;
  for (const std::string& key : batch.erased) {
    unlease(key);
    history_.push_back({true, {key, "", batch.revision, 0}});
    history_bytes_ += BytesOf(history_.back());
  }
  for (const Entry& entry : batch.put) {
    unlease(entry.key);
    if (entry.lease != 0) {
      leases_[entry.lease].keys.insert(entry.key);
      leased_[entry.key] = entry.lease;
    }
    history_.push_back({false, entry});
    history_bytes_ += BytesOf(history_.back());
  }
  while (history_.size() > kMaxHistory || history_bytes_ > kMaxHistoryBytes) Forget(1);
  changed_.notify_all();
}

// Drops at least so many changes from the front, always whole revisions.
void LocalBackend::Forget(size_t changes) {
  while (!history_.empty() &&
         (changes > 0 || history_.front().entry.revision < oldest_)) {
    oldest_ = history_.front().entry.revision + 1;
    history_bytes_ -= BytesOf(history_.front());
    history_.pop_front();
    if (changes > 0) --changes;
  }
}

arrow::Result<LeaseId> LocalBackend::GrantLease(std::chrono::milliseconds ttl,
                                                Deadline deadline) {
  if (ttl.count() <= 0) return arrow::Status::Invalid("a lease needs some time");
  ARROW_ASSIGN_OR_RAISE(const Lock lock, Take(deadline));
  Storage::Batch batch;
  batch.revision = revision_ + 1;
  // Ids are never used twice, as revisions are not.
  const LeaseId id = batch.revision;
  batch.leases_granted.emplace_back(id, ttl);
  ARROW_RETURN_NOT_OK(storage_->Apply(batch));
  revision_ = batch.revision;
  leases_[id] = {ttl, In(ttl), {}};
  lease_added_.notify_all();
  return id;
}

arrow::Status LocalBackend::KeepAlive(LeaseId lease, Deadline deadline) {
  ARROW_ASSIGN_OR_RAISE(const Lock lock, Take(deadline));
  const auto it = leases_.find(lease);
  if (it == leases_.end()) return Gone(lease);
  it->second.ends = In(it->second.ttl);
  return arrow::Status::OK();
}

arrow::Status LocalBackend::RevokeLease(LeaseId lease, Deadline deadline) {
  ARROW_ASSIGN_OR_RAISE(const Lock lock, Take(deadline));
  return leases_.contains(lease) ? EndLease(lease) : arrow::Status::OK();
}

arrow::Status LocalBackend::EndLease(LeaseId id) {
  Storage::Batch batch;
  const auto& keys = leases_.at(id).keys;
  batch.revision = revision_ + 1;
  batch.erased.assign(keys.begin(), keys.end());
  batch.leases_ended.push_back(id);
  ARROW_RETURN_NOT_OK(storage_->Apply(batch));
  Publish(batch);
  leases_.erase(id);
  return arrow::Status::OK();
}

void LocalBackend::RunExpiry() {
  Lock lock(mutex_);
  while (!stopping_) {
    auto wake = Deadline::max();
    std::vector<LeaseId> ended;
    for (const auto& [id, lease] : leases_) {
      if (lease.ends <= std::chrono::steady_clock::now()) {
        ended.push_back(id);
      } else {
        wake = std::min(wake, lease.ends);
      }
    }
    for (const LeaseId id : ended) {
      const arrow::Status status = EndLease(id);
      if (status.ok()) continue;
      LOG_WARN("state", "lease {} could not be ended: {}", id, status.ToString());
      leases_.at(id).ends = In(kExpiryRetry);
      wake = std::min(wake, leases_.at(id).ends);
    }
    if (wake == Deadline::max()) {
      lease_added_.wait(lock);
    } else {
      lease_added_.wait_until(lock, wake);
    }
  }
}

arrow::Result<std::unique_ptr<Watch>> LocalBackend::StartWatch(const std::string& prefix,
                                                               int64_t from_revision) {
  return std::make_unique<LocalWatch>(this, prefix, from_revision);
}

arrow::Status LocalBackend::Compact(int64_t revision, Deadline deadline) {
  ARROW_ASSIGN_OR_RAISE(const Lock lock, Take(deadline));
  if (revision > revision_) {
    return arrow::Status::Invalid("revision ", revision, " is yet to come; the last is ",
                                  revision_);
  }
  oldest_ = std::max(oldest_, revision);
  Forget(0);
  changed_.notify_all();
  return arrow::Status::OK();
}

}  // namespace ballista::state
