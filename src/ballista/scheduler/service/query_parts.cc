// Results whose parts clients read one by one, from the executors that keep them: part of
// QueryService.
#include <algorithm>
#include <utility>

#include "ballista/flight/client_pool.h"
#include "ballista/flight/part_ticket.h"
#include "ballista/scheduler/service/query_service.h"
#include "ballista/scheduler/service/result_reader.h"
#include "ballista/sql/error_place.h"

namespace ballista::scheduler {
namespace {

namespace fl = arrow::flight;

// One part, of a client that has its ticket.
class JobPart : public ResultSource {
 public:
  JobPart(JobService* jobs, const control::ResultPartRange& part,
          std::function<bool()> abandoned)
      : jobs_(jobs), part_(part), abandoned_(std::move(abandoned)) {}

  arrow::Result<std::shared_ptr<const JobFinished>> From(uint32_t task) override {
    return jobs_->WaitForPart(part_.job_id(), task, part_.output().attempt(), abandoned_);
  }
  bool Begin(const ResultPart& part) override {
    if (!jobs_->HasPart(part_.job_id(), part)) return false;
    Touch(part);
    return true;
  }
  void Touch(const ResultPart& part) override {
    jobs_->NotePartReading(part_.job_id(), part.task_index,
                           control::PartReading::GOES_ON);
  }
  bool Has(const ResultPart& part) override {
    return jobs_->HasPart(part_.job_id(), part);
  }
  void Lose(const ResultPart& part, const std::string& reason) override {
    jobs_->LosePart(part_.job_id(), part, reason);
  }
  arrow::Status WhyEnded() override { return jobs_->WhyEnded(part_.job_id()); }

 private:
  JobService* const jobs_;
  const control::ResultPartRange part_;
  const std::function<bool()> abandoned_;
};

control::ResultPartRange RangeOf(const std::string& job_id, const ResultPart& part) {
  control::ResultPartRange range;
  range.set_job_id(job_id);
  range.mutable_output()->set_stage_id(part.stage_id);
  range.mutable_output()->set_task_index(part.task_index);
  range.mutable_output()->set_attempt(part.attempt);
  range.mutable_output()->set_last_partition(part.partitions);
  return range;
}

}  // namespace

// The scheduler is always one of the places: it has what is not to be had from the
// executor, and computes what is lost again. Clients that know the name of its connection
// (arrow-flight-reuse-connection) come there by themselves.
arrow::Result<std::vector<fl::Location>> QueryService::LocationsOf(
    const ResultPart& part) const {
  if (part.inline_result != nullptr || part.executor.host().empty()) {
    return std::vector<fl::Location>();
  }
  ARROW_ASSIGN_OR_RAISE(const auto executor,
                        flight::MakeLocation(part.executor.host(), part.executor.port(),
                                             executors_have_tls_));
  return std::vector<fl::Location>{executor, fl::Location::ReuseConnection()};
}

arrow::Result<QueryService::GivenOut> QueryService::GiveOut(
    const std::string& query_id, const std::function<bool()>& abandoned) {
  GivenOut given;
  auto parts = jobs_->GiveOutParts(query_id, abandoned);
  if (!parts.ok()) {
    jobs_->Release(query_id);
    return sql::PlaceError(parts.status(), TakeText(query_id));
  }
  if (parts->result == nullptr) return given;
  const auto& result = *parts->result;
  given.rows = static_cast<int64_t>(result.rows);
  given.bytes = static_cast<int64_t>(result.bytes);
  // What is here anyway comes in one stream.
  if (std::all_of(result.parts.begin(), result.parts.end(),
                  [](const auto& part) { return part.inline_result != nullptr; })) {
    return given;
  }
  TakeText(query_id);
  for (const auto& part : result.parts) {
    fl::FlightEndpoint endpoint;
    endpoint.ticket.ticket = flight::SealPart(RangeOf(query_id, part), parts->key);
    ARROW_ASSIGN_OR_RAISE(endpoint.locations, LocationsOf(part));
    given.endpoints.push_back(std::move(endpoint));
  }
  return given;
}

arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> QueryService::OpenPart(
    const std::string& ticket, const std::function<bool()>& abandoned) {
  ARROW_ASSIGN_OR_RAISE(const auto sealed, flight::ParsePart(ticket));
  const auto& job_id = sealed.part.job_id();
  const auto key = jobs_->ResultKey(job_id);
  if (key.empty()) return OpenPartElsewhere(job_id, ticket);
  ARROW_RETURN_NOT_OK(flight::CheckSeal(sealed, key));
  const uint32_t task = sealed.part.output().task_index();
  auto done = [jobs = jobs_, job_id, task](bool whole) {
    jobs->NotePartReading(
        job_id, task, whole ? control::PartReading::WHOLE : control::PartReading::LEFT);
  };
  return OpenResultReader(std::make_unique<JobPart>(jobs_, sealed.part, abandoned),
                          clients_, kResultStall, std::move(done), task);
}

arrow::Result<std::string> QueryService::RenewPart(const std::string& ticket) {
  ARROW_ASSIGN_OR_RAISE(const auto sealed, flight::ParsePart(ticket));
  const auto& job_id = sealed.part.job_id();
  const auto key = jobs_->ResultKey(job_id);
  if (key.empty()) return arrow::Status::Invalid(JobService::NoSuchJob(job_id).message());
  ARROW_RETURN_NOT_OK(flight::CheckSeal(sealed, key));
  jobs_->Renew(job_id);
  return flight::SealPart(sealed.part, key);
}

}  // namespace ballista::scheduler
