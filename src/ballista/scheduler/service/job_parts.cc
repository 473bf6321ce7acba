// Results whose parts clients read one by one: part of JobService.
#include <utility>

#include "ballista/scheduler/service/job_service.h"

namespace ballista::scheduler {

std::string JobService::ResultKey(const std::string& job_id) const {
  const std::lock_guard lock(mutex_);
  const auto outcome = outcomes_.find(job_id);
  return outcome == outcomes_.end() ? "" : outcome->second.result_key;
}

arrow::Result<JobService::GivenOut> JobService::GiveOutParts(
    const std::string& job_id, const std::function<bool()>& abandoned) {
  std::unique_lock lock(mutex_);
  GivenOut given;
  const auto outcome = outcomes_.find(job_id);
  if (outcome == outcomes_.end() || outcome->second.result_key.empty()) return given;
  given.key = outcome->second.result_key;
  ARROW_ASSIGN_OR_RAISE(given.result, WaitLocked(&lock, job_id, abandoned));
  ARROW_RETURN_NOT_OK(WhyEndedLocked(job_id));
  outcomes_.at(job_id).given_out = true;
  PostLocked(ResultGivenOut{job_id});
  return given;
}

arrow::Result<std::shared_ptr<const JobFinished>> JobService::WaitForPart(
    const std::string& job_id, uint32_t task, uint32_t attempt,
    const std::function<bool()>& abandoned) {
  std::unique_lock lock(mutex_);
  PostLocked(ResultPartRead{job_id, task, ResultPartRead::Progress::kWanted});
  ARROW_ASSIGN_OR_RAISE(auto result, WaitLocked(&lock, job_id, abandoned));
  ARROW_RETURN_NOT_OK(WhyEndedLocked(job_id));
  // Whoever gave the ticket out knew which rows the other parts had.
  if (!outcomes_.at(job_id).given_out && !core_.IsResultPart(job_id, task, attempt)) {
    return arrow::Status::IOError(
        "the scheduler that gave this ticket is gone, and what it stands for was lost; "
        "run the query again");
  }
  return result;
}

void JobService::NotePartReading(const std::string& job_id, uint32_t task,
                                 control::PartReading::State state) {
  const std::lock_guard lock(mutex_);
  NotePartReadingLocked(job_id, task, state);
}

void JobService::NotePartReadingLocked(const std::string& job_id, uint32_t task,
                                       control::PartReading::State state) {
  using Progress = ResultPartRead::Progress;
  if (!outcomes_.contains(job_id)) return;
  if (state == control::PartReading::LEFT) return ReleaseLocked(job_id);
  const bool whole = state == control::PartReading::WHOLE;
  if (!whole) ExpectReader(job_id);
  PostLocked(ResultPartRead{job_id, task, whole ? Progress::kWhole : Progress::kGoesOn});
  if (whole && core_.AllPartsRead(job_id)) ReleaseReadLocked(job_id);
}

}  // namespace ballista::scheduler
