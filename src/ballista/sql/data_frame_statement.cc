#include "ballista/sql/data_frame_statement.h"

#include <fmt/format.h>

#include <filesystem>

#include "ballista/base/status.h"
#include "ballista/duckdb_terms/terms.h"
#include "ballista/sql/data_frame_expressions_internal.h"
#include "ballista/sql/folder_files.h"

namespace ballista::sql {
namespace {

using dataframe::Relation;
using duckdb::make_uniq;
using frame::Columns;
using frame::ExprPtr;
using frame::Thrown;

using SelectPtr = duckdb::unique_ptr<duckdb::SelectNode>;
using TablePtr = duckdb::unique_ptr<duckdb::TableRef>;

std::string ColumnName(int position) {
  return fmt::format("c{}", position);
}

// What stands in a FROM, with the WHERE that belongs to it: sources and joins of them as
// they are, so that the optimizer orders the joins (it does not look through a
// sub-query), or another relation as a sub-query, whose columns are c0, c1, ...
struct Input {
  struct Name {
    std::string table;
    std::string column;
  };

  TablePtr table;
  std::vector<Name> names;
  duckdb::vector<ExprPtr> where;
  bool has_subqueries = false;  // within `where`

  ExprPtr Column(size_t position) const {
    const auto& name = names.at(position);
    return make_uniq<duckdb::ColumnRefExpression>(name.column, name.table);
  }
};

void Move(duckdb::vector<ExprPtr> from, duckdb::vector<ExprPtr>* to) {
  for (auto& part : from) to->push_back(std::move(part));
}

Columns ColumnsOfSide(const Input& side) {
  return [&side](uint32_t position) { return side.Column(position); };
}

// Of the rows around a sub-query, the innermost first.
using Outer = std::vector<std::shared_ptr<const duckdb::ParsedExpression>>;

// Those of a join's both sides, and the outer ones.
Columns ColumnsOfJoin(const Input& left, const Input& right, const Outer& outer) {
  return [&](uint32_t position) {
    const size_t first = left.names.size();
    const size_t both = first + right.names.size();
    if (position >= both) return outer.at(position - both)->Copy();
    return position < first ? left.Column(position) : right.Column(position - first);
  };
}

// Of its input alone, which has so many.
bool PassesColumns(const Relation& project, size_t columns) {
  const auto& expressions = project.project().expressions();
  return std::all_of(expressions.begin(), expressions.end(),
                     [&](const plan::Expression& each) {
                       return each.has_column() && each.column() < columns;
                     });
}

// Sub-queries may be referred to again and again, and each time is built anew.
constexpr int kMaxBuiltRelations = 10'000;

duckdb::unique_ptr<duckdb::SelectStatement> AsStatement(
    duckdb::unique_ptr<duckdb::QueryNode> node) {
  auto statement = make_uniq<duckdb::SelectStatement>();
  statement->node = std::move(node);
  return statement;
}

ExprPtr And(duckdb::vector<ExprPtr> parts) {
  if (parts.empty()) return nullptr;
  if (parts.size() == 1) return std::move(parts[0]);
  return make_uniq<duckdb::ConjunctionExpression>(duckdb::ExpressionType::CONJUNCTION_AND,
                                                  std::move(parts));
}

// An option of a reader or writer.
ExprPtr OptionValue(const plan::NamedValue& option) {
  return make_uniq<duckdb::ConstantExpression>(frame::ToValue(option.value()));
}

// Filters and joins of sources become one FROM and WHERE; every other relation one SELECT
// whose columns are c0, c1, ...
class Builder {
 public:
  explicit Builder(const security::PathGuard* guard) : guard_(guard) {}

  // -1 columns: as many as the source has.
  struct Built {
    duckdb::unique_ptr<duckdb::QueryNode> node;
    int columns = 0;
  };

