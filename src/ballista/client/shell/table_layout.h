// How wide the columns of a table are, and which of them a terminal has room for.
#pragma once

#include <vector>

namespace ballista::shell {

struct TableLayout {
  // Of each column, in columns of the terminal; 0 for one that is left out.
  std::vector<int> widths;
  // The columns left out, [first, last): one "…" stands for them.
  int omitted_first = 0;
  int omitted_last = 0;
};

// Of columns that want `widths`, in a table at most `limit` wide, borders included; 0 for
// no limit. Shortens the widest columns first; where that is not enough, leaves out
// columns in the middle.
TableLayout LayOutTable(const std::vector<int>& widths, int limit);

}  // namespace ballista::shell
