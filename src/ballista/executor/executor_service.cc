#include "ballista/executor/executor_service.h"

#include <utility>
#include <vector>

#include "ballista/base/status.h"
#include "ballista/shuffle/data_service.h"

namespace ballista::executor {

namespace fl = arrow::flight;

ExecutorService::ExecutorService(TaskRunner* runner, shuffle::ShuffleStore* store,
                                 std::string incarnation)
    : runner_(runner), store_(store), incarnation_(std::move(incarnation)) {
  using control::LaunchTasksResponse;
  router_.Add<control::LaunchTasksRequest, LaunchTasksResponse>(
      "launch_tasks", [this](const auto& request) { return Launch(request); });
  router_.Add<control::CancelTasksRequest, LaunchTasksResponse>(
      "cancel_tasks", [this](const auto& request) -> arrow::Result<LaunchTasksResponse> {
        runner_->Cancel({request.tasks().begin(), request.tasks().end()});
        return LaunchTasksResponse();
      });
  router_.Add<control::RemoveJobsRequest, LaunchTasksResponse>(
      "remove_jobs", [this](const auto& request) -> arrow::Result<LaunchTasksResponse> {
        for (const auto& job_id : request.job_ids()) runner_->RemoveJob(job_id);
        return LaunchTasksResponse();
      });
}

arrow::Result<control::LaunchTasksResponse> ExecutorService::Launch(
    const control::LaunchTasksRequest& request) {
  if (request.executor_incarnation() != incarnation_) {
    return arrow::Status::Invalid(
        "these tasks are for an earlier process at this address, which is gone");
  }
  ARROW_RETURN_NOT_OK(runner_->Launch(request));
  return control::LaunchTasksResponse();
}

arrow::Status ExecutorService::DoGet(const fl::ServerCallContext& context,
                                     const fl::Ticket& request,
                                     std::unique_ptr<fl::FlightDataStream>* stream) {
  return shuffle::ServeFetch(store_, context, request, stream);
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
