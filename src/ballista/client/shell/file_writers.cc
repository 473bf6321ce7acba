#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/ipc/writer.h>
#include <arrow/type.h>
#include <parquet/arrow/schema.h>
#include <parquet/arrow/writer.h>
#include <parquet/exception.h>
#include <parquet/properties.h>

#include <vector>

#include "ballista/client/shell/result_writer.h"
#include "ballista/client/shell/value_text.h"

namespace ballista::shell {
namespace {

class ArrowWriter : public ResultWriter {
 public:
  ArrowWriter(bool file, arrow::io::OutputStream* out) : file_(file), out_(out) {}

  arrow::Status Begin(const std::shared_ptr<arrow::Schema>& schema) override {
    ARROW_ASSIGN_OR_RAISE(writer_, file_ ? arrow::ipc::MakeFileWriter(out_, schema)
                                         : arrow::ipc::MakeStreamWriter(out_, schema));
    return arrow::Status::OK();
  }

  arrow::Status Write(const arrow::RecordBatch& batch) override {
    rows_ += batch.num_rows();
    return writer_->WriteRecordBatch(batch);
  }

  arrow::Status Finish() override { return writer_->Close(); }

 private:
  const bool file_;
  arrow::io::OutputStream* const out_;
  std::shared_ptr<arrow::ipc::RecordBatchWriter> writer_;
};

// Whether Parquet files can hold the type; the writer itself finds out only at the data.
bool ParquetHolds(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::SPARSE_UNION:
    case arrow::Type::DENSE_UNION:
    case arrow::Type::INTERVAL_MONTHS:
    case arrow::Type::INTERVAL_DAY_TIME:
    case arrow::Type::INTERVAL_MONTH_DAY_NANO:
    case arrow::Type::LIST_VIEW:
    case arrow::Type::LARGE_LIST_VIEW:
    case arrow::Type::RUN_END_ENCODED:
      return false;
    default:
      break;
  }
  // A struct without fields has no column.
  if (type.id() == arrow::Type::STRUCT && type.num_fields() == 0) return false;
  for (const auto& field : type.fields()) {
    if (!ParquetHolds(*field->type())) return false;
  }
  return true;
}

arrow::Result<std::shared_ptr<arrow::Array>> AsText(const arrow::Array& array) {
  arrow::StringBuilder builder;
  std::string text;
  for (int64_t row = 0; row < array.length(); ++row) {
    if (IsNullValue(array, row)) {
      ARROW_RETURN_NOT_OK(builder.AppendNull());
      continue;
    }
    text.clear();
    AppendText(array, row, &text);
    ARROW_RETURN_NOT_OK(builder.Append(text));
  }
  return builder.Finish();
}

class ParquetWriter : public ResultWriter {
 public:
  explicit ParquetWriter(arrow::io::OutputStream* out) : out_(out) {}

  arrow::Status Begin(const std::shared_ptr<arrow::Schema>& schema) override {
    arrow::FieldVector fields;
    for (const auto& field : schema->fields()) {
      const bool holds = ParquetHolds(*field->type());
      as_text_.push_back(!holds);
      fields.push_back(holds ? field : field->WithType(arrow::utf8()));
    }
    schema_ = arrow::schema(std::move(fields));
    const auto properties = parquet::WriterProperties::Builder()
                                .compression(parquet::Compression::SNAPPY)
                                ->build();
    const auto arrow_properties =
        parquet::ArrowWriterProperties::Builder().store_schema()->build();
    // The writer keeps its stream alive; this one belongs to the caller.
    std::shared_ptr<arrow::io::OutputStream> stream(std::shared_ptr<void>(), out_);
    ARROW_ASSIGN_OR_RAISE(
        writer_, parquet::arrow::FileWriter::Open(*schema_, arrow::default_memory_pool(),
                                                  stream, properties, arrow_properties));
    return arrow::Status::OK();
  }

  arrow::Status Write(const arrow::RecordBatch& batch) override {
    arrow::ArrayVector columns = batch.columns();
    for (size_t i = 0; i < columns.size(); ++i) {
      if (as_text_[i]) {
        ARROW_ASSIGN_OR_RAISE(columns[i], AsText(*columns[i]));
      }
    }
    rows_ += batch.num_rows();
    return writer_->WriteRecordBatch(
        *arrow::RecordBatch::Make(schema_, batch.num_rows(), std::move(columns)));
  }

  arrow::Status Finish() override { return writer_->Close(); }

 private:
  arrow::io::OutputStream* const out_;
  std::vector<bool> as_text_;
  std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
};

}  // namespace

std::unique_ptr<ResultWriter> MakeArrowWriter(bool file, arrow::io::OutputStream* out) {
  return std::make_unique<ArrowWriter>(file, out);
}

std::unique_ptr<ResultWriter> MakeParquetWriter(arrow::io::OutputStream* out) {
  return std::make_unique<ParquetWriter>(out);
}

}  // namespace ballista::shell
