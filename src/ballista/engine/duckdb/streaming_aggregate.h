// Partial aggregation that does not hold up its pipeline. Private to the engine.
#pragma once

#include "ballista/engine/duckdb/pch_internal.h"

namespace ballista::engine {

// Replaces the hash aggregate that `plan` ends with, below projections, by one that gives
// groups out as soon as its table is full, and begins anew: a group may come out more
// than once, each time with some of its rows. Leaves the plan as it is where it ends in
// another way (no group, several grouping sets, DISTINCT or ordered calls, a perfect hash
// aggregate).
//
// Each thread has a table that fits a cache. It grows as long as this finds more rows of
// the same groups, up to a bound: rows that are clustered by group are merged in the
// small one, and groups without order that are not too many in a large one. What neither
// merges costs one look-up a row, and no memory.
void StreamPartialAggregate(duckdb::PhysicalPlan* plan);

}  // namespace ballista::engine
