#include "ballista/client/shell/text_width.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace ballista::shell {
namespace {

constexpr char32_t kReplacement = 0xFFFD;
constexpr std::string_view kEllipsis = "…";

struct Range {
  char32_t first;
  char32_t last;
};

// Sorted. East Asian wide and full-width characters, and emoji (Unicode Standard Annex
// 11).
constexpr Range kWide[] = {
    {0x1100, 0x115F},   {0x231A, 0x231B},   {0x23E9, 0x23EC},   {0x25FD, 0x25FE},
    {0x2614, 0x2615},   {0x2648, 0x2653},   {0x26AA, 0x26AB},   {0x26BD, 0x26BE},
    {0x26C4, 0x26C5},   {0x2705, 0x2705},   {0x270A, 0x270B},   {0x2728, 0x2728},
    {0x274C, 0x274C},   {0x2753, 0x2755},   {0x2757, 0x2757},   {0x2795, 0x2797},
    {0x2E80, 0x303E},   {0x3041, 0xA4CF},   {0xA960, 0xA97C},   {0xAC00, 0xD7A3},
    {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},
    {0x1F004, 0x1F004}, {0x1F0CF, 0x1F0CF}, {0x1F18E, 0x1F18E}, {0x1F191, 0x1F19A},
    {0x1F200, 0x1F320}, {0x1F32D, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1FAFF},
    {0x20000, 0x3FFFD},
};

// Sorted. Combining marks, joiners and variation selectors.
constexpr Range kZeroWidth[] = {
    {0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD},   {0x0610, 0x061A},
    {0x064B, 0x065F}, {0x0900, 0x0902}, {0x0E31, 0x0E31},   {0x0E34, 0x0E3A},
    {0x0E47, 0x0E4E}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF},   {0x200B, 0x200F},
    {0x202A, 0x202E}, {0x2060, 0x2064}, {0x20D0, 0x20FF},   {0xFE00, 0xFE0F},
    {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}, {0x1F3FB, 0x1F3FF}, {0xE0100, 0xE01EF},
};

template <size_t kSize>
bool Contains(const Range (&ranges)[kSize], char32_t code_point) {
  const auto* range = std::upper_bound(
      std::begin(ranges), std::end(ranges), code_point,
      [](char32_t value, const Range& candidate) { return value < candidate.first; });
  return range != std::begin(ranges) && code_point <= std::prev(range)->last;
}

bool IsControl(char32_t code_point) {
  return code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0);
}

}  // namespace

char32_t NextCodePoint(std::string_view text, size_t* position) {
  const auto lead = static_cast<unsigned char>(text[(*position)++]);
  if (lead < 0x80) return lead;
  const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  if (lead < 0xC2 || lead > 0xF4) return kReplacement;
  char32_t code_point = lead & (0x3F >> more);
  for (int i = 0; i < more; ++i) {
    if (*position + static_cast<size_t>(i) >= text.size()) return kReplacement;
    const auto byte =
        static_cast<unsigned char>(text[*position + static_cast<size_t>(i)]);
    if ((byte & 0xC0) != 0x80) return kReplacement;
    code_point = (code_point << 6) | (byte & 0x3F);
  }
  *position += static_cast<size_t>(more);
  return code_point;
}

int CodePointWidth(char32_t code_point) {
  if (code_point < 0x300) return 1;
  if (Contains(kZeroWidth, code_point)) return 0;
  return Contains(kWide, code_point) ? 2 : 1;
}

int DisplayWidth(std::string_view text) {
  int width = 0;
  for (size_t i = 0; i < text.size();) width += CodePointWidth(NextCodePoint(text, &i));
  return width;
}

std::string EscapeControls(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const size_t begin = i;
    const char32_t code_point = NextCodePoint(text, &i);
    if (code_point == '\n') {
      escaped += "\\n";
    } else if (code_point == '\t') {
      escaped += "\\t";
    } else if (code_point == '\r') {
      escaped += "\\r";
    } else if (IsControl(code_point)) {
      fmt::format_to(std::back_inserter(escaped), "\\x{:02X}",
                     static_cast<uint32_t>(code_point));
    } else if (code_point == kReplacement) {
      escaped += "\uFFFD";
    } else {
      escaped.append(text.substr(begin, i - begin));
    }
  }
  return escaped;
}

std::string TruncateToWidth(std::string_view text, int width) {
  int used = 0;
  size_t kept = 0;  // bytes that leave a column for the ellipsis
  for (size_t i = 0; i < text.size();) {
    used += CodePointWidth(NextCodePoint(text, &i));
    if (used > width) return std::string(text.substr(0, kept)).append(kEllipsis);
    if (used < width) kept = i;
  }
  return std::string(text);
}

}  // namespace ballista::shell
