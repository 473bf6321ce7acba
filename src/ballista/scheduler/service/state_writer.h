// Writes to a state backend off everybody's way: puts and removals are taken in at once
// and committed by one thread, in their order, many in one transaction. What the store
// has is always what was asked for up to some moment.
//
// Where the store is shared, every commit is under the scheduler's claim (state/fence.h):
// a scheduler whose lease has ended while it was not running writes nothing more.
#pragma once

#include <arrow/result.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "ballista/state/fence.h"
#include "ballista/state/state_backend.h"

namespace ballista::scheduler {

// Thread-safe.
class StateWriter {
 public:
  // `fence`: none for a store of one process. `on_fenced` is called once, from the
  // writer's thread, when the claim is another's.
  StateWriter(state::StateBackend* backend, std::optional<state::Fence> fence,
              std::function<void(const arrow::Status&)> on_fenced);
  // Writes what is left, for up to 2 s.
  ~StateWriter();

  // A value that is too large for a transaction is left out (false).
  bool Put(std::string key, std::string value);
  // Removes all keys that begin with it; takes back puts that have not been written yet.
  void ErasePrefix(std::string prefix);

  // Waits until everything asked for so far is committed. Errors: what keeps it from
  // being so when the deadline comes.
  arrow::Status Flush(state::Deadline deadline);

  // Not yet committed.
  size_t pending_bytes() const;

 private:
  struct Change {
    std::string key;
    std::string value;
    bool erase = false;
    uint64_t number = 0;
  };

  void Add(Change change);
  // Takes as many changes from the front as go into one transaction.
  std::deque<Change> TakeBatch();
  arrow::Status Commit(const std::deque<Change>& batch);
  void Run();

  state::StateBackend* const backend_;
  const std::optional<state::Fence> fence_;
  const std::function<void(const arrow::Status&)> on_fenced_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;       // the thread
  std::condition_variable committed_;  // those that wait
  std::deque<Change> pending_;
  size_t pending_bytes_ = 0;
  uint64_t last_number_ = 0;
  uint64_t committed_number_ = 0;
  arrow::Status failure_;  // of the last try
  bool fenced_ = false;
  bool stopping_ = false;
  state::Deadline give_up_ = state::Deadline::max();
  std::thread thread_;
};

}  // namespace ballista::scheduler