  Built Build(const Relation& relation) {
    switch (relation.kind_case()) {
      case Relation::kRead:
      case Relation::kTable:
      case Relation::kValues:
      case Relation::kFilter:
      case Relation::kJoin:
        return All(relation);
      case Relation::kProject:
        return Project(relation);
      case Relation::kAggregate:
        return Aggregate(relation);
      case Relation::kSort:
        return Sort(relation);
      case Relation::kLimit:
        return Limit(relation);
      case Relation::kDistinct:
        return Distinct(relation);
      case Relation::kWindow:
        return Window(relation);
      case Relation::kSetOperation:
        return SetOperation(relation);
      default:
        throw Thrown("a relation of unknown kind");
    }
  }

 private:
  static const google::protobuf::RepeatedPtrField<std::string>& ColumnsOf(
      const Relation& source) {
    return source.has_read() ? source.read().columns() : source.table().columns();
  }

  TablePtr SourceTable(const Relation& source) {
    return source.has_read() ? ReadFiles(source.read()) : NamedTable(source.table());
  }

  // SQL's readers take no folders, so each is put as globs over its files.
  TablePtr ReadFiles(const dataframe::Read& read) {
    duckdb::vector<duckdb::Value> paths;
    for (const auto& path : read.paths()) {
      std::error_code error;
      const bool plain = path.find("://") == std::string::npos &&
                         path.find_first_of("*?[") == std::string::npos;
      if (plain && guard_ != nullptr) {
        const auto allowed = guard_->Check(path);
        if (!allowed.ok()) throw frame::Refused(allowed);
      }
      if (plain && std::filesystem::is_directory(path, error)) {
        auto globs = FolderGlobs(path, read.format());
        if (!globs.ok()) throw frame::Refused(globs.status());
        for (auto& glob : *globs) paths.emplace_back(std::move(glob));
      } else {
        paths.emplace_back(path);
      }
    }
    duckdb::vector<ExprPtr> arguments;
    arguments.push_back(make_uniq<duckdb::ConstantExpression>(
        paths.size() == 1
            ? paths[0]
            : duckdb::Value::LIST(duckdb::LogicalType::VARCHAR, std::move(paths))));
    for (const auto& option : read.options()) {
      arguments.push_back(make_uniq<duckdb::ComparisonExpression>(
          duckdb::ExpressionType::COMPARE_EQUAL,
          make_uniq<duckdb::ColumnRefExpression>(option.name()), OptionValue(option)));
    }
    auto table = make_uniq<duckdb::TableFunctionRef>();
    table->function = make_uniq<duckdb::FunctionExpression>("read_" + read.format(),
                                                            std::move(arguments));
    return table;
  }

  static TablePtr NamedTable(const dataframe::Table& named) {
    auto table = make_uniq<duckdb::BaseTableRef>();
    const auto& name = named.name();
    const int last = name.size() - 1;
    table->table_name = name[last];
    if (last >= 1) table->schema_name = name[last - 1];
    if (last >= 2) table->catalog_name = name[0];
    return table;
  }

  Built All(const Relation& relation) {
    auto input = Refer(relation);
    auto select = From(&input);
    if (input.names.empty()) {
      select->select_list.push_back(make_uniq<duckdb::StarExpression>());
      return {std::move(select), -1};
    }
    PassAll(input, select.get());
    return Named(std::move(select));
  }

  static Built Named(SelectPtr select) {
    // An aggregate function called as a scalar one would make one row of all.
    select->aggregate_handling = duckdb::AggregateHandling::NO_AGGREGATES_ALLOWED;
    const int columns = static_cast<int>(select->select_list.size());
    for (int i = 0; i < columns; ++i) select->select_list[i]->SetAlias(ColumnName(i));
    return {std::move(select), columns};
  }

  std::string NextAlias() { return fmt::format("t{}", next_alias_++); }

