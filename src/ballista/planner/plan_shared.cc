// Sub-plans that several places read: common table expressions, the two sides of
// decorrelated joins, recursive ones.
#include <utility>

#include "ballista/base/status.h"
#include "ballista/plan/plan.h"
#include "ballista/planner/node_planner.h"

namespace ballista::planner {
namespace {

using plan::Node;

struct References {
  int count = 0;
  // Inside a recursive step, which runs again and again.
  bool repeated = false;
};

void CountReferences(const Node& node, uint32_t id, bool in_step, References* found) {
  if (node.has_shared_ref() && node.shared_ref().id() == id) {
    ++found->count;
    found->repeated = found->repeated || in_step;
  }
  for (int i = 0; i < node.inputs_size(); ++i) {
    const bool step = in_step || (node.has_recursive_cte() && i == 1);
    CountReferences(node.inputs(i), id, step, found);
  }
}

// The definition's columns that `node` passes on, by output column (-1: something else);
// empty where the node is more than a selection from the shared node `id`.
std::vector<int> SelectedColumns(const Node& node, uint32_t id) {
  std::vector<int> columns;
  if (node.has_shared_ref() && node.shared_ref().id() == id) {
    for (int i = 0; i < node.types_size(); ++i) columns.push_back(i);
  } else if (node.has_filter()) {
    return SelectedColumns(node.inputs(0), id);
  } else if (node.has_project()) {
    const auto below = SelectedColumns(node.inputs(0), id);
    if (below.empty()) return columns;
    for (const auto& e : node.project().expressions()) {
      const bool plain = e.kind_case() == plan::Expression::kColumn;
      columns.push_back(plain ? below[e.column()] : -1);
    }
  }
  return columns;
}

// The columns of a shared definition whose distinct values are asked for, as the keys of
// a decorrelated join are, which then meet the definition itself again: hashed by them,
// the rows need no further exchange for either. Empty: nobody asks.
std::vector<uint32_t> DistinctKeys(const Node& body, uint32_t id) {
  std::vector<uint32_t> keys;
  plan::VisitNodes(body, [&](const Node& node) {
    if (!keys.empty() || !node.has_distinct() || node.distinct().on_size() > 0) return;
    for (const int column : SelectedColumns(node.inputs(0), id)) {
      if (column < 0) {
        keys.clear();
        return;
      }
      keys.push_back(static_cast<uint32_t>(column));
    }
  });
  return keys;
}

// The sub-plan reads a shared node that is defined around it and that is no stage.
bool RefersOutside(const Node& node, std::set<uint32_t> inside,
                   const std::set<uint32_t>& stages) {
  if (node.has_shared_ref()) {
    const uint32_t id = node.shared_ref().id();
    return !inside.contains(id) && !stages.contains(id);
  }
  if (node.has_shared()) inside.insert(node.shared().id());
  if (node.has_recursive_cte()) inside.insert(node.recursive_cte().id());
  for (const auto& input : node.inputs()) {
    if (RefersOutside(input, inside, stages)) return true;
  }
  return false;
}

bool HasScan(const Node& node) {
  bool found = false;
  plan::VisitNodes(node, [&](const Node& n) { found = found || n.has_scan(); });
  return found;
}

}  // namespace

arrow::Result<Fragment> NodePlanner::PlanShared(Node node) {
  const uint32_t id = node.shared().id();
  const bool passes_order = std::exchange(passes_order_, false);
  References references;
  CountReferences(node.inputs(1), id, false, &references);
  Definition definition;
  if (references.count == 1 && !references.repeated) {
    definition.inlined = TakeInput(&node, 0);
  } else if (references.count > 0) {
    ARROW_ASSIGN_OR_RAISE(Fragment fragment, Plan(TakeInput(&node, 0)));
    if (fragment.distribution.kind == Distribution::kReplicated &&
        stages_->IsTiny(fragment.root)) {
      definition.constant = std::move(fragment);
    } else {
      const auto wanted = DistinctKeys(node.inputs(1), id);
      const auto keys =
          HashableColumns(Columns(wanted.begin(), wanted.end()), fragment.root);
      definition.stage = stages_->Materialize(std::move(fragment), keys);
    }
  }
  definitions_[id] = std::move(definition);
  passes_order_ = passes_order;
  return Plan(TakeInput(&node, 1));
}

arrow::Result<Fragment> NodePlanner::PlanSharedRef(Node node) {
  const uint32_t id = node.shared_ref().id();
  const auto found = definitions_.find(id);
  if (found == definitions_.end()) {
    return InternalStatus("shared node " + std::to_string(id) +
                          " is referred to before it is defined");
  }
  Definition& definition = found->second;
  if (definition.inlined) {
    Node inlined = *std::move(definition.inlined);
    definition.inlined.reset();
    return Plan(std::move(inlined));
  }
  if (definition.constant) return *definition.constant;
  return stages_->Read(definition.stage);
}

arrow::Result<Fragment> NodePlanner::PlanRecursiveCte(Node node) {
  ARROW_ASSIGN_OR_RAISE(Fragment anchor, Plan(TakeInput(&node, 0)));
  anchor = stages_->Gather(std::move(anchor));
  Node step = TakeInput(&node, 1);
  std::vector<RoundConstant> constants;
  ARROW_RETURN_NOT_OK(Embed(&step, &constants));
  node.clear_inputs();
  *node.add_inputs() = std::move(anchor.root);
  *node.add_inputs() = std::move(step);
  Fragment result;
  result.steps = std::move(anchor.steps);
  result.steps.push_back("recursion");
  // An exchange gives its rows once and the step reads them in every round, so they are
  // kept in shared nodes around the recursion.
  for (RoundConstant& constant : constants) {
    Node shared;
    *shared.mutable_types() = node.types();
    shared.set_estimated_rows(node.estimated_rows());
    shared.mutable_shared()->set_id(constant.id);
    *shared.add_inputs() = std::move(constant.fragment.root);
    *shared.add_inputs() = std::move(node);
    node = std::move(shared);
  }
  result.root = std::move(node);
  return result;
}

arrow::Status NodePlanner::Embed(Node* node, std::vector<RoundConstant>* constants) {
  std::set<uint32_t> known;
  for (const auto& [id, definition] : definitions_) known.insert(id);
  const bool shared = node->has_shared_ref() && known.contains(node->shared_ref().id());
  // What stays the same in every round is computed once, by many tasks.
  if (shared || (HasScan(*node) && !RefersOutside(*node, {}, known))) {
    ARROW_ASSIGN_OR_RAISE(Fragment fragment, Plan(std::move(*node)));
    fragment = stages_->Gather(std::move(fragment));
    Node reference;
    *reference.mutable_types() = fragment.root.types();
    reference.set_estimated_rows(fragment.root.estimated_rows());
    reference.mutable_shared_ref()->set_id(next_shared_id_);
    *node = std::move(reference);
    constants->push_back({next_shared_id_++, std::move(fragment)});
    return arrow::Status::OK();
  }
  for (auto& input : *node->mutable_inputs()) {
    ARROW_RETURN_NOT_OK(Embed(&input, constants));
  }
  return arrow::Status::OK();
}

}  // namespace ballista::planner
