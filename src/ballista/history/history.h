// Keeps the profiles of jobs that have ended.
//
// Profiles come in raw, under the lock of whoever gives them: a queue takes them in at
// once, and a thread completes them, compresses them (about a tenth of their size is
// left), gives them to the store and drops what is too old or too much. Where more come
// than it can finish, the newest are left out and counted.
//
// Thread-safe.
#pragma once

#include <arrow/result.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ballista/job.pb.h"
#include "ballista/profile.pb.h"

namespace ballista::history {

struct HistoryOptions {
  size_t max_jobs = 1000;
  std::chrono::milliseconds max_age = std::chrono::hours(24 * 7);
  // Of compressed profiles, in memory.
  size_t max_bytes = size_t{32} << 20;
  // A query that took longer is named in the log; zero: none is.
  std::chrono::milliseconds slow_query_log{0};
};

// Where profiles are kept beyond the process. Called from the history's thread; must not
// wait long.
struct HistoryStore {
  std::function<void(const std::string& job_id, std::string bytes)> put;
  std::function<void(const std::string& job_id)> erase;
};

class History {
 public:
  // `store`: empty functions where nothing outlives the process.
  History(const HistoryOptions& options, HistoryStore store);
  ~History();

  // What the store has from before; what cannot be read is left out.
  void Load(const std::vector<std::pair<std::string, std::string>>& entries);

  // A job that has ended: from now on it is among the summaries. Returns at once.
  void Add(profile::QueryProfile raw, job::JobGraph graph);

  // Of all that are kept or will be in a moment, in the order in which they ended. Rows
  // are not changed ever.
  std::vector<std::shared_ptr<const profile::JobSummary>> Summaries() const;
  // Errors: KeyError for one that is not kept.
  arrow::Result<std::shared_ptr<const profile::QueryProfile>> Find(
      const std::string& job_id) const;

  size_t size() const;
  size_t bytes() const;
  uint64_t left_out() const { return left_out_; }
  // Waits until what was added so far can be found; at most for `time`.
  void WaitUntilIdle(std::chrono::milliseconds time) const;

 private:
  struct Ended {
    profile::QueryProfile profile;
    job::JobGraph graph;
    std::shared_ptr<const profile::JobSummary> summary;
  };
  struct Entry {
    std::shared_ptr<const profile::JobSummary> summary;
    std::string compressed;
    size_t size = 0;  // before compression
  };

  void Run();
  void Keep(Ended ended);
  // Takes out what is too much; the caller tells the store.
  std::vector<std::string> Trim();

  const HistoryOptions options_;
  const HistoryStore store_;
  std::atomic<uint64_t> left_out_{0};
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::deque<Ended> queue_;
  std::shared_ptr<const profile::JobSummary> in_work_;  // taken out of the queue
  bool stopping_ = false;
  std::map<uint64_t, Entry> entries_;  // by number, in the order of their ends
  std::map<std::string, uint64_t> numbers_;
  uint64_t next_ = 0;
  size_t bytes_ = 0;
  std::thread thread_;
};

}  // namespace ballista::history
