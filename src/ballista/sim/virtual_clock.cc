#include "ballista/sim/virtual_clock.h"

#include <cmath>

namespace ballista::sim {

// splitmix64 (Steele, Lea, Flood 2014).
uint64_t Mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

uint64_t Mix(uint64_t a, uint64_t b) {
  return Mix(Mix(a) ^ (b * 0xd6e8feb86659fd93));
}

uint64_t Random::Next() {
  state_ += 0x9e3779b97f4a7c15;
  return Mix(state_);
}

bool Random::Chance(double probability) {
  return static_cast<double>(Next() >> 11) * 0x1p-53 < probability;
}

Time Random::Delay(Time least, Time most) {
  const double low = std::log(static_cast<double>(least.count()));
  const double high = std::log(static_cast<double>(most.count()));
  const double at = static_cast<double>(Next() >> 11) * 0x1p-53;
  return Time{static_cast<int64_t>(std::exp(low + (high - low) * at))};
}

void VirtualClock::After(Time delay, std::function<void()> action) {
  queue_.push({now_ + delay, orders_++, std::move(action)});
}

bool VirtualClock::Step() {
  if (queue_.empty()) return false;
  // The queue's top is const only to protect its order; it is popped before it is used.
  Entry entry = std::move(const_cast<Entry&>(queue_.top()));
  queue_.pop();
  now_ = entry.time;
  ++steps_;
  entry.action();
  return true;
}

}  // namespace ballista::sim
