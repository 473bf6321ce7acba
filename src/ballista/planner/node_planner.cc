#include "ballista/planner/node_planner.h"

#include <utility>

#include "ballista/base/status.h"
#include "ballista/plan/plan.h"

namespace ballista::planner {
namespace {

using plan::Expression;
using plan::Node;

constexpr double kTinyRows = 10000;
constexpr double kTinyBytes = 1 << 20;

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
      if (IsPureTableFunction(node.table_function()) &&
          IsTiny(node.estimated_rows(), EstimatedBytes(node))) {
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

// A limit's constant. Nothing where it is no plain number.
std::optional<uint64_t> LiteralCount(const Expression& expression) {
  if (!expression.has_literal()) return std::nullopt;
  const auto& value = expression.literal();
  if (value.kind_case() == plan::Value::kInt && value.int_() >= 0) {
    return static_cast<uint64_t>(value.int_());
  }
  if (value.kind_case() == plan::Value::kUint) return value.uint();
  return std::nullopt;
}

constexpr uint64_t kLargestLimit = uint64_t{1} << 62;

// Rows of each task that a limit with an offset can need.
uint64_t LocalLimit(uint64_t limit, uint64_t offset) {
  return std::min(limit, kLargestLimit) + std::min(offset, kLargestLimit);
}

void CapEstimate(Node* node, double rows) {
  node->set_estimated_rows(std::min(node->estimated_rows(), rows));
}

}  // namespace

bool IsTiny(double rows, double bytes) {
  return rows <= kTinyRows && bytes <= kTinyBytes;
}

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
      return PlanSort(std::move(node));
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

arrow::Result<Fragment> NodePlanner::PlanSort(Node node) {
  ARROW_ASSIGN_OR_RAISE(std::vector<Fragment> inputs, PlanInputs(&node));
  Fragment input = std::move(inputs[0]);
  const bool is_top = node.sort().has_limit();
  if (input.distribution.IsSpread() && is_top) {
    Node local = node;
    const uint64_t limit = LocalLimit(node.sort().limit(), node.sort().offset());
    local.mutable_sort()->set_limit(limit);
    local.mutable_sort()->clear_offset();
    local.set_estimated_rows(input.root.estimated_rows());
    CapEstimate(&local, static_cast<double>(limit) * cost_.executors);
    input.steps.push_back("local top " + std::to_string(limit));
    input = OnTop(std::move(local), std::move(input));
  }
  input = stages_->Gather(std::move(input));
  input.steps.push_back(is_top ? "top " + std::to_string(node.sort().limit()) : "sort");
  input = OnTop(std::move(node), std::move(input));
  input.ordered = true;
  return input;
}

arrow::Result<Fragment> NodePlanner::PlanLimit(Node node) {
  ARROW_ASSIGN_OR_RAISE(std::vector<Fragment> inputs, PlanInputs(&node));
  Fragment input = std::move(inputs[0]);
  const auto& limit = node.limit();
  const auto rows = limit.has_limit() && !limit.is_percent() ? LiteralCount(limit.limit())
                                                             : std::nullopt;
  const auto offset =
      limit.has_offset() ? LiteralCount(limit.offset()) : std::optional<uint64_t>(0);
  if (input.distribution.IsSpread() && rows && offset) {
    const uint64_t count = LocalLimit(*rows, *offset);
    Node local = node;
    local.mutable_limit()->clear_offset();
    *local.mutable_limit()->mutable_limit() =
        plan::BigintLiteral(static_cast<int64_t>(std::min(count, kLargestLimit)));
    local.set_estimated_rows(input.root.estimated_rows());
    CapEstimate(&local, static_cast<double>(count) * cost_.executors);
    input.steps.push_back("local limit " + std::to_string(count));
    input = OnTop(std::move(local), std::move(input));
    input.row_limit = std::min(count, kLargestLimit);
  }
  input = stages_->Gather(std::move(input));
  input.steps.push_back("limit");
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
    if (keys.empty() || IsTiny(input.root.estimated_rows(), EstimatedBytes(input.root))) {
      return stages_->Gather(std::move(input));
    }
    input = stages_->HashExchange(std::move(input), keys);
  }
  // The caller relies on it.
  input.splittable.clear();
  return input;
}

}  // namespace ballista::planner
