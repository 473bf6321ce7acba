// Keeps an executor within its memory limit: a thread that looks at what each owner of
// memory uses and at the process's resident memory, divides the limit anew
// (memory_shares.h), has the engine and the shuffle store spill to their shares, and
// returns free memory to the system when the process nears the limit. Divides the disk
// quota likewise.
//
// Every 20 ms while tasks run, else every 500 ms.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "ballista/engine/engine_resources.h"
#include "ballista/executor/memory_shares.h"
#include "ballista/shuffle/memory_budget.h"
#include "ballista/shuffle/shuffle_store.h"

namespace ballista::executor {

// Thread-safe.
class MemoryArbiter {
 public:
  // Borrows the engine's resources (which may be null) and the store.
  MemoryArbiter(const MemoryLimits& limits, engine::EngineResources* engine,
                shuffle::ShuffleStore* store,
                std::shared_ptr<shuffle::MemoryBudget> fetch);
  ~MemoryArbiter();

  // Tasks that run now. While there are any, the arbiter looks often.
  void TasksRunning(int count);

  // Whether a task may start beside those that run.
  bool HasRoom() const;

  // Makes all the room that can be made for one task that needs it: outputs go to disk,
  // allocators give back what they have free.
  void MakeRoom();

  // As seen last.
  MemoryUse LastUse() const;

 private:
  void Run();
  void Look();
  MemoryUse Measure();
  MemoryUse MeasureAndRelease();
  void Release();
  void Evict(int64_t target_bytes);

  const MemoryLimits limits_;
  engine::EngineResources* const engine_;
  shuffle::ShuffleStore* const store_;
  const std::shared_ptr<shuffle::MemoryBudget> fetch_;

  std::atomic<bool> evict_failed_{false};

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  int running_ = 0;
  bool stopping_ = false;
  MemoryUse use_;
  MemoryShares shares_;
  int quiet_looks_ = 0;  // in a row without tasks

  std::mutex look_mutex_;  // of the rest; before mutex_
  int64_t untracked_ = 0;
  std::chrono::steady_clock::time_point released_;
  std::thread thread_;
};

}  // namespace ballista::executor
