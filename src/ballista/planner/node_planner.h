// Places each operator of a logical plan: walks the plan bottom up, keeps a fragment and
// its distribution for each sub-plan, and ends fragments where an operator needs its rows
// elsewhere.
//
// The operators are spread over several files: node_planner.cc (leaves, row-wise
// operators, write), plan_sort.cc (sort, limit), plan_aggregate.cc, plan_join.cc,
// plan_set.cc (distinct, set operations, windows), plan_shared.cc (common and recursive
// sub-plans).
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ballista/plan.pb.h"
#include "ballista/planner/aggregate_split.h"
#include "ballista/planner/cost.h"
#include "ballista/planner/distributed_planner.h"
#include "ballista/planner/fragment.h"
#include "ballista/planner/stage_builder.h"

namespace ballista::planner {

class NodePlanner {
 public:
  // `stages` is borrowed.
  NodePlanner(const PlannerOptions& options, StageBuilder* stages)
      : options_(options),
        cost_{static_cast<double>(std::max<uint32_t>(1, options.executors))},
        stages_(stages) {}

  // Takes the plan apart; every node of it has a row estimate. Errors: Internal.
  arrow::Result<Fragment> Plan(plan::Node node);

 private:
  using Columns = std::set<uint32_t>;
  // Of shared nodes that are made here; plans number theirs from the low end.
  static constexpr uint32_t kFirstSharedId = 1u << 30;

  // `order_matters`: all operators above pass the order of their input on.
  arrow::Result<Fragment> PlanNode(plan::Node node, bool order_matters);

  // ---- plan_sort.cc
  arrow::Result<Fragment> PlanSort(plan::Node node, bool order_matters);
  arrow::Result<Fragment> PlanLimit(plan::Node node);
  bool SortsByRange(const plan::Node& node, const Fragment& input) const;
  Fragment SortByRange(plan::Node node, Fragment input);
  // The first rows, as the Limit `node` says; in the input's order where it has one.
  Fragment LimitRows(plan::Node node, Fragment input);

  // ---- node_planner.cc
  // The planned inputs of `node`, which is left without them.
  arrow::Result<std::vector<Fragment>> PlanInputs(plan::Node* node);
  arrow::Result<Fragment> PlanRowWise(plan::Node node);
  arrow::Result<Fragment> PlanSample(plan::Node node);
  arrow::Result<Fragment> PlanWrite(plan::Node node);

  // ---- plan_aggregate.cc
  arrow::Result<Fragment> PlanAggregate(plan::Node node);
  Fragment AggregateInPlace(plan::Node node, Fragment input);
  Fragment AggregateInSteps(const plan::Node& node, Fragment input, AggregateSplit split);
  // Puts rows of equal arguments of the DISTINCT aggregates together and splits; nothing
  // where the aggregates do not allow it. `input` may gain columns.
  std::optional<AggregateSplit> SplitDistinct(const plan::Node& node, Fragment* input);

  // ---- plan_join.cc
  arrow::Result<Fragment> PlanJoin(plan::Node node);
  // A sub-plan that reads next to nothing becomes one single-task fragment.
  arrow::Result<Fragment> PlanJoinSide(plan::Node node);

  // ---- plan_set.cc
  arrow::Result<Fragment> PlanDistinct(plan::Node node);
  arrow::Result<Fragment> PlanWindow(plan::Node node);
  arrow::Result<Fragment> PlanSetOperation(plan::Node node);
  arrow::Result<Fragment> PlanUnionAll(plan::Node node, std::vector<Fragment> inputs);

  // ---- plan_shared.cc
  arrow::Result<Fragment> PlanShared(plan::Node node);
  arrow::Result<Fragment> PlanSharedRef(plan::Node node);
  arrow::Result<Fragment> PlanRecursiveCte(plan::Node node);
  // Makes a recursive step a part of a single-task fragment as it is. Sub-plans that do
  // not depend on the recursion are planned, gathered and put into `constants`; shared
  // references take their places.
  struct RoundConstant {
    uint32_t id = 0;
    Fragment fragment;
  };
  arrow::Status Embed(plan::Node* node, std::vector<RoundConstant>* constants);

  // Rows that are equal in `columns` in one task: in place, by a hash exchange on the
  // hashable ones of them, or gathered.
  Fragment Together(Fragment input, const Columns& columns);

  // How a shared definition is read.
  struct Definition {
    // Read once: planned where it is read.
    std::optional<plan::Node> inlined;
    // A small constant, copied to where it is read.
    std::optional<Fragment> constant;
    uint32_t stage = 0;
  };

  const PlannerOptions options_;
  const CostModel cost_;
  StageBuilder* const stages_;
  std::map<uint32_t, Definition> definitions_;
  uint32_t next_shared_id_ = kFirstSharedId;
  // All operators above the one that Plan is called for pass the order of their input on,
  // also that of the rows of several tasks.
  bool passes_order_ = true;
};

// ---- for the operators

plan::Node TakeInput(plan::Node* node, int index);

// `node`, which has no inputs, on top of `input`; distribution and order are the input's.
Fragment OnTop(plan::Node node, Fragment input);

// Adds the expressions that are no plain columns to the fragment's output; gives the
// column of each.
std::vector<uint32_t> AppendColumns(Fragment* fragment,
                                    const std::vector<plan::Expression>& expressions);

// For a projection: the output columns that are plain input column c, by c.
std::vector<std::set<uint32_t>> ProjectedPositions(
    const google::protobuf::RepeatedPtrField<plan::Expression>& expressions,
    int input_columns);

bool HasVolatile(const plan::Node& node);

}  // namespace ballista::planner
