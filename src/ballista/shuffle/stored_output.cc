#include "ballista/shuffle/stored_output.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/type.h>
#include <arrow/util/byte_size.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "ballista/base/status.h"
#include "ballista/shuffle/batch_slice.h"

namespace ballista::shuffle {
namespace {

// Partitions of a batch share a piece of the file up to this size: a reader of one of
// them reads at most so much in vain (it takes whole pieces), and small pieces do not
// drown in metadata, of which there is a kilobyte for 16 columns.
constexpr double kPieceBytes = 32 << 10;

}  // namespace

namespace {

arrow::Result<std::shared_ptr<arrow::RecordBatch>> RowsOf(
    const Slice& slice, std::shared_ptr<arrow::RecordBatch> piece) {
  if (slice.first_row == 0 && slice.rows == piece->num_rows()) return piece;
  if (slice.first_row + slice.rows > piece->num_rows()) {
    return InternalStatus("a piece of a shuffle file is shorter than its index says");
  }
  return piece->Slice(slice.first_row, slice.rows);
}

}  // namespace

arrow::Result<std::shared_ptr<arrow::RecordBatch>> Slice::Load() const {
  if (batch != nullptr) return RowsOf(*this, batch);
  ARROW_ASSIGN_OR_RAISE(auto piece, file->Read(position));
  return RowsOf(*this, std::move(piece));
}

bool Slice::Follows(const Slice& other) const {
  return file != nullptr && file == other.file &&
         position.offset == other.position.offset + other.position.length;
}

arrow::Result<arrow::RecordBatchVector> LoadSlices(const std::vector<Slice>& slices) {
  arrow::RecordBatchVector loaded;
  for (size_t first = 0; first < slices.size();) {
    size_t last = first + 1;
    while (last < slices.size() && slices[last].Follows(slices[last - 1])) ++last;
    if (last == first + 1) {
      ARROW_ASSIGN_OR_RAISE(auto rows, slices[first++].Load());
      loaded.push_back(std::move(rows));
      continue;
    }
    const auto& end = slices[last - 1].position;
    const int64_t begin = slices[first].position.offset;
    const auto& file = *slices[first].file;
    ARROW_ASSIGN_OR_RAISE(const auto bytes,
                          file.ReadBytes({begin, end.offset + end.length - begin}));
    for (; first < last; ++first) {
      const auto& [offset, length] = slices[first].position;
      ARROW_ASSIGN_OR_RAISE(
          auto piece, file.Decode(arrow::SliceBuffer(bytes, offset - begin, length)));
      ARROW_ASSIGN_OR_RAISE(auto rows, RowsOf(slices[first], std::move(piece)));
      loaded.push_back(std::move(rows));
    }
  }
  return loaded;
}

StoredOutput::StoredOutput(job::TaskId id, const job::Output& output,
                           std::unique_ptr<RunIndex> run, std::string path,
                           arrow::Compression::type compression,
                           std::shared_ptr<StoreTotals> totals,
                           std::shared_ptr<DiskShare> disk)
    : id_(std::move(id)),
      hashed_(output.kind() == job::Output::HASH),
      partitions_(hashed_ ? output.partitions() : 1),
      path_(std::move(path)),
      compression_(compression),
      totals_(std::move(totals)),
      run_(std::move(run)),
      disk_(std::move(disk)),
      partition_rows_(partitions_, 0),
      partition_bytes_(partitions_, 0) {}

StoredOutput::~StoredOutput() {
  Remove();
}

arrow::Status StoredOutput::RemovedStatus() const {
  return CancelledStatus(
      fmt::format("the output of stage {} task {} of job {} was dropped: its job has "
                  "ended or its attempt was given up",
                  id_.stage_id(), id_.task_index(), id_.job_id()),
      Cancelled::UNKNOWN);
}

arrow::Status StoredOutput::SetSchema(std::shared_ptr<arrow::Schema> schema) {
  std::lock_guard lock(mutex_);
  if (schema_ != nullptr) return InternalStatus("a task's output got two schemas");
  schema_ = std::move(schema);
  return arrow::Status::OK();
}

std::shared_ptr<arrow::Schema> StoredOutput::schema() const {
  std::lock_guard lock(mutex_);
  return schema_;
}

arrow::Status StoredOutput::CheckBatch(const PartitionedBatch& batch) const {
  if (schema_ == nullptr) return InternalStatus("a batch came before its schema");
  const auto& offsets = batch.offsets;
  if (offsets.size() != partitions_ + size_t{1} || offsets.front() != 0 ||
      offsets.back() != batch.batch->num_rows() ||
      !std::is_sorted(offsets.begin(), offsets.end())) {
    return InternalStatus(fmt::format(
        "a batch of {} rows came with {} offsets that do not cut it into {} partitions",
        batch.batch->num_rows(), offsets.size(), partitions_));
  }
  if (batch.batch->num_columns() != schema_->num_fields()) {
    return InternalStatus("a batch of an output does not have its schema");
  }
  for (int i = 0; i < schema_->num_fields(); ++i) {
    if (!batch.batch->column(i)->type()->Equals(*schema_->field(i)->type())) {
      return InternalStatus(
          fmt::format("column {} of a batch is {} where its schema has {}", i,
                      batch.batch->column(i)->type()->ToString(),
                      schema_->field(i)->type()->ToString()));
    }
  }
  return arrow::Status::OK();
}

void StoredOutput::AddStatistics(const PartitionedBatch& batch) {
  for (uint32_t p = 0; p < partitions_; ++p) {
    partition_rows_[p] += batch.offsets[p + 1] - batch.offsets[p];
  }
  AddPartitionBytes(*batch.batch, batch.offsets, &partition_bytes_);
}

arrow::Result<size_t> StoredOutput::Append(PartitionedBatch batch) {
  StoredBatch stored;
  stored.memory_bytes = arrow::util::TotalBufferSize(*batch.batch);
  stored.row_bytes = static_cast<double>(BatchBytes(*batch.batch)) /
                     static_cast<double>(std::max<int64_t>(batch.batch->num_rows(), 1));
  std::lock_guard lock(mutex_);
  if (removed_) return RemovedStatus();
  if (committed_) return InternalStatus("a batch came after its output's commit");
  ARROW_RETURN_NOT_OK(CheckBatch(batch));
  if (run_ != nullptr) ARROW_RETURN_NOT_OK(run_->Add(*batch.batch, stored.row_bytes));
  AddStatistics(batch);
  memory_bytes_ += stored.memory_bytes;
  totals_->memory_bytes += stored.memory_bytes;
  stored.batch = std::move(batch.batch);
  stored.offsets = std::move(batch.offsets);
  batches_.push_back(std::move(stored));
  return batches_.size() - 1;
}

arrow::Result<std::shared_ptr<OutputFile>> StoredOutput::File() {
  std::lock_guard lock(mutex_);
  if (removed_) return RemovedStatus();
  if (file_ == nullptr) {
    ARROW_ASSIGN_OR_RAISE(file_, OutputFile::Create(path_, schema_, compression_, disk_));
  }
  return file_;
}

arrow::Result<std::vector<StoredOutput::Piece>> StoredOutput::WritePieces(
    OutputFile* file, const arrow::RecordBatch& batch,
    const std::vector<uint32_t>& offsets, double row_bytes) const {
  std::vector<Piece> pieces;
  uint32_t first = 0;
  while (first < partitions_) {
    uint32_t last = first + 1;
    while (last < partitions_ &&
           (offsets[last + 1] - offsets[first]) * row_bytes <= kPieceBytes) {
      ++last;
    }
    const int64_t rows = offsets[last] - offsets[first];
    if (rows > 0) {
      ARROW_ASSIGN_OR_RAISE(const auto slice,
                            CompactViews(batch.Slice(offsets[first], rows)));
      ARROW_ASSIGN_OR_RAISE(const auto position, file->Write(*slice));
      pieces.push_back({first, last, position});
    }
    first = last;
  }
  return pieces;
}

arrow::Status StoredOutput::Spill(size_t index) {
  std::shared_ptr<arrow::RecordBatch> batch;
  std::vector<uint32_t> offsets;
  double row_bytes = 0;
  {
    std::lock_guard lock(mutex_);
    if (removed_ || batches_[index].batch == nullptr) return arrow::Status::OK();
    batch = batches_[index].batch;
    offsets = batches_[index].offsets;
    row_bytes = batches_[index].row_bytes;
  }
  const auto opened = File();
  if (opened.status().IsCancelled()) return arrow::Status::OK();  // removed meanwhile
  ARROW_RETURN_NOT_OK(opened.status());
  ARROW_ASSIGN_OR_RAISE(auto pieces,
                        WritePieces(opened->get(), *batch, offsets, row_bytes));

  std::lock_guard lock(mutex_);
  if (removed_) return arrow::Status::OK();
  auto& stored = batches_[index];
  memory_bytes_ -= stored.memory_bytes;
  totals_->memory_bytes -= stored.memory_bytes;
  for (const auto& piece : pieces) {
    disk_bytes_ += piece.position.length;
    totals_->disk_bytes += piece.position.length;
  }
  stored.pieces = std::move(pieces);
  stored.batch = nullptr;
  return arrow::Status::OK();
}

arrow::Result<job::OutputStatistics> StoredOutput::Commit() {
  std::lock_guard lock(mutex_);
  if (removed_) return RemovedStatus();
  if (schema_ == nullptr)
    return InternalStatus("an output without a schema is committed");
  committed_ = true;
  job::OutputStatistics statistics;
  statistics.set_rows(
      std::accumulate(partition_rows_.begin(), partition_rows_.end(), uint64_t{0}));
  statistics.set_bytes(
      std::accumulate(partition_bytes_.begin(), partition_bytes_.end(), uint64_t{0}));
  if (hashed_) {
    statistics.mutable_partition_rows()->Add(partition_rows_.begin(),
                                             partition_rows_.end());
    statistics.mutable_partition_bytes()->Add(partition_bytes_.begin(),
                                              partition_bytes_.end());
  }
  if (run_ != nullptr) run_->AddSamples(&statistics);
  return statistics;
}

bool StoredOutput::committed() const {
  std::lock_guard lock(mutex_);
  return committed_;
}

void StoredOutput::Remove() {
  std::vector<StoredBatch> batches;  // freed outside the lock
  std::shared_ptr<OutputFile> file;
  {
    std::lock_guard lock(mutex_);
    if (removed_) return;
    removed_ = true;
    totals_->memory_bytes -= memory_bytes_;
    totals_->disk_bytes -= disk_bytes_;
    memory_bytes_ = 0;
    disk_bytes_ = 0;
    batches.swap(batches_);
    file.swap(file_);
  }
  if (file != nullptr) file->Remove();
}

arrow::Result<size_t> StoredOutput::num_batches() const {
  std::lock_guard lock(mutex_);
  if (removed_) return RemovedStatus();
  return batches_.size();
}

arrow::Result<std::vector<Slice>> StoredOutput::Find(size_t index, uint32_t first,
                                                     uint32_t last) const {
  std::lock_guard lock(mutex_);
  if (removed_) return RemovedStatus();
  const auto& stored = batches_[index];
  const auto& offsets = stored.offsets;
  std::vector<Slice> slices;
  const auto add = [&](Slice slice) {
    slice.bytes =
        static_cast<int64_t>(static_cast<double>(slice.rows) * stored.row_bytes);
    if (slice.rows > 0) slices.push_back(std::move(slice));
  };
  if (stored.batch != nullptr) {
    add({stored.batch, nullptr, {}, offsets[first], offsets[last] - offsets[first]});
    return slices;
  }
  for (const auto& piece : stored.pieces) {
    const uint32_t begin = offsets[std::max(piece.first_partition, first)];
    const uint32_t end = offsets[std::min(piece.last_partition, last)];
    if (begin >= end) continue;
    const int64_t piece_begin = offsets[piece.first_partition];
    add({nullptr, file_, piece.position, begin - piece_begin, end - begin});
  }
  return slices;
}

int64_t StoredOutput::CountRows(uint32_t first, uint32_t last) const {
  std::lock_guard lock(mutex_);
  return static_cast<int64_t>(std::accumulate(
      partition_rows_.begin() + first, partition_rows_.begin() + last, uint64_t{0}));
}

Slice StoredOutput::WholeBatch(size_t index) const {
  const auto& stored = batches_[index];
  Slice slice;
  slice.rows = stored.offsets.back();
  slice.bytes = static_cast<int64_t>(static_cast<double>(slice.rows) * stored.row_bytes);
  if (stored.batch != nullptr) {
    slice.batch = stored.batch;
  } else {
    slice.file = file_;
    slice.position = stored.pieces[0].position;
  }
  return slice;
}

arrow::Result<int64_t> StoredOutput::FindRow(std::string_view bound) const {
  int64_t index = 0;
  Slice slice;
  {
    std::lock_guard lock(mutex_);
    if (removed_) return RemovedStatus();
    index = run_->FindBatch(bound);
    if (index < 0) return 0;
    slice = WholeBatch(static_cast<size_t>(index));
  }
  // A committed run does not change: what follows needs no lock.
  ARROW_ASSIGN_OR_RAISE(const auto batch, slice.Load());
  ARROW_ASSIGN_OR_RAISE(const int64_t row, run_->FindRow(*batch, bound));
  return run_->first_row(index) + row;
}

int64_t StoredOutput::num_rows() const {
  return CountRows(0, partitions_);
}

arrow::Result<std::vector<Slice>> StoredOutput::FindRows(size_t index, int64_t first,
                                                         int64_t last) const {
  std::lock_guard lock(mutex_);
  if (removed_) return RemovedStatus();
  const int64_t begin = run_->first_row(static_cast<int64_t>(index));
  Slice slice = WholeBatch(index);
  slice.first_row = std::max<int64_t>(first - begin, 0);
  slice.rows = std::min(last - begin, slice.rows) - slice.first_row;
  slice.bytes =
      static_cast<int64_t>(static_cast<double>(slice.rows) * batches_[index].row_bytes);
  if (slice.rows <= 0) return std::vector<Slice>();
  return std::vector<Slice>{std::move(slice)};
}

int64_t StoredOutput::memory_bytes() const {
  std::lock_guard lock(mutex_);
  return memory_bytes_;
}

int64_t StoredOutput::disk_bytes() const {
  std::lock_guard lock(mutex_);
  return disk_bytes_;
}

}  // namespace ballista::shuffle
