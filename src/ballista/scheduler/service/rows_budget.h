// A bound on the rows that the scheduler itself holds (--result-memory-limit): small
// results of executors, what it answers itself and nobody has read yet, uploads, and what
// is on its way into its tables. Each holder has a share, and gives it back at its end.
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/table.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace ballista::scheduler {

// Thread-safe.
class RowsBudget {
  struct State;

 public:
  explicit RowsBudget(int64_t limit) : state_(std::make_shared<State>(limit)) {}

  // Not thread-safe; may outlive the budget.
  class Share {
   public:
    Share() = default;
    Share(Share&& other) noexcept;
    Share& operator=(Share&& other) noexcept;
    ~Share();

    // False, and nothing is taken, where that is beyond the limit.
    bool TryTake(int64_t bytes);
    // ResourcesExhausted, a sentence that begins with `what` ("the result"), instead.
    arrow::Status Take(int64_t bytes, std::string_view what);
    int64_t taken() const { return taken_; }

   private:
    friend class RowsBudget;
    explicit Share(std::shared_ptr<RowsBudget::State> state);
    std::shared_ptr<RowsBudget::State> state_;
    int64_t taken_ = 0;
  };
  Share Open() const { return Share(state_); }
  int64_t used() const { return state_->used; }

 private:
  struct State {
    explicit State(int64_t limit) : limit(limit) {}
    const int64_t limit;
    std::atomic<int64_t> used{0};
  };
  const std::shared_ptr<State> state_;
};

// All rows of the reader, while `share` has room for them.
arrow::Result<std::shared_ptr<arrow::Table>> ReadWithin(arrow::RecordBatchReader* reader,
                                                        RowsBudget::Share* share,
                                                        std::string_view what);

// Gives the table's rows, and holds the share meanwhile.
std::shared_ptr<arrow::RecordBatchReader> ReadHeld(std::shared_ptr<arrow::Table> rows,
                                                   RowsBudget::Share share);

}  // namespace ballista::scheduler
