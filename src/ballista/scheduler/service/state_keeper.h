// What a scheduler keeps in its state backend: executors, jobs with their graphs and the
// formations of their stages, the catalog and sessions (kept_catalog.h,
// session_registry.h write these). docs/state.md has the keys and what recovery does.
//
// Where the store is shared, several schedulers work with it at once. Each is there under
// a lease, by an entry that every commit of it is guarded by: one whose lease has ended
// writes nothing more. Each job has one owner. What a scheduler that has ended leaves is
// taken over by another, in one transaction a job that holds only while the old owner is
// gone; the job's number of starts grows with it, and is its fencing token.
#pragma once

#include <arrow/result.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "ballista/control.pb.h"
#include "ballista/scheduler/core_messages.h"
#include "ballista/scheduler/service/state_writer.h"
#include "ballista/state.pb.h"
#include "ballista/state/state_backend.h"

namespace ballista::scheduler {

// Thread-safe. What only gives something to keep never waits for the backend.
class StateKeeper {
 public:
  // What a scheduler that has ended has left, and is this one's now.
  struct Recovered {
    std::vector<JobRecovered> jobs;
    std::vector<std::string> executors;  // that it had
    // Jobs that had failed and whose client has not been told yet, by id.
    struct Failed {
      arrow::Status status;
      std::string user;
    };
    std::map<std::string, Failed> failed;
    std::map<std::string, std::chrono::milliseconds> time_left;  // of jobs with a limit
    std::map<std::string, uint64_t> tokens;                      // of the jobs
    std::set<std::string> read;  // of the jobs: their results were sent to the end
    // Schedulers that have ended, and all jobs that go on, here or elsewhere.
    std::vector<std::string> ended_schedulers;
    std::vector<std::string> kept_jobs;
  };

  // Called from the keeper's threads, one at a time.
  struct Events {
    // This scheduler's lease has ended: its jobs are others'. Nothing is kept meanwhile.
    std::function<void()> on_lost;
    // It is there again, under a new id.
    std::function<void(const std::string& id)> on_joined;
    std::function<void(Recovered)> on_recovered;
  };

  // Errors: kUnavailable; sentences for people. `self`: where other schedulers find this
  // one.
  static arrow::Result<std::unique_ptr<StateKeeper>> Open(
      std::unique_ptr<state::StateBackend> backend, const record::Scheduler& self);
  ~StateKeeper();

  // What ended schedulers have left so far. From its return on the jobs are counted as
  // started once more. Once, before anything is kept.
  arrow::Result<Recovered> Load();
  // From now on calls back. `events` must stay good until StopEvents.
  void StartEvents(Events events);
  void StopEvents();

  std::string Describe() const { return backend_->Describe(); }
  bool shared() const { return backend_->shared(); }
  // By which others know this scheduler; another one after each on_joined.
  std::string id() const;
  // False: the lease may have ended, so that others may have this scheduler's jobs. What
  // reaches beyond the process waits meanwhile.
  bool MayAct() const;

  void KeepExecutor(const control::ExecutorMetadata& executor);
  void ForgetExecutor(const std::string& executor_id);

  // `time_limit`: zero for none. Waits for a lease that has ended to be there again.
  // ResourcesExhausted: the backend has not taken in what it was given for too long.
  arrow::Status KeepJob(const JobSubmitted& job, std::chrono::milliseconds time_limit);
  void KeepGraph(const std::string& job_id, const job::JobGraph& graph);
  void KeepFormation(const std::string& job_id, const record::StageFormation& formation);
  // The job has failed, and its client is still to be told.
  void KeepFailure(const std::string& job_id, const arrow::Status& status);
  // Its result was sent to the end; the job is to be forgotten soon.
  void KeepRead(const std::string& job_id);
  void ForgetJob(const std::string& job_id);

  // Waits until everything so far is durable, for as long as a client is made to wait.
  arrow::Status Flush();

  // ---- jobs of other schedulers
  struct Whereabouts {
    bool known = false;  // the job is kept by some scheduler
    bool here = false;
    std::string user;                        // whose it is
    std::optional<record::Scheduler> owner;  // where that runs
    arrow::Status failure;                   // of a job that has failed
  };
  arrow::Result<Whereabouts> FindJob(const std::string& job_id);
  // An executor has something of that scheduler's, which may have ended long ago.
  void Suspect(const std::string& scheduler_id);

  // ---- for those who keep other things: everything is under this scheduler's guard
  state::StateBackend* backend() { return backend_.get(); }
  // False: one of its compares did not hold. Errors: also that the scheduler's lease has
  // ended.
  arrow::Result<state::Committed> CommitIf(state::Transaction transaction);
  void Put(std::string key, std::string value);
  void ErasePrefix(std::string prefix);

 private:
  explicit StateKeeper(std::unique_ptr<state::StateBackend> backend,
                       record::Scheduler self)
      : backend_(std::move(backend)), self_(std::move(self)) {}

  // `alive_since`: for NoteAlive.
  arrow::Status Join(state::Deadline deadline,
                     std::chrono::steady_clock::time_point* alive_since);
  void JoinAgain();
  void NoteAlive(std::chrono::steady_clock::time_point asked);
  void KeepLeaseAlive();
  // Watches schedulers come and go, and takes over from those that have ended.
  void FollowSchedulers();
  // Adds to `recovered`, also where it fails.
  arrow::Status TakeOver(state::Deadline deadline, Recovered* recovered);
  arrow::Status TakeOverAndTell();
  arrow::Status DropUnfinished(const std::string& job_id);
  arrow::Result<Whereabouts> WithOwner(Whereabouts found, const std::string& owner,
                                       state::Deadline deadline);
  arrow::Status Adopt(const std::string& job_id, const state::Entry& header,
                      record::Job* job, bool* adopted);
  using Entries = std::map<std::string, state::Entry>;  // of one job, by the key's rest
  arrow::Status LoadJob(const std::string& job_id, const Entries& entries,
                        Recovered* recovered);
  arrow::Status LoadFailure(const std::string& job_id, const Entries& entries,
                            Recovered* recovered);
  void PutGraph(const std::string& job_id, const job::JobGraph& graph, record::Job* job);
  std::shared_ptr<StateWriter> Writer() const;
  std::string ExecutorKey(const std::string& executor_id) const;
  void OnFenced(const std::string& id);

  const std::unique_ptr<state::StateBackend> backend_;
  const record::Scheduler self_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::string id_;
  state::LeaseId lease_ = 0;
  std::optional<state::Fence> fence_;
  std::shared_ptr<StateWriter> writer_;
  std::map<std::string, record::Job> jobs_;  // what is kept now, by id
  std::set<std::string> suspects_;
  // Jobs without a record, by when they were seen first; of TakeOver alone.
  std::map<std::string, std::chrono::steady_clock::time_point> unfinished_;
  std::set<std::string> uncertain_;  // jobs: whether they were taken over is not known
  std::atomic<uint64_t> losses_{0};  // of the lease
  bool fenced_ = false;
  bool stopping_ = false;
  // The lease lives until then at least, of the steady clock.
  std::atomic<std::chrono::steady_clock::rep> alive_until_{0};
  std::mutex events_mutex_;  // held while calling back
  Events events_;
  std::thread lease_thread_;
  std::thread follower_;
};

}  // namespace ballista::scheduler
