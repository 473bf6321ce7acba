// What the fetching threads of one input and its consumers share: batches that wait to be
// taken, the schema, the first error.
//
// Internal to shuffle/. Thread-safe.
#pragma once

#include <arrow/flight/client.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <set>

#include "ballista/shuffle/memory_budget.h"

namespace ballista::shuffle {

class FetchQueue {
 public:
  using Clock = std::chrono::steady_clock;

  FetchQueue(std::shared_ptr<MemoryBudget> budget,
             std::chrono::milliseconds stall_timeout)
      : budget_(std::move(budget)), stall_timeout_(stall_timeout) {}
  ~FetchQueue();

  // ---- fetching threads
  // A call that Cancel and Fail end, and whose waits for the peer are timed. From its
  // construction to Attach the call is being made, which nothing can interrupt: a peer
  // that does not answer by then fails the input with `no_answer`.
  class Stream {
   public:
    Stream(FetchQueue* queue, arrow::Status no_answer);
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    void Attach(std::unique_ptr<arrow::flight::FlightStreamReader> reader);
    arrow::flight::FlightStreamReader* reader() { return reader_.get(); }
    arrow::Result<arrow::flight::FlightStreamChunk> Next();
    bool stalled() const { return stalled_; }

   private:
    friend class FetchQueue;
    FetchQueue* const queue_;
    const arrow::Status no_answer_;
    // Under the queue's mutex:
    std::unique_ptr<arrow::flight::FlightStreamReader> reader_;
    bool waiting_ = true;
    Clock::time_point since_ = Clock::now();
    std::atomic<bool> stalled_{false};
  };

  void AddProducers(int count);
  void RemoveProducer();
  // The first schema becomes the input's. Errors: Internal for other types.
  arrow::Status SetSchema(const std::shared_ptr<arrow::Schema>& schema);
  // Waits for room in the budget for a batch of about `bytes`; or until the consumer has
  // nothing to take, or the input has ended.
  void WaitForRoom(int64_t bytes);
  // Gives a batch for which WaitForRoom took `reserved` bytes.
  void Push(std::shared_ptr<arrow::RecordBatch> batch, int64_t bytes, int64_t reserved);
  void Fail(const arrow::Status& status);
  // Sleeps, but not on when the input has ended. False: it has.
  bool Sleep(std::chrono::milliseconds time);
  bool ended() const { return ended_; }

  // ---- consumers
  enum class Wait { kNo, kYes };
  // A batch; nullptr where there is none (with kYes: none will come). Errors: the first.
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Pop(Wait wait);
  // Blocks until it is known; nullptr where it never will be.
  std::shared_ptr<arrow::Schema> schema();
  void Cancel();
  // Until no producer is left, at most for `time`.
  void WaitForProducers(std::chrono::milliseconds time);

 private:
  struct Entry {
    std::shared_ptr<arrow::RecordBatch> batch;
    int64_t bytes;
  };

  void FailLocked(const arrow::Status& status);
  void EndStalledLocked();

  const std::shared_ptr<MemoryBudget> budget_;
  const std::chrono::milliseconds stall_timeout_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Entry> entries_;
  std::atomic<int64_t> queued_{0};  // entries_.size(), for the budget's predicate
  std::atomic<bool> ended_{false};  // failed or cancelled
  arrow::Status status_;
  std::shared_ptr<arrow::Schema> schema_;
  int producers_ = 0;
  std::set<Stream*> streams_;
};

}  // namespace ballista::shuffle
