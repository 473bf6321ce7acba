#include "ballista/flight/bounded_batches.h"

#include <arrow/result.h>
#include <arrow/util/byte_size.h>

#include <algorithm>
#include <utility>

namespace ballista::flight {
namespace {

class BoundedReader : public arrow::RecordBatchReader {
 public:
  BoundedReader(std::shared_ptr<arrow::RecordBatchReader> reader, int64_t max_bytes)
      : reader_(std::move(reader)), max_bytes_(max_bytes) {}

  std::shared_ptr<arrow::Schema> schema() const override { return reader_->schema(); }

  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    if (rest_ == nullptr) {
      ARROW_RETURN_NOT_OK(reader_->ReadNext(&rest_));
      if (rest_ == nullptr) {
        batch->reset();
        return arrow::Status::OK();
      }
    }
    ARROW_ASSIGN_OR_RAISE(const int64_t rows, RowsThatFit());
    *batch = rows == rest_->num_rows() ? rest_ : rest_->Slice(0, rows);
    rest_ = rows == rest_->num_rows() ? nullptr : rest_->Slice(rows);
    return arrow::Status::OK();
  }

 private:
  // Halves the first rows of rest_ until they fit; rows of uneven size are met that way
  // too.
  arrow::Result<int64_t> RowsThatFit() const {
    int64_t rows = rest_->num_rows();
    while (rows > 1) {
      ARROW_ASSIGN_OR_RAISE(const int64_t bytes,
                            arrow::util::ReferencedBufferSize(*rest_->Slice(0, rows)));
      if (bytes <= max_bytes_) break;
      rows = std::max<int64_t>(rows / 2, 1);
    }
    return rows;
  }

  const std::shared_ptr<arrow::RecordBatchReader> reader_;
  const int64_t max_bytes_;
  std::shared_ptr<arrow::RecordBatch> rest_;  // of a batch that was cut
};

}  // namespace

std::shared_ptr<arrow::RecordBatchReader> BoundBatches(
    std::shared_ptr<arrow::RecordBatchReader> reader, int64_t max_bytes) {
  return std::make_shared<BoundedReader>(std::move(reader), max_bytes);
}

}  // namespace ballista::flight
