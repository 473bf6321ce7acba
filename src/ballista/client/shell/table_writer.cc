#include <arrow/array.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "ballista/client/shell/result_writer.h"
#include "ballista/client/shell/table_layout.h"
#include "ballista/client/shell/text_width.h"
#include "ballista/client/shell/value_text.h"

namespace ballista::shell {
namespace {

// The columns get their widths from this much of the result; what comes later is
// streamed, and a wider value sticks out of its column.
constexpr size_t kSampleRows = 1000;
constexpr size_t kSampleBytes = size_t{16} << 20;

class TableWriter : public ResultWriter {
 public:
  TableWriter(const WriterOptions& options, arrow::io::OutputStream* out)
      : options_(options), out_(out) {}

  arrow::Status Begin(const std::shared_ptr<arrow::Schema>& schema) override {
    for (const auto& field : schema->fields()) {
      names_.push_back(EscapeControls(field->name()));
      numeric_.push_back(IsNumeric(*field->type()));
    }
    return arrow::Status::OK();
  }

  bool WantsMore() const override {
    return options_.max_rows == 0 || rows_ < options_.max_rows;
  }

  arrow::Status Write(const arrow::RecordBatch& batch) override {
    const auto& columns = batch.columns();
    for (int64_t row = 0; row < batch.num_rows() && WantsMore(); ++row) {
      std::vector<std::string> cells;
      cells.reserve(columns.size());
      for (const auto& column : columns) {
        value_.clear();
        AppendText(*column, row, &value_);
        cells.push_back(EscapeControls(value_));
        sample_bytes_ += cells.back().size();
      }
      ++rows_;
      if (begun_) {
        AppendRow(cells, false);
        continue;
      }
      sample_.push_back(std::move(cells));
      if (sample_.size() == kSampleRows || sample_bytes_ >= kSampleBytes) BeginTable();
    }
    return Flush();
  }

  arrow::Status Finish() override {
    if (!begun_) BeginTable();
    AppendRule(names_.empty() ? "" : "└", "┴", "┘");
    return Flush();
  }

 private:
  void BeginTable() {
    begun_ = true;
    std::vector<int> widths;
    for (const auto& name : names_) widths.push_back(std::max(DisplayWidth(name), 1));
    for (const auto& cells : sample_) {
      for (size_t i = 0; i < cells.size(); ++i) {
        widths[i] = std::max(widths[i], DisplayWidth(cells[i]));
      }
    }
    layout_ = LayOutTable(widths, options_.width);
    AppendRule("┌", "┬", "┐");
    AppendRow(names_, true);
    AppendRule("├", "┼", "┤");
    for (const auto& cells : sample_) AppendRow(cells, false);
    sample_.clear();
  }

  // Calls `shown(column)` for each column with room, and `omitted()` once for the others.
  template <typename Shown, typename Omitted>
  void ForEachColumn(const Shown& shown, const Omitted& omitted) {
    for (size_t i = 0; i < names_.size(); ++i) {
      const auto column = static_cast<int>(i);
      if (column < layout_.omitted_first || column >= layout_.omitted_last) {
        shown(i);
      } else if (column == layout_.omitted_first) {
        omitted();
      }
    }
  }

  void AppendRule(std::string_view left, std::string_view middle,
                  std::string_view right) {
    if (names_.empty()) return;
    std::string_view corner = left;
    auto append = [&](int width) {
      text_ += corner;
      for (int i = 0; i < width + 2; ++i) text_ += "─";
      corner = middle;
    };
    ForEachColumn([&](size_t i) { append(layout_.widths[i]); }, [&] { append(1); });
    text_ += right;
    text_ += '\n';
  }

  void AppendRow(const std::vector<std::string>& cells, bool header) {
    if (cells.empty()) return;
    ForEachColumn([&](size_t i) { AppendCell(cells[i], i, header); },
                  [&] { text_ += "│ … "; });
    text_ += "│\n";
  }

  void AppendCell(const std::string& cell, size_t column, bool header) {
    const int width = layout_.widths[column];
    const std::string shown = options_.width > 0 ? TruncateToWidth(cell, width) : cell;
    const auto padding = static_cast<size_t>(std::max(width - DisplayWidth(shown), 0));
    text_ += "│ ";
    if (numeric_[column] && !header) text_.append(padding, ' ');
    text_ += shown;
    if (!numeric_[column] || header) text_.append(padding, ' ');
    text_ += ' ';
  }

  arrow::Status Flush() {
    if (text_.empty()) return arrow::Status::OK();
    auto status = out_->Write(text_);
    text_.clear();
    return status;
  }

  const WriterOptions options_;
  arrow::io::OutputStream* const out_;
  std::vector<std::string> names_;
  std::vector<bool> numeric_;
  std::vector<std::vector<std::string>> sample_;
  size_t sample_bytes_ = 0;
  bool begun_ = false;
  TableLayout layout_;
  std::string value_;
  std::string text_;
};

}  // namespace

std::unique_ptr<ResultWriter> MakeTableWriter(const WriterOptions& options,
                                              arrow::io::OutputStream* out) {
  return std::make_unique<TableWriter>(options, out);
}

}  // namespace ballista::shell
