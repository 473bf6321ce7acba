// What goes into the scheduler's core (events) and what comes out of it (effects). Plain
// values: no thread, no clock, no I/O behind any of them.
//
// Names: a task is known by job id, stage id, task index and attempt. Attempts of one
// task are numbered from 0 and never reused; two of them may run at once (Speculation).
// An executor is known by its id; one start of its process by its incarnation.
#pragma once

#include <arrow/status.h>
#include <google/protobuf/arena.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ballista/control.pb.h"
#include "ballista/job.pb.h"
#include "ballista/profile.pb.h"
#include "ballista/state.pb.h"

namespace ballista::scheduler {

// Time since some fixed start of the shell's choosing; never goes back.
using Time = std::chrono::microseconds;
inline constexpr Time kNever = Time::max();

// When a task that takes much longer than others of its stage is run a second time at
// once, elsewhere. The first attempt to finish counts, the other one is stopped and its
// output dropped. Only where a slot is free that no other task wants; never where the
// task leaves more than its rows behind (plan::HasEffects).
struct Speculation {
  bool enabled = false;
  // Once this share of the stage's tasks (in percent; at least one task) has finished,
  uint32_t quantile = 75;
  // one is late that has run so many times as long as their median,
  uint32_t multiplier = 2;
  // and not less than this.
  Time least = std::chrono::seconds(1);
};

// How one job is to be run.
struct JobOptions {
  // A task that failed this often (counting only failures of its own, not lost executors
  // or inputs) fails the job; at least 1.
  uint32_t max_task_attempts = 4;
  // False: nothing is ever run twice (writes that are not idempotent); the first failure
  // or loss of an output that is still needed fails the job.
  bool retry = true;
  // Tasks of a MANY_TASKS stage; 0: one per executor that takes tasks. Never more than
  // there are pieces of work (row groups, non-empty partitions).
  uint32_t tasks_per_stage = 0;
  // A stage gets no more tasks than leaves each this many input bytes (splits on disk,
  // exchanged rows in memory); 0: no such limit.
  uint64_t min_task_bytes = 1 << 20;
  // A task that would get more than this many times what the other tasks of its stage get
  // on average shares its partitions with others, where the stage allows it; 0: never.
  uint32_t skew_factor = 2;
  Speculation speculation;  // not where `retry` is false
  // The job is cancelled (reason DEADLINE) when it has not finished by then.
  Time deadline = kNever;
  std::string statement;  // whose job it is, for people
  std::string user;       // the same, where clients log in
};

// ------------------------------------------------------------------------------- events

// An executor joins. The same incarnation again: a repeated message, nothing changes but
// that tasks it reports and the core does not know are cancelled. Another incarnation:
// the old process is lost, this one is new.
struct ExecutorRegistered {
  control::ExecutorMetadata executor;
  std::vector<job::TaskId> running;    // what it is running now
  std::vector<std::string> held_jobs;  // jobs of which it keeps data or tasks
  // What it has of jobs that may be recovered here (JobRecovered).
  std::vector<control::HeldOutput> held;
  // Of the messages of one incarnation: `held` of one that is not later than all before
  // is left out.
  uint64_t sequence = 0;
};

// Executors are to be told to register when SchedulerCore::HasExecutor says no.
struct ExecutorHeartbeat {
  std::string executor_id;
  std::string incarnation;
};

// The executor is gone, however that was found out. Empty incarnation: whichever is
// there.
struct ExecutorLost {
  std::string executor_id;
  std::string incarnation;
  std::string reason;
};

// The executor takes no more tasks; those running go on and its outputs can be read. It
// comes back into use by registering with another incarnation. Tasks that it hands back
// (failed with Cancelled, SHUTDOWN) run elsewhere; that counts as no failure.
struct ExecutorDraining {
  std::string executor_id;
  std::string incarnation;
};

// The executor said that it leaves: as if lost, but nothing is held against the tasks
// that it was running.
struct ExecutorStopped {
  std::string executor_id;
  std::string incarnation;
};

// The job id must be new. Ends with JobFinished or JobFailed.
struct JobSubmitted {
  std::string job_id;
  std::string session_id;  // slots are shared fairly between sessions, then jobs
  job::JobGraph graph;
  JobOptions options;
};

// A job of a scheduler that has ended, from what it kept: `graph` and `formations` as of
// some moment of its run. The job waits until the expected executors have registered (or
// CoreOptions::recovery_wait), then goes on with what they hold of it. New attempts of
// its tasks are numbered from `first_attempt`, above any of before.
struct JobRecovered {
  JobSubmitted job;
  std::vector<record::StageFormation> formations;
  uint32_t first_attempt = 0;
  std::vector<std::string> expected_executors;
};

// Ends the job with JobFailed (code Cancelled, this reason). A job that has finished
// already is released instead.
struct JobCancelled {
  std::string job_id;
  Cancelled::Reason reason = Cancelled::CLIENT;
  std::string message;
};

// The client has read the result, or does not want it: the job's data is dropped.
// A job still running is cancelled (reason CLIENT).
struct JobReleased {
  std::string job_id;
};

inline constexpr uint32_t kWholeResult = UINT32_MAX;

// The client has come for the result, or has read some more of it: puts off
// CoreOptions::reader_ttl. Parts of earlier tasks are not computed again when they are
// lost, nor the one of which rows were given; a client that comes once more begins again
// at task 0.
struct JobResultRead {
  std::string job_id;
  // Of the result stage: those before it have been read whole, and of this one the client
  // has rows where `begun`. Nothing: who reads only says that it will. kWholeResult: all
  // of it was sent.
  std::optional<uint32_t> task = 0;
  bool begun = false;
};

// A part of the result could not be read from the executor that keeps it, and the client
// has no row of it: all that this executor has of the result and was not read yet is
// computed again.
struct ResultPartLost {
  std::string job_id;
  uint32_t task = 0;
  uint32_t attempt = 0;
  std::string reason;
};

// The parts of a finished job's result are given out, to be read one by one in any order,
// several at once. From now on ResultPartRead says what of them was read, and which rows
// belong to the result is settled: where they cannot be had again, the job fails.
struct ResultGivenOut {
  std::string job_id;
};

// A client reads a part of such a result; puts off CoreOptions::reader_ttl.
struct ResultPartRead {
  enum class Progress {
    kWanted,  // it comes for it: what of it is lost is computed again
    kGoesOn,  // it takes rows
    kWhole,   // all of it was sent: it is not computed again unless it is wanted again
  };
  std::string job_id;
  uint32_t task = 0;
  Progress progress = Progress::kGoesOn;
};

struct TaskFinished {
  job::TaskId id;
  std::string executor_id;
  std::string incarnation;
  job::OutputStatistics output;
  job::TaskMetrics metrics;
  // The whole output as one Arrow IPC stream where it came with the status, else null.
  std::shared_ptr<const std::string> inline_result;
};

struct TaskFailed {
  job::TaskId id;
  std::string executor_id;
  std::string incarnation;
  arrow::Status status;  // its ErrorDetail decides what happens
};

// A LaunchTasks effect could not be delivered (or it is not known whether it was): each
// task counts as failed once, and runs elsewhere. The executor gets no other task until
// it is heard of again (heartbeat, registration).
struct LaunchFailed {
  std::string executor_id;
  std::string incarnation;
  std::vector<job::TaskId> tasks;
  std::string reason;
};

// Time has passed. Needed at SchedulerCore::NextDeadline() or soon after.
struct Tick {};

using Event =
    std::variant<ExecutorRegistered, ExecutorHeartbeat, ExecutorLost, ExecutorDraining,
                 ExecutorStopped, JobSubmitted, JobRecovered, JobCancelled, JobReleased,
                 JobResultRead, ResultPartLost, ResultGivenOut, ResultPartRead,
                 TaskFinished, TaskFailed, LaunchFailed, Tick>;

// ------------------------------------------------------------------------------ effects

// Definitions of tasks in one arena: a task that reads an exchange names each output and
// each executor that it reads, so one launch may be thousands of small messages. They
// live as long as the arena, and as `Keep` keeps what they share. Not to be changed.
class TaskDefinitions {
 public:
  job::TaskDefinition* Add() {
    if (arena_ == nullptr) {
      google::protobuf::ArenaOptions options;
      options.start_block_size = 4096;
      arena_ = std::make_shared<google::protobuf::Arena>(options);
    }
    tasks_.push_back(
        google::protobuf::Arena::CreateMessage<job::TaskDefinition>(arena_.get()));
    return tasks_.back();
  }
  // For messages outside of the arena that definitions point to.
  void Keep(std::shared_ptr<const void> shared) {
    if (kept_.empty() || kept_.back() != shared) kept_.push_back(std::move(shared));
  }
  bool empty() const { return tasks_.empty(); }
  size_t size() const { return tasks_.size(); }
  const job::TaskDefinition& operator[](size_t i) const { return *tasks_[i]; }
  const std::vector<job::TaskDefinition*>& pointers() const { return tasks_; }
  // Null where there is no task.
  google::protobuf::Arena* arena() const { return arena_.get(); }

