// Gives a call up whose server is gone without a word: one that was stopped, or whose
// machine is, keeps its connections.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace ballista::client {

// Looks every 2 s, while a call waits, whether its server still answers.
class AliveWatch {
 public:
  // `is_alive` may take seconds. `give_up` is called once at most, from the watch's
  // thread. Not `enabled`: does nothing.
  AliveWatch(bool enabled, std::function<bool()> is_alive, std::function<void()> give_up);
  ~AliveWatch();

  // The call has ended. True: it was given up.
  bool Stop();

 private:
  void Run();

  const std::function<bool()> is_alive_;
  const std::function<void()> give_up_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
  bool gave_up_ = false;
  std::thread thread_;
};

}  // namespace ballista::client
