#include "ballista/client/alive_watch.h"

#include <chrono>
#include <utility>

namespace ballista::client {
namespace {

constexpr std::chrono::seconds kInterval{2};

}  // namespace

AliveWatch::AliveWatch(bool enabled, std::function<bool()> is_alive,
                       std::function<void()> give_up)
    : is_alive_(std::move(is_alive)), give_up_(std::move(give_up)) {
  if (enabled) thread_ = std::thread([this] { Run(); });
}

AliveWatch::~AliveWatch() {
  Stop();
}

bool AliveWatch::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  return gave_up_;
}

void AliveWatch::Run() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kInterval, [this] { return stopped_; })) {
    lock.unlock();
    const bool alive = is_alive_();
    lock.lock();
    if (alive || stopped_) continue;
    gave_up_ = true;
    give_up_();
    return;
  }
}

}  // namespace ballista::client
