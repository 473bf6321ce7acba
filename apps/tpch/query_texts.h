// The 22 queries of TPC-H, as in benchmarks/queries/.
#pragma once

#include <string_view>

namespace ballista::tpch {

inline constexpr int kQueries = 22;

// The text of query `number`, 1 to kQueries.
std::string_view QueryText(int number);

}  // namespace ballista::tpch
