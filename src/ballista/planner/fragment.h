// A piece of a stage under construction: a tree of nodes, and what is known of its rows.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "ballista/plan.pb.h"
#include "ballista/planner/distribution.h"

namespace ballista::planner {

struct Fragment {
  // ExchangeRead.input is a read's number in the StageBuilder until the graph is built.
  plan::Node root;
  Distribution distribution;
  // The rows come in an order that a query asked for; of a spread fragment, each task's
  // rows after those of the tasks before it.
  bool ordered = false;
  // Reads of hash exchanges (by number in the StageBuilder) whose rows may be dealt out
  // to several tasks, in any way, if each of these has the same partitions of the other
  // reads whole: what is above them does not rely on how their rows are partitioned.
  std::set<uint32_t> splittable;
  // Any so many of the rows are enough for what comes above; 0: all are wanted.
  uint64_t row_limit = 0;
  // What is done, for people, in order: "scan lineitem", "partial aggregate".
  std::vector<std::string> steps;
};

}  // namespace ballista::planner
