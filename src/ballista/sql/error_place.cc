#include "ballista/sql/error_place.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "ballista/base/status.h"
#include "ballista/sql/lexer_internal.h"

namespace ballista::sql {
namespace {

// Bytes of a long line that are drawn.
constexpr size_t kShownBefore = 40;
constexpr size_t kShownAfter = 80;
// Of the message, when there is a drawing: both must fit into what travels of an error.
constexpr size_t kMaxWords = 1000;

bool SameName(const std::string& a, const std::string& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

// What stands in quotes of either kind, and after "with name", in order.
std::vector<std::string> Quoted(const std::string& message) {
  std::vector<std::string> found;
  static const std::string kWithName = "with name ";
  for (size_t i = 0; i < message.size(); ++i) {
    if (message[i] == '\'' || message[i] == '"') {
      const size_t end = message.find(message[i], i + 1);
      if (end == std::string::npos) break;
      if (end > i + 1) found.push_back(message.substr(i + 1, end - i - 1));
      i = end;
    } else if (message.compare(i, kWithName.size(), kWithName) == 0) {
      i += kWithName.size();
      const size_t end = std::min(message.find_first_of(" \n\"'", i), message.size());
      if (end > i) found.push_back(message.substr(i, end - i));
      i = end == i ? i - 1 : end;
    }
  }
  return found;
}

// Of the one token that the message quotes, -1 where that is not sure.
int FindPlace(const UserError& error, const std::string& message,
              const std::string& sql) {
  const bool literals_only = error.kind() == UserError::RUNTIME;
  const auto tokens = Tokenize(sql);
  // What follows the first line are suggestions, which name what is not wrong.
  for (const auto& text : Quoted(message.substr(0, message.find('\n')))) {
    const auto fits = [&](const Token& token) {
      if (token.kind == Token::Kind::kString) return token.text == text;
      return !literals_only && token.IsName() && SameName(token.text, text);
    };
    if (std::count_if(tokens.begin(), tokens.end(), fits) != 1) continue;
    return static_cast<int>(std::find_if(tokens.begin(), tokens.end(), fits)->begin);
  }
  return -1;
}

bool IsContinuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

std::string Draw(const std::string& sql, size_t at) {
  size_t begin = at == 0 ? 0 : sql.rfind('\n', at - 1) + 1;
  size_t end = std::min(sql.find('\n', at), sql.size());
  const auto line =
      std::count(sql.begin(), sql.begin() + static_cast<long>(at), '\n') + 1;
  std::string prefix = "LINE " + std::to_string(line) + ": ";
  if (at - begin > kShownBefore) {
    begin = at - kShownBefore;
    while (begin < at && IsContinuation(sql[begin])) ++begin;
    prefix += "...";
  }
  std::string suffix;
  if (end - at > kShownAfter) {
    end = at + kShownAfter;
    while (end > at && IsContinuation(sql[end])) --end;
    suffix = "...";
  }
  std::string shown = sql.substr(begin, end - begin);
  for (auto& c : shown) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  const auto before =
      std::count_if(shown.begin(), shown.begin() + static_cast<long>(at - begin),
                    [](char c) { return !IsContinuation(c); });
  return prefix + shown + suffix + "\n" +
         std::string(prefix.size() + static_cast<size_t>(before), ' ') + "^";
}

}  // namespace

arrow::Status PlaceError(const arrow::Status& status, const std::string& sql) {
  const auto* detail = GetErrorDetail(status);
  if (detail == nullptr || !detail->has_user() || sql.empty() ||
      status.message().find("\nLINE ") != std::string::npos) {
    return status;
  }
  const UserError& error = detail->user();
  const int position =
      error.position() >= 0 ? error.position() : FindPlace(error, status.message(), sql);
  if (position < 0 || static_cast<size_t>(position) > sql.size()) return status;
  std::string words = status.message();
  if (words.size() > kMaxWords) {
    size_t end = kMaxWords;
    while (end > 0 && IsContinuation(words[end])) --end;
    words.resize(end);
    words += "...";
  }
  words += "\n\n" + Draw(sql, static_cast<size_t>(position));
  return UserErrorStatus(error.kind(), words, position);
}

}  // namespace ballista::sql
