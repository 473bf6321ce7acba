// Splits aggregates into a partial step, run where the rows are, and a combining one.
#pragma once

#include <optional>
#include <vector>

#include "ballista/plan.pb.h"

namespace ballista::planner {

struct AggregateSplit {
  // Over the aggregate's input.
  std::vector<plan::Expression> partial;
  // One for each of `partial`, over the partial step's output.
  std::vector<plan::Expression> combine;
  // One for each aggregate of the original, over the combining step's output.
  std::vector<plan::Expression> results;
};

struct AggregateSplitLayout {
  uint32_t partial_base = 0;  // column of partial[0] in the partial step's output
  uint32_t combine_base = 0;  // column of combine[0] in the combining step's output
  // The rows of equal arguments of each DISTINCT aggregate meet in one task, so that its
  // partial results add up.
  bool distinct_together = false;
  // A task without input rows gives a row all the same (no groups, or an empty set).
  bool empty_partials = false;
};

// Nothing where one of the aggregates has no such steps.
std::optional<AggregateSplit> SplitAggregates(const plan::Aggregate& aggregate,
                                              const AggregateSplitLayout& layout);

}  // namespace ballista::planner
