#include "ballista/planner/column_pruning.h"

#include <set>
#include <utility>
#include <vector>

#include "ballista/base/status.h"
#include "ballista/plan/plan.h"

namespace ballista::planner {
namespace {

using plan::Expression;
using plan::Node;

using Columns = std::set<uint32_t>;
// New position of each old column, -1 where it is gone.
using Mapping = std::vector<int>;

void AddColumns(const Expression& expression, Columns* columns) {
  plan::VisitExpression(expression, [&](const Expression& e) {
    if (e.kind_case() == Expression::kColumn) columns->insert(e.column());
  });
}

Columns AllColumns(int count) {
  Columns columns;
  for (int i = 0; i < count; ++i) columns.insert(static_cast<uint32_t>(i));
  return columns;
}

Mapping Identity(int count) {
  Mapping mapping;
  for (int i = 0; i < count; ++i) mapping.push_back(i);
  return mapping;
}

// A node has one column at least: where none is wanted, the narrowest.
Columns AtLeastOne(const Columns& required, const Node& node) {
  if (!required.empty() || node.types_size() == 0) return required;
  uint32_t best = 0;
  double best_bytes = -1;
  for (int i = 0; i < node.types_size(); ++i) {
    google::protobuf::RepeatedPtrField<plan::Type> type;
    *type.Add() = node.types(i);
    const double bytes = plan::EstimatedRowBytes(type);
    if (best_bytes < 0 || bytes < best_bytes) {
      best = static_cast<uint32_t>(i);
      best_bytes = bytes;
    }
  }
  return {best};
}

// Keeps the elements at the given positions; `first` is the position of the list's first.
template <typename List>
void Keep(List* list, const Columns& positions, uint32_t first = 0) {
  List kept;
  for (int i = 0; i < list->size(); ++i) {
    if (positions.contains(first + static_cast<uint32_t>(i))) {
      *kept.Add() = std::move(*list->Mutable(i));
    }
  }
  *list = std::move(kept);
}

Mapping RankOf(const Columns& columns, int count) {
  Mapping mapping(static_cast<size_t>(count), -1);
  int next = 0;
  for (const uint32_t column : columns) mapping[column] = next++;
  return mapping;
}

arrow::Status RemapAll(Node* node, const Mapping& mapping) {
  arrow::Status status;
  plan::ForEachExpression(node, [&](Expression* expression) {
    if (status.ok()) status = plan::RemapColumns(expression, mapping);
  });
  return status;
}

class Pruner {
 public:
  // Makes `node` give at least the `required` columns of its output, in their old order;
  // with `exact` only those.
  arrow::Result<Mapping> Prune(Node* node, const Columns& wanted, bool exact) {
    const Columns required = AtLeastOne(wanted, *node);
    const int width = node->types_size();
    ARROW_ASSIGN_OR_RAISE(Mapping mapping, Rewrite(node, required));
    if (!exact || static_cast<size_t>(node->types_size()) == required.size()) {
      return mapping;
    }
    Node project;
    project.set_estimated_rows(node->estimated_rows());
    for (const uint32_t column : required) {
      const int position = mapping[column];
      *project.add_types() = node->types(position);
      *project.mutable_project()->add_expressions() =
          plan::ColumnRef(static_cast<uint32_t>(position), node->types(position));
    }
    *project.add_inputs() = std::move(*node);
    *node = std::move(project);
    return RankOf(required, width);
  }

