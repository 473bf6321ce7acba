// The outputs of the tasks that one executor process ran, until their jobs end.
//
// Batches stay in memory within one budget for the process. What does not fit goes to
// disk, the oldest batches first, written by the threads that bring new ones; each output
// has one file. Reading costs no copy where the data is in memory and its slices are
// large.
//
// An output is addressed by job, stage, task and attempt, and is readable from its commit
// on. Attempts are separate outputs: a reader names the one that the scheduler took, so
// rows of two attempts never mix.
//
// Thread-safe. The store must outlive its writers; readers may outlive it.
#pragma once

#include <arrow/ipc/options.h>
#include <arrow/result.h>
#include <arrow/util/type_fwd.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <unordered_set>
#include <vector>

#include "ballista/control.pb.h"
#include "ballista/job.pb.h"
#include "ballista/shuffle/disk_ledger.h"
#include "ballista/shuffle/exchange.h"

namespace ballista {
class WorkFolder;
}

namespace ballista::shuffle {

class OutputReader;
class StoredOutput;
struct StoreTotals;

struct StoreOptions {
  // Spilled data goes below them, in folders that die with the process; where there are
  // several, more of it goes where more is free. At least one.
  std::vector<std::string> work_dirs;
  // For FetchFailed errors.
  std::string executor_id;
  // Bytes of Arrow memory of all outputs, at first; 0: everything goes through disk.
  int64_t memory_limit = int64_t{1} << 30;
  // Bytes of files of all outputs and of what others of the process have on disk; 0: the
  // disk's size is the limit.
  int64_t disk_quota = 0;
  // Of what goes to disk and, by the data service, to other processes: UNCOMPRESSED,
  // LZ4_FRAME or ZSTD.
  arrow::Compression::type compression = arrow::Compression::UNCOMPRESSED;
};

// "none", "lz4" or "zstd". Errors: Invalid.
arrow::Result<arrow::Compression::type> ParseCompression(const std::string& name);

// Bytes that the store holds.
struct StoreUsage {
  int64_t memory_bytes = 0;
  int64_t disk_bytes = 0;
  int64_t outputs = 0;
};

// Where one task writes its output. Dropped without a commit, it aborts.
class TaskOutputWriter : public OutputSink {
 public:
  // Makes the output readable and gives its exact sizes. Call it when no Write runs any
  // more; again: the same answer.
  virtual arrow::Result<job::OutputStatistics> Commit() = 0;

  // Drops what was written; Writes that still run return Cancelled. Does nothing after
  // the commit.
  virtual void Abort() = 0;

  // Of this output, on disk now.
  virtual int64_t spilled_bytes() const = 0;
};

class ShuffleStore {
 public:
  // Removes what dead processes left in the work_dirs. Errors: IOError.
  static arrow::Result<std::unique_ptr<ShuffleStore>> Open(StoreOptions options);

  ~ShuffleStore();
  ShuffleStore(const ShuffleStore&) = delete;
  ShuffleStore& operator=(const ShuffleStore&) = delete;

  // `job_disk_quota`: bytes that the job's outputs may take here on disk; 0: no quota of
  // its own. Errors: AlreadyExists where this attempt has an output; Cancelled where the
  // job was removed; Invalid for an id or a number of partitions that cannot be.
  arrow::Result<std::unique_ptr<TaskOutputWriter>> CreateOutput(
      const job::TaskId& id, const job::Output& output, int64_t job_disk_quota = 0);

  // A reader of the ranges, one after the other; at least one. Errors: FetchFailed where
  // one is not here (never was, is not committed, or its job was removed); Invalid for
  // partitions that it does not have, and for key bounds where it is no sorted run.
  arrow::Result<std::unique_ptr<OutputReader>> Read(
      const std::string& job_id, const std::vector<control::OutputRange>& ranges);

  // Drops all outputs of the job, frees memory and unlinks files; what its tasks still
  // write is refused. Readers keep the batches that they have. Idempotent.
  void RemoveJob(const std::string& job_id);

  // Drops one output, as RemoveJob does; only after its commit.
  void RemoveOutput(const job::TaskId& id);

  // The bytes of memory from now on; what is above it goes to disk with the next batches,
  // or by Evict.
  void SetMemoryLimit(int64_t bytes);
  int64_t memory_limit() const { return memory_limit_; }
  // Moves batches to disk until at most `target_bytes` are in memory. Errors: as Write.
  arrow::Status Evict(int64_t target_bytes);

  StoreUsage Usage() const;
  StoreUsage Usage(const std::string& job_id) const;
  std::vector<std::string> Jobs() const;

  const StoreOptions& options() const { return options_; }
  DiskLedger& disk() { return *ledger_; }

 private:
  friend class StoreWriter;

  // Stage, task, attempt.
  using OutputKey = std::tuple<uint32_t, uint32_t, uint32_t>;
  using JobOutputs = std::map<OutputKey, std::shared_ptr<StoredOutput>>;
  struct SpillEntry {
    std::weak_ptr<StoredOutput> output;
    size_t index;
    int64_t bytes;
  };

  ShuffleStore(StoreOptions options, std::vector<std::unique_ptr<WorkFolder>> folders);

  // Takes note of a new batch in memory, then spills until the budget holds.
  arrow::Status Keep(SpillEntry entry);
  // On behalf of a task of `job_id`; empty: of none. What a full quota of another job
  // keeps in memory is passed over.
  arrow::Status SpillDownTo(int64_t target_bytes, const std::string& job_id);
  bool NextToSpill(int64_t target_bytes, SpillEntry* entry);
  void Forget(const job::TaskId& id);
  arrow::Status FetchFailure(const std::string& job_id, const control::OutputRange& range,
                             const std::string& why) const;
  // A work folder for the next output.
  const std::string& PickFolder() const;
  std::shared_ptr<StoredOutput> Find(const std::string& job_id,
                                     const control::OutputRange& range) const;

  const StoreOptions options_;
  const std::vector<std::unique_ptr<WorkFolder>> folders_;
  const std::shared_ptr<DiskLedger> ledger_;
  const std::shared_ptr<StoreTotals> totals_;
  std::atomic<int64_t> memory_limit_;

  mutable std::mutex mutex_;
  std::map<std::string, JobOutputs> jobs_;
  // The last jobs that were removed: a task of theirs that comes late is refused.
  std::unordered_set<std::string> removed_jobs_;
  std::deque<std::string> removed_order_;
  std::deque<SpillEntry> spill_queue_;  // batches in memory, oldest first
  int64_t spilling_bytes_ = 0;          // of batches on their way to disk
};

}  // namespace ballista::shuffle
