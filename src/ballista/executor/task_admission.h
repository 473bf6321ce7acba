// Decides when a task that has a slot may begin: at once while memory has room, else when
// another one has ended; and lets a task that ran out of memory have the executor to
// itself once.
//
// The first task always begins: an executor under pressure works on, one task at a time.
// Thread-safe.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <utility>

namespace ballista::executor {

class TaskAdmission {
 public:
  // `has_room`: whether a task may begin beside those that run; asked now and then while
  // one waits, from its thread.
  explicit TaskAdmission(std::function<bool()> has_room)
      : has_room_(std::move(has_room)) {}

  // Held while a task runs. Empty where the task was abandoned first.
  class Permit {
   public:
    Permit() = default;
    Permit(Permit&& other) noexcept
        : of_(std::exchange(other.of_, nullptr)), began_alone_(other.began_alone_) {}
    Permit& operator=(Permit&& other) noexcept;
    ~Permit() { Release(); }

    explicit operator bool() const { return of_ != nullptr; }
    // Nothing else ran when this one began.
    bool began_alone() const { return began_alone_; }

   private:
    friend class TaskAdmission;
    Permit(TaskAdmission* of, bool alone) : of_(of), began_alone_(alone) {}
    void Release();

    TaskAdmission* of_ = nullptr;
    bool began_alone_ = false;
  };

  using Abandoned = std::function<bool()>;

  Permit Enter(const Abandoned& abandoned);
  // Waits until nothing else runs; nothing else begins meanwhile, and until it has ended.
  Permit EnterAlone(const Abandoned& abandoned);

  int running() const;

 private:
  void Leave();

  const std::function<bool()> has_room_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int running_ = 0;
  int alone_ = 0;           // tasks that wait to run alone
  bool exclusive_ = false;  // the one that runs, runs alone
};

}  // namespace ballista::executor
