#include "ballista/engine/duckdb/batch_partitioner.h"

#include "ballista/engine/duckdb/arrow_encode.h"
#include "ballista/engine/duckdb/partition_hash_duckdb.h"
#include "ballista/engine/duckdb/types.h"

namespace ballista::engine {
namespace {

// A batch of very wide rows has fewer of them.
uint64_t RowsOfBatch(const duckdb::vector<duckdb::LogicalType>& types,
                     const PartitionerOptions& options) {
  uint64_t width = 1;
  for (const auto& type : types) {
    width += IsFixedWidth(type) ? duckdb::GetTypeIdSize(type.InternalType()) : 16;
  }
  const uint64_t rows = 2 * options.batch_bytes / width;
  return std::min(options.batch_rows, std::max<uint64_t>(rows, STANDARD_VECTOR_SIZE));
}

}  // namespace

BatchPartitioner::BatchPartitioner(const duckdb::vector<duckdb::LogicalType>& types,
                                   PartitionerOptions options, Emit emit)
    : options_(std::move(options)),
      emit_(std::move(emit)),
      schema_(ExchangeSchema(types)),
      batch_rows_(RowsOfBatch(types, options_)) {
  for (size_t i = 0; i < types.size(); ++i) {
    columns_.push_back(StagedColumn::Make(types[i], options_.num_partitions == 1));
    if (!IsFixedWidth(types[i])) variable_columns_.push_back(static_cast<uint32_t>(i));
  }
}

arrow::Status BatchPartitioner::Append(duckdb::DataChunk& chunk) {
  if (chunk.size() == 0) return arrow::Status::OK();
  uint64_t bytes = 0;
  for (uint32_t column : variable_columns_) {
    bytes += StringBytes(chunk.data[column], chunk.size());
  }
  if (rows_ > 0 &&
      (rows_ + chunk.size() > batch_rows_ || bytes_ + bytes > options_.batch_bytes)) {
    ARROW_RETURN_NOT_OK(Flush());
  }
  if (bytes > options_.batch_bytes || chunk.size() > batch_rows_) {
    return AppendLarge(chunk);
  }
  bytes_ += bytes;
  return Stage(chunk, false);
}

// Halves the chunk until a piece fits into a batch or is one row.
arrow::Status BatchPartitioner::AppendLarge(duckdb::DataChunk& chunk) {
  uint64_t bytes = 0;
  for (uint32_t column : variable_columns_) {
    bytes += StringBytes(chunk.data[column], chunk.size());
  }
  const bool fits = bytes <= options_.batch_bytes && chunk.size() <= batch_rows_;
  if (fits || chunk.size() == 1) {
    ARROW_RETURN_NOT_OK(Stage(chunk, true));
    return Flush();
  }
  const duckdb::idx_t half = chunk.size() / 2;
  for (int part = 0; part < 2; ++part) {
    const duckdb::idx_t first = part == 0 ? 0 : half;
    const duckdb::idx_t count = part == 0 ? half : chunk.size() - half;
    duckdb::SelectionVector selection(count);
    for (duckdb::idx_t i = 0; i < count; ++i) selection.set_index(i, first + i);
    duckdb::DataChunk piece;
    piece.InitializeEmpty(chunk.GetTypes());
    piece.Slice(chunk, selection, count);
    for (uint32_t column : variable_columns_) {
      const auto& type = chunk.data[column].GetType();
      if (IsString(type)) continue;
      // A slice of a list shares the whole's elements; a copy has its own alone.
      duckdb::Vector own(type, count);
      duckdb::VectorOperations::Copy(chunk.data[column], own, selection, count, 0, 0);
      piece.data[column].Reference(own);
    }
    ARROW_RETURN_NOT_OK(AppendLarge(piece));
  }
  return arrow::Status::OK();
}

arrow::Status BatchPartitioner::Stage(duckdb::DataChunk& chunk, bool borrow) {
  const uint64_t count = chunk.size();
  if (options_.num_partitions > 1) {
    uint64_t hashes[STANDARD_VECTOR_SIZE];
    HashRows(chunk, options_.keys, hashes);
    if (partitions_.size() < rows_ + count) {
      partitions_.resize(std::max(rows_ + count, 2 * partitions_.size()));
    }
    ToPartitions(hashes, count, options_.num_partitions, partitions_.data() + rows_);
  }
  for (size_t i = 0; i < columns_.size(); ++i) {
    ARROW_RETURN_NOT_OK(columns_[i]->Append(chunk.data[i], count, borrow));
  }
  rows_ += count;
  return arrow::Status::OK();
}

void BatchPartitioner::SortByPartition(std::vector<uint32_t>* offsets) {
  offsets->assign(options_.num_partitions + 1, 0);
  for (uint64_t i = 0; i < rows_; ++i) ++(*offsets)[partitions_[i] + 1U];
  for (size_t p = 1; p < offsets->size(); ++p) (*offsets)[p] += (*offsets)[p - 1];
  std::vector<uint32_t> next(offsets->begin(), offsets->end() - 1);
  order_.resize(rows_);
  for (uint64_t i = 0; i < rows_; ++i) {
    order_[next[partitions_[i]]++] = static_cast<uint32_t>(i);
  }
}

arrow::Status BatchPartitioner::Flush() {
  if (rows_ == 0) return arrow::Status::OK();
  shuffle::PartitionedBatch result;
  const bool sorted = options_.num_partitions > 1;
  if (sorted) {
    SortByPartition(&result.offsets);
  } else {
    result.offsets = {0, static_cast<uint32_t>(rows_)};
  }
  const auto count = static_cast<int64_t>(rows_);
  arrow::ArrayDataVector arrays;
  for (auto& column : columns_) {
    ARROW_ASSIGN_OR_RAISE(auto array,
                          column->Take(sorted ? order_.data() : nullptr, count));
    arrays.push_back(std::move(array));
  }
  result.batch = arrow::RecordBatch::Make(schema_, count, std::move(arrays));
  rows_ = 0;
  bytes_ = 0;
  return emit_(std::move(result));
}

}  // namespace ballista::engine
