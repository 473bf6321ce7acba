// Where schedulers keep what must outlive them: a small ordered key-value store with
// transactions, leases and watches. Three implementations: in the process's memory, in a
// folder (SQLite), in an etcd cluster.
//
// Keys are paths of printable bytes ("jobs/<id>/graph"), values any bytes. A prefix names
// all keys that begin with it. Each commit that changes something has the next
// *revision*, a number that grows over the whole store and is never used twice; an
// entry's revision is that of the commit that last wrote it. So "the entry is still what
// I read" is one comparison, and the revision of a claim is a fencing token (fence.h).
//
// All functions are thread-safe, and each call returns by its deadline. What it may fail
// with, beside Invalid for a wrong argument, is an arrow::Status with a StateError
// (state_error.h): kUnavailable, after which reading again is safe, and a commit may or
// may not have taken place; kCompacted; kLeaseGone.
#pragma once

#include <arrow/result.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ballista::state {

using Deadline = std::chrono::steady_clock::time_point;

// A deadline that far from now.
inline Deadline In(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

// 0: no lease.
using LeaseId = int64_t;

struct Entry {
  std::string key;
  std::string value;
  int64_t revision = 0;
  LeaseId lease = 0;
};

// Holds while the key's entry is of this revision; 0: while there is no such key.
struct Compare {
  std::string key;
  int64_t revision = 0;
};

// `lease`: the entry goes when the lease ends. Putting again replaces value and lease.
struct Put {
  std::string key;
  std::string value;
  LeaseId lease = 0;
};

// Removes the key, or with `prefix` every key that begins with it; no error where there
// is none.
struct Erase {
  std::string key;
  bool prefix = false;
};

// All of it or nothing: if every compare holds, every erase is done, then every put. No
// key may be touched twice.
struct Transaction {
  std::vector<Compare> compares;
  std::vector<Erase> erases;
  std::vector<Put> puts;
};

struct Committed {
  bool committed = false;  // false: a compare did not hold, nothing was changed
  int64_t revision = 0;    // of the store after it; of what was put, if committed
};

// The entries as of one revision, by key.
struct Snapshot {
  std::vector<Entry> entries;
  int64_t revision = 0;
};

// `erased`: then `entry` has the key and the revision of the removal.
struct Change {
  bool erased = false;
  Entry entry;
};

// Changes below a prefix, each exactly once and in the order of their revisions. The
// store must outlive it. Not thread-safe.
class Watch {
 public:
  virtual ~Watch() = default;

  // The next changes, at least one; none when the deadline comes first. A lost connection
  // is made again meanwhile and no change is missed; where the store has dropped the
  // changes that come next: kCompacted, for good. Then the caller lists what is there and
  // watches from the snapshot's revision + 1.
  virtual arrow::Result<std::vector<Change>> Next(Deadline deadline) = 0;
};

// Most operations of one transaction, and bytes of its keys and values together; a larger
// one is Invalid.
inline constexpr size_t kMaxOperations = 120;
inline constexpr size_t kMaxTransactionBytes = 1 << 20;

class StateBackend {
 public:
  virtual ~StateBackend() = default;

  // For log lines and messages: "sqlite in /var/lib/ballista".
  virtual std::string Describe() const = 0;
  // What is committed outlives the process.
  virtual bool durable() const = 0;
  // Other processes may have the same store open.
  virtual bool shared() const = 0;

  // No value: there is no such key.
  virtual arrow::Result<std::optional<Entry>> Get(const std::string& key,
                                                  Deadline deadline) = 0;
  virtual arrow::Result<Snapshot> List(const std::string& prefix, Deadline deadline) = 0;
  virtual arrow::Result<Committed> Commit(const Transaction& transaction,
                                          Deadline deadline) = 0;

  // A lease ends when it is revoked, or not kept alive for `ttl` (rounded up to what the
  // store can do; whole seconds and at least 2 with etcd). A store that was down gives
  // its leases their whole time again.
  virtual arrow::Result<LeaseId> GrantLease(std::chrono::milliseconds ttl,
                                            Deadline deadline) = 0;
  // kLeaseGone: it has ended, and what was put with it is gone or about to go.
  virtual arrow::Status KeepAlive(LeaseId lease, Deadline deadline) = 0;
  // Ends it and removes what was put with it; no error where it has ended already.
  virtual arrow::Status RevokeLease(LeaseId lease, Deadline deadline) = 0;

  // Changes from `from_revision` on (a snapshot's revision + 1).
  virtual arrow::Result<std::unique_ptr<Watch>> StartWatch(const std::string& prefix,
                                                           int64_t from_revision) = 0;
  // Drops what is kept of changes before this revision. (Stores also do so by
  // themselves.)
  virtual arrow::Status Compact(int64_t revision, Deadline deadline) = 0;
};

// Invalid, one sentence, for a transaction that no backend takes.
arrow::Status CheckTransaction(const Transaction& transaction);

}  // namespace ballista::state
