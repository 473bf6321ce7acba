#include "ballista/client/shell/table_layout.h"

#include <algorithm>
#include <numeric>

namespace ballista::shell {
namespace {

// A column is "│ " or " " more than its text, and the last one " │".
constexpr int kColumnFrame = 3;
constexpr int kTableFrame = 1;
// No column is shortened below this.
constexpr int kShortest = 8;
constexpr int kEllipsisColumn = 1 + kColumnFrame;

int TotalWidth(const std::vector<int>& widths) {
  int total = kTableFrame;
  for (const int width : widths) total += width > 0 ? width + kColumnFrame : 0;
  return total;
}

// Shortens the widest columns to one common width that saves `excess`, or to kShortest.
void Shorten(std::vector<int>* widths, int excess) {
  while (excess > 0) {
    const int widest = *std::max_element(widths->begin(), widths->end());
    if (widest <= kShortest) return;
    int next = kShortest;  // the width below it
    int columns = 0;       // that are the widest
    for (const int width : *widths) {
      if (width == widest) {
        ++columns;
      } else {
        next = std::max(next, width);
      }
    }
    const int step = std::clamp((excess + columns - 1) / columns, 1, widest - next);
    for (int& width : *widths) {
      if (width == widest) width -= step;
    }
    excess -= step * columns;
  }
}

}  // namespace

TableLayout LayOutTable(const std::vector<int>& widths, int limit) {
  TableLayout layout{widths, 0, 0};
  if (limit <= 0 || widths.empty() || TotalWidth(widths) <= limit) return layout;
  Shorten(&layout.widths, TotalWidth(layout.widths) - limit);
  int total = TotalWidth(layout.widths);
  if (total <= limit) return layout;

  const auto columns = static_cast<int>(widths.size());
  layout.omitted_first = layout.omitted_last = (columns + 1) / 2;
  total += kEllipsisColumn;
  // The first column always stays.
  while (total > limit && (layout.omitted_last < columns || layout.omitted_first > 1)) {
    const bool from_right = layout.omitted_last < columns &&
                            columns - layout.omitted_last >= layout.omitted_first;
    const bool take_left = !from_right && layout.omitted_first > 1;
    const int column = take_left ? --layout.omitted_first : layout.omitted_last++;
    auto& width = layout.widths[static_cast<size_t>(column)];
    total -= width + kColumnFrame;
    width = 0;
  }
  return layout;
}

}  // namespace ballista::shell
