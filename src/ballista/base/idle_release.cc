#include "ballista/base/idle_release.h"

#include <optional>
#include <utility>

namespace ballista {

IdleRelease::IdleRelease(std::function<uint64_t()> uses, std::function<void()> release,
                         std::chrono::milliseconds quiet)
    : uses_(std::move(uses)),
      release_(std::move(release)),
      quiet_(quiet),
      thread_([this] { Run(); }) {}

IdleRelease::~IdleRelease() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
}

void IdleRelease::Run() {
  uint64_t seen = uses_();
  std::optional<uint64_t> released;
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, quiet_, [this] { return stopping_; })) {
    const uint64_t now = uses_();
    if (now == seen && now != released) {
      release_();
      released = now;
    }
    seen = now;
  }
}

}  // namespace ballista
