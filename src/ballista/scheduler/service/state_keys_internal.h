// The keys of what schedulers keep (docs/state.md).
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace ballista::scheduler {

// Of all that is kept (docs/state.md): raised where older schedulers can no longer read
// it.
inline const std::string kFormatKey = "format";
inline constexpr uint32_t kFormat = 1;
inline const std::string kSchedulers = "schedulers/";
inline const std::string kExecutors = "executors/";
inline const std::string kJobs = "jobs/";
inline const std::string kCatalog = "catalog/";
inline const std::string kSessions = "sessions/";
inline const std::string kHistory = "history/";
// In place of a scheduler's id, where the store is one scheduler's alone.
inline const std::string kAlone = "alone";
// Of one job.
inline const std::string kJobHeader = "job";
inline const std::string kJobFailed = "failed";
inline const std::string kJobRead = "read";

inline std::string JobKey(const std::string& job_id, const std::string& what) {
  return kJobs + job_id + "/" + what;
}

inline std::string PieceKey(const std::string& job_id, uint32_t version, uint32_t piece) {
  return JobKey(job_id, fmt::format("graph/{}/{:06}", version, piece));
}

}  // namespace ballista::scheduler
