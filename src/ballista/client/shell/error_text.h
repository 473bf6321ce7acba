// An error of a statement as people see it: the message, and where the server said so the
// line of the statement with a caret under the place.
#pragma once

#include <arrow/status.h>

#include <string>
#include <string_view>

namespace ballista::shell {

struct StatementSource {
  std::string_view text;  // the statement as it was sent
  std::string_view file;  // where it stands; empty for none
  int first_line = 1;     // of the statement in its file or input
};

// Ends with a line break. Lines wider than `width` columns (0: no limit) are cut around
// the caret.
std::string RenderError(const arrow::Status& status, const StatementSource& source,
                        int width);

}  // namespace ballista::shell