  Input Refer(const Relation& relation) {
    if (++built_ > kMaxBuiltRelations) {
      throw Thrown("more than " + std::to_string(kMaxBuiltRelations) +
                   " relations, each sub-query counted where it is used");
    }
    if (relation.has_read() || relation.has_table()) return ReferSource(relation);
    if (relation.has_values()) return ReferValues(relation.values());
    if (relation.has_join()) return ReferJoin(relation);
    if (relation.has_filter()) return ReferFilter(relation);
    if (relation.has_project()) return ReferProject(relation);
    return SubQuery(Build(relation));
  }

  Input ReferFilter(const Relation& relation) {
    auto input = Refer(relation.inputs(0));
    for (const auto& predicate : relation.filter().predicates()) {
      input.where.push_back(frame::MakeExpression(predicate, Seen(relation, input)));
    }
    input.has_subqueries |= !relation.subqueries().empty();
    return input;
  }

  Input ReferProject(const Relation& relation) {
    auto input = Refer(relation.inputs(0));
    if (!PassesColumns(relation, input.names.size())) {
      return SubQuery(ProjectOver(relation, &input));
    }
    std::vector<Input::Name> names;
    for (const auto& column : relation.project().expressions()) {
      names.push_back(input.names.at(column.column()));
    }
    input.names = std::move(names);
    return input;
  }

  // What expressions of the relation refer to. Borrows both.
  Columns Seen(const Relation& relation, const Input& input) {
    return [this, &relation, &input, outer = outer_](uint32_t position) -> ExprPtr {
      const size_t own = input.names.size();
      if (position < own) return input.Column(position);
      if (position - own < outer.size()) return outer[position - own]->Copy();
      const auto subquery = static_cast<int>(position - own - outer.size());
      return MakeSubquery(relation.subqueries(subquery), input);
    };
  }

  ExprPtr MakeSubquery(const dataframe::Subquery& subquery, const Input& input) {
    using dataframe::Subquery;
    const Columns columns = SeenBelow(input);
    auto made = make_uniq<duckdb::SubqueryExpression>();
    made->subquery_type =
        subquery.kind() == Subquery::EXISTS ? duckdb::SubqueryType::EXISTS
        : subquery.kind() == Subquery::ANY  ? duckdb::SubqueryType::ANY
                                            : duckdb::SubqueryType::SCALAR;
    if (subquery.kind() == Subquery::ANY) {
      made->comparison_type = frame::Known(duckdb_terms::ComparisonType(subquery.op()),
                                           "a sub-query without comparison");
      duckdb::vector<ExprPtr> needles;
      for (const auto& needle : subquery.needles()) {
        needles.push_back(frame::MakeExpression(needle, columns));
      }
      if (needles.size() == 1) {
        made->child = std::move(needles[0]);
      } else {
        made->child = make_uniq<duckdb::FunctionExpression>("row", std::move(needles));
      }
    }
    // Its relations see this row's columns after their own.
    Outer row;
    for (size_t i = 0; i < input.names.size(); ++i) row.push_back(input.Column(i));
    row.insert(row.end(), outer_.begin(), outer_.end());
    std::swap(outer_, row);
    auto built = Build(subquery.relation());
    std::swap(outer_, row);
    made->subquery = AsStatement(std::move(built.node));
    return made;
  }

  Columns SeenBelow(const Input& input) const {
    return [&input, outer = outer_](uint32_t position) -> ExprPtr {
      const size_t own = input.names.size();
      return position < own ? input.Column(position) : outer.at(position - own)->Copy();
    };
  }

  Input SubQuery(Built built) {
    Input input;
    const auto alias = NextAlias();
    for (int i = 0; i < built.columns; ++i) input.names.push_back({alias, ColumnName(i)});
    input.table =
        make_uniq<duckdb::SubqueryRef>(AsStatement(std::move(built.node)), alias);
    return input;
  }

  Input ReferSource(const Relation& relation) {
    Input input;
    const auto alias = NextAlias();
    input.table = SourceTable(relation);
    input.table->alias = alias;
    for (const auto& name : ColumnsOf(relation)) input.names.push_back({alias, name});
    return input;
  }

