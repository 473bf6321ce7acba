// Finds the name that somebody probably meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ballista {

// The fewest insertions, deletions, substitutions and swaps of neighbours that turn `a`
// into `b` (optimal string alignment), in O(|a| |b|) time.
size_t EditDistance(std::string_view a, std::string_view b);

// The name nearest to `name`, the first one of equals; empty when `names` is empty.
std::string NearestName(std::string_view name, const std::vector<std::string>& names);

}  // namespace ballista
