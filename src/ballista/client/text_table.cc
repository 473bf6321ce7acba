// A small table as text, for DataFrame::Show.
#include <arrow/scalar.h>

#include <algorithm>

#include "ballista/client/session_internal.h"

namespace ballista::internal {
namespace {

constexpr size_t kMaxWidth = 40;

// In characters, as far as a terminal shows one for each code point.
size_t Width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string OneLine(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; },
      ' ');
  if (Width(text) <= kMaxWidth) return text;
  size_t end = 0;
  for (size_t shown = 0; end < text.size(); ++end) {
    if ((text[end] & 0xc0) != 0x80 && ++shown == kMaxWidth) break;
  }
  return text.substr(0, end) + "\u2026";
}

std::string Cell(const arrow::ChunkedArray& column, int64_t row) {
  const auto value = column.GetScalar(row);
  if (!value.ok()) return "?";
  return (*value)->is_valid ? OneLine((*value)->ToString()) : "NULL";
}

}  // namespace

std::string TextTable(const arrow::Table& table) {
  std::vector<std::vector<std::string>> columns;
  std::vector<size_t> widths;
  for (int i = 0; i < table.num_columns(); ++i) {
    std::vector<std::string> cells{OneLine(table.field(i)->name())};
    for (int64_t row = 0; row < table.num_rows(); ++row) {
      cells.push_back(Cell(*table.column(i), row));
    }
    size_t width = 0;
    for (const auto& cell : cells) width = std::max(width, Width(cell));
    columns.push_back(std::move(cells));
    widths.push_back(width);
  }
  std::string rule = "+";
  for (const size_t width : widths) rule += std::string(width + 2, '-') + "+";
  std::string text = rule + "\n";
  for (size_t row = 0; row <= static_cast<size_t>(table.num_rows()); ++row) {
    text += "|";
    for (size_t i = 0; i < columns.size(); ++i) {
      const auto& cell = columns[i][row];
      text += " " + cell + std::string(widths[i] - Width(cell), ' ') + " |";
    }
    text += "\n";
    if (row == 0) text += rule + "\n";
  }
  return text + rule + "\n";
}

}  // namespace ballista::internal
