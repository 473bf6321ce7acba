#include "ballista/executor/task_admission.h"

#include <chrono>
#include <utility>

namespace ballista::executor {
namespace {

// Memory gets free without anybody saying so.
constexpr std::chrono::milliseconds kLookAgain{20};

}  // namespace

TaskAdmission::Permit& TaskAdmission::Permit::operator=(Permit&& other) noexcept {
  if (this == &other) return *this;
  Release();
  of_ = std::exchange(other.of_, nullptr);
  began_alone_ = other.began_alone_;
  return *this;
}

void TaskAdmission::Permit::Release() {
  if (of_ != nullptr) std::exchange(of_, nullptr)->Leave();
}

TaskAdmission::Permit TaskAdmission::Enter(const Abandoned& abandoned) {
  std::unique_lock lock(mutex_);
  while (alone_ > 0 || exclusive_ || (running_ > 0 && !has_room_())) {
    changed_.wait_for(lock, kLookAgain);
    if (abandoned()) return {};
  }
  return {this, running_++ == 0};
}

TaskAdmission::Permit TaskAdmission::EnterAlone(const Abandoned& abandoned) {
  std::unique_lock lock(mutex_);
  ++alone_;
  while (running_ > 0) {
    changed_.wait_for(lock, kLookAgain);
    if (!abandoned()) continue;
    --alone_;
    changed_.notify_all();
    return {};
  }
  ++running_;
  --alone_;
  exclusive_ = true;
  return {this, true};
}

void TaskAdmission::Leave() {
  {
    const std::lock_guard lock(mutex_);
    --running_;
    exclusive_ = false;
  }
  changed_.notify_all();
}

int TaskAdmission::running() const {
  const std::lock_guard lock(mutex_);
  return running_;
}

}  // namespace ballista::executor
