#include "ballista/scheduler/service/pending_statements.h"

#include <fmt/format.h>

#include <atomic>
#include <condition_variable>
#include <thread>
#include <utility>

#include "ballista/base/ids.h"
#include "ballista/base/status.h"

namespace ballista::scheduler {
namespace {

using Clock = std::chrono::steady_clock;

// Each has a thread.
constexpr size_t kMaxPending = 256;

}  // namespace

struct PendingStatements::Entry {
  ~Entry() {
    cancelled = true;
    if (thread.joinable()) thread.join();
  }

  bool GivenUp(std::chrono::milliseconds patience) const {
    return cancelled || Clock::now().time_since_epoch() - asked.load() > patience;
  }

  std::shared_ptr<sql::SqlSession> session;
  arrow::flight::FlightDescriptor request;
  std::atomic<Clock::duration> asked{Clock::now().time_since_epoch()};
  std::atomic<bool> cancelled{false};
  std::mutex mutex;
  std::condition_variable ended;
  std::optional<arrow::Result<QueryHandle>> handle;  // under `mutex`
  std::thread thread;
};

PendingStatements::~PendingStatements() {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, entry] : entries_) entry->cancelled = true;
  entries_.clear();
}

std::vector<std::shared_ptr<PendingStatements::Entry>>
PendingStatements::TakeForgottenLocked() {
  std::vector<std::shared_ptr<Entry>> forgotten;
  for (auto each = entries_.begin(); each != entries_.end();) {
    const auto entry = each->second;
    const std::lock_guard lock(entry->mutex);
    if (entry->handle && entry->GivenUp(patience_)) {
      forgotten.push_back(entry);
      each = entries_.erase(each);
    } else {
      ++each;
    }
  }
  return forgotten;
}

arrow::Result<std::string> PendingStatements::Begin(
    std::shared_ptr<sql::SqlSession> session,
    const arrow::flight::FlightDescriptor& request, Work work) {
  auto entry = std::make_shared<Entry>();
  entry->session = std::move(session);
  entry->request = request;
  std::string id = NewId();
  std::vector<std::shared_ptr<Entry>> forgotten;  // ends after the lock
  const std::lock_guard lock(mutex_);
  forgotten = TakeForgottenLocked();
  if (entries_.size() >= kMaxPending) {
    return ResourcesExhaustedStatus(
        fmt::format("{} statements that clients poll for are under way; wait for some",
                    kMaxPending),
        ResourcesExhausted::QUEUE, kMaxPending);
  }
  // The thread ends before its entry does, which joins it.
  entry->thread =
      std::thread([mine = entry.get(), work = std::move(work), patience = patience_] {
        auto handle = work([&] { return mine->GivenUp(patience); });
        const std::lock_guard ending(mine->mutex);
        mine->handle = std::move(handle);
        mine->ended.notify_all();
      });
  entries_[id] = std::move(entry);
  return id;
}

arrow::Result<PendingStatements::Outcome> PendingStatements::Wait(
    const std::string& id, std::chrono::milliseconds limit) {
  std::shared_ptr<Entry> entry;
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(id);
    if (found != entries_.end()) entry = found->second;
  }
  if (entry == nullptr) {
    return arrow::Status::Invalid(
        "the statement that is polled for is not known to the scheduler (any more): it "
        "was cancelled, or not asked for in time; run it again");
  }
  entry->asked = Clock::now().time_since_epoch();
  Outcome outcome{entry->session, entry->request, std::nullopt};
  {
    std::unique_lock lock(entry->mutex);
    entry->ended.wait_for(lock, limit, [&] { return entry->handle.has_value(); });
    outcome.handle = entry->handle;
  }
  entry->asked = Clock::now().time_since_epoch();
  if (outcome.handle) {
    const std::lock_guard lock(mutex_);
    entries_.erase(id);
  }
  return outcome;
}

std::optional<std::string> PendingStatements::UserOf(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return std::nullopt;
  return found->second->session->user();
}

bool PendingStatements::Cancel(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return false;
  found->second->cancelled = true;
  return true;
}

void PendingStatements::CloseSession(const std::string& session_id) {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, entry] : entries_) {
    if (entry->session->id() == session_id) entry->cancelled = true;
  }
}

}  // namespace ballista::scheduler
