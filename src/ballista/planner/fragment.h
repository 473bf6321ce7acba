// A piece of a stage under construction: a tree of nodes, and what is known of its rows.
#pragma once

#include <string>
#include <vector>

#include "ballista/plan.pb.h"
#include "ballista/planner/distribution.h"

namespace ballista::planner {

struct Fragment {
  // ExchangeRead.input is a read's number in the StageBuilder until the graph is built.
  plan::Node root;
  Distribution distribution;
  // The rows come in an order that a query asked for; only a single fragment has one.
  bool ordered = false;
  // What is done, for people, in order: "scan lineitem", "partial aggregate".
  std::vector<std::string> steps;
};

}  // namespace ballista::planner
