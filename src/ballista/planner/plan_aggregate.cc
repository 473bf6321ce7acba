// Aggregates: in place, in two steps, or after an exchange of the raw rows.
#include <algorithm>
#include <string>
#include <utility>

#include "ballista/plan/plan.h"
#include "ballista/planner/node_planner.h"

namespace ballista::planner {
namespace {

using plan::Expression;
using plan::Node;

uint32_t Size(int size) {
  return static_cast<uint32_t>(size);
}

std::set<uint32_t> GroupColumns(const plan::Aggregate& aggregate,
                                const std::set<uint32_t>& positions) {
  std::set<uint32_t> columns;
  for (const uint32_t position : positions) {
    columns.insert(aggregate.groups(static_cast<int>(position)).column());
  }
  return columns;
}

// Positions of the groups that all grouping sets have.
std::set<uint32_t> CommonGroups(const plan::Aggregate& aggregate) {
  std::set<uint32_t> common;
  for (int i = 0; i < aggregate.groups_size(); ++i) common.insert(Size(i));
  for (const auto& set : aggregate.grouping_sets()) {
    const std::set<uint32_t> members(set.groups().begin(), set.groups().end());
    std::set<uint32_t> both;
    std::set_intersection(common.begin(), common.end(), members.begin(), members.end(),
                          std::inserter(both, both.end()));
    common = std::move(both);
  }
  return common;
}

// More than the one set of all groups.
bool HasGroupingSets(const plan::Aggregate& aggregate) {
  if (aggregate.grouping_sets_size() > 1) return true;
  if (aggregate.grouping_sets_size() == 0) return false;
  return CommonGroups(aggregate).size() != static_cast<size_t>(aggregate.groups_size());
}

bool HasEmptySet(const plan::Aggregate& aggregate) {
  if (aggregate.groups_size() == 0) return true;
  return std::any_of(aggregate.grouping_sets().begin(), aggregate.grouping_sets().end(),
                     [](const auto& set) { return set.groups_size() == 0; });
}

// A set that is listed twice gives its rows twice: no key tells the two apart.
bool HasDuplicateSets(const plan::Aggregate& aggregate) {
  std::set<std::set<uint32_t>> seen;
  for (const auto& set : aggregate.grouping_sets()) {
    if (!seen.emplace(set.groups().begin(), set.groups().end()).second) return true;
  }
  return false;
}

// GROUPING() takes this many columns at most.
constexpr int kMaxGroupingColumns = 63;

bool CanSplitSets(const plan::Aggregate& aggregate) {
  return !HasGroupingSets(aggregate) ||
         (!HasDuplicateSets(aggregate) && aggregate.groups_size() <= kMaxGroupingColumns);
}

AggregateSplitLayout LayoutOf(const plan::Aggregate& aggregate, bool distinct_together) {
  AggregateSplitLayout layout;
  layout.partial_base = Size(aggregate.groups_size());
  const int calls = HasGroupingSets(aggregate) ? aggregate.grouping_calls_size() + 1 : 0;
  layout.combine_base = Size(aggregate.groups_size() + calls);
  layout.distinct_together = distinct_together;
  layout.empty_partials = HasEmptySet(aggregate);
  return layout;
}

// The step where the rows are. Output: groups, partial values, grouping calls, and (with
// grouping sets) the number of the set, as GROUPING of all groups.
Node PartialNode(const Node& node, const std::vector<Expression>& partial) {
  const auto& aggregate = node.aggregate();
  Node result;
  auto* out = result.mutable_aggregate();
  out->set_partial(true);
  *out->mutable_groups() = aggregate.groups();
  *out->mutable_grouping_sets() = aggregate.grouping_sets();
  for (const auto& group : aggregate.groups()) *result.add_types() = group.type();
  for (const auto& call : partial) {
    *out->add_aggregates() = call;
    *result.add_types() = call.type();
  }
  if (HasGroupingSets(aggregate)) {
    *out->mutable_grouping_calls() = aggregate.grouping_calls();
    auto* all = out->add_grouping_calls();
    for (int i = 0; i < aggregate.groups_size(); ++i) all->add_groups(Size(i));
    for (int i = 0; i < out->grouping_calls_size(); ++i) {
      *result.add_types() = plan::MakeType(plan::Type::BIGINT);
    }
  }
  return result;
}

// The step after the exchange, grouped by groups and grouping calls alike.
Node CombineNode(const Node& partial, const std::vector<Expression>& combine) {
  const int groups = partial.aggregate().groups_size();
  Node result;
  auto* out = result.mutable_aggregate();
  const auto add_group = [&](int column) {
    *out->add_groups() = plan::ColumnRef(Size(column), partial.types(column));
    *result.add_types() = partial.types(column);
  };
  for (int i = 0; i < groups; ++i) add_group(i);
  for (int i = groups + static_cast<int>(combine.size()); i < partial.types_size(); ++i) {
    add_group(i);
  }
  for (const auto& call : combine) {
    *out->add_aggregates() = call;
    *result.add_types() = call.type();
  }
  return result;
}

// From the combining step's columns to those of the original aggregate. Grouping calls
// stand among the combining step's groups.
Node ResultNode(const Node& original, const Node& combine,
                const std::vector<Expression>& results) {
  const auto& aggregate = original.aggregate();
  const int groups = aggregate.groups_size();
  Node node;
  *node.mutable_types() = original.types();
  auto* list = node.mutable_project()->mutable_expressions();
  for (int i = 0; i < groups; ++i) {
    *list->Add() = plan::ColumnRef(Size(i), combine.types(i));
  }
  for (const auto& result : results) *list->Add() = result;
  for (int i = 0; i < aggregate.grouping_calls_size(); ++i) {
    const auto& type = original.types(groups + aggregate.aggregates_size() + i);
    if (HasGroupingSets(aggregate)) {
      *list->Add() = plan::CastTo(
          plan::ColumnRef(Size(groups + i), combine.types(groups + i)), type);
    } else {
      // One set: nothing is aggregated away.
      *list->Add() = plan::CastTo(plan::BigintLiteral(0), type);
    }
  }
  return node;
}

bool IsIdentity(const Node& project, const Node& input) {
  if (project.types_size() != input.types_size()) return false;
  for (int i = 0; i < project.types_size(); ++i) {
    const auto& expression = project.project().expressions(i);
    if (expression.kind_case() != Expression::kColumn || expression.column() != Size(i)) {
      return false;
    }
  }
  return true;
}

bool HasDistinct(const plan::Aggregate& aggregate) {
  return std::any_of(aggregate.aggregates().begin(), aggregate.aggregates().end(),
                     [](const Expression& e) { return e.aggregate().distinct(); });
}

}  // namespace

arrow::Result<Fragment> NodePlanner::PlanAggregate(Node node) {
  ARROW_ASSIGN_OR_RAISE(std::vector<Fragment> inputs, PlanInputs(&node));
  Fragment input = std::move(inputs[0]);
  const auto& aggregate = node.aggregate();
  const Columns common = GroupColumns(aggregate, CommonGroups(aggregate));
  if (!input.distribution.IsSpread() ||
      (!common.empty() && input.distribution.Gathers(common))) {
    return AggregateInPlace(std::move(node), std::move(input));
  }

  // A partial step is worth its price even where the estimate says that it leaves most
  // rows: the estimates of groups are upper bounds (the keys' distinct values are seldom
  // known), and rows that are not sent save more than rows that are looked up once more.
  const double groups = node.estimated_rows();
  const auto keys = HashableColumns(common, input.root);
  if (CanSplitSets(aggregate)) {
    if (auto split = SplitAggregates(aggregate, LayoutOf(aggregate, false))) {
      return AggregateInSteps(node, std::move(input), *std::move(split));
    }
  }
  // A few groups would leave most tasks without work after an exchange by group.
  const bool few_groups = keys.empty() || groups < 8 * cost_.executors;
  if (few_groups && CanSplitSets(aggregate) && HasDistinct(aggregate)) {
    if (auto split = SplitDistinct(node, &input)) {
      return AggregateInSteps(node, std::move(input), *std::move(split));
    }
  }
  input = Together(std::move(input), common);
  return AggregateInPlace(std::move(node), std::move(input));
}

Fragment NodePlanner::AggregateInPlace(Node node, Fragment input) {
  const auto positions =
      ProjectedPositions(node.aggregate().groups(), input.root.types_size());
  // A hash key stands in every grouping set here, so it is never made NULL.
  input.splittable.clear();
  input.distribution = input.distribution.IsSpread()
                           ? RemapDistribution(input.distribution, positions)
                           : Distribution::Single();
  input.ordered = false;
  input.steps.push_back("aggregate");
  return OnTop(std::move(node), std::move(input));
}

Fragment NodePlanner::AggregateInSteps(const Node& node, Fragment input,
                                       AggregateSplit split) {
  const double groups = node.estimated_rows();
  Node partial = PartialNode(node, split.partial);
  partial.set_estimated_rows(
      std::min(std::max(1.0, input.root.estimated_rows()), groups * cost_.executors));
  const bool has_sets = HasGroupingSets(node.aggregate());

  const auto positions =
      ProjectedPositions(node.aggregate().groups(), input.root.types_size());
  input.distribution = has_sets ? Distribution::Random()
                                : RemapDistribution(input.distribution, positions);
  input.steps.push_back("partial aggregate");
  input = OnTop(std::move(partial), std::move(input));

  Node combine = CombineNode(input.root, split.combine);
  combine.set_estimated_rows(groups);
  Columns keys;
  for (const auto& group : combine.aggregate().groups()) keys.insert(group.column());
  // `groups` rows of each task: what the one task would have to take in.
  if (keys.empty() || stages_->IsTiny(input.root)) {
    input = stages_->Gather(std::move(input));
  } else {
    input = Together(std::move(input), keys);
  }
  const auto moved =
      ProjectedPositions(combine.aggregate().groups(), input.root.types_size());
  input.distribution = RemapDistribution(input.distribution, moved);
  input.steps.push_back("final aggregate");
  input = OnTop(std::move(combine), std::move(input));

  Node result = ResultNode(node, input.root, split.results);
  if (IsIdentity(result, input.root)) {
    input.root.set_id(node.id());
    return input;
  }
  result.set_estimated_rows(groups);
  result.set_id(node.id());
  input.distribution = RemapDistribution(
      input.distribution,
      ProjectedPositions(result.project().expressions(), input.root.types_size()));
  return OnTop(std::move(result), std::move(input));
}

std::optional<AggregateSplit> NodePlanner::SplitDistinct(const Node& node,
                                                         Fragment* input) {
  const auto& aggregate = node.aggregate();
  std::vector<Expression> arguments;
  for (const auto& call : aggregate.aggregates()) {
    if (!call.aggregate().distinct()) continue;
    const std::vector<Expression> these(call.args().begin(), call.args().end());
    if (arguments.empty()) arguments = these;
    if (!std::equal(arguments.begin(), arguments.end(), these.begin(), these.end(),
                    plan::ExpressionsEqual)) {
      return std::nullopt;
    }
    if (plan::IsVolatile(call)) return std::nullopt;
  }
  auto split = SplitAggregates(aggregate, LayoutOf(aggregate, true));
  if (!split || arguments.empty()) return std::nullopt;
  // A constant is no key to spread the rows by.
  const bool hashable =
      std::all_of(arguments.begin(), arguments.end(), [](const Expression& e) {
        return IsHashable(e.type()) && e.kind_case() != Expression::kLiteral;
      });
  if (!hashable) return std::nullopt;
  const auto columns = AppendColumns(input, arguments);
  const Columns keys(columns.begin(), columns.end());
  if (!input->distribution.Gathers(keys)) {
    *input = stages_->HashExchange(std::move(*input), columns);
  }
  input->splittable.clear();
  return split;
}

}  // namespace ballista::planner