 private:
  arrow::Result<Mapping> Rewrite(Node* node, const Columns& required) {
    switch (node->kind_case()) {
      case Node::kScan:
        Keep(node->mutable_scan()->mutable_columns(), required);
        return KeepTypes(node, required);
      case Node::kProject:
        return RewriteProject(node, required);
      case Node::kFilter:
        return RewritePassing(node, required, /*exact_input=*/false);
      case Node::kLimit:
      case Node::kSample:
      case Node::kSort:
        return RewritePassing(node, required, /*exact_input=*/true);
      case Node::kDistinct:
        if (node->distinct().on_size() == 0) break;
        return RewritePassing(node, required, /*exact_input=*/true);
      case Node::kUnnest:
        return RewriteUnnest(node, required);
      case Node::kAggregate:
        return RewriteAggregate(node, required);
      case Node::kWindow:
        return RewriteWindow(node, required);
      case Node::kJoin:
        return RewriteJoin(node, required);
      case Node::kShared: {
        ARROW_RETURN_NOT_OK(PruneWhole(node->mutable_inputs(0)));
        ARROW_ASSIGN_OR_RAISE(Mapping mapping,
                              Prune(node->mutable_inputs(1), required, false));
        *node->mutable_types() = node->inputs(1).types();
        return mapping;
      }
      case Node::kSetOperation:
        if (node->set_operation().op() == plan::SetOperation::UNION &&
            node->set_operation().all()) {
          for (auto& input : *node->mutable_inputs()) {
            ARROW_RETURN_NOT_OK(Prune(&input, required, true).status());
          }
          return KeepTypes(node, required);
        }
        break;
      default:
        break;
    }
    for (auto& input : *node->mutable_inputs()) ARROW_RETURN_NOT_OK(PruneWhole(&input));
    return Identity(node->types_size());
  }

  // All of the node's columns are needed as they are.
  arrow::Status PruneWhole(Node* node) {
    return Prune(node, AllColumns(node->types_size()), true).status();
  }

  static Mapping KeepTypes(Node* node, const Columns& required) {
    const int width = node->types_size();
    Keep(node->mutable_types(), required);
    return RankOf(required, width);
  }

  arrow::Result<Mapping> RewriteProject(Node* node, const Columns& required) {
    Keep(node->mutable_project()->mutable_expressions(), required);
    Columns below;
    for (const auto& e : node->project().expressions()) AddColumns(e, &below);
    ARROW_ASSIGN_OR_RAISE(Mapping mapping, Prune(node->mutable_inputs(0), below, false));
    ARROW_RETURN_NOT_OK(RemapAll(node, mapping));
    mapping = KeepTypes(node, required);
    if (IsIdentity(*node)) {
      Node input;
      input.Swap(node->mutable_inputs(0));
      node->Swap(&input);
    }
    return mapping;
  }

  // Whether a projection gives the columns of its input, and no others, as they are.
  static bool IsIdentity(const Node& node) {
    const auto& expressions = node.project().expressions();
    if (expressions.size() != node.inputs(0).types_size()) return false;
    for (int i = 0; i < expressions.size(); ++i) {
      const auto& e = expressions.Get(i);
      if (!e.has_column() || e.column() != static_cast<uint32_t>(i)) return false;
    }
    return true;
  }

  // Operators whose output columns are those of their input.
  arrow::Result<Mapping> RewritePassing(Node* node, const Columns& required,
                                        bool exact_input) {
    Columns below = required;
    plan::ForEachExpression(*node, [&](const Expression& e) { AddColumns(e, &below); });
    ARROW_ASSIGN_OR_RAISE(Mapping mapping,
                          Prune(node->mutable_inputs(0), below, exact_input));
    ARROW_RETURN_NOT_OK(RemapAll(node, mapping));
    *node->mutable_types() = node->inputs(0).types();
    return mapping;
  }

  // Input columns, then computed ones: `kept` is how many of those there are now, and
  // `positions` where they stood.
  static Mapping AppendComputed(Node* node, Mapping mapping, const Columns& positions,
                                int old_width) {
    google::protobuf::RepeatedPtrField<plan::Type> types = node->inputs(0).types();
    mapping.resize(static_cast<size_t>(old_width), -1);
    for (const uint32_t position : positions) {
      mapping[position] = types.size();
      *types.Add() = node->types(static_cast<int>(position));
    }
    *node->mutable_types() = std::move(types);
    return mapping;
  }

  arrow::Result<Mapping> RewriteUnnest(Node* node, const Columns& required) {
    const int width = node->types_size();
    const uint32_t input_width = static_cast<uint32_t>(node->inputs(0).types_size());
    Columns below;
    Columns computed;  // all of them: the longest list decides the number of rows
    for (const uint32_t c : required) {
      if (c < input_width) below.insert(c);
    }
    for (uint32_t c = input_width; c < static_cast<uint32_t>(width); ++c) {
      computed.insert(c);
    }
    plan::ForEachExpression(*node, [&](const Expression& e) { AddColumns(e, &below); });
    ARROW_ASSIGN_OR_RAISE(Mapping mapping, Prune(node->mutable_inputs(0), below, false));
    ARROW_RETURN_NOT_OK(RemapAll(node, mapping));
    return AppendComputed(node, std::move(mapping), computed, width);
  }

