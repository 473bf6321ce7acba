// Joins. Inner joins take their conditions as they are. For every other kind a condition
// whose side is an expression, not a column, would be pushed into a child or be refused
// by DuckDB's binder, so these are projected to columns first.
#include "ballista/duckdb_terms/terms.h"
#include "ballista/engine/duckdb/compiler_internal.h"

namespace ballista::engine::compile {

using duckdb::make_uniq;

namespace {

constexpr const char* kMarkColumn = "__mark_index_column";

bool IsGroupedMark(const plan::Join& join) {
  return join.type() == plan::Join::MARK && join.mark_kind() == plan::Join::MARK_GROUPED;
}

// Appends `key` as a column of `input`; gives the reference to it.
plan::Expression ProjectKey(const plan::Expression& key, plan::Node* input) {
  if (key.has_column()) return key;
  const auto position = static_cast<uint32_t>(input->types_size());
  *input->mutable_project()->add_expressions() = key;
  *input->add_types() = key.type();
  return plan::ColumnRef(position, key.type());
}

// A projection of all of the input's columns.
plan::Node PassingProjection(const plan::Node& input) {
  plan::Node projection = plan::WithInput(input);
  projection.set_estimated_rows(-1);
  for (int i = 0; i < input.types_size(); ++i) {
    *projection.mutable_project()->add_expressions() =
        plan::ColumnRef(static_cast<uint32_t>(i), input.types(i));
  }
  return projection;
}

bool HasKeyExpressions(const plan::Join& join) {
  for (const auto& condition : join.conditions()) {
    if (!condition.left().has_column() || !condition.right().has_column()) return true;
  }
  return false;
}

void ShiftRightColumns(plan::Expression* expression, uint32_t from, uint32_t by) {
  if (expression->has_column() && expression->column() >= from) {
    expression->set_column(expression->column() + by);
  }
  plan::ForEachChild(
      expression, [&](plan::Expression* child) { ShiftRightColumns(child, from, by); });
}

// The same join with conditions over columns only.
plan::Node WithColumnKeys(const plan::Node& node) {
  plan::Node result = node;
  auto* join = result.mutable_join();
  const auto left_columns = static_cast<uint32_t>(node.inputs(0).types_size());
  const auto right_columns = static_cast<uint32_t>(node.inputs(1).types_size());
  *result.mutable_inputs(0) = PassingProjection(node.inputs(0));
  *result.mutable_inputs(1) = PassingProjection(node.inputs(1));
  for (auto& condition : *join->mutable_conditions()) {
    *condition.mutable_left() = ProjectKey(condition.left(), result.mutable_inputs(0));
    *condition.mutable_right() = ProjectKey(condition.right(), result.mutable_inputs(1));
  }
  const uint32_t added_left =
      static_cast<uint32_t>(result.inputs(0).types_size()) - left_columns;
  const uint32_t added_right =
      static_cast<uint32_t>(result.inputs(1).types_size()) - right_columns;
  if (join->has_predicate()) {
    ShiftRightColumns(join->mutable_predicate(), left_columns, added_left);
  }
  for (auto& column : *join->mutable_output()) {
    if (column >= left_columns + right_columns) {
      column += added_left + added_right;  // the mark
    } else if (column >= left_columns) {
      column += added_left;
    }
  }
  return result;
}

ExprPtr Condition(const plan::JoinCondition& condition) {
  return make_uniq<duckdb::ComparisonExpression>(
      ComparisonType(condition.op()), CompileExpression(condition.left(), ColumnsOf("l")),
      CompileExpression(condition.right(), ColumnsOf("r")));
}

}  // namespace

TablePtr NodeCompiler::JoinTables(const plan::Node& node, ExprPtr condition) {
  const auto& join = node.join();
  auto kind = duckdb::JoinRefType::REGULAR;
  if (join.positional()) {
    kind = duckdb::JoinRefType::POSITIONAL;
  } else if (join.asof()) {
    kind = duckdb::JoinRefType::ASOF;
  } else if (!condition) {
    if (join.type() == plan::Join::INNER) {
      kind = duckdb::JoinRefType::CROSS;
    } else {
      condition = Constant(duckdb::Value::BOOLEAN(true));
    }
  }
  auto table = make_uniq<duckdb::JoinRef>(kind);
  table->left = Reference(node.inputs(0), "l");
  table->right = Reference(node.inputs(1), "r");
  table->type = Known(duckdb_terms::JoinType(join.type()), "a join without type");
  table->condition = std::move(condition);
  return table;
}

// l.x op ANY (SELECT r.x FROM r WHERE r.group IS NOT DISTINCT FROM l.group): the nulls
// that make the answer NULL are those of the row's own group.
ExprPtr NodeCompiler::GroupedMark(const plan::Node& node) {
  const auto& join = node.join();
  const int groups = static_cast<int>(join.group_conditions());
  if (join.conditions_size() != groups + 1 || join.has_predicate()) {
    Fail("a grouped mark join with several keys");
  }
  auto select = make_uniq<duckdb::SelectNode>();
  select->from_table = Reference(node.inputs(1), "r");
  duckdb::vector<ExprPtr> parts;
  for (int i = 0; i < groups; ++i) parts.push_back(Condition(join.conditions(i)));
  const auto& key = join.conditions(groups);
  select->select_list.push_back(CompileExpression(key.right(), ColumnsOf("r")));
  select->where_clause = And(std::move(parts));
  auto any = make_uniq<duckdb::SubqueryExpression>();
  any->subquery = AsStatement(std::move(select));
  any->subquery_type = duckdb::SubqueryType::ANY;
  any->child = CompileExpression(key.left(), ColumnsOf("l"));
  any->comparison_type = ComparisonType(key.op());
  return any;
}

QueryPtr NodeCompiler::CompileJoin(const plan::Node& node) {
  const auto& join = node.join();
  if (node.inputs_size() != 2) Fail("a join without two inputs");
  const bool plain = join.type() == plan::Join::INNER && !join.asof();
  if (!plain && !IsGroupedMark(join) && HasKeyExpressions(join)) {
    return CompileJoin(WithColumnKeys(node));
  }
  const auto left_columns = static_cast<uint32_t>(node.inputs(0).types_size());
  const auto right_columns = static_cast<uint32_t>(node.inputs(1).types_size());
  auto select = make_uniq<duckdb::SelectNode>();
  ExprPtr mark;
  if (IsGroupedMark(join)) {
    select->from_table = Reference(node.inputs(0), "l");
    mark = GroupedMark(node);
  } else {
    duckdb::vector<ExprPtr> parts;
    for (const auto& condition : join.conditions()) parts.push_back(Condition(condition));
    if (join.has_predicate()) {
      parts.push_back(CompileExpression(join.predicate(), [&](uint32_t column) {
        return column < left_columns ? Column("l", column)
                                     : Column("r", column - left_columns);
      }));
    }
    select->from_table = JoinTables(node, And(std::move(parts)));
    if (join.type() == plan::Join::MARK) {
      mark = make_uniq<duckdb::ColumnRefExpression>(kMarkColumn);
    }
  }
  for (uint32_t column : join.output()) {
    if (column < left_columns) {
      select->select_list.push_back(Column("l", column));
    } else if (column < left_columns + right_columns) {
      select->select_list.push_back(Column("r", column - left_columns));
    } else if (mark) {
      select->select_list.push_back(mark->Copy());
    } else {
      Fail("a join's output is out of range");
    }
  }
  if (select->select_list.empty()) Fail("a join without output");
  NameColumns(select.get());
  return select;
}

}  // namespace ballista::engine::compile