  Input ReferValues(const plan::Values& values) {
    Input input;
    const auto alias = NextAlias();
    auto list = make_uniq<duckdb::ExpressionListRef>();
    list->alias = alias;
    for (const auto& row : values.rows()) {
      duckdb::vector<ExprPtr> cells;
      for (const auto& cell : row.cells()) {
        cells.push_back(frame::MakeExpression(cell, [](uint32_t) -> ExprPtr {
          throw Thrown("a column in a row of values");
        }));
      }
      list->values.push_back(std::move(cells));
    }
    for (int i = 0; i < values.rows(0).cells_size(); ++i) {
      list->expected_names.push_back(ColumnName(i));
      list->column_name_alias.push_back(ColumnName(i));  // as it prints
      input.names.push_back({alias, ColumnName(i)});
    }
    input.table = std::move(list);
    return input;
  }

  // `input` keeps the names of its columns.
  static SelectPtr From(Input* input) {
    auto select = make_uniq<duckdb::SelectNode>();
    select->from_table = std::move(input->table);
    select->where_clause = And(std::move(input->where));
    return select;
  }

  static void PassAll(const Input& input, duckdb::SelectNode* select) {
    for (size_t i = 0; i < input.names.size(); ++i) {
      select->select_list.push_back(input.Column(i));
    }
  }

  // Over the relation's one input, which `input` becomes.
  SelectPtr FromInput(const Relation& relation, Input* input) {
    *input = Refer(relation.inputs(0));
    return From(input);
  }

  // The same with all of its columns.
  SelectPtr PassInput(const Relation& relation, Input* input) {
    auto select = FromInput(relation, input);
    PassAll(*input, select.get());
    return select;
  }

  Built Project(const Relation& relation) {
    auto input = Refer(relation.inputs(0));
    return ProjectOver(relation, &input);
  }

  Built ProjectOver(const Relation& relation, Input* input) {
    auto select = From(input);
    for (const auto& expression : relation.project().expressions()) {
      select->select_list.push_back(
          frame::MakeExpression(expression, Seen(relation, *input)));
    }
    return Named(std::move(select));
  }

  Built Aggregate(const Relation& relation) {
    const auto& aggregate = relation.aggregate();
    Input input;
    auto select = FromInput(relation, &input);
    duckdb::GroupingSet all;
    for (const auto& group : aggregate.groups()) {
      all.insert(select->groups.group_expressions.size());
      select->groups.group_expressions.push_back(
          frame::MakeExpression(group, Seen(relation, input)));
      select->select_list.push_back(frame::MakeExpression(group, Seen(relation, input)));
    }
    if (!all.empty()) select->groups.grouping_sets.push_back(std::move(all));
    for (const auto& call : aggregate.aggregates()) {
      select->select_list.push_back(frame::MakeExpression(call, Seen(relation, input)));
    }
    auto built = Named(std::move(select));
    built.node->Cast<duckdb::SelectNode>().aggregate_handling =
        duckdb::AggregateHandling::STANDARD_HANDLING;
    return built;
  }

