// Sort and limit.
#include <algorithm>
#include <utility>

#include "ballista/plan/plan.h"
#include "ballista/planner/node_planner.h"

namespace ballista::planner {
namespace {

using plan::Expression;
using plan::Node;

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

Node LimitNode(const Node& input, std::optional<uint64_t> limit, uint64_t offset) {
  Node node;
  *node.mutable_types() = input.types();
  node.set_estimated_rows(input.estimated_rows());
  auto* counts = node.mutable_limit();
  if (limit) {
    *counts->mutable_limit() =
        plan::BigintLiteral(static_cast<int64_t>(std::min(*limit, kLargestLimit)));
    CapEstimate(&node, static_cast<double>(*limit));
  }
  if (offset > 0) {
    *counts->mutable_offset() =
        plan::BigintLiteral(static_cast<int64_t>(std::min(offset, kLargestLimit)));
  }
  return node;
}

// The first `width` columns.
Node FirstColumns(const Node& input, int width) {
  Node node;
  node.set_estimated_rows(input.estimated_rows());
  for (int i = 0; i < width; ++i) {
    *node.add_types() = input.types(i);
    *node.mutable_project()->add_expressions() =
        plan::ColumnRef(static_cast<uint32_t>(i), input.types(i));
  }
  return node;
}

}  // namespace

// Rows that one task can sort about as soon as several could, or of which only the first
// few are kept, are not worth an exchange by ranges.
bool NodePlanner::SortsByRange(const Node& node, const Fragment& input) const {
  if (!input.distribution.IsSpread()) return false;
  const auto& sort = node.sort();
  double rows = input.root.estimated_rows();
  if (sort.has_limit()) {
    rows = std::min(rows, static_cast<double>(LocalLimit(sort.limit(), sort.offset())));
  }
  const double bytes = std::max(rows, 1.0) * plan::EstimatedRowBytes(input.root.types());
  if (bytes < static_cast<double>(options_.range_sort_threshold)) return false;
  const auto is_literal = [](const plan::SortKey& key) {
    return key.expression().kind_case() == Expression::kLiteral;
  };
  return !std::all_of(sort.keys().begin(), sort.keys().end(), is_literal) &&
         std::all_of(sort.keys().begin(), sort.keys().end(),
                     [&](const plan::SortKey& key) {
                       return is_literal(key) || HasSortKey(key.expression().type());
                     });
}

Fragment NodePlanner::SortByRange(Node node, Fragment input) {
  const int width = input.root.types_size();
  const plan::Sort sort = node.sort();
  std::vector<plan::SortKey> keys;
  std::vector<Expression> expressions;
  for (const auto& key : sort.keys()) {
    if (key.expression().kind_case() == Expression::kLiteral) continue;
    keys.push_back(key);
    expressions.push_back(key.expression());
  }
  const auto columns = AppendColumns(&input, expressions);
  for (size_t i = 0; i < keys.size(); ++i) {
    *keys[i].mutable_expression() =
        plan::ColumnRef(columns[i], input.root.types(static_cast<int>(columns[i])));
  }
  *node.mutable_types() = input.root.types();
  node.set_estimated_rows(input.root.estimated_rows());
  node.mutable_sort()->mutable_keys()->Assign(keys.begin(), keys.end());
  node.mutable_sort()->clear_offset();
  if (sort.has_limit()) {
    const uint64_t limit = LocalLimit(sort.limit(), sort.offset());
    node.mutable_sort()->set_limit(limit);
    CapEstimate(&node, static_cast<double>(limit) * cost_.executors);
  }
  input.steps.push_back("sort");
  input = stages_->RangeExchange(OnTop(std::move(node), std::move(input)), keys);
  if (width < input.root.types_size()) {
    Node project = FirstColumns(input.root, width);
    input = OnTop(std::move(project), std::move(input));
  }
  if (!sort.has_limit() && sort.offset() == 0) return input;
  const auto limit =
      sort.has_limit() ? std::optional<uint64_t>(sort.limit()) : std::nullopt;
  Node first_rows = LimitNode(input.root, limit, sort.offset());
  return LimitRows(std::move(first_rows), std::move(input));
}

arrow::Result<Fragment> NodePlanner::PlanSort(Node node, bool order_matters) {
  ARROW_ASSIGN_OR_RAISE(std::vector<Fragment> inputs, PlanInputs(&node));
  Fragment input = std::move(inputs[0]);
  if (order_matters && SortsByRange(node, input)) {
    return SortByRange(std::move(node), std::move(input));
  }
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
  return LimitRows(std::move(node), std::move(inputs[0]));
}

Fragment NodePlanner::LimitRows(Node node, Fragment input) {
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
    // Of rows in order, it must be the first ones.
    if (!input.ordered) input.row_limit = std::min(count, kLargestLimit);
  }
  input = stages_->Gather(std::move(input));
  input.steps.push_back("limit");
  return OnTop(std::move(node), std::move(input));
}

}  // namespace ballista::planner
