// Cuts a script into its SQL statements without parsing them.
//
// A statement ends at a `;` outside of '…' and E'…' strings, "…" identifiers, $tag$…$tag$
// strings, `--` comments and (nesting) /* … */ comments. Pure functions, thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ballista::client {

struct Statement {
  // Without the `;`, and without the blanks and comments before it. Points into the
  // script.
  std::string_view text;
  size_t offset = 0;  // of `text` in the script, in bytes
  // False for a last statement without a `;`.
  bool terminated = false;
};

// The statements of `script`, empty ones left out. What follows the last `;` is a
// statement of its own when it holds more than blanks and comments.
std::vector<Statement> SplitStatements(std::string_view script);

// Whether more input is needed before the end of `script` can be run: an open string or
// comment, or a last statement without its `;`.
bool NeedsMoreInput(std::string_view script);

// `statement` on one line, for a history: each line break outside of strings and `--`
// comments becomes a blank.
std::string JoinLines(std::string_view statement);

// The first word of `statement` in upper case, comments skipped; empty where it begins
// with something else.
std::string FirstKeyword(std::string_view statement);

}  // namespace ballista::client
