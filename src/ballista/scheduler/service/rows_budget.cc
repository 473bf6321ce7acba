#include "ballista/scheduler/service/rows_budget.h"

#include <arrow/util/byte_size.h>
#include <fmt/format.h>

#include <utility>
#include <vector>

#include "ballista/base/status.h"

namespace ballista::scheduler {

RowsBudget::Share::Share(std::shared_ptr<RowsBudget::State> state)
    : state_(std::move(state)) {}

RowsBudget::Share::Share(Share&& other) noexcept
    : state_(std::move(other.state_)), taken_(std::exchange(other.taken_, 0)) {}

RowsBudget::Share& RowsBudget::Share::operator=(Share&& other) noexcept {
  std::swap(state_, other.state_);
  std::swap(taken_, other.taken_);
  return *this;
}

RowsBudget::Share::~Share() {
  if (state_ != nullptr) state_->used -= taken_;
}

bool RowsBudget::Share::TryTake(int64_t bytes) {
  if ((state_->used += bytes) > state_->limit) {
    state_->used -= bytes;
    return false;
  }
  taken_ += bytes;
  return true;
}

arrow::Status RowsBudget::Share::Take(int64_t bytes, std::string_view what) {
  if (TryTake(bytes)) return arrow::Status::OK();
  return ResourcesExhaustedStatus(
      fmt::format("{} of at least {} bytes does not fit into the scheduler's memory for "
                  "rows, of which {} of {} bytes are taken (--result-memory-limit): read "
                  "or cancel what waits to be read, or write the rows to files with COPY",
                  what, taken_ + bytes, state_->used.load(), state_->limit),
      ResourcesExhausted::MEMORY, static_cast<uint64_t>(state_->limit));
}

arrow::Result<std::shared_ptr<arrow::Table>> ReadWithin(arrow::RecordBatchReader* reader,
                                                        RowsBudget::Share* share,
                                                        std::string_view what) {
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(auto batch, reader->Next());
    if (batch == nullptr) break;
    ARROW_RETURN_NOT_OK(share->Take(arrow::util::TotalBufferSize(*batch), what));
    batches.push_back(std::move(batch));
  }
  return arrow::Table::FromRecordBatches(reader->schema(), batches);
}

namespace {

class HeldRows : public arrow::RecordBatchReader {
 public:
  HeldRows(std::shared_ptr<arrow::Table> rows, RowsBudget::Share share)
      : share_(std::move(share)), reader_(std::move(rows)) {}
  std::shared_ptr<arrow::Schema> schema() const override { return reader_.schema(); }
  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    return reader_.ReadNext(batch);
  }

 private:
  const RowsBudget::Share share_;
  arrow::TableBatchReader reader_;
};

}  // namespace

std::shared_ptr<arrow::RecordBatchReader> ReadHeld(std::shared_ptr<arrow::Table> rows,
                                                   RowsBudget::Share share) {
  return std::make_shared<HeldRows>(std::move(rows), std::move(share));
}

}  // namespace ballista::scheduler
