#include "ballista/shuffle/output_reader.h"

#include <arrow/type.h>
#include <fmt/format.h>

#include <algorithm>

#include "ballista/base/status.h"
#include "ballista/shuffle/batch_slice.h"

namespace ballista::shuffle {
namespace {

// Small slices are joined up to this size.
constexpr int64_t kTargetBytes = 1 << 20;
// Slices from here on are not worth a copy.
constexpr int64_t kLargeSliceBytes = 256 << 10;
// A batch travels as one message, which must stay below 2 GB.
constexpr int64_t kMaxBatchBytes = 512 << 20;

}  // namespace

OutputReader::OutputReader(std::vector<Range> ranges,
                           std::shared_ptr<arrow::Schema> schema, int64_t num_rows,
                           std::string executor_id)
    : ranges_(std::move(ranges)),
      schema_(std::move(schema)),
      num_rows_(num_rows),
      executor_id_(std::move(executor_id)) {}

arrow::Result<std::unique_ptr<OutputReader>> OutputReader::Make(std::vector<Range> ranges,
                                                                std::string executor_id) {
  if (ranges.empty()) return InternalStatus("a reader of no output has no schema");
  auto schema = ranges[0].output->schema();
  int64_t num_rows = 0;
  for (const auto& range : ranges) {
    if (!SameTypes(*schema, *range.output->schema())) {
      return InternalStatus(
          fmt::format("outputs of stages {} and {} are read as one but differ in type",
                      ranges[0].output->id().stage_id(), range.output->id().stage_id()));
    }
    num_rows += range.by_rows ? range.last_row - range.first_row
                              : range.output->CountRows(range.first_partition,
                                                        range.last_partition);
  }
  return std::unique_ptr<OutputReader>(new OutputReader(
      std::move(ranges), std::move(schema), num_rows, std::move(executor_id)));
}

arrow::Status OutputReader::Failed(const StoredOutput& output,
                                   const arrow::Status& why) const {
  const auto& id = output.id();
  FetchFailed what;
  what.set_job_id(id.job_id());
  what.set_stage_id(id.stage_id());
  what.set_task_index(id.task_index());
  what.set_attempt(id.attempt());
  what.set_executor_id(executor_id_);
  return FetchFailedStatus(
      fmt::format("the output of stage {} task {} attempt {} cannot be read: {}",
                  id.stage_id(), id.task_index(), id.attempt(), why.message()),
      what);
}

arrow::Result<bool> OutputReader::FillPending() {
  while (pending_.empty()) {
    if (range_ == ranges_.size()) return false;
    const auto& range = ranges_[range_];
    const auto num_batches = range.output->num_batches();
    if (!num_batches.ok()) return Failed(*range.output, num_batches.status());
    if (batch_ == *num_batches) {
      ++range_;
      batch_ = 0;
      continue;
    }
    auto slices =
        range.by_rows
            ? range.output->FindRows(batch_, range.first_row, range.last_row)
            : range.output->Find(batch_, range.first_partition, range.last_partition);
    if (!slices.ok()) return Failed(*range.output, slices.status());
    pending_ = std::move(slices).ValueUnsafe();
    std::reverse(pending_.begin(), pending_.end());
    pending_output_ = range.output;
    ++batch_;
  }
  return true;
}

arrow::Result<OutputReader::Group> OutputReader::NextGroup() {
  Group group;
  int64_t bytes = 0;
  while (bytes < kTargetBytes) {
    ARROW_ASSIGN_OR_RAISE(const bool more, FillPending());
    if (!more) break;
    auto& slice = pending_.back();
    if (slice.bytes >= kLargeSliceBytes && !group.slices.empty()) break;
    group.output = pending_output_;
    if (slice.bytes > kMaxBatchBytes && slice.rows > 1) {
      Slice head = slice;
      head.rows = std::max<int64_t>(1, slice.rows * kMaxBatchBytes / slice.bytes);
      head.bytes = kMaxBatchBytes;
      slice.first_row += head.rows;
      slice.rows -= head.rows;
      slice.bytes -= head.bytes;
      group.slices.push_back(std::move(head));
      break;
    }
    bytes += slice.bytes;
    const bool large = slice.bytes >= kLargeSliceBytes;
    group.slices.push_back(std::move(slice));
    pending_.pop_back();
    if (large) break;
  }
  return group;
}

arrow::Result<arrow::RecordBatchVector> OutputReader::LoadGroup(const Group& group) {
  auto loaded = LoadSlices(group.slices);
  if (!loaded.ok()) return Failed(*group.output, loaded.status());
  arrow::RecordBatchVector pieces;
  for (const auto& piece : *loaded) {
    // Outputs of different stages may name their columns differently.
    pieces.push_back(
        arrow::RecordBatch::Make(schema_, piece->num_rows(), piece->columns()));
  }
  if (pieces.size() <= 1) return pieces;
  auto joined = arrow::ConcatenateRecordBatches(pieces);
  // Where a few rows are so long that the sizes were guessed wrong, the joined strings
  // may not fit 32-bit offsets.
  if (!joined.ok()) return pieces;
  return arrow::RecordBatchVector{std::move(joined).ValueUnsafe()};
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> OutputReader::Next() {
  Group group;
  {
    std::lock_guard lock(mutex_);
    if (!ready_.empty()) {
      auto batch = std::move(ready_.front());
      ready_.pop_front();
      return batch;
    }
    ARROW_ASSIGN_OR_RAISE(group, NextGroup());
  }
  if (group.slices.empty()) return nullptr;
  ARROW_ASSIGN_OR_RAISE(auto batches, LoadGroup(group));
  if (batches.size() > 1) {
    std::lock_guard lock(mutex_);
    ready_.insert(ready_.end(), batches.begin() + 1, batches.end());
  }
  return batches[0];
}

}  // namespace ballista::shuffle
