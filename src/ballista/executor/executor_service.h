// The executor's Flight server: outputs by DoGet, for the processes of the cluster, and
// for clients that have a ticket for a part of their result; tasks from the scheduler by
// DoAction.
#pragma once

#include <arrow/flight/server.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "ballista/executor/result_keys.h"
#include "ballista/executor/scheduler_links.h"
#include "ballista/executor/task_runner.h"
#include "ballista/flight/rpc.h"
#include "ballista/shuffle/shuffle_store.h"

namespace ballista::executor {

// Thread-safe, as Flight calls it. Borrows what it serves.
class ExecutorService : public arrow::flight::FlightServerBase {
 public:
  // A launch that was meant for another process than `self` is refused; so is any order
  // of a scheduler about a job that another one has by now. `fetched_bytes`: of inputs,
  // fetched and not consumed yet.
  ExecutorService(control::ExecutorMetadata self, TaskRunner* runner,
                  SchedulerLinks* links, shuffle::ShuffleStore* store,
                  std::function<int64_t()> fetched_bytes);

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
  void Remove(const std::string& job_id);
  arrow::Status GetPart(const arrow::flight::ServerCallContext& context,
                        const std::string& ticket,
                        std::unique_ptr<arrow::flight::FlightDataStream>* stream);
  // What is kept of jobs at the moment, as JSON.
  std::string Status() const;

  const control::ExecutorMetadata self_;
  TaskRunner* const runner_;
  SchedulerLinks* const links_;
  shuffle::ShuffleStore* const store_;
  const std::function<int64_t()> fetched_bytes_;
  ResultKeys result_keys_;
  flight::ActionRouter router_;
};

}  // namespace ballista::executor
