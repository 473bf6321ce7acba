// What a scheduler keeps in its state backend: executors, and jobs with their graphs and
// the formations of their stages. docs/state.md has the keys and what recovery does.
#pragma once

#include <arrow/result.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ballista/control.pb.h"
#include "ballista/scheduler/core_messages.h"
#include "ballista/scheduler/service/state_writer.h"
#include "ballista/state.pb.h"
#include "ballista/state/state_backend.h"

namespace ballista::scheduler {

// Thread-safe. Nothing but Open, Load and Flush waits for the backend.
class StateKeeper {
 public:
  struct Recovered {
    std::vector<JobRecovered> jobs;
    std::vector<std::string> executors;  // that were there
    // Jobs that had failed and whose client has not been told yet, by id.
    std::map<std::string, arrow::Status> failed;
  };

  // Where the store is shared, waits until no other scheduler works with it, up to some
  // seconds. `on_fenced`: another scheduler has taken over; nothing is kept any more.
  // Errors: kInUse, kUnavailable; sentences for people.
  static arrow::Result<std::unique_ptr<StateKeeper>> Open(
      std::unique_ptr<state::StateBackend> backend,
      std::function<void(const arrow::Status&)> on_fenced);
  ~StateKeeper();

  // What the scheduler before left. From its return on the jobs are counted as started
  // once more. Once, before anything is kept.
  arrow::Result<Recovered> Load();

  std::string Describe() const { return backend_->Describe(); }

  void KeepExecutor(const control::ExecutorMetadata& executor);
  void ForgetExecutor(const std::string& executor_id);

  // ResourcesExhausted: the backend has not taken in what it was given for too long.
  arrow::Status KeepJob(const JobSubmitted& job);
  void KeepGraph(const std::string& job_id, const job::JobGraph& graph);
  void KeepFormation(const std::string& job_id, const record::StageFormation& formation);
  // The job has failed, and its client is still to be told.
  void KeepFailure(const std::string& job_id, const arrow::Status& status);
  void ForgetJob(const std::string& job_id);

  // Waits until everything so far is durable, for as long as a client is made to wait.
  arrow::Status Flush();

 private:
  explicit StateKeeper(std::unique_ptr<state::StateBackend> backend)
      : backend_(std::move(backend)) {}
  arrow::Status TakeClaim();
  void KeepLeaseAlive();
  void PutGraph(const std::string& job_id, const job::JobGraph& graph, record::Job* job);
  arrow::Status LoadJob(const std::string& job_id,
                        const std::map<std::string, std::string>& entries,
                        const std::vector<std::string>& executors, Recovered* recovered);

  const std::unique_ptr<state::StateBackend> backend_;
  state::LeaseId lease_ = 0;
  std::optional<state::Fence> fence_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, record::Job> jobs_;  // what is kept now, by id
  bool stopping_ = false;
  std::unique_ptr<StateWriter> writer_;
  std::thread lease_thread_;
};

}  // namespace ballista::scheduler
