// Tokens of SQL text, as far as Ballista's own statements need them.
#pragma once

#include <string>
#include <vector>

namespace ballista::sql {

struct Token {
  enum class Kind { kWord, kQuotedName, kString, kSymbol, kEnd };
  Kind kind;
  std::string text;  // without quotes; words as written
  size_t begin = 0;  // byte offsets in the text
  size_t end = 0;

  // A bare word, without regard to case. `word` is in upper case.
  bool Is(const char* word) const;
  bool IsName() const { return kind == Kind::kWord || kind == Kind::kQuotedName; }
};

// Comments are skipped; the last token is kEnd. Never fails: an unterminated quote ends
// with the text.
std::vector<Token> Tokenize(const std::string& sql);

}  // namespace ballista::sql
