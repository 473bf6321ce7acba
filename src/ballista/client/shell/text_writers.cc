#include <arrow/array.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

#include "ballista/client/shell/result_writer.h"
#include "ballista/client/shell/text_width.h"
#include "ballista/client/shell/value_text.h"

namespace ballista::shell {
namespace {

// Text is handed on in pieces of this size.
constexpr size_t kFlushBytes = size_t{1} << 20;

// Rows as text, one after the other.
class LineWriter : public ResultWriter {
 public:
  explicit LineWriter(arrow::io::OutputStream* out) : out_(out) {}

  arrow::Status Write(const arrow::RecordBatch& batch) override {
    const auto& columns = batch.columns();
    for (int64_t row = 0; row < batch.num_rows(); ++row) {
      AppendRow(columns, row, &text_);
      if (text_.size() >= kFlushBytes) ARROW_RETURN_NOT_OK(Flush());
    }
    rows_ += batch.num_rows();
    return Flush();
  }

  arrow::Status Finish() override { return Flush(); }

 protected:
  virtual void AppendRow(const arrow::ArrayVector& columns, int64_t row,
                         std::string* text) = 0;

  arrow::Status Flush() {
    if (text_.empty()) return arrow::Status::OK();
    auto status = out_->Write(text_);
    text_.clear();
    return status;
  }

  std::string text_;

 private:
  arrow::io::OutputStream* out_;
};

void AppendCsvField(std::string_view field, std::string* out) {
  if (!field.empty() && field.find_first_of(",\"\n\r") == std::string_view::npos) {
    *out += field;
    return;
  }
  *out += '"';
  for (const char c : field) {
    if (c == '"') *out += '"';
    *out += c;
  }
  *out += '"';
}

class CsvWriter : public LineWriter {
 public:
  using LineWriter::LineWriter;

  arrow::Status Begin(const std::shared_ptr<arrow::Schema>& schema) override {
    for (int i = 0; i < schema->num_fields(); ++i) {
      if (i > 0) text_ += ',';
      AppendCsvField(schema->field(i)->name(), &text_);
    }
    if (schema->num_fields() > 0) text_ += '\n';
    return Flush();
  }

 private:
  void AppendRow(const arrow::ArrayVector& columns, int64_t row,
                 std::string* text) override {
    for (size_t i = 0; i < columns.size(); ++i) {
      if (i > 0) *text += ',';
      if (IsNullValue(*columns[i], row)) continue;
      value_.clear();
      AppendText(*columns[i], row, &value_);
      AppendCsvField(value_, text);
    }
    *text += '\n';
  }

  std::string value_;
};

class JsonWriter : public LineWriter {
 public:
  using LineWriter::LineWriter;

  arrow::Status Begin(const std::shared_ptr<arrow::Schema>& schema) override {
    std::set<std::string> taken;
    for (const auto& name : schema->field_names()) taken.insert(name);
    std::set<std::string> used;
    for (const auto& field : schema->fields()) {
      std::string name = field->name();
      for (int number = 1; used.contains(name); ++number) {
        name = fmt::format("{}_{}", field->name(), number);
        if (taken.contains(name)) name = field->name();
      }
      used.insert(name);
      std::string key = keys_.empty() ? "{" : ",";
      AppendJsonString(name, &key);
      keys_.push_back(key + ":");
    }
    return arrow::Status::OK();
  }

 private:
  void AppendRow(const arrow::ArrayVector& columns, int64_t row,
                 std::string* text) override {
    if (columns.empty()) *text += '{';
    for (size_t i = 0; i < columns.size(); ++i) {
      *text += keys_[i];
      AppendJson(*columns[i], row, text);
    }
    *text += "}\n";
  }

  std::vector<std::string> keys_;
};

class PlainWriter : public LineWriter {
 public:
  using LineWriter::LineWriter;

  arrow::Status Begin(const std::shared_ptr<arrow::Schema>&) override {
    return arrow::Status::OK();
  }

 private:
  void AppendRow(const arrow::ArrayVector& columns, int64_t row,
                 std::string* text) override {
    if (columns.empty()) return;
    std::string value;
    AppendText(*columns.back(), row, &value);
    for (size_t begin = 0; begin < value.size();) {
      const size_t end = std::min(value.find('\n', begin), value.size());
      *text += EscapeControls(std::string_view(value).substr(begin, end - begin));
      *text += '\n';
      begin = end + 1;
    }
  }
};

}  // namespace

std::unique_ptr<ResultWriter> MakePlainWriter(arrow::io::OutputStream* out) {
  return std::make_unique<PlainWriter>(out);
}

std::unique_ptr<ResultWriter> MakeCsvWriter(arrow::io::OutputStream* out) {
  return std::make_unique<CsvWriter>(out);
}

std::unique_ptr<ResultWriter> MakeJsonWriter(arrow::io::OutputStream* out) {
  return std::make_unique<JsonWriter>(out);
}

}  // namespace ballista::shell
