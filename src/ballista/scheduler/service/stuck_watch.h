// Says in the log what each query waits for that has made no progress for a while.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ballista/scheduler/core_messages.h"

namespace ballista::scheduler {

// Not thread-safe.
class StuckWatch {
 public:
  // A query without progress for `limit` is named, and again each time so long goes by.
  // Zero: none ever is.
  explicit StuckWatch(Time limit) : limit_(limit) {}

  // Queries and since when they have made no progress. `idle` is SchedulerCore::Idle.
  using Idle = std::function<std::vector<std::pair<std::string, Time>>(Time since)>;

  // Those that are to be named now. To be called when `NextCheck` says, or more often.
  std::vector<std::pair<std::string, Time>> Check(Time now, const Idle& idle);

  // kNever: not at all.
  Time NextCheck() const { return next_; }
  // There are queries: from `now` on they are watched.
  void Begin(Time now);

 private:
  Time limit_;
  Time next_ = kNever;
  std::map<std::string, Time> named_;  // when, by job
};

}  // namespace ballista::scheduler
