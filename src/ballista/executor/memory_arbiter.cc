#include "ballista/executor/memory_arbiter.h"

#include <arrow/memory_pool.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "ballista/base/log.h"
#include "ballista/base/process_memory.h"

namespace ballista::executor {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kBusyPeriod{20};
constexpr milliseconds kIdlePeriod{500};
// Between two releases: walking a large heap costs milliseconds, and memory that is given
// back while it is in use again costs page faults.
constexpr milliseconds kReleasePeriod{100};
// An idle process gives back what it has free after so many looks (5 s).
constexpr int kQuietLooks = 10;

}  // namespace

MemoryArbiter::MemoryArbiter(const MemoryLimits& limits, engine::EngineResources* engine,
                             shuffle::ShuffleStore* store,
                             std::shared_ptr<shuffle::MemoryBudget> fetch)
    : limits_(limits), engine_(engine), store_(store), fetch_(std::move(fetch)) {
  untracked_ = Untracked(Measure());
  Look();
  thread_ = std::thread([this] { Run(); });
}

MemoryArbiter::~MemoryArbiter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void MemoryArbiter::TasksRunning(int count) {
  bool began = false;
  {
    const std::lock_guard lock(mutex_);
    began = running_ == 0 && count > 0;
    running_ = count;
    if (began) quiet_looks_ = 0;
  }
  if (began) wake_.notify_all();
}

bool MemoryArbiter::HasRoom() const {
  const std::lock_guard lock(mutex_);
  return !shares_.pressed;
}

MemoryUse MemoryArbiter::LastUse() const {
  const std::lock_guard lock(mutex_);
  return use_;
}

MemoryUse MemoryArbiter::Measure() {
  MemoryUse use;
  if (engine_ != nullptr) {
    const auto engine = engine_->Usage();
    use.engine = engine.memory_bytes;
    use.engine_limit = engine.memory_limit;
    store_->disk().SetOthers(engine.spilled_bytes);
  }
  use.store = store_->Usage().memory_bytes;
  use.fetch = fetch_->used();
  use.pool = arrow::default_memory_pool()->bytes_allocated();
  use.resident = ResidentBytes();
  return use;
}

void MemoryArbiter::Release() {
  arrow::default_memory_pool()->ReleaseUnused();
  if (engine_ != nullptr) engine_->ReleaseFree();
  TrimHeap();
}

// Free memory that an allocator keeps is used again by its owner before the process
// grows, so that it counts for nothing until the limit is near. Then it is given back,
// and what is resident beside the pools after that is the estimate.
MemoryUse MemoryArbiter::MeasureAndRelease() {
  MemoryUse use = Measure();
  const int64_t before = untracked_;
  untracked_ = std::min(before, Untracked(use));
  untracked_ = std::max(untracked_, before - before / 64);
  const auto now = steady_clock::now();
  const bool near = use.resident > limits_.process - Reserve(limits_.process);
  bool quiet = false;
  {
    const std::lock_guard lock(mutex_);
    quiet = running_ == 0 && ++quiet_looks_ == kQuietLooks;
  }
  if ((near && now - released_ >= kReleasePeriod) || quiet) {
    Release();
    use = Measure();
    untracked_ = Untracked(use);
    released_ = steady_clock::now();
  }
  use.untracked = untracked_;
  return use;
}

void MemoryArbiter::Look() {
  const std::lock_guard looking(look_mutex_);
  const MemoryUse use = MeasureAndRelease();
  const MemoryShares shares = Divide(limits_, use);
  {
    const std::lock_guard lock(mutex_);
    use_ = use;
    shares_ = shares;
  }
  fetch_->SetLimit(shares.fetch);
  store_->SetMemoryLimit(shares.store);
  if (use.store > shares.store) {
    Evict(shares.store);
  }
  if (engine_ != nullptr && store_->disk().quota() > 0) {
    engine_->SetSpillLimit(store_->disk().LeftForOthers());
  }
  // Small changes are not worth the engine's trouble.
  const int64_t change = std::abs(shares.engine - use.engine_limit);
  if (engine_ != nullptr && change > limits_.process / 64) {
    engine_->SetMemoryLimit(shares.engine);
  }
}

// A full disk is the error of the tasks that write; here it is a line in the log, once.
void MemoryArbiter::Evict(int64_t target_bytes) {
  const auto status = store_->Evict(target_bytes);
  if (!status.ok() && !evict_failed_.exchange(true)) {
    LOG_WARN("executor", "Task outputs stay in memory: {}", status.message());
  }
  if (status.ok()) evict_failed_ = false;
}

void MemoryArbiter::MakeRoom() {
  Evict(0);
  {
    const std::lock_guard looking(look_mutex_);
    Release();
    untracked_ = Untracked(Measure());
    released_ = steady_clock::now();
  }
  Look();
}

void MemoryArbiter::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const int running = running_;
    wake_.wait_for(lock, running > 0 ? kBusyPeriod : kIdlePeriod,
                   [&] { return stopping_ || (running == 0 && running_ > 0); });
    if (stopping_) return;
    lock.unlock();
    Look();
    lock.lock();
  }
}

}  // namespace ballista::executor