  // What a side of an outer join is filtered by may not come after the join, if the join
  // gives NULLs in place of that side's rows; nor before, if it gives all rows of it.
  Input ReferJoin(const Relation& relation) {
    const auto& join = relation.join();
    auto left = Side(relation.inputs(0), join.type());
    auto right = Side(relation.inputs(1), join.type());
    const auto seen = ColumnsOfJoin(left, right, outer_);
    duckdb::vector<ExprPtr> on;
    for (const auto& condition : join.conditions()) {
      on.push_back(make_uniq<duckdb::ComparisonExpression>(
          frame::Known(duckdb_terms::ComparisonType(condition.op()),
                       "a comparison without operator"),
          frame::MakeExpression(condition.left(), ColumnsOfSide(left)),
          frame::MakeExpression(condition.right(), ColumnsOfSide(right))));
    }
    if (join.has_predicate()) {
      on.push_back(frame::MakeExpression(join.predicate(), seen));
    }
    Input result;
    result.has_subqueries = left.has_subqueries || right.has_subqueries;
    const bool inner = join.type() == plan::Join::INNER;
    const bool keeps_right = join.type() == plan::Join::RIGHT;
    Move(std::move(left.where), keeps_right ? &on : &result.where);
    Move(std::move(right.where), inner || keeps_right ? &result.where : &on);
    for (const uint32_t column : join.output()) {
      const size_t first = left.names.size();
      result.names.push_back(column < first ? left.names[column]
                                            : right.names.at(column - first));
    }
    auto table = make_uniq<duckdb::JoinRef>(
        on.empty() && inner ? duckdb::JoinRefType::CROSS : duckdb::JoinRefType::REGULAR);
    table->left = std::move(left.table);
    table->right = std::move(right.table);
    table->type =
        frame::Known(duckdb_terms::JoinType(join.type()), "a join without type");
    table->condition = And(std::move(on));
    if (!table->condition && !inner) {
      table->condition =
          make_uniq<duckdb::ConstantExpression>(duckdb::Value::BOOLEAN(true));
    }
    result.table = std::move(table);
    return result;
  }

  // Of an outer join, a side is filtered by itself where its condition could not be one
  // of the join.
  Input Side(const Relation& relation, plan::Join::Type type) {
    auto side = Refer(relation);
    const bool alone =
        type == plan::Join::FULL || (type != plan::Join::INNER && side.has_subqueries);
    if (!alone || side.where.empty()) return side;
    auto select = From(&side);
    PassAll(side, select.get());
    return SubQuery(Named(std::move(select)));
  }

  template <typename Keys>
  void Order(const Relation& relation, const Keys& keys, const Input& input,
             duckdb::SelectNode* select) {
    auto order = make_uniq<duckdb::OrderModifier>();
    order->orders = frame::MakeSortKeys(keys, Seen(relation, input));
    if (!order->orders.empty()) select->modifiers.push_back(std::move(order));
  }

  static ExprPtr Count(uint64_t rows) {
    const auto most = static_cast<uint64_t>(INT64_MAX);
    return make_uniq<duckdb::ConstantExpression>(
        duckdb::Value::BIGINT(static_cast<int64_t>(std::min(rows, most))));
  }

  Built Sort(const Relation& relation) {
    const auto& sort = relation.sort();
    Input input;
    auto select = PassInput(relation, &input);
    Order(relation, sort.keys(), input, select.get());
    if (sort.has_limit() || sort.offset() > 0) {
      auto limit = make_uniq<duckdb::LimitModifier>();
      if (sort.has_limit()) limit->limit = Count(sort.limit());
      if (sort.offset() > 0) limit->offset = Count(sort.offset());
      select->modifiers.push_back(std::move(limit));
    }
    return Named(std::move(select));
  }

  Built Limit(const Relation& relation) {
    const auto& limit = relation.limit();
    Input input;
    auto select = PassInput(relation, &input);
    auto modifier = make_uniq<duckdb::LimitModifier>();
    const auto count = [](const plan::Expression& literal) {
      return Count(static_cast<uint64_t>(literal.literal().int_()));
    };
    if (limit.has_limit()) modifier->limit = count(limit.limit());
    if (limit.has_offset()) modifier->offset = count(limit.offset());
    select->modifiers.push_back(std::move(modifier));
    return Named(std::move(select));
  }

  Built Distinct(const Relation& relation) {
    Input input;
    auto select = PassInput(relation, &input);
    auto modifier = make_uniq<duckdb::DistinctModifier>();
    for (const auto& target : relation.distinct().on()) {
      modifier->distinct_on_targets.push_back(
          frame::MakeExpression(target, Seen(relation, input)));
    }
    select->modifiers.push_back(std::move(modifier));
    Order(relation, relation.distinct().order_by(), input, select.get());
    return Named(std::move(select));
  }

  Built Window(const Relation& relation) {
    Input input;
    auto select = PassInput(relation, &input);
    for (const auto& call : relation.window().calls()) {
      select->select_list.push_back(frame::MakeExpression(call, Seen(relation, input)));
    }
    return Named(std::move(select));
  }