  arrow::Result<Mapping> RewriteWindow(Node* node, const Columns& required) {
    const int width = node->types_size();
    const uint32_t input_width = static_cast<uint32_t>(node->inputs(0).types_size());
    Columns below;
    Columns computed;
    for (const uint32_t c : required) (c < input_width ? below : computed).insert(c);
    Keep(node->mutable_window()->mutable_calls(), computed, input_width);
    plan::ForEachExpression(*node, [&](const Expression& e) { AddColumns(e, &below); });
    ARROW_ASSIGN_OR_RAISE(Mapping mapping, Prune(node->mutable_inputs(0), below, true));
    if (computed.empty()) {
      Node input = std::move(*node->mutable_inputs(0));
      *node = std::move(input);
      mapping.resize(static_cast<size_t>(width), -1);
      return mapping;
    }
    ARROW_RETURN_NOT_OK(RemapAll(node, mapping));
    return AppendComputed(node, std::move(mapping), computed, width);
  }

  arrow::Result<Mapping> RewriteAggregate(Node* node, const Columns& required) {
    auto* aggregate = node->mutable_aggregate();
    const uint32_t groups = static_cast<uint32_t>(aggregate->groups_size());
    const uint32_t calls = groups + static_cast<uint32_t>(aggregate->aggregates_size());
    Columns kept;
    for (uint32_t c = 0; c < static_cast<uint32_t>(node->types_size()); ++c) {
      if (c < groups || c >= calls || required.contains(c)) kept.insert(c);
    }
    Keep(aggregate->mutable_aggregates(), kept, groups);
    Columns below;
    plan::ForEachExpression(*node, [&](const Expression& e) { AddColumns(e, &below); });
    ARROW_ASSIGN_OR_RAISE(Mapping mapping, Prune(node->mutable_inputs(0), below, true));
    ARROW_RETURN_NOT_OK(RemapAll(node, mapping));
    return KeepTypes(node, kept);
  }

  arrow::Result<Mapping> RewriteJoin(Node* node, const Columns& required) {
    auto* join = node->mutable_join();
    const uint32_t left_width = static_cast<uint32_t>(node->inputs(0).types_size());
    const uint32_t both =
        left_width + static_cast<uint32_t>(node->inputs(1).types_size());
    Columns combined;
    google::protobuf::RepeatedField<uint32_t> output;
    for (const uint32_t position : required) {
      output.Add(join->output(static_cast<int>(position)));
      combined.insert(join->output(static_cast<int>(position)));
    }
    if (join->has_predicate()) AddColumns(join->predicate(), &combined);
    Columns left;
    Columns right;
    for (const uint32_t c : combined) {
      if (c < left_width) {
        left.insert(c);
      } else if (c < both) {
        right.insert(c - left_width);
      }
    }
    for (const auto& condition : join->conditions()) {
      AddColumns(condition.left(), &left);
      AddColumns(condition.right(), &right);
    }
    ARROW_ASSIGN_OR_RAISE(Mapping left_map, Prune(node->mutable_inputs(0), left, true));
    ARROW_ASSIGN_OR_RAISE(Mapping right_map, Prune(node->mutable_inputs(1), right, true));
    for (auto& condition : *join->mutable_conditions()) {
      ARROW_RETURN_NOT_OK(plan::RemapColumns(condition.mutable_left(), left_map));
      ARROW_RETURN_NOT_OK(plan::RemapColumns(condition.mutable_right(), right_map));
    }
    Mapping mapping = left_map;
    const int new_left = node->inputs(0).types_size();
    for (const int c : right_map) mapping.push_back(c < 0 ? -1 : new_left + c);
    mapping.push_back(new_left + node->inputs(1).types_size());  // the mark
    if (join->has_predicate()) {
      ARROW_RETURN_NOT_OK(plan::RemapColumns(join->mutable_predicate(), mapping));
    }
    for (auto& column : output) column = static_cast<uint32_t>(mapping[column]);
    *join->mutable_output() = std::move(output);
    return KeepTypes(node, required);
  }
};

}  // namespace

arrow::Status PruneColumns(Node* root) {
  return Pruner().Prune(root, AllColumns(root->types_size()), true).status();
}

}  // namespace ballista::planner
