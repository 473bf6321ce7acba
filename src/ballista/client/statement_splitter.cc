#include "ballista/client/statement_splitter.h"

#include <cctype>

namespace ballista::client {
namespace {

enum class TokenKind { kBlank, kLineComment, kBlockComment, kQuoted, kEnd, kOther };

struct Token {
  TokenKind kind;
  size_t end;
  bool closed = true;  // false: the script ends within it
};

bool IsIdentifierByte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return std::isalnum(byte) != 0 || c == '_' || byte >= 0x80;
}

// The end of the quoted text that opens at `begin`; a doubled quote stands for itself.
Token ScanQuoted(std::string_view text, size_t begin, bool backslash_escapes) {
  const char quote = text[begin];
  for (size_t i = begin + 1; i < text.size(); ++i) {
    if (backslash_escapes && text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      if (i + 1 < text.size() && text[i + 1] == quote) {
        ++i;
      } else {
        return {TokenKind::kQuoted, i + 1};
      }
    }
  }
  return {TokenKind::kQuoted, text.size(), false};
}

Token ScanBlockComment(std::string_view text, size_t begin) {
  int depth = 1;
  size_t i = begin + 2;
  while (i < text.size()) {
    const auto pair = text.substr(i, 2);
    if (pair == "/*") {
      ++depth;
      i += 2;
    } else if (pair == "*/") {
      i += 2;
      if (--depth == 0) return {TokenKind::kBlockComment, i};
    } else {
      ++i;
    }
  }
  return {TokenKind::kBlockComment, text.size(), false};
}

// A `$` opens a string only as $$ or $tag$, tags being identifiers: $1 is a parameter.
Token ScanDollar(std::string_view text, size_t begin) {
  size_t i = begin + 1;
  if (i < text.size() && std::isdigit(static_cast<unsigned char>(text[i])) != 0) {
    return {TokenKind::kOther, i};
  }
  while (i < text.size() && IsIdentifierByte(text[i])) ++i;
  if (i == text.size() || text[i] != '$') return {TokenKind::kOther, begin + 1};
  const auto delimiter = text.substr(begin, i + 1 - begin);
  const size_t close = text.find(delimiter, i + 1);
  if (close == std::string_view::npos) return {TokenKind::kQuoted, text.size(), false};
  return {TokenKind::kQuoted, close + delimiter.size()};
}

Token ScanWord(std::string_view text, size_t begin) {
  size_t i = begin;
  while (i < text.size() && (IsIdentifierByte(text[i]) || text[i] == '$')) ++i;
  // E'…' is the one prefix under which a backslash hides a quote.
  if (i == begin + 1 && (text[begin] == 'e' || text[begin] == 'E') && i < text.size() &&
      text[i] == '\'') {
    return ScanQuoted(text, i, /*backslash_escapes=*/true);
  }
  return {TokenKind::kOther, i};
}

Token NextToken(std::string_view text, size_t begin) {
  const char c = text[begin];
  if (std::isspace(static_cast<unsigned char>(c)) != 0) {
    return {TokenKind::kBlank, begin + 1};
  }
  if (c == ';') return {TokenKind::kEnd, begin + 1};
  if (c == '\'' || c == '"') return ScanQuoted(text, begin, false);
  if (c == '$') return ScanDollar(text, begin);
  if (text.substr(begin, 2) == "/*") return ScanBlockComment(text, begin);
  if (text.substr(begin, 2) == "--") {
    const size_t line_end = text.find('\n', begin);
    if (line_end == std::string_view::npos) {
      return {TokenKind::kLineComment, text.size()};
    }
    return {TokenKind::kLineComment, line_end + 1};
  }
  if (IsIdentifierByte(c)) return ScanWord(text, begin);
  return {TokenKind::kOther, begin + 1};
}

bool IsContent(TokenKind kind) {
  return kind == TokenKind::kQuoted || kind == TokenKind::kOther;
}

}  // namespace

std::vector<Statement> SplitStatements(std::string_view script) {
  constexpr size_t kNone = std::string_view::npos;
  std::vector<Statement> statements;
  size_t begin = kNone;  // of the statement's first token
  size_t end = 0;        // of its last token that is no blank and no comment
  auto add = [&](bool terminated) {
    if (begin != kNone) {
      statements.push_back({script.substr(begin, end - begin), begin, terminated});
    }
    begin = kNone;
  };
  for (size_t i = 0; i < script.size();) {
    const Token token = NextToken(script, i);
    if (token.kind == TokenKind::kEnd) {
      add(true);
    } else if (IsContent(token.kind)) {
      if (begin == kNone) begin = i;
      end = token.end;
    }
    i = token.end;
  }
  add(false);
  return statements;
}

bool NeedsMoreInput(std::string_view script) {
  bool open = false;
  for (size_t i = 0; i < script.size();) {
    const Token token = NextToken(script, i);
    if (!token.closed) return true;
    if (token.kind == TokenKind::kEnd) {
      open = false;
    } else if (IsContent(token.kind)) {
      open = true;
    }
    i = token.end;
  }
  return open;
}

std::string JoinLines(std::string_view statement) {
  std::string joined;
  for (size_t i = 0; i < statement.size();) {
    const Token token = NextToken(statement, i);
    if (token.kind == TokenKind::kBlank) {
      const char blank = statement[i];
      joined += blank == '\n' || blank == '\r' ? ' ' : blank;
    } else {
      joined.append(statement.substr(i, token.end - i));
    }
    i = token.end;
  }
  return joined;
}

std::string FirstKeyword(std::string_view statement) {
  for (size_t i = 0; i < statement.size();) {
    const Token token = NextToken(statement, i);
    if (IsContent(token.kind)) {
      std::string word(statement.substr(i, token.end - i));
      for (char& c : word) {
        if (!IsIdentifierByte(c)) return {};
        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      }
      return word;
    }
    i = token.end;
  }
  return {};
}

}  // namespace ballista::client
