#include "ballista/scheduler/service/running_clock.h"

#include <utility>

namespace ballista::scheduler {
namespace {

std::function<Time()> SteadyClock() {
  return [start = std::chrono::steady_clock::now()] {
    return std::chrono::duration_cast<Time>(std::chrono::steady_clock::now() - start);
  };
}

}  // namespace

RunningClock::RunningClock(std::function<Time()> real)
    : real_(real != nullptr ? std::move(real) : SteadyClock()) {}

Time RunningClock::Check(bool again) {
  const Time now = real_();
  Time gap{};
  if (due_ != kNever && now > due_ + kSuspension) gap = now - due_;
  suspended_ += gap;
  due_ = again ? now + kInterval : kNever;
  return gap;
}

}  // namespace ballista::scheduler
