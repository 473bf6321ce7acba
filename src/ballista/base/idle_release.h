// Calls a function whenever a process has had nothing to do for a while: to give memory
// back that only work needs.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace ballista {

class IdleRelease {
 public:
  // `uses`: how often there has been something to do, so far; thread-safe. `release` is
  // called on a thread of this object's once that number has stayed the same for `quiet`
  // to twice as long, and again only after it has changed. Both until the destructor.
  IdleRelease(std::function<uint64_t()> uses, std::function<void()> release,
              std::chrono::milliseconds quiet);
  ~IdleRelease();
  IdleRelease(const IdleRelease&) = delete;
  IdleRelease& operator=(const IdleRelease&) = delete;

 private:
  void Run();

  const std::function<uint64_t()> uses_;
  const std::function<void()> release_;
  const std::chrono::milliseconds quiet_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace ballista