  Built SetOperation(const Relation& relation) {
    auto node = make_uniq<duckdb::SetOperationNode>();
    switch (relation.set_operation().op()) {
      case plan::SetOperation::EXCEPT:
        node->setop_type = duckdb::SetOperationType::EXCEPT;
        break;
      case plan::SetOperation::INTERSECT:
        node->setop_type = duckdb::SetOperationType::INTERSECT;
        break;
      default:
        node->setop_type = duckdb::SetOperationType::UNION;
    }
    node->setop_all = relation.set_operation().all();
    int columns = 0;
    for (const auto& input : relation.inputs()) {
      auto built = Build(input);
      columns = built.columns;
      node->children.push_back(std::move(built.node));
    }
    return {std::move(node), columns};
  }

  const security::PathGuard* const guard_;
  int next_alias_ = 0;
  int built_ = 0;
  Outer outer_;  // of the relation that is being built
};

// The columns under their names.
duckdb::unique_ptr<duckdb::QueryNode> NameRoot(
    Builder::Built built, const google::protobuf::RepeatedPtrField<std::string>& names) {
  if (built.columns < 0) return std::move(built.node);
  if (built.node->type == duckdb::QueryNodeType::SELECT_NODE) {
    auto& select = built.node->Cast<duckdb::SelectNode>();
    for (int i = 0; i < names.size(); ++i) select.select_list[i]->SetAlias(names[i]);
    return std::move(built.node);
  }
  auto select = make_uniq<duckdb::SelectNode>();
  select->from_table =
      make_uniq<duckdb::SubqueryRef>(AsStatement(std::move(built.node)), "t");
  for (int i = 0; i < names.size(); ++i) {
    select->select_list.push_back(
        make_uniq<duckdb::ColumnRefExpression>(ColumnName(i), "t"));
    select->select_list.back()->SetAlias(names[i]);
  }
  return select;
}

duckdb::unique_ptr<duckdb::SQLStatement> MakeCopy(
    duckdb::unique_ptr<duckdb::QueryNode> query, const dataframe::Write& write) {
  auto copy = make_uniq<duckdb::CopyStatement>();
  auto& info = *copy->info;
  info.is_from = false;
  info.format = write.format();
  info.is_format_auto_detected = false;
  info.file_path = write.path();
  info.select_statement = std::move(query);
  for (const auto& option : write.options()) {
    info.parsed_options[option.name()] = OptionValue(option);
  }
  if (!write.partition_by().empty()) {
    duckdb::vector<ExprPtr> names;
    for (const auto& name : write.partition_by()) {
      names.push_back(make_uniq<duckdb::ColumnRefExpression>(name));
    }
    info.parsed_options["partition_by"] =
        make_uniq<duckdb::FunctionExpression>("row", std::move(names));
  }
  return copy;
}

}  // namespace

arrow::Result<duckdb::unique_ptr<duckdb::SQLStatement>> MakeStatement(
    const dataframe::CommandDataFrame& frame, const security::PathGuard* guard) {
  using dataframe::CommandDataFrame;
  try {
    auto query = NameRoot(Builder(guard).Build(frame.root()), frame.names());
    duckdb::unique_ptr<duckdb::SQLStatement> statement;
    if (frame.has_write()) {
      statement = MakeCopy(std::move(query), frame.write());
    } else {
      statement = AsStatement(std::move(query));
    }
    if (frame.mode() == CommandDataFrame::RUN) return statement;
    return make_uniq<duckdb::ExplainStatement>(
        std::move(statement), frame.mode() == CommandDataFrame::EXPLAIN_ANALYZE
                                  ? duckdb::ExplainType::EXPLAIN_ANALYZE
                                  : duckdb::ExplainType::EXPLAIN_STANDARD);
  } catch (const frame::Refused& refused) {
    return refused.status();
  }
}

}  // namespace ballista::sql
