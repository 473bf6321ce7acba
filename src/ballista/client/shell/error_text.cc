#include "ballista/client/shell/error_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "ballista/base/status.h"
#include "ballista/client/shell/text_width.h"

namespace ballista::shell {
namespace {

// Shown before the place where a line has to be cut.
constexpr int kContextBefore = 20;

// The engine may have drawn the place into the message itself.
std::string_view WithoutDrawing(std::string_view message) {
  const size_t at = message.find("\nLINE ");
  message = message.substr(0, at);
  while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) {
    message.remove_suffix(1);
  }
  return message;
}

int PositionOf(const arrow::Status& status) {
  const auto* detail = GetErrorDetail(status);
  return detail != nullptr && detail->has_user() ? detail->user().position() : -1;
}

// Tabs take one column here: the caret stands under what it means whatever the terminal.
std::string OneLine(std::string_view text) {
  std::string line(text);
  std::replace(line.begin(), line.end(), '\t', ' ');
  return EscapeControls(line);
}

}  // namespace

std::string RenderError(const arrow::Status& status, const StatementSource& source,
                        int width) {
  const int position = PositionOf(status);
  if (position < 0 || static_cast<size_t>(position) > source.text.size()) {
    return fmt::format("Error: {}\n", status.message());
  }
  const auto at = static_cast<size_t>(position);
  const std::string_view before = source.text.substr(0, at);
  const int line_number = source.first_line + static_cast<int>(std::count(
                                                  before.begin(), before.end(), '\n'));
  // npos + 1 is 0: the first line.
  const size_t line_begin = before.rfind('\n') + 1;
  const size_t line_end = std::min(source.text.find('\n', at), source.text.size());

  std::string left = OneLine(source.text.substr(line_begin, at - line_begin));
  std::string right = OneLine(source.text.substr(at, line_end - at));
  std::string prefix = source.file.empty()
                           ? fmt::format("LINE {}: ", line_number)
                           : fmt::format("{}:{}: ", source.file, line_number);
  if (width > 0 && DisplayWidth(prefix + left + right) > width) {
    if (DisplayWidth(left) > kContextBefore) {
      size_t cut = 0;
      while (DisplayWidth(std::string_view(left).substr(cut)) > kContextBefore) {
        NextCodePoint(left, &cut);
      }
      left = "…" + left.substr(cut);
    }
    const int room = width - DisplayWidth(prefix) - DisplayWidth(left);
    right = TruncateToWidth(right, std::max(room, kContextBefore));
  }
  const auto indent = static_cast<size_t>(DisplayWidth(prefix) + DisplayWidth(left));
  return fmt::format("Error: {}\n{}{}{}\n{}^\n", WithoutDrawing(status.message()), prefix,
                     left, right, std::string(indent, ' '));
}

}  // namespace ballista::shell
