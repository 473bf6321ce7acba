#include "ballista/planner/node_planner.h"

#include <utility>

#include "ballista/base/status.h"
#include "ballista/plan/plan.h"

namespace ballista::planner {
namespace {

using plan::Expression;
using plan::Node;

// Functions of their arguments alone, whose rows every task may make for itself.
bool IsPureTableFunction(const plan::TableFunction& function) {
  static const std::set<std::string> kPure = {"range", "generate_series", "unnest",
                                              "repeat"};
  return kPure.contains(function.name());
}

Fragment PlanLeaf(Node node) {
  Fragment fragment;
  switch (node.kind_case()) {
    case Node::kScan:
      fragment.distribution = Distribution::Random();
      fragment.steps.push_back("scan " + (node.scan().table().empty()
                                              ? node.scan().format()
                                              : node.scan().table()));
      break;
    case Node::kStatement:
      fragment.steps.push_back("statement");
      break;
    case Node::kTableFunction:
      fragment.steps.push_back("table function " + node.table_function().name());
      if (IsPureTableFunction(node.table_function()) && IsEstimatedTiny(node)) {
        fragment.distribution = Distribution::Replicated();
      }
      break;
    default:
      if (!HasVolatile(node)) fragment.distribution = Distribution::Replicated();
      break;
  }
  fragment.root = std::move(node);
  return fragment;
}

bool PassesOrder(const Node& node) {
  return node.has_project() || node.has_filter() || node.has_limit() ||
         node.has_write() || node.has_shared() || node.has_shared_ref();
}

}  // namespace

Node TakeInput(Node* node, int index) {
  return std::move(*node->mutable_inputs(index));
}

Fragment OnTop(Node node, Fragment input) {
  if (input.distribution.kind == Distribution::kReplicated && HasVolatile(node)) {
    input.distribution = Distribution::Single();
  }
  node.clear_inputs();
  *node.add_inputs() = std::move(input.root);
  input.root = std::move(node);
  return input;
}

std::vector<uint32_t> AppendColumns(Fragment* fragment,
                                    const std::vector<Expression>& expressions) {
  const int width = fragment->root.types_size();
  std::vector<uint32_t> columns;
  std::vector<Expression> added;
  for (const auto& expression : expressions) {
    if (expression.kind_case() == Expression::kColumn) {
      columns.push_back(expression.column());
      continue;
    }
    size_t index = 0;
    while (index < added.size() && !plan::ExpressionsEqual(added[index], expression)) {
      ++index;
    }
    if (index == added.size()) added.push_back(expression);
    columns.push_back(static_cast<uint32_t>(width + index));
  }
  if (added.empty()) return columns;
  Node project;
  *project.mutable_types() = fragment->root.types();
  project.set_estimated_rows(fragment->root.estimated_rows());
  auto* list = project.mutable_project()->mutable_expressions();
  for (int i = 0; i < width; ++i) {
    *list->Add() = plan::ColumnRef(static_cast<uint32_t>(i), fragment->root.types(i));
  }
  for (auto& expression : added) {
    *project.add_types() = expression.type();
    *list->Add() = std::move(expression);
  }
  *fragment = OnTop(std::move(project), std::move(*fragment));
  return columns;
}

std::vector<std::set<uint32_t>> ProjectedPositions(
    const google::protobuf::RepeatedPtrField<Expression>& expressions,
    int input_columns) {
  std::vector<std::set<uint32_t>> positions(static_cast<size_t>(input_columns));
  for (int i = 0; i < expressions.size(); ++i) {
    if (expressions[i].kind_case() != Expression::kColumn) continue;
    positions[expressions[i].column()].insert(static_cast<uint32_t>(i));
  }
  return positions;
}

bool HasVolatile(const Node& node) {
  bool found = false;
  plan::ForEachExpression(
      node, [&](const Expression& e) { found = found || plan::IsVolatile(e); });
  return found;
}

arrow::Result<Fragment> NodePlanner::Plan(Node node) {
  const bool around = passes_order_;
  passes_order_ = around && PassesOrder(node);
  auto fragment = PlanNode(std::move(node), around);
  passes_order_ = around;
  return fragment;
}

arrow::Result<Fragment> NodePlanner::PlanNode(Node node, bool order_matters) {
  switch (node.kind_case()) {
    case Node::kScan:
    case Node::kValues:
    case Node::kEmpty:
    case Node::kLocalTable:
    case Node::kStatement:
      return PlanLeaf(std::move(node));
    case Node::kTableFunction:
      if (node.inputs_size() == 0) return PlanLeaf(std::move(node));
      return PlanRowWise(std::move(node));
    case Node::kFilter:
    case Node::kProject:
    case Node::kUnnest:
      return PlanRowWise(std::move(node));
    case Node::kAggregate:
      return PlanAggregate(std::move(node));
    case Node::kJoin:
      return PlanJoin(std::move(node));
    case Node::kSort:
      return PlanSort(std::move(node), order_matters);
    case Node::kLimit:
      return PlanLimit(std::move(node));
    case Node::kDistinct:
      return PlanDistinct(std::move(node));
    case Node::kWindow:
      return PlanWindow(std::move(node));
    case Node::kSetOperation:
      return PlanSetOperation(std::move(node));
    case Node::kShared:
      return PlanShared(std::move(node));
    case Node::kSharedRef:
      return PlanSharedRef(std::move(node));
    case Node::kRecursiveCte:
      return PlanRecursiveCte(std::move(node));
    case Node::kSample:
      return PlanSample(std::move(node));
    case Node::kWrite:
      return PlanWrite(std::move(node));
    case Node::kExchangeRead:
    case Node::KIND_NOT_SET:
      break;
  }
  return InternalStatus("a logical plan has a node of kind " +
                        std::to_string(node.kind_case()));
}

arrow::Result<std::vector<Fragment>> NodePlanner::PlanInputs(Node* node) {
  std::vector<Fragment> fragments;
  for (int i = 0; i < node->inputs_size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(Fragment fragment, Plan(TakeInput(node, i)));
    fragments.push_back(std::move(fragment));
  }
  node->clear_inputs();
  return fragments;
}

arrow::Result<Fragment> NodePlanner::PlanRowWise(Node node) {
  ARROW_ASSIGN_OR_RAISE(std::vector<Fragment> inputs, PlanInputs(&node));
  Fragment input = std::move(inputs[0]);
  const int width = input.root.types_size();
  Distribution distribution = input.distribution;
  if (node.has_project()) {
    distribution = RemapDistribution(
        distribution, ProjectedPositions(node.project().expressions(), width));
  } else if (node.has_table_function()) {
    std::vector<std::set<uint32_t>> positions(static_cast<size_t>(width));
    const auto& function = node.table_function();
    for (int i = 0; i < function.passthrough_size(); ++i) {
      positions[function.passthrough(i)].insert(
          static_cast<uint32_t>(function.columns_size() + i));
    }
    distribution = RemapDistribution(distribution, positions);
    if (distribution.kind == Distribution::kReplicated &&
        !IsPureTableFunction(function)) {
      distribution = Distribution::Single();
    }
  }
  input.distribution = std::move(distribution);
  return OnTop(std::move(node), std::move(input));
}

arrow::Result<Fragment> NodePlanner::PlanSample(Node node) {
  ARROW_ASSIGN_OR_RAISE(std::vector<Fragment> inputs, PlanInputs(&node));
  Fragment input = std::move(inputs[0]);
  const auto& sample = node.sample();
  // Each row is kept or not on its own; with a seed the whole must come out the same.
  const bool row_wise = sample.is_percentage() && !sample.has_seed() &&
                        (sample.method() == "bernoulli" || sample.method() == "system");
  if (!row_wise || !input.distribution.IsSpread()) {
    input = stages_->Gather(std::move(input));
  }
  input.steps.push_back("sample");
  return OnTop(std::move(node), std::move(input));
}

arrow::Result<Fragment> NodePlanner::PlanWrite(Node node) {
  ARROW_ASSIGN_OR_RAISE(std::vector<Fragment> inputs, PlanInputs(&node));
  Fragment input = std::move(inputs[0]);
  if (input.root.has_statement()) {
    input = stages_->Read(stages_->Materialize(std::move(input), {}));
  }
  if (node.write().single_file()) input = stages_->Gather(std::move(input));
  const bool in_parts = input.distribution.IsSpread();
  input.steps.push_back("write " + node.write().format());
  // What a task wrote is no row of the input.
  input.distribution = in_parts ? Distribution::Random() : Distribution::Single();
  input.ordered = false;
  node.set_estimated_rows(1);
  return OnTop(std::move(node), std::move(input));
}

Fragment NodePlanner::Together(Fragment input, const Columns& columns) {
  if (!input.distribution.IsSpread()) return input;
  if (!input.distribution.Gathers(columns)) {
    const auto keys = HashableColumns(columns, input.root);
    if (keys.empty() || stages_->IsTiny(input.root)) {
      return stages_->Gather(std::move(input));
    }
    input = stages_->HashExchange(std::move(input), keys);
  }
  // The caller relies on it.
  input.splittable.clear();
  return input;
}

}  // namespace ballista::planner
