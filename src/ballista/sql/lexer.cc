#include <cctype>

#include "ballista/sql/lexer_internal.h"

namespace ballista::sql {
namespace {

bool IsWordCharacter(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return std::isalnum(byte) || c == '_' || c == '$' || byte >= 0x80;
}

size_t SkipBlanks(const std::string& sql, size_t at) {
  while (at < sql.size()) {
    if (std::isspace(static_cast<unsigned char>(sql[at]))) {
      ++at;
    } else if (sql.compare(at, 2, "--") == 0) {
      while (at < sql.size() && sql[at] != '\n') ++at;
    } else if (sql.compare(at, 2, "/*") == 0) {
      const auto close = sql.find("*/", at + 2);
      at = close == std::string::npos ? sql.size() : close + 2;
    } else {
      break;
    }
  }
  return at;
}

// A doubled quote inside of quotes is the quote itself.
Token ReadQuoted(const std::string& sql, size_t begin) {
  const char quote = sql[begin];
  Token token{quote == '"' ? Token::Kind::kQuotedName : Token::Kind::kString, "", begin};
  size_t at = begin + 1;
  while (at < sql.size()) {
    if (sql[at] != quote) {
      token.text += sql[at++];
    } else if (at + 1 < sql.size() && sql[at + 1] == quote) {
      token.text += quote;
      at += 2;
    } else {
      ++at;
      break;
    }
  }
  token.end = at;
  return token;
}

}  // namespace

bool Token::Is(const char* word) const {
  if (kind != Kind::kWord && kind != Kind::kSymbol) return false;
  size_t i = 0;
  for (; i < text.size() && word[i] != '\0'; ++i) {
    if (std::toupper(static_cast<unsigned char>(text[i])) != word[i]) return false;
  }
  return i == text.size() && word[i] == '\0';
}

std::vector<Token> Tokenize(const std::string& sql) {
  std::vector<Token> tokens;
  size_t at = SkipBlanks(sql, 0);
  while (at < sql.size()) {
    if (sql[at] == '\'' || sql[at] == '"') {
      tokens.push_back(ReadQuoted(sql, at));
    } else if (IsWordCharacter(sql[at])) {
      size_t end = at;
      while (end < sql.size() && IsWordCharacter(sql[end])) ++end;
      tokens.push_back({Token::Kind::kWord, sql.substr(at, end - at), at, end});
    } else {
      tokens.push_back({Token::Kind::kSymbol, sql.substr(at, 1), at, at + 1});
    }
    at = SkipBlanks(sql, tokens.back().end);
  }
  tokens.push_back({Token::Kind::kEnd, "", sql.size(), sql.size()});
  return tokens;
}

}  // namespace ballista::sql
