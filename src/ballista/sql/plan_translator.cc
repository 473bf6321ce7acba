#include "ballista/sql/plan_translator.h"

#include <set>

#include "ballista/plan/plan.h"
#include "ballista/sql/unsupported_internal.h"
#include "ballista/sql/value_conversion.h"

namespace ballista::sql {

using duckdb::LogicalOperator;
using duckdb::LogicalOperatorType;

namespace {

bool IsColumn(const plan::Expression& expression) {
  return expression.kind_case() == plan::Expression::kColumn;
}

}  // namespace

// ---------------------------------------------------------------------- building

plan::Node PlanTranslator::Over(plan::Node input) {
  return plan::WithInput(std::move(input));
}

void PlanTranslator::SetTypes(const duckdb::vector<duckdb::LogicalType>& types,
                              plan::Node* node) {
  node->clear_types();
  for (const auto& type : types) *node->add_types() = ToPlanType(type);
}

std::vector<plan::Type> PlanTranslator::TypesOf(const plan::Node& node) {
  return {node.types().begin(), node.types().end()};
}

// A projection to `columns` of the input; none listed means all of them.
plan::Node PlanTranslator::Reorder(plan::Node input,
                                   const std::vector<duckdb::idx_t>& columns) {
  if (columns.empty()) return input;
  const double rows = input.estimated_rows();
  const auto types = TypesOf(input);
  auto node = Over(std::move(input));
  node.clear_types();
  node.set_estimated_rows(rows);
  for (const auto column : columns) {
    const auto& type = types.at(column);
    *node.mutable_project()->add_expressions() =
        plan::ColumnRef(static_cast<uint32_t>(column), type);
    *node.add_types() = type;
  }
  return node;
}

plan::Node PlanTranslator::SharedRef(uint32_t id, const std::vector<plan::Type>& types) {
  plan::Node node;
  node.mutable_shared_ref()->set_id(id);
  for (const auto& type : types) *node.add_types() = type;
  node.set_estimated_rows(-1);
  return node;
}

// ---------------------------------------------------------------------- dispatch

Translation PlanTranslator::Translate(LogicalOperator& root) {
  result_.root = TranslateNode(root);
  uint32_t id = 0;
  plan::VisitNodes(&result_.root, [&](plan::Node* node) { node->set_id(++id); });
  return std::move(result_);
}

plan::Node PlanTranslator::TranslateNode(LogicalOperator& op) {
  auto node = TranslateKind(op);
  if (node.types_size() != static_cast<int>(op.types.size())) {
    throw Unsupported("the operator " + op.GetName() + " gives " +
                      std::to_string(op.types.size()) + " columns instead of " +
                      std::to_string(node.types_size()));
  }
  SetTypes(op.types, &node);
  node.set_estimated_rows(
      op.has_estimated_cardinality ? static_cast<double>(op.estimated_cardinality) : -1);
  return node;
}

plan::Node PlanTranslator::TranslateKind(LogicalOperator& op) {
  switch (op.type) {
    case LogicalOperatorType::LOGICAL_GET:
      return TranslateGet(op.Cast<duckdb::LogicalGet>());
    case LogicalOperatorType::LOGICAL_DUMMY_SCAN: {
      plan::Node node;
      SetTypes(op.types, &node);
      auto* row = node.mutable_values()->add_rows();
      *row->add_cells() = ExpressionTranslator::Literal(duckdb::Value::INTEGER(0));
      return node;
    }
    case LogicalOperatorType::LOGICAL_EMPTY_RESULT: {
      plan::Node node;
      SetTypes(op.types, &node);
      node.mutable_empty();
      return node;
    }
    case LogicalOperatorType::LOGICAL_CHUNK_GET:
      return TranslateRows(op.Cast<duckdb::LogicalColumnDataGet>());
    case LogicalOperatorType::LOGICAL_EXPRESSION_GET:
      return TranslateValues(op.Cast<duckdb::LogicalExpressionGet>());
    case LogicalOperatorType::LOGICAL_FILTER:
      return TranslateFilter(op.Cast<duckdb::LogicalFilter>());
    case LogicalOperatorType::LOGICAL_PROJECTION:
      return TranslateProjection(op);
    case LogicalOperatorType::LOGICAL_AGGREGATE_AND_GROUP_BY:
      return TranslateAggregate(op.Cast<duckdb::LogicalAggregate>());
    case LogicalOperatorType::LOGICAL_WINDOW:
      return TranslateWindow(op);
    case LogicalOperatorType::LOGICAL_UNNEST:
      return TranslateUnnest(op);
    case LogicalOperatorType::LOGICAL_ORDER_BY:
      return TranslateOrder(op.Cast<duckdb::LogicalOrder>());
    case LogicalOperatorType::LOGICAL_TOP_N:
      return TranslateTopN(op.Cast<duckdb::LogicalTopN>());
    case LogicalOperatorType::LOGICAL_LIMIT:
      return TranslateLimit(op.Cast<duckdb::LogicalLimit>());
    case LogicalOperatorType::LOGICAL_DISTINCT:
      return TranslateDistinct(op.Cast<duckdb::LogicalDistinct>());
    case LogicalOperatorType::LOGICAL_SAMPLE:
      return TranslateSample(op.Cast<duckdb::LogicalSample>());
    case LogicalOperatorType::LOGICAL_UNION:
    case LogicalOperatorType::LOGICAL_EXCEPT:
    case LogicalOperatorType::LOGICAL_INTERSECT:
      return TranslateSetOperation(op.Cast<duckdb::LogicalSetOperation>());
    case LogicalOperatorType::LOGICAL_MATERIALIZED_CTE:
      return TranslateCte(op.Cast<duckdb::LogicalMaterializedCTE>());
    case LogicalOperatorType::LOGICAL_CTE_REF:
      return TranslateCteRef(op.Cast<duckdb::LogicalCTERef>());
    case LogicalOperatorType::LOGICAL_RECURSIVE_CTE:
      return TranslateRecursiveCte(op.Cast<duckdb::LogicalRecursiveCTE>());
    case LogicalOperatorType::LOGICAL_DELIM_GET:
      return TranslateDelimGet(op.Cast<duckdb::LogicalDelimGet>());
    case LogicalOperatorType::LOGICAL_PIVOT:
      return TranslatePivot(op.Cast<duckdb::LogicalPivot>());
    case LogicalOperatorType::LOGICAL_DELIM_JOIN:
      return TranslateDelimJoin(op.Cast<duckdb::LogicalComparisonJoin>());
    case LogicalOperatorType::LOGICAL_COMPARISON_JOIN:
    case LogicalOperatorType::LOGICAL_ASOF_JOIN:
    case LogicalOperatorType::LOGICAL_ANY_JOIN:
    case LogicalOperatorType::LOGICAL_CROSS_PRODUCT:
    case LogicalOperatorType::LOGICAL_POSITIONAL_JOIN:
      return TranslateJoin(op);
    default:
      throw Unsupported("the operator " + op.GetName());
  }
}

// ---------------------------------------------------------------------- one input

plan::Node PlanTranslator::TranslateFilter(duckdb::LogicalFilter& op) {
  const auto bindings = op.children[0]->GetColumnBindings();
  const auto lookup = LookupByBinding(bindings);
  auto input = TranslateNode(*op.children[0]);
  // One whose conditions were all pushed down is left for its projection alone.
  if (op.expressions.empty()) return Reorder(std::move(input), op.projection_map);
  auto node = Over(std::move(input));
  for (const auto& predicate : op.expressions) {
    *node.mutable_filter()->add_predicates() = expressions_.Translate(*predicate, lookup);
  }
  return Reorder(std::move(node), op.projection_map);
}

plan::Node PlanTranslator::TranslateProjection(LogicalOperator& op) {
  const auto bindings = op.children[0]->GetColumnBindings();
  const auto lookup = LookupByBinding(bindings);
  auto node = Over(TranslateNode(*op.children[0]));
  SetTypes(op.types, &node);
  if (op.expressions.empty()) throw Unsupported("a projection to no column");
  for (const auto& expression : op.expressions) {
    *node.mutable_project()->add_expressions() =
        expressions_.Translate(*expression, lookup);
  }
  return node;
}

plan::Node PlanTranslator::TranslateAggregate(duckdb::LogicalAggregate& op) {
  const auto bindings = op.children[0]->GetColumnBindings();
  const auto lookup = LookupByBinding(bindings);
  auto input = TranslateNode(*op.children[0]);

  // Groups are distinct plain columns: anything else is computed below.
  std::vector<plan::Expression> groups;
  std::set<uint32_t> seen;
  bool plain = true;
  for (const auto& group : op.groups) {
    groups.push_back(expressions_.Translate(*group, lookup));
    plain =
        plain && IsColumn(groups.back()) && seen.insert(groups.back().column()).second;
  }
  if (!plain) {
    auto project = Over(std::move(input));
    project.set_estimated_rows(project.inputs(0).estimated_rows());
    auto* expressions = project.mutable_project()->mutable_expressions();
    for (int i = 0; i < project.types_size(); ++i) {
      *expressions->Add() = plan::ColumnRef(i, project.types(i));
    }
    for (auto& group : groups) {
      const auto type = group.type();
      *expressions->Add() = std::move(group);
      group = plan::ColumnRef(project.types_size(), type);
      *project.add_types() = type;
    }
    input = std::move(project);
  }

  auto node = Over(std::move(input));
  SetTypes(op.types, &node);
  auto* aggregate = node.mutable_aggregate();
  for (auto& group : groups) *aggregate->add_groups() = std::move(group);
  for (const auto& call : op.expressions) {
    *aggregate->add_aggregates() = expressions_.Translate(*call, lookup);
  }
  const bool one_full_set =
      op.grouping_sets.size() <= 1 &&
      (op.grouping_sets.empty() || op.grouping_sets[0].size() == op.groups.size());
  if (!one_full_set) {
    if (groups.empty()) throw Unsupported("several empty grouping sets");
    for (const auto& set : op.grouping_sets) {
      auto* out = aggregate->add_grouping_sets();
      for (const auto group : set) out->add_groups(static_cast<uint32_t>(group));
    }
  }
  for (const auto& call : op.grouping_functions) {
    auto* out = aggregate->add_grouping_calls();
    for (const auto group : call) out->add_groups(static_cast<uint32_t>(group));
  }
  if (node.types_size() == 0) throw Unsupported("an aggregate without output");
  return node;
}

plan::Node PlanTranslator::TranslateWindow(LogicalOperator& op) {
  const auto bindings = op.children[0]->GetColumnBindings();
  const auto lookup = LookupByBinding(bindings);
  auto node = Over(TranslateNode(*op.children[0]));
  SetTypes(op.types, &node);
  for (const auto& call : op.expressions) {
    *node.mutable_window()->add_calls() = expressions_.Translate(*call, lookup);
  }
  return node;
}

plan::Node PlanTranslator::TranslateUnnest(LogicalOperator& op) {
  const auto bindings = op.children[0]->GetColumnBindings();
  const auto lookup = LookupByBinding(bindings);
  auto node = Over(TranslateNode(*op.children[0]));
  SetTypes(op.types, &node);
  for (const auto& unnest : op.expressions) {
    *node.mutable_unnest()->add_unnests() = expressions_.Translate(*unnest, lookup);
  }
  return node;
}

plan::Node PlanTranslator::TranslateOrder(duckdb::LogicalOrder& op) {
  const auto bindings = op.children[0]->GetColumnBindings();
  const auto lookup = LookupByBinding(bindings);
  auto node = Over(TranslateNode(*op.children[0]));
  node.set_estimated_rows(node.inputs(0).estimated_rows());
  for (const auto& order : op.orders) {
    *node.mutable_sort()->add_keys() = expressions_.TranslateOrder(order, lookup);
  }
  return Reorder(std::move(node), op.projection_map);
}

plan::Node PlanTranslator::TranslateTopN(duckdb::LogicalTopN& op) {
  const auto bindings = op.children[0]->GetColumnBindings();
  const auto lookup = LookupByBinding(bindings);
  auto node = Over(TranslateNode(*op.children[0]));
  for (const auto& order : op.orders) {
    *node.mutable_sort()->add_keys() = expressions_.TranslateOrder(order, lookup);
  }
  node.mutable_sort()->set_limit(op.limit);
  node.mutable_sort()->set_offset(op.offset);
  return node;
}

plan::Node PlanTranslator::TranslateLimit(duckdb::LogicalLimit& op) {
  auto node = Over(TranslateNode(*op.children[0]));
  const ColumnLookup no_columns = [](const duckdb::Expression&) -> plan::Expression {
    throw Unsupported("LIMIT or OFFSET by a sub-query");
  };
  const auto fill = [&](duckdb::BoundLimitNode& bound, auto&& target) {
    switch (bound.Type()) {
      case duckdb::LimitNodeType::UNSET:
        return false;
      case duckdb::LimitNodeType::CONSTANT_VALUE:
        *target() = plan::BigintLiteral(static_cast<int64_t>(bound.GetConstantValue()));
        return false;
      case duckdb::LimitNodeType::CONSTANT_PERCENTAGE:
        *target() = ExpressionTranslator::Literal(
            duckdb::Value::DOUBLE(bound.GetConstantPercentage()));
        return true;
      case duckdb::LimitNodeType::EXPRESSION_VALUE:
        *target() = expressions_.Translate(bound.GetValueExpression(), no_columns);
        return false;
      default:
        *target() = expressions_.Translate(bound.GetPercentageExpression(), no_columns);
        return true;
    }
  };
  auto* limit = node.mutable_limit();
  limit->set_is_percent(fill(op.limit_val, [&] { return limit->mutable_limit(); }));
  fill(op.offset_val, [&] { return limit->mutable_offset(); });
  return node;
}

plan::Node PlanTranslator::TranslateDistinct(duckdb::LogicalDistinct& op) {
  const auto bindings = op.children[0]->GetColumnBindings();
  const auto lookup = LookupByBinding(bindings);
  auto node = Over(TranslateNode(*op.children[0]));
  auto* distinct = node.mutable_distinct();
  std::set<uint32_t> columns;
  bool plain = true;
  for (const auto& target : op.distinct_targets) {
    auto expression = expressions_.Translate(*target, lookup);
    plain = plain && IsColumn(expression);
    if (plain) columns.insert(expression.column());
    *distinct->add_on() = std::move(expression);
  }
  const bool whole_rows =
      plain && columns.size() == static_cast<size_t>(node.types_size());
  if (op.distinct_type == duckdb::DistinctType::DISTINCT && whole_rows) {
    distinct->clear_on();
  }
  if (op.order_by) {
    for (const auto& order : op.order_by->orders) {
      *distinct->add_order_by() = expressions_.TranslateOrder(order, lookup);
    }
  }
  return node;
}

plan::Node PlanTranslator::TranslateSample(duckdb::LogicalSample& op) {
  auto node = Over(TranslateNode(*op.children[0]));
  const auto& options = *op.sample_options;
  auto* sample = node.mutable_sample();
  *sample->mutable_size() = ToPlanValue(options.sample_size);
  sample->set_is_percentage(options.is_percentage);
  switch (options.method) {
    case duckdb::SampleMethod::SYSTEM_SAMPLE:
      sample->set_method("system");
      break;
    case duckdb::SampleMethod::BERNOULLI_SAMPLE:
      sample->set_method("bernoulli");
      break;
    default:
      sample->set_method("reservoir");
  }
  if (options.seed.IsValid()) {
    sample->set_seed(static_cast<int64_t>(options.seed.GetIndex()));
  }
  return node;
}

// ---------------------------------------------------------------------- rows

plan::Node PlanTranslator::TranslateRows(duckdb::LogicalColumnDataGet& op) {
  plan::Node node;
  SetTypes(op.types, &node);
  for (auto& row : op.collection->Rows()) {
    auto* out = node.mutable_values()->add_rows();
    for (size_t i = 0; i < op.types.size(); ++i) {
      *out->add_cells() = ExpressionTranslator::Literal(row.GetValue(i));
    }
  }
  if (node.kind_case() == plan::Node::KIND_NOT_SET) node.mutable_empty();
  return node;
}

plan::Node PlanTranslator::TranslateValues(duckdb::LogicalExpressionGet& op) {
  // The operator has an input, a dummy scan of one row, that no cell looks at.
  const std::vector<duckdb::ColumnBinding> no_bindings;
  const auto lookup = LookupByBinding(no_bindings);
  plan::Node node;
  SetTypes(op.types, &node);
  for (const auto& row : op.expressions) {
    auto* out = node.mutable_values()->add_rows();
    for (size_t i = 0; i < row.size(); ++i) {
      *out->add_cells() =
          plan::CastTo(expressions_.Translate(*row[i], lookup), node.types(i));
    }
  }
  if (node.kind_case() == plan::Node::KIND_NOT_SET) node.mutable_empty();
  return node;
}

plan::Node PlanTranslator::TranslateSetOperation(duckdb::LogicalSetOperation& op) {
  // The optimizer takes inputs away that it knows to be empty, until one is left.
  if (op.type == LogicalOperatorType::LOGICAL_UNION && op.children.size() == 1) {
    auto input = TranslateNode(*op.children[0]);
    if (op.setop_all) return input;
    auto node = Over(std::move(input));
    node.mutable_distinct();
    return node;
  }
  plan::Node node;
  SetTypes(op.types, &node);
  auto* operation = node.mutable_set_operation();
  operation->set_all(op.setop_all);
  switch (op.type) {
    case LogicalOperatorType::LOGICAL_UNION:
      operation->set_op(plan::SetOperation::UNION);
      break;
    case LogicalOperatorType::LOGICAL_EXCEPT:
      operation->set_op(plan::SetOperation::EXCEPT);
      break;
    default:
      operation->set_op(plan::SetOperation::INTERSECT);
  }
  for (const auto& child : op.children) *node.add_inputs() = TranslateNode(*child);
  return node;
}

// ---------------------------------------------------------------------- shared plans

plan::Node PlanTranslator::TranslateCte(duckdb::LogicalMaterializedCTE& op) {
  plan::Node node;
  const uint32_t id = next_shared_++;
  node.mutable_shared()->set_id(id);
  *node.add_inputs() = TranslateNode(*op.children[0]);
  ctes_[op.table_index] = {id, TypesOf(node.inputs(0))};
  *node.add_inputs() = TranslateNode(*op.children[1]);
  SetTypes(op.types, &node);
  return node;
}

plan::Node PlanTranslator::TranslateCteRef(duckdb::LogicalCTERef& op) {
  const auto found = ctes_.find(op.cte_index);
  if (found == ctes_.end()) throw Unsupported("a reference to an unknown CTE");
  if (op.is_recurring) throw Unsupported("a reference to a recurring CTE");
  return SharedRef(found->second.id, found->second.types);
}

plan::Node PlanTranslator::TranslateRecursiveCte(duckdb::LogicalRecursiveCTE& op) {
  if (!op.key_targets.empty()) throw Unsupported("a recursive CTE with USING KEY");
  plan::Node node;
  const uint32_t id = next_shared_++;
  node.mutable_recursive_cte()->set_id(id);
  node.mutable_recursive_cte()->set_union_all(op.union_all);
  *node.add_inputs() = TranslateNode(*op.children[0]);
  ctes_[op.table_index] = {id, TypesOf(node.inputs(0))};
  *node.add_inputs() = TranslateNode(*op.children[1]);
  SetTypes(op.types, &node);
  return node;
}

plan::Node PlanTranslator::TranslateDelimGet(duckdb::LogicalDelimGet& op) {
  // It belongs to the innermost DELIM_JOIN whose right side holds it.
  if (delims_.empty()) throw Unsupported("a DELIM_GET outside of a DELIM_JOIN");
  return SharedRef(delims_.back().id, delims_.back().types);
}

// The input gives [groups..., a list for each aggregate..., the list of pivot values];
// the output is a column for each value and aggregate. `pivot_values` has an entry for
// each output column: those of one value follow each other, one for each aggregate.
plan::Node PlanTranslator::TranslatePivot(duckdb::LogicalPivot& op) {
  const auto& pivot = op.bound_pivot;
  auto node = Over(TranslateNode(*op.children[0]));
  const auto input = TypesOf(node);
  SetTypes(op.types, &node);
  auto* out = node.mutable_project()->mutable_expressions();
  for (uint32_t i = 0; i < pivot.group_count; ++i) {
    *out->Add() = plan::ColumnRef(i, input.at(i));
  }
  const auto value_list = plan::ColumnRef(input.size() - 1, input.back());
  for (size_t column = pivot.group_count; column < op.types.size(); ++column) {
    const size_t position = column - pivot.group_count;
    size_t first = position;
    while (first > 0 && pivot.pivot_values[first - 1] == pivot.pivot_values[position]) {
      --first;
    }
    const size_t which = (position - first) % pivot.aggregates.size();
    const auto& type = node.types(static_cast<int>(column));
    auto found = plan::MakeCall(
        "list_position", plan::MakeType(plan::Type::INTEGER),
        {value_list,
         ExpressionTranslator::Literal(duckdb::Value(pivot.pivot_values[position]))});
    const auto list = static_cast<uint32_t>(pivot.group_count + which);
    auto extracted = plan::MakeCall("list_extract", type,
                                    {plan::ColumnRef(list, input.at(list)), found});
    const auto& aggregate =
        pivot.aggregates[which]->Cast<duckdb::BoundAggregateExpression>();
    const auto& name = aggregate.function.name;
    if (name == "count" || name == "count_star") {
      // A count of no row is 0 where other aggregates give NULL.
      plan::Expression absent;
      *absent.mutable_type() = plan::MakeType(plan::Type::BOOLEAN);
      absent.mutable_operator_()->set_op(plan::Operator::IS_NULL);
      *absent.add_args() = std::move(found);
      plan::Expression choice;
      *choice.mutable_type() = type;
      choice.mutable_case_();
      *choice.add_args() = std::move(absent);
      *choice.add_args() = plan::BigintLiteral(0);
      *choice.add_args() = std::move(extracted);
      extracted = std::move(choice);
    }
    *out->Add() = std::move(extracted);
  }
  return node;
}

}  // namespace ballista::sql
