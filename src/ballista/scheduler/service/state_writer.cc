#include "ballista/scheduler/service/state_writer.h"

#include <set>
#include <utility>

#include "ballista/base/log.h"
#include "ballista/state/state_error.h"

namespace ballista::scheduler {
namespace {

constexpr auto kCommitTimeout = std::chrono::seconds(5);
constexpr auto kRetryDelay = std::chrono::milliseconds(200);
constexpr auto kLastWords = std::chrono::seconds(2);
// One operation is the fence's.
constexpr size_t kMaxBatch = state::kMaxOperations - 1;
constexpr size_t kMaxBatchBytes = state::kMaxTransactionBytes - (16 << 10);

}  // namespace

StateWriter::StateWriter(state::StateBackend* backend, std::optional<state::Fence> fence,
                         std::function<void(const arrow::Status&)> on_fenced)
    : backend_(backend),
      fence_(std::move(fence)),
      on_fenced_(std::move(on_fenced)),
      thread_([this] { Run(); }) {}

StateWriter::~StateWriter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    give_up_ = state::In(kLastWords);
  }
  wake_.notify_all();
  thread_.join();
}

bool StateWriter::Put(std::string key, std::string value) {
  if (key.size() + value.size() > kMaxBatchBytes) return false;
  Add({std::move(key), std::move(value)});
  return true;
}

void StateWriter::ErasePrefix(std::string prefix) {
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(pending_, [&](const Change& change) {
      if (!change.key.starts_with(prefix)) return false;
      pending_bytes_ -= change.key.size() + change.value.size();
      return true;
    });
  }
  Add({std::move(prefix), "", true});
}

void StateWriter::Add(Change change) {
  const std::lock_guard lock(mutex_);
  if (fenced_) return;
  change.number = ++last_number_;
  pending_bytes_ += change.key.size() + change.value.size();
  pending_.push_back(std::move(change));
  wake_.notify_one();
}

size_t StateWriter::pending_bytes() const {
  const std::lock_guard lock(mutex_);
  return pending_bytes_;
}

arrow::Status StateWriter::Flush(state::Deadline deadline) {
  std::unique_lock lock(mutex_);
  const uint64_t number = last_number_;
  const bool done = committed_.wait_until(lock, deadline, [&] {
    return committed_number_ >= number || fenced_ || stopping_;
  });
  if (done && committed_number_ >= number) return arrow::Status::OK();
  return state::MakeStateError(state::StateError::kUnavailable,
                               backend_->Describe() + " did not keep it in time" +
                                   (failure_.ok() ? "" : ": " + failure_.message()));
}

std::deque<StateWriter::Change> StateWriter::TakeBatch() {
  std::deque<Change> batch;
  std::set<std::string> keys;
  std::vector<std::string> erased;
  size_t bytes = 0;
  while (!pending_.empty() && batch.size() < kMaxBatch) {
    const Change& next = pending_.front();
    const size_t size = next.key.size() + next.value.size();
    // Within a transaction no key may be touched twice.
    bool again = !keys.insert(next.key).second;
    for (const auto& prefix : erased) again = again || next.key.starts_with(prefix);
    for (const auto& change : batch) {
      again = again || (next.erase && change.key.starts_with(next.key));
    }
    if (!batch.empty() && (again || bytes + size > kMaxBatchBytes)) break;
    if (next.erase) erased.push_back(next.key);
    bytes += size;
    pending_bytes_ -= size;
    batch.push_back(std::move(pending_.front()));
    pending_.pop_front();
  }
  return batch;
}

arrow::Status StateWriter::Commit(const std::deque<Change>& batch) {
  state::Transaction transaction;
  for (const Change& change : batch) {
    if (change.erase) {
      transaction.erases.push_back({change.key, true});
    } else {
      transaction.puts.push_back({change.key, change.value});
    }
  }
  const state::Deadline deadline = state::In(kCommitTimeout);
  if (!fence_.has_value()) return backend_->Commit(transaction, deadline).status();
  return state::CommitFenced(backend_, *fence_, std::move(transaction), deadline)
      .status();
}

void StateWriter::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !pending_.empty(); });
    if (pending_.empty() || fenced_) return;
    const std::deque<Change> batch = TakeBatch();
    arrow::Status status;
    do {
      lock.unlock();
      // Puts and removals: done once more, they change nothing.
      status = Commit(batch);
      lock.lock();
      if (!status.ok() && failure_.ok()) {
        LOG_WARN("scheduler", "what is to be kept waits: {}", status.message());
      }
      failure_ = status;
      if (status.ok() || state::IsStateError(status, state::StateError::kFenced)) break;
      if (std::chrono::steady_clock::now() >= give_up_) return;
      wake_.wait_for(lock, kRetryDelay);
    } while (true);
    if (!status.ok()) {
      fenced_ = true;
      pending_.clear();
      committed_.notify_all();
      lock.unlock();
      on_fenced_(status);
      return;
    }
    committed_number_ = batch.back().number;
    committed_.notify_all();
  }
}

}  // namespace ballista::scheduler
