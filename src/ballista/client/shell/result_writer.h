// Writes the rows of one result in one of the output formats.
//
// The writers append to a stream that they do not own and do not close. Begin, any number
// of Write, then Finish; after an error a writer is of no more use. Not thread-safe.
#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/status.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace ballista::shell {

enum class Format { kTable, kCsv, kJson, kParquet, kArrow };

arrow::Result<Format> ParseFormat(std::string_view name);
std::string_view FormatName(Format format);

// Whether a stream of this format holds exactly one result, in bytes that are no text.
bool IsBinary(Format format);

struct WriterOptions {
  // Columns of the terminal that a table has to fit in; 0 for no limit.
  int width = 0;
  // Rows that a table shows at most; 0 for no limit.
  int64_t max_rows = 0;
  // For kArrow: a file with its footer rather than a stream.
  bool arrow_file = false;
};

class ResultWriter {
 public:
  virtual ~ResultWriter() = default;

  virtual arrow::Status Begin(const std::shared_ptr<arrow::Schema>& schema) = 0;
  virtual arrow::Status Write(const arrow::RecordBatch& batch) = 0;
  virtual arrow::Status Finish() = 0;

  // False once the writer leaves out whatever comes.
  virtual bool WantsMore() const { return true; }

  // Rows written so far.
  int64_t rows() const { return rows_; }

 protected:
  int64_t rows_ = 0;
};

std::unique_ptr<ResultWriter> MakeResultWriter(Format format,
                                               const WriterOptions& options,
                                               arrow::io::OutputStream* out);

// One for each format, and MakePlainWriter. CSV as RFC 4180 with a header and LF line
// ends: NULL is empty, an empty text is "". JSON is one object a line; of columns with
// one name all but the first get a number after it.
std::unique_ptr<ResultWriter> MakeTableWriter(const WriterOptions& options,
                                              arrow::io::OutputStream* out);
std::unique_ptr<ResultWriter> MakeCsvWriter(arrow::io::OutputStream* out);
std::unique_ptr<ResultWriter> MakeJsonWriter(arrow::io::OutputStream* out);
// The last column's text as it is, line breaks and all: for plans.
std::unique_ptr<ResultWriter> MakePlainWriter(arrow::io::OutputStream* out);
std::unique_ptr<ResultWriter> MakeArrowWriter(bool file, arrow::io::OutputStream* out);
// What Parquet has no type for (intervals, unions) is written as text.
std::unique_ptr<ResultWriter> MakeParquetWriter(arrow::io::OutputStream* out);

}  // namespace ballista::shell
