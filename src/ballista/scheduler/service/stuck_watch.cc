#include "ballista/scheduler/service/stuck_watch.h"

#include <algorithm>

namespace ballista::scheduler {

void StuckWatch::Begin(Time now) {
  if (limit_ > Time::zero() && next_ == kNever) next_ = now + limit_;
}

std::vector<std::pair<std::string, Time>> StuckWatch::Check(Time now, const Idle& idle) {
  std::vector<std::pair<std::string, Time>> due;
  if (now < next_) return due;
  std::map<std::string, Time> named;
  for (auto& [job_id, since] : idle(now - limit_)) {
    const auto before = named_.find(job_id);
    const bool again = before != named_.end() && before->second >= since;
    const Time last = again ? before->second : since;
    named[job_id] = last;
    if (now - last < limit_) continue;
    named[job_id] = now;
    due.emplace_back(job_id, since);
  }
  named_ = std::move(named);
  // One that comes to a halt between two checks is named at most a quarter late.
  next_ = now + std::max(limit_ / 4, Time(10'000));
  return due;
}

}  // namespace ballista::scheduler
