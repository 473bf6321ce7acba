#include "ballista/executor/executor_service.h"

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "ballista/base/status.h"
#include "ballista/flight/auth_middleware.h"
#include "ballista/flight/part_ticket.h"
#include "ballista/flight/status_transport.h"
#include "ballista/shuffle/data_service.h"

namespace ballista::executor {

namespace fl = arrow::flight;

ExecutorService::ExecutorService(control::ExecutorMetadata self, TaskRunner* runner,
                                 SchedulerLinks* links, shuffle::ShuffleStore* store,
                                 std::function<int64_t()> fetched_bytes)
    : self_(std::move(self)),
      runner_(runner),
      links_(links),
      store_(store),
      fetched_bytes_(std::move(fetched_bytes)) {
  using control::LaunchTasksResponse;
  router_.Add<control::LaunchTasksRequest, LaunchTasksResponse>(
      "launch_tasks", [this](const auto& request) { return Launch(request); });
  router_.Add<control::CancelTasksRequest, LaunchTasksResponse>(
      "cancel_tasks", [this](const auto& request) -> arrow::Result<LaunchTasksResponse> {
        std::vector<job::TaskId> tasks;
        for (const auto& task : request.tasks()) {
          if (!links_->IsStale(task.job_id(), request.job_tokens()))
            tasks.push_back(task);
        }
        runner_->Cancel(tasks);
        return LaunchTasksResponse();
      });
  router_.Add<control::RemoveJobsRequest, LaunchTasksResponse>(
      "remove_jobs", [this](const auto& request) -> arrow::Result<LaunchTasksResponse> {
        for (const auto& job_id : request.job_ids()) {
          if (!links_->IsStale(job_id, request.job_tokens())) Remove(job_id);
        }
        return LaunchTasksResponse();
      });
  router_.Add<control::AdoptJobsRequest, control::AdoptJobsResponse>(
      "adopt_jobs",
      [this](const auto& request) -> arrow::Result<control::AdoptJobsResponse> {
        for (const auto& job_id : links_->Adopt(request)) Remove(job_id);
        return control::AdoptJobsResponse();
      });
  router_.AddRaw(
      "status", "What this executor keeps of jobs, as JSON.",
      [this](const fl::ServerCallContext&,
             std::string_view) -> arrow::Result<std::string> { return Status(); });
}

void ExecutorService::Remove(const std::string& job_id) {
  runner_->RemoveJob(job_id);
  links_->Forget(job_id);
  result_keys_.Forget(job_id);
}

std::string ExecutorService::Status() const {
  auto tasks = nlohmann::json::array();
  for (const auto& id : runner_->Running()) {
    tasks.push_back({{"job_id", id.job_id()},
                     {"stage", id.stage_id()},
                     {"task", id.task_index()},
                     {"attempt", id.attempt()}});
  }
  const auto usage = store_->Usage();
  return nlohmann::json{{"executor_id", self_.id()},
                        {"tasks", std::move(tasks)},
                        {"jobs", store_->Jobs()},
                        {"outputs", usage.outputs},
                        {"output_memory_bytes", usage.memory_bytes},
                        {"output_disk_bytes", usage.disk_bytes},
                        {"fetched_bytes", fetched_bytes_()}}
      .dump();
}

arrow::Result<control::LaunchTasksResponse> ExecutorService::Launch(
    const control::LaunchTasksRequest& request) {
  if (request.executor_incarnation() != self_.incarnation()) {
    return ExecutorLostStatus(
        "these tasks are for another process at this address, which is gone", "");
  }
  ARROW_RETURN_NOT_OK(links_->Check(request));
  result_keys_.NoteLaunch(request);
  ARROW_RETURN_NOT_OK(runner_->Launch(request));
  return control::LaunchTasksResponse();
}

arrow::Status ExecutorService::DoGet(const fl::ServerCallContext& context,
                                     const fl::Ticket& request,
                                     std::unique_ptr<fl::FlightDataStream>* stream) {
  if (flight::IsPartTicket(request.ticket)) {
    auto served = GetPart(context, request.ticket, stream);
    return served.ok() ? served : flight::ToFlightStatus(context, served);
  }
  if (!flight::IdentityOf(context).MayActAsCluster()) {
    return fl::MakeFlightError(
        fl::FlightStatusCode::Unauthorized,
        "this executor gives clients the parts of their results alone, by the tickets "
        "that the scheduler has made for them");
  }
  return shuffle::ServeFetch(store_, context, request, stream);
}

arrow::Status ExecutorService::GetPart(const fl::ServerCallContext& context,
                                       const std::string& ticket,
                                       std::unique_ptr<fl::FlightDataStream>* stream) {
  ARROW_ASSIGN_OR_RAISE(const auto sealed, flight::ParsePart(ticket));
  const auto& job_id = sealed.part.job_id();
  const auto& output = sealed.part.output();
  const auto key = result_keys_.KeyOf(job_id);
  if (key.empty()) {
    return arrow::Status::Invalid(
        "this executor has nothing (any more) of the query that the ticket is of: ask "
        "the scheduler for this part, or run the query again");
  }
  ARROW_RETURN_NOT_OK(flight::CheckSeal(sealed, key));
  const auto tell = [this, job_id, output](control::PartReading::State state) {
    control::TaskStatus status;
    status.mutable_id()->set_job_id(job_id);
    status.mutable_id()->set_stage_id(output.stage_id());
    status.mutable_id()->set_task_index(output.task_index());
    status.mutable_id()->set_attempt(output.attempt());
    status.set_executor_id(self_.id());
    status.mutable_reading()->set_state(state);
    links_->Report(std::move(status));
  };
  return shuffle::ServePart(store_, context, job_id, output, tell, stream);
}

arrow::Status ExecutorService::DoAction(const fl::ServerCallContext& context,
                                        const fl::Action& action,
                                        std::unique_ptr<fl::ResultStream>* result) {
  return router_.Handle(context, action, result);
}

arrow::Status ExecutorService::ListActions(const fl::ServerCallContext& context,
                                           std::vector<fl::ActionType>* actions) {
  *actions = router_.List();
  return arrow::Status::OK();
}

}  // namespace ballista::executor
