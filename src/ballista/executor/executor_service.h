// The executor's Flight server: outputs for other executors and clients by DoGet, tasks
// from the scheduler by DoAction.
#pragma once

#include <arrow/flight/server.h>

#include <memory>
#include <string>

#include "ballista/executor/task_runner.h"
#include "ballista/flight/rpc.h"
#include "ballista/shuffle/shuffle_store.h"

namespace ballista::executor {

// Thread-safe, as Flight calls it. Borrows what it serves.
class ExecutorService : public arrow::flight::FlightServerBase {
 public:
  // `incarnation`: of this process; a launch that was meant for another one is refused.
  ExecutorService(TaskRunner* runner, shuffle::ShuffleStore* store,
                  std::string incarnation);

  arrow::Status DoGet(const arrow::flight::ServerCallContext& context,
                      const arrow::flight::Ticket& request,
                      std::unique_ptr<arrow::flight::FlightDataStream>* stream) override;
  arrow::Status DoAction(const arrow::flight::ServerCallContext& context,
                         const arrow::flight::Action& action,
                         std::unique_ptr<arrow::flight::ResultStream>* result) override;
  arrow::Status ListActions(const arrow::flight::ServerCallContext& context,
                            std::vector<arrow::flight::ActionType>* actions) override;

 private:
  arrow::Result<control::LaunchTasksResponse> Launch(
      const control::LaunchTasksRequest& request);

  TaskRunner* const runner_;
  shuffle::ShuffleStore* const store_;
  const std::string incarnation_;
  flight::ActionRouter router_;
};

}  // namespace ballista::executor
