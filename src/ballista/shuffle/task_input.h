// One input of a task, gathered from the executors that hold it.
//
// What this process holds itself is handed over from its store (no copy where it is in
// memory). The rest is fetched with one Flight DoGet for each executor, a few at a time,
// ahead of the consumer within the process's MemoryBudget. A connection that breaks is
// made again, with backoff, and goes on where it stopped (the producer's order of rows is
// fixed); after that the input fails with FetchFailed, which names the output.
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "ballista/flight/client_pool.h"
#include "ballista/job.pb.h"
#include "ballista/shuffle/exchange.h"
#include "ballista/shuffle/memory_budget.h"
#include "ballista/shuffle/shuffle_store.h"

namespace ballista::shuffle {

// How the reading of what one other executor has of an input went.
struct FetchReport {
  std::string executor_id;
  std::string address;    // host:port
  uint32_t stage_id = 0;  // whose outputs they are
  int64_t rows = 0;
  int64_t bytes = 0;  // of Arrow data
  std::chrono::system_clock::time_point begin;
  std::chrono::system_clock::time_point end;
  arrow::Status status;
};

// What the inputs of all tasks of an executor share.
struct FetchContext {
  std::string executor_id;  // this process: outputs with it are read from `store`
  ShuffleStore* store = nullptr;
  std::shared_ptr<flight::ClientPool> clients;
  std::shared_ptr<MemoryBudget> budget;
  int max_streams = 4;   // DoGet calls of one input at a time
  int max_attempts = 5;  // of a call that makes no progress
  // After so long without progress there is no further attempt: where each one takes long
  // to fail the peer is cut off.
  std::chrono::milliseconds attempts_limit{10'000};
  int max_stalls = 2;  // of these, that ended because nothing came
  // Before the second attempt; doubles, with jitter.
  std::chrono::milliseconds backoff{100};
  // A peer that sends nothing for so long, while somebody waits for it, is given up.
  std::chrono::milliseconds stall_timeout{60'000};
  // Called when such a reading has ended, from a thread that may outlive the source; may
  // be empty.
  std::function<void(const FetchReport&)> on_fetched;
};

class TaskInputSource : public ExchangeSource {
 public:
  // Bytes of Arrow data given so far.
  virtual int64_t fetched_bytes() const = 0;
  virtual int64_t local_bytes() const = 0;
};

struct TaskInputOptions {
  // The outputs come one after the other, each in its own order; Next is then of use to
  // one thread. Else: in any order.
  bool in_order = false;
  // What schema() gives where no output has a row. Where it is null, an empty output is
  // asked instead, and without any output schema() is null.
  std::shared_ptr<arrow::Schema> fallback_schema;
};

// Starts fetching at once. `task` gives job_id and executors (TaskOutputRef.executor);
// `input` is one of its inputs. schema() may block until the first peer has answered, and
// is null after an error. The source ends its streams when it is destroyed.
//
// Errors: FetchFailed where an output that should be here is not; Internal for references
// that cannot be.
arrow::Result<std::unique_ptr<TaskInputSource>> MakeTaskInput(
    const FetchContext& context, const job::TaskDefinition& task,
    const job::TaskInput& input, const TaskInputOptions& options);

}  // namespace ballista::shuffle
