// Text on a terminal: how many columns it takes, and what may be shown of it. All text is
// UTF-8; a byte that is none counts and is shown as one replacement character.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ballista::shell {

// Reads the code point at `*position` and moves past it; U+FFFD for bytes that are no
// UTF-8.
char32_t NextCodePoint(std::string_view text, size_t* position);

// Columns of a terminal: 2 for wide characters, 0 for combining ones.
int CodePointWidth(char32_t code_point);
int DisplayWidth(std::string_view text);

// `text` on one line and harmless to a terminal: control characters as \n, \t or \x1B.
std::string EscapeControls(std::string_view text);

// The longest beginning of `text` that takes at most `width` columns; with an ellipsis as
// its last column where something was cut.
std::string TruncateToWidth(std::string_view text, int width);

}  // namespace ballista::shell