 private:
  std::vector<std::shared_ptr<const void>> kept_;
  std::shared_ptr<google::protobuf::Arena> arena_;
  std::vector<job::TaskDefinition*> tasks_;
};

// Send these tasks to the executor. At most one for an executor from one event. `stages`
// has the definition of each stage that a task refers to, once.
struct LaunchTasks {
  std::string executor_id;
  std::string incarnation;
  std::vector<std::shared_ptr<const job::StageDefinition>> stages;
  TaskDefinitions tasks;
};

// Stop these tasks if they are running, and drop what they have put out; no status is
// expected.
struct CancelTasks {
  std::string executor_id;
  std::vector<job::TaskId> tasks;
};

// Where one part of a result is. Parts are in the order of the result's rows.
struct ResultPart {
  uint32_t stage_id = 0;
  uint32_t task_index = 0;
  uint32_t attempt = 0;
  uint32_t partitions = 1;  // to be read: [0, partitions)
  uint64_t rows = 0;
  uint64_t bytes = 0;
  job::ExecutorAddress executor;                     // who keeps it
  std::shared_ptr<const std::string> inline_result;  // not null: here it is, nobody else
                                                     // need be asked
};

// The result can be read, until JobReleased or result_ttl. At least one part (a result
// without rows has one, for its schema), else only parts with rows. JobReopened can
// follow, when an executor with a part of the result is lost, or JobFailed.
struct JobFinished {
  std::string job_id;
  std::vector<ResultPart> parts;
  uint64_t rows = 0;
  uint64_t bytes = 0;
  profile::QueryProfile outline;
};

// Parts of the result that were not read yet are lost: the result cannot be read until
// they are computed again (JobFinished, with where all parts are then; those that were
// read may be nowhere).
struct JobReopened {
  std::string job_id;
  std::string reason;
};

// The job has ended without a result (status Cancelled: it was cancelled), or its result
// was lost. The core has forgotten it.
struct JobFailed {
  std::string job_id;
  arrow::Status status;
  profile::QueryProfile outline;
};

// Drop everything that is kept of these jobs. To be delivered until acknowledged, as long
// as the executor is there, and never before an earlier LaunchTasks to the same executor.
struct RemoveJobs {
  std::string executor_id;
  std::vector<std::string> job_ids;
};

// With CoreOptions::profiles: the core has forgotten the job. `profile` is what it knew
// of it (without the texts that are made of the graph), `graph` its last one.
struct JobEnded {
  profile::QueryProfile profile;
  job::JobGraph graph;
};

// With CoreOptions::durable: to be kept for JobRecovered, in the order of the effects.
// Nothing waits for it: what was not kept yet is not gone on with.
struct StageFormed {
  std::string job_id;
  record::StageFormation formation;
};

// The job has another graph now.
struct GraphReplaced {
  std::string job_id;
  job::JobGraph graph;
};

using Effect = std::variant<StageFormed, GraphReplaced, LaunchTasks, CancelTasks,
                            JobFinished, JobReopened, JobFailed, RemoveJobs, JobEnded>;

}  // namespace ballista::scheduler
