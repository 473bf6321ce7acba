// Small plans for tests, built by hand.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ballista/base/version.h"
#include "ballista/plan/plan.h"
#include "ballista/planner/distributed_planner.h"

namespace ballista::planner::testing {

using plan::Expression;
using plan::Join;
using plan::Node;
using plan::Type;

inline Type Bigint() {
  return plan::MakeType(Type::BIGINT);
}
inline Type Varchar() {
  return plan::MakeType(Type::VARCHAR);
}

// Columns a, b, c, ... of these types, in one file.
inline Node ScanOf(const std::string& table, const std::vector<Type>& types,
                   double rows) {
  Node node;
  node.set_estimated_rows(rows);
  auto* scan = node.mutable_scan();
  scan->set_format("parquet");
  scan->set_table(table);
  for (const auto& type : types) {
    *node.add_types() = type;
    scan->add_columns()->set_name(
        std::string(1, static_cast<char>('a' + node.types_size() - 1)));
  }
  auto* file = scan->add_files();
  file->set_path("/data/" + table + ".parquet");
  file->set_total_rows(static_cast<uint64_t>(rows));
  file->set_size_bytes(
      static_cast<uint64_t>(rows * 8 * static_cast<double>(types.size())));
  return node;
}

inline Node BigintScan(const std::string& table, int columns, double rows) {
  return ScanOf(table, std::vector<Type>(static_cast<size_t>(columns), Bigint()), rows);
}

inline Node OneRow(int64_t value) {
  Node node;
  *node.add_types() = Bigint();
  *node.mutable_values()->add_rows()->add_cells() = plan::BigintLiteral(value);
  return node;
}

inline Expression Column(const Node& node, uint32_t column) {
  return plan::ColumnRef(column, node.types(static_cast<int>(column)));
}

inline Expression Compare(plan::Comparison::Op op, Expression left, Expression right) {
  Expression e;
  *e.mutable_type() = plan::MakeType(Type::BOOLEAN);
  e.mutable_comparison()->set_op(op);
  *e.add_args() = std::move(left);
  *e.add_args() = std::move(right);
  return e;
}

inline Node FilterOf(Node input, Expression predicate) {
  Node node = plan::WithInput(std::move(input));
  *node.mutable_filter()->add_predicates() = std::move(predicate);
  return node;
}

inline Node ProjectOf(Node input, const std::vector<Expression>& expressions) {
  Node node = plan::WithInput(std::move(input));
  node.clear_types();
  for (const auto& e : expressions) {
    *node.add_types() = e.type();
    *node.mutable_project()->add_expressions() = e;
  }
  return node;
}

inline Node Columns(Node input, const std::vector<uint32_t>& columns) {
  std::vector<Expression> expressions;
  for (const uint32_t c : columns) expressions.push_back(Column(input, c));
  return ProjectOf(std::move(input), expressions);
}

inline Expression AggregateCall(const std::string& name, const Type& type,
                                std::vector<Expression> args = {},
                                bool distinct = false) {
  Expression e;
  *e.mutable_type() = type;
  e.mutable_aggregate()->set_name(name);
  e.mutable_aggregate()->set_distinct(distinct);
  for (auto& arg : args) *e.add_args() = std::move(arg);
  return e;
}

inline Node AggregateOf(Node input, const std::vector<uint32_t>& groups,
                        const std::vector<Expression>& calls, double rows) {
  Node node = plan::WithInput(std::move(input));
  node.clear_types();
  node.set_estimated_rows(rows);
  for (const uint32_t group : groups) {
    *node.mutable_aggregate()->add_groups() = Column(node.inputs(0), group);
    *node.add_types() = node.inputs(0).types(static_cast<int>(group));
  }
  for (const auto& call : calls) {
    *node.mutable_aggregate()->add_aggregates() = call;
    *node.add_types() = call.type();
  }
  return node;
}

inline void AddCondition(Node* join, uint32_t left, uint32_t right,
                         plan::Comparison::Op op = plan::Comparison::EQUAL) {
  auto* condition = join->mutable_join()->add_conditions();
  *condition->mutable_left() = Column(join->inputs(0), left);
  *condition->mutable_right() = Column(join->inputs(1), right);
  condition->set_op(op);
}

// All columns of both sides; of the left one (and the mark) where there are no others.
inline Node JoinOf(Join::Type type, Node left, Node right,
                   const std::vector<std::pair<uint32_t, uint32_t>>& keys, double rows) {
  Node node;
  node.set_estimated_rows(rows);
  node.mutable_join()->set_type(type);
  const bool left_only = type == Join::SEMI || type == Join::ANTI || type == Join::MARK;
  uint32_t next = 0;
  for (const Node* side : {&left, &right}) {
    for (const auto& t : side->types()) {
      if (side == &left || !left_only) {
        *node.add_types() = t;
        node.mutable_join()->add_output(next);
      }
      ++next;
    }
  }
  if (type == Join::MARK) {
    *node.add_types() = plan::MakeType(Type::BOOLEAN);
    node.mutable_join()->add_output(next);
  }
  *node.add_inputs() = std::move(left);
  *node.add_inputs() = std::move(right);
  for (const auto& [l, r] : keys) AddCondition(&node, l, r);
  return node;
}

inline Node SortOf(Node input, uint32_t column, int64_t limit = -1, uint64_t offset = 0) {
  Node node = plan::WithInput(std::move(input));
  *node.mutable_sort()->add_keys()->mutable_expression() = Column(node, column);
  if (limit >= 0) node.mutable_sort()->set_limit(static_cast<uint64_t>(limit));
  node.mutable_sort()->set_offset(offset);
  return node;
}

inline Node LimitOf(Node input, int64_t limit, int64_t offset = 0) {
  Node node = plan::WithInput(std::move(input));
  *node.mutable_limit()->mutable_limit() = plan::BigintLiteral(limit);
  if (offset > 0) *node.mutable_limit()->mutable_offset() = plan::BigintLiteral(offset);
  return node;
}

inline Node DistinctOf(Node input, double rows) {
  Node node = plan::WithInput(std::move(input));
  node.set_estimated_rows(rows);
  node.mutable_distinct();
  return node;
}

// row_number() for each list of partition columns.
inline Node WindowOf(Node input, const std::vector<std::vector<uint32_t>>& partitions) {
  Node node = plan::WithInput(std::move(input));
  for (const auto& columns : partitions) {
    auto* call = node.mutable_window()->add_calls();
    *call->mutable_type() = Bigint();
    call->mutable_window()->set_name("row_number");
    for (const uint32_t c : columns) {
      *call->mutable_window()->add_partition_by() = Column(node.inputs(0), c);
    }
    *node.add_types() = Bigint();
  }
  return node;
}

inline Node SetOf(plan::SetOperation::Op op, bool all, std::vector<Node> inputs) {
  Node node;
  *node.mutable_types() = inputs[0].types();
  node.mutable_set_operation()->set_op(op);
  node.mutable_set_operation()->set_all(all);
  double rows = 0;
  for (auto& input : inputs) {
    rows += input.estimated_rows();
    *node.add_inputs() = std::move(input);
  }
  node.set_estimated_rows(rows);
  return node;
}

inline Node SharedOf(uint32_t id, Node definition, Node body) {
  Node node;
  *node.mutable_types() = body.types();
  node.set_estimated_rows(body.estimated_rows());
  node.mutable_shared()->set_id(id);
  *node.add_inputs() = std::move(definition);
  *node.add_inputs() = std::move(body);
  return node;
}

inline Node RefTo(uint32_t id, const Node& definition) {
  Node node;
  *node.mutable_types() = definition.types();
  node.set_estimated_rows(definition.estimated_rows());
  node.mutable_shared_ref()->set_id(id);
  return node;
}

inline plan::Plan PlanOf(Node root) {
  plan::Plan plan;
  plan.set_version(kPlanVersion);
  for (int i = 0; i < root.types_size(); ++i) plan.add_names("c" + std::to_string(i));
  *plan.mutable_root() = std::move(root);
  return plan;
}

// Two executors; nothing is too small to be distributed.
inline PlannerOptions TwoExecutors() {
  PlannerOptions options;
  options.executors = 2;
  options.threads = 2;
  options.single_task_threshold = 0;
  return options;
}

}  // namespace ballista::planner::testing
