// Operators over sets of rows: distinct, windows, set operations.
#include <algorithm>
#include <string>
#include <utility>

#include "ballista/plan/plan.h"
#include "ballista/planner/node_planner.h"

namespace ballista::planner {
namespace {

using plan::Expression;
using plan::Node;
using plan::SetOperation;

// A local distinct that leaves more than this share of its rows is not worth its price.
constexpr double kUsefulReduction = 0.5;

// Drops the columns that were added behind the first `width`.
Fragment KeepFirst(Fragment input, int width) {
  if (input.root.types_size() == width) return input;
  Node project;
  project.set_estimated_rows(input.root.estimated_rows());
  for (int i = 0; i < width; ++i) {
    *project.add_types() = input.root.types(i);
    *project.mutable_project()->add_expressions() =
        plan::ColumnRef(static_cast<uint32_t>(i), input.root.types(i));
  }
  input.distribution = RemapDistribution(
      input.distribution,
      ProjectedPositions(project.project().expressions(), input.root.types_size()));
  return OnTop(std::move(project), std::move(input));
}

}  // namespace

arrow::Result<Fragment> NodePlanner::PlanDistinct(Node node) {
  ARROW_ASSIGN_OR_RAISE(std::vector<Fragment> inputs, PlanInputs(&node));
  Fragment input = std::move(inputs[0]);
  const bool whole_rows = node.distinct().on_size() == 0;
  if (!input.distribution.IsSpread()) {
    // Which row DISTINCT ON keeps may differ from task to task; whole rows are the same.
    if (!whole_rows) input = stages_->Gather(std::move(input));
    input.steps.push_back("distinct");
    input.ordered = false;
    return OnTop(std::move(node), std::move(input));
  }
  const int width = input.root.types_size();
  Columns columns;
  if (whole_rows) {
    columns = AllColumns(input.root);
  } else {
    const std::vector<Expression> on(node.distinct().on().begin(),
                                     node.distinct().on().end());
    const auto keys = AppendColumns(&input, on);
    columns = Columns(keys.begin(), keys.end());
    for (int i = 0; i < node.distinct().on_size(); ++i) {
      *node.mutable_distinct()->mutable_on(i) = plan::ColumnRef(
          keys[static_cast<size_t>(i)], on[static_cast<size_t>(i)].type());
    }
    *node.mutable_types() = input.root.types();
  }
  if (whole_rows && !input.distribution.Gathers(columns) &&
      node.estimated_rows() < kUsefulReduction * input.root.estimated_rows()) {
    Node local = node;
    local.set_id(0);
    local.set_estimated_rows(
        std::min(input.root.estimated_rows(), node.estimated_rows() * cost_.executors));
    input.steps.push_back("local distinct");
    input = OnTop(std::move(local), std::move(input));
  }
  input = Together(std::move(input), columns);
  input.steps.push_back("distinct");
  return KeepFirst(OnTop(std::move(node), std::move(input)), width);
}

arrow::Result<Fragment> NodePlanner::PlanWindow(Node node) {
  ARROW_ASSIGN_OR_RAISE(std::vector<Fragment> inputs, PlanInputs(&node));
  Fragment input = std::move(inputs[0]);
  if (!input.distribution.IsSpread()) {
    input = stages_->Gather(std::move(input));
    input.steps.push_back("window");
    return OnTop(std::move(node), std::move(input));
  }

  // Partition expressions become columns, so that the calls can be told apart by them.
  const int width = input.root.types_size();
  std::vector<Expression> expressions;
  for (const auto& call : node.window().calls()) {
    for (const auto& e : call.window().partition_by()) expressions.push_back(e);
  }
  const auto columns = AppendColumns(&input, expressions);
  std::vector<Columns> partitions;
  size_t next = 0;
  for (auto& call : *node.mutable_window()->mutable_calls()) {
    Columns set;
    for (auto& e : *call.mutable_window()->mutable_partition_by()) {
      const plan::Type type = e.type();
      e = plan::ColumnRef(columns[next], type);
      set.insert(columns[next++]);
    }
    partitions.push_back(std::move(set));
  }

  // Calls are served in groups: those that the rows' place already serves go with the
  // first group, then each group takes all calls whose partitions contain its columns.
  std::vector<int> pending;
  for (int i = 0; i < node.window().calls_size(); ++i) pending.push_back(i);
  // The column of each call's result, in the original order.
  std::vector<uint32_t> results(pending.size());
  while (!pending.empty()) {
    Columns common = partitions[static_cast<size_t>(pending[0])];
    for (const int i : pending) {
      Columns both;
      const Columns& other = partitions[static_cast<size_t>(i)];
      std::set_intersection(common.begin(), common.end(), other.begin(), other.end(),
                            std::inserter(both, both.end()));
      if (!HashableColumns(both, input.root).empty()) common = std::move(both);
    }
    const auto served_in_place = [&](int i) {
      return !partitions[static_cast<size_t>(i)].empty() &&
             input.distribution.Gathers(partitions[static_cast<size_t>(i)]);
    };
    if (std::none_of(pending.begin(), pending.end(), served_in_place)) {
      input = common.empty() ? stages_->Gather(std::move(input))
                             : Together(std::move(input), common);
    }
    const auto split = std::stable_partition(pending.begin(), pending.end(), [&](int i) {
      return !input.distribution.IsSpread() || served_in_place(i);
    });
    Node step;
    *step.mutable_types() = input.root.types();
    step.set_estimated_rows(input.root.estimated_rows());
    for (auto it = pending.begin(); it != split; ++it) {
      results[static_cast<size_t>(*it)] = static_cast<uint32_t>(step.types_size());
      *step.mutable_window()->add_calls() = node.window().calls(*it);
      *step.add_types() = node.window().calls(*it).type();
    }
    pending.erase(pending.begin(), split);
    input.splittable.clear();
    input.steps.push_back("window");
    input = OnTop(std::move(step), std::move(input));
  }

  // Back to the columns of the original node, where steps or keys have moved them.
  Node project;
  *project.mutable_types() = node.types();
  project.set_estimated_rows(node.estimated_rows());
  bool moved = input.root.types_size() != node.types_size();
  for (int i = 0; i < node.types_size(); ++i) {
    const uint32_t column =
        i < width ? static_cast<uint32_t>(i) : results[static_cast<size_t>(i - width)];
    moved = moved || column != static_cast<uint32_t>(i);
    *project.mutable_project()->add_expressions() =
        plan::ColumnRef(column, node.types(i));
  }
  input.root.set_id(node.id());
  if (!moved) return input;
  input.distribution = RemapDistribution(
      input.distribution,
      ProjectedPositions(project.project().expressions(), input.root.types_size()));
  return OnTop(std::move(project), std::move(input));
}

arrow::Result<Fragment> NodePlanner::PlanSetOperation(Node node) {
  ARROW_ASSIGN_OR_RAISE(std::vector<Fragment> inputs, PlanInputs(&node));
  const auto& set = node.set_operation();
  if (set.op() == SetOperation::UNION && set.all()) {
    return PlanUnionAll(std::move(node), std::move(inputs));
  }
  if (set.op() == SetOperation::UNION) {
    Node all = node;
    all.set_id(0);
    all.mutable_set_operation()->set_all(true);
    double rows = 0;
    for (const auto& input : inputs) rows += input.root.estimated_rows();
    all.set_estimated_rows(rows);
    ARROW_ASSIGN_OR_RAISE(Fragment input,
                          PlanUnionAll(std::move(all), std::move(inputs)));
    node.clear_set_operation();
    node.mutable_distinct();
    if (input.distribution.IsSpread()) {
      // Before the fragment is moved from: arguments have no order.
      const Columns columns = AllColumns(input.root);
      input = Together(std::move(input), columns);
    }
    input.ordered = false;
    input.steps.push_back("distinct");
    return OnTop(std::move(node), std::move(input));
  }

  // EXCEPT and INTERSECT: equal rows of all inputs meet.
  const bool spread = std::any_of(inputs.begin(), inputs.end(), [](const Fragment& f) {
    return f.distribution.IsSpread();
  });
  const auto keys = HashableColumns(AllColumns(node), node);
  const bool gather = !spread || keys.empty() ||
                      std::all_of(inputs.begin(), inputs.end(), [&](const Fragment& f) {
                        return stages_->IsTiny(f.root);
                      });
  Fragment result;
  for (auto& input : inputs) {
    input = gather ? stages_->Gather(std::move(input))
                   : stages_->HashExchange(std::move(input), keys);
    result.steps.insert(result.steps.end(), input.steps.begin(), input.steps.end());
    *node.add_inputs() = std::move(input.root);
  }
  result.distribution =
      gather ? Distribution::Single() : Distribution::Hash(keys, stages_->partitions());
  result.steps.push_back(set.op() == SetOperation::EXCEPT ? "except" : "intersect");
  result.root = std::move(node);
  return result;
}

arrow::Result<Fragment> NodePlanner::PlanUnionAll(Node node,
                                                  std::vector<Fragment> inputs) {
  const auto has = [&](auto&& predicate) {
    return std::any_of(inputs.begin(), inputs.end(),
                       [&](const Fragment& f) { return predicate(f.distribution); });
  };
  const bool spread = has([](const Distribution& d) { return d.IsSpread(); });
  const bool constant =
      !has([](const Distribution& d) { return d.kind != Distribution::kReplicated; });
  if (spread) {
    for (auto& input : inputs) input = stages_->Spread(std::move(input));
  }
  const Distribution& first = inputs[0].distribution;
  // Only where every input has every key in a column that the others have it in, too.
  Distribution common = first;
  for (const auto& input : inputs) {
    const Distribution& other = input.distribution;
    if (common.kind != Distribution::kHash || other.kind != Distribution::kHash ||
        other.keys.size() != common.keys.size() ||
        other.partitions != common.partitions) {
      common = Distribution::Random();
      break;
    }
    for (size_t k = 0; k < common.keys.size() && common.IsSpread(); ++k) {
      std::set<uint32_t> both;
      std::set_intersection(common.keys[k].begin(), common.keys[k].end(),
                            other.keys[k].begin(), other.keys[k].end(),
                            std::inserter(both, both.end()));
      common.keys[k] = std::move(both);
    }
  }
  if (std::any_of(common.keys.begin(), common.keys.end(),
                  [](const auto& key) { return key.empty(); })) {
    common = Distribution::Random();
  }
  Fragment result;
  result.distribution = spread     ? std::move(common)
                        : constant ? Distribution::Replicated()
                                   : Distribution::Single();
  for (auto& input : inputs) {
    result.steps.insert(result.steps.end(), input.steps.begin(), input.steps.end());
    *node.add_inputs() = std::move(input.root);
  }
  result.steps.push_back("union all");
  result.root = std::move(node);
  return result;
}

}  // namespace ballista::planner
