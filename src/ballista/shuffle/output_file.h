// The file of one task output: pieces of record batches, each an Arrow IPC message (or,
// where the schema has dictionaries, an IPC stream) that is read back by its position.
//
// The index (where each piece is) is the caller's. The file is unlinked when Remove is
// called; readers that hold the OutputFile go on reading until they drop it. Thread-safe.
// Errors of writing: ResourcesExhausted (DISK) where the disk or a quota is full, else
// IOError;
// after an error the pieces already written stay readable.
#pragma once

#include <arrow/ipc/options.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "ballista/shuffle/disk_ledger.h"

namespace ballista::shuffle {

// Where a piece lies in its file.
struct FilePosition {
  int64_t offset = 0;
  int64_t length = 0;
};

class OutputFile {
 public:
  // Makes the file, and its folder where it is missing. What is written is taken from
  // `share` first.
  static arrow::Result<std::shared_ptr<OutputFile>> Create(
      std::string path, std::shared_ptr<arrow::Schema> schema,
      arrow::Compression::type compression, std::shared_ptr<DiskShare> share);

  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  arrow::Result<FilePosition> Write(const arrow::RecordBatch& batch);
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Read(FilePosition position) const;
  // Pieces that lie one after the other can be read at once, and decoded one by one.
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadBytes(FilePosition position) const;
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Decode(
      std::shared_ptr<arrow::Buffer> piece) const;

  void Remove();

 private:
  OutputFile(std::string path, int descriptor, std::shared_ptr<arrow::Schema> schema,
             arrow::ipc::IpcWriteOptions options, std::shared_ptr<DiskShare> share);

  const std::string path_;
  const int descriptor_;
  const std::shared_ptr<arrow::Schema> schema_;
  const bool has_dictionaries_;
  const arrow::ipc::IpcWriteOptions options_;
  const std::shared_ptr<DiskShare> share_;
  std::atomic<int64_t> end_{0};
  std::atomic<bool> removed_{false};
};

// IPC options of what the store writes and serves.
arrow::Result<arrow::ipc::IpcWriteOptions> WriteOptions(
    arrow::Compression::type compression);

}  // namespace ballista::shuffle
