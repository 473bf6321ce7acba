// Time and chance of a simulation: an event queue whose clock jumps from event to event,
// and a random generator that gives the same numbers for the same seed everywhere.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <tuple>
#include <utility>
#include <vector>

#include "ballista/scheduler/core_messages.h"

namespace ballista::sim {

using scheduler::Time;

// A well-mixed function of one and of two numbers.
uint64_t Mix(uint64_t value);
uint64_t Mix(uint64_t a, uint64_t b);

class Random {
 public:
  explicit Random(uint64_t seed) : state_(Mix(seed)) {}

  uint64_t Next();
  // 0 .. limit - 1.
  uint64_t Below(uint64_t limit) { return Next() % limit; }
  // first .. last.
  uint64_t Between(uint64_t first, uint64_t last) {
    return first + Below(last - first + 1);
  }
  bool Chance(double probability);
  // From `least` up to `most`; short ones are as likely as long ones (log-uniform).
  Time Delay(Time least, Time most);

 private:
  uint64_t state_;
};

class VirtualClock {
 public:
  Time now() const { return now_; }
  uint64_t steps() const { return steps_; }

  // Runs `action` once `delay` has passed. Equal times: in the order of the calls.
  void After(Time delay, std::function<void()> action);

  // Runs the next action. False: there is none.
  bool Step();

 private:
  struct Entry {
    Time time;
    uint64_t order;
    std::function<void()> action;
    bool operator>(const Entry& other) const {
      return std::tie(time, order) > std::tie(other.time, other.order);
    }
  };
  Time now_{};
  uint64_t steps_ = 0;
  uint64_t orders_ = 0;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue_;
};

}  // namespace ballista::sim
