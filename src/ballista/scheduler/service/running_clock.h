// A clock that stands still while its process does not run: it was stopped, or its
// machine slept. By a plain clock everybody would seem to have been silent for so long.
#pragma once

#include <chrono>
#include <functional>

#include "ballista/scheduler/core_messages.h"

namespace ballista::scheduler {

// Not thread-safe.
class RunningClock {
 public:
  // Whoever has Check called at least so often has suspensions noticed.
  static constexpr Time kInterval = std::chrono::milliseconds(500);
  // Beyond kInterval: longer than a busy machine keeps a thread waiting.
  static constexpr Time kSuspension = std::chrono::seconds(1);

  // `real`: time since some start, for tests; else of the steady clock.
  explicit RunningClock(std::function<Time()> real = nullptr);

  Time Now() const { return real_() - suspended_; }
  // How long it is from now until `time`, which may be past.
  Time Until(Time time) const { return time - Now(); }

  // Takes note of a suspension since the last call and gives its length, zero for none.
  // `again`: the next call comes within kInterval; else any time may pass until then.
  Time Check(bool again);

 private:
  const std::function<Time()> real_;
  Time suspended_{};
  Time due_ = kNever;  // the next call of Check, of the real clock
};

}  // namespace ballista::scheduler
