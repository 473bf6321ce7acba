// What the tests of shuffle/ share: batches, outputs and ways to read them back.
#pragma once

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "ballista/base/status.h"
#include "ballista/shuffle/output_reader.h"
#include "ballista/shuffle/shuffle_store.h"

namespace ballista::shuffle::testing {

// A folder that is removed at the end.
class TempFolder {
 public:
  TempFolder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "ballista-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::shared_ptr<arrow::Schema> IdSchema() {
  return arrow::schema(
      {arrow::field("id", arrow::int64()), arrow::field("text", arrow::utf8())});
}

// Rows first, first + 1, ...; the text is `text_bytes` long. Made of whole buffers:
// millions of rows are made, under sanitizers too.
inline std::shared_ptr<arrow::RecordBatch> IdBatch(int64_t first, int64_t rows,
                                                   int text_bytes = 20) {
  std::vector<int64_t> ids(static_cast<size_t>(rows));
  std::vector<int32_t> offsets(static_cast<size_t>(rows) + 1);
  std::string text(static_cast<size_t>(rows * text_bytes), 'x');
  int64_t* id = ids.data();
  int32_t* end = offsets.data();
  char* at = text.data();
  for (int64_t i = 0; i < rows; ++i) {
    char digits[20];
    const char* last = std::to_chars(digits, digits + sizeof(digits), first + i).ptr;
    std::memcpy(at, digits, std::min<size_t>(text_bytes, last - digits));
    at += text_bytes;
    *id++ = first + i;
    end[1] = end[0] + text_bytes;
    ++end;
  }
  return arrow::RecordBatch::Make(
      IdSchema(), rows,
      {std::make_shared<arrow::Int64Array>(rows,
                                           arrow::Buffer::FromVector(std::move(ids))),
       std::make_shared<arrow::StringArray>(rows,
                                            arrow::Buffer::FromVector(std::move(offsets)),
                                            arrow::Buffer::FromString(std::move(text)))});
}

// Cuts the batch into equal partitions.
inline PartitionedBatch Cut(std::shared_ptr<arrow::RecordBatch> batch,
                            uint32_t partitions) {
  PartitionedBatch cut;
  for (uint32_t p = 0; p <= partitions; ++p) {
    cut.offsets.push_back(static_cast<uint32_t>(batch->num_rows() * p / partitions));
  }
  cut.batch = std::move(batch);
  return cut;
}

inline job::TaskId MakeTaskId(const std::string& job, uint32_t stage, uint32_t task,
                              uint32_t attempt = 0) {
  job::TaskId id;
  id.set_job_id(job);
  id.set_stage_id(stage);
  id.set_task_index(task);
  id.set_attempt(attempt);
  return id;
}

inline job::Output HashOutput(uint32_t partitions) {
  job::Output output;
  output.set_kind(job::Output::HASH);
  output.set_partitions(partitions);
  return output;
}

inline job::Output PlainOutput() {
  job::Output output;
  output.set_kind(job::Output::UNPARTITIONED);
  return output;
}

inline control::OutputRange MakeRange(uint32_t stage, uint32_t task, uint32_t first,
                                      uint32_t last, uint32_t attempt = 0) {
  control::OutputRange range;
  range.set_stage_id(stage);
  range.set_task_index(task);
  range.set_attempt(attempt);
  range.set_first_partition(first);
  range.set_last_partition(last);
  return range;
}

// Writes the batches, cut into `partitions`, and commits.
inline job::OutputStatistics WriteOutput(
    ShuffleStore* store, const job::TaskId& id, uint32_t partitions,
    const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) {
  auto writer = store->CreateOutput(id, HashOutput(partitions)).ValueOrDie();
  EXPECT_TRUE(
      writer->SetSchema(batches.empty() ? IdSchema() : batches[0]->schema()).ok());
  for (const auto& batch : batches) {
    const auto status = writer->Write(Cut(batch, partitions));
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
  return writer->Commit().ValueOrDie();
}

template <typename Reader>
arrow::Result<arrow::RecordBatchVector> ReadAll(Reader* reader) {
  arrow::RecordBatchVector batches;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(auto batch, reader->Next());
    if (batch == nullptr) return batches;
    batches.push_back(std::move(batch));
  }
}

inline std::vector<int64_t> Ids(const arrow::RecordBatchVector& batches) {
  std::vector<int64_t> ids;
  for (const auto& batch : batches) {
    EXPECT_TRUE(batch->ValidateFull().ok());
    const auto& column = static_cast<const arrow::Int64Array&>(*batch->column(0));
    ids.insert(ids.end(), column.raw_values(), column.raw_values() + column.length());
  }
  return ids;
}

// Of the batches that IdBatch(0, rows), IdBatch(rows, rows), ... cut into `partitions`
// give, the ids of partitions [first, last), in the order of reading.
inline std::vector<int64_t> ExpectedIds(int64_t batches, int64_t rows,
                                        uint32_t partitions, uint32_t first,
                                        uint32_t last) {
  std::vector<int64_t> ids;
  for (int64_t b = 0; b < batches; ++b) {
    for (int64_t i = rows * first / partitions; i < rows * last / partitions; ++i) {
      ids.push_back(b * rows + i);
    }
  }
  return ids;
}

}  // namespace ballista::shuffle::testing
