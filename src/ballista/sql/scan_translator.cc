// Scans: part of PlanTranslator.
//
// A LogicalGet gives `projection_ids` over `column_ids` (none: all of them), and holds
// filters on source columns. Here: the source with all its columns, a Filter over it, a
// Project on top; an executor's engine pushes both down again.
#include "ballista/base/status.h"
#include "ballista/plan/plan.h"
#include "ballista/sql/names_internal.h"
#include "ballista/sql/plan_translator.h"
#include "ballista/sql/query_planner.h"
#include "ballista/sql/scan_options.h"
#include "ballista/sql/unsupported_internal.h"
#include "ballista/sql/value_conversion.h"

namespace ballista::sql {
namespace {

using duckdb::ColumnIndex;
using duckdb::LogicalTypeId;
using duckdb::TableFilterType;

struct SourceColumn {
  std::string name;  // empty: no column, the value is TRUE
  std::vector<std::string> path;
  duckdb::LogicalType type;
};

// The fields that a column with a pushed-down struct_extract steps into.
std::vector<std::string> FieldPath(const ColumnIndex& column,
                                   const duckdb::LogicalType& whole) {
  std::vector<std::string> path;
  auto type = whole;
  const ColumnIndex* at = &column;
  while (at->HasChildren()) {
    const auto& child = at->GetChildIndex(0);
    if (!child.HasPrimaryIndex()) {
      path.push_back(child.GetFieldName());
    } else {
      if (type.id() != LogicalTypeId::STRUCT) {
        throw Unsupported("a field of " + type.ToString() + " read by the scan");
      }
      const auto& field =
          duckdb::StructType::GetChildTypes(type).at(child.GetPrimaryIndex());
      path.push_back(field.first);
      const auto next = field.second;
      type = next;
    }
    at = &child;
  }
  return path;
}

SourceColumn DescribeColumn(const duckdb::LogicalGet& op, const ColumnIndex& column,
                            const std::function<std::string(duckdb::idx_t)>& name_of) {
  if (column.IsEmptyColumn()) return {"", {}, duckdb::LogicalType::BOOLEAN};
  if (column.IsVirtualColumn()) {
    return {op.GetColumnName(column), {}, op.GetColumnType(column)};
  }
  const auto position = column.GetPrimaryIndex();
  const auto& whole = op.returned_types.at(position);
  if (column.IsPushdownExtract()) {
    return {name_of(position), FieldPath(column, whole), op.GetColumnType(column)};
  }
  return {name_of(position), {}, whole};
}

// All columns that the operator reads: its column ids, then columns that only a filter
// looks at.
std::vector<ColumnIndex> ColumnsRead(const duckdb::LogicalGet& op) {
  const auto& ids = op.GetColumnIds();
  std::vector<ColumnIndex> columns(ids.begin(), ids.end());
  for (const auto& [column, filter] : op.table_filters.filters) {
    bool present = false;
    for (const auto& id : ids) {
      present = present || (!id.IsPushdownExtract() && id.HasPrimaryIndex() &&
                            id.GetPrimaryIndex() == column);
    }
    if (!present) columns.emplace_back(column);
  }
  return columns;
}

size_t PositionOf(const std::vector<ColumnIndex>& columns, duckdb::idx_t source) {
  for (size_t i = 0; i < columns.size(); ++i) {
    if (!columns[i].IsPushdownExtract() && columns[i].HasPrimaryIndex() &&
        columns[i].GetPrimaryIndex() == source) {
      return i;
    }
  }
  throw Unsupported("a filter on a column that the scan does not read");
}

// Filters that are only hints of the optimizer are left out; nothing then remains of
// some.
duckdb::unique_ptr<duckdb::Expression> FilterExpression(
    const duckdb::TableFilter& filter, const duckdb::Expression& column) {
  switch (filter.filter_type) {
    case TableFilterType::OPTIONAL_FILTER:
    case TableFilterType::DYNAMIC_FILTER:
    case TableFilterType::BLOOM_FILTER:
      return nullptr;
    case TableFilterType::CONJUNCTION_AND: {
      duckdb::unique_ptr<duckdb::Expression> all;
      for (const auto& part : filter.Cast<duckdb::ConjunctionAndFilter>().child_filters) {
        auto expression = FilterExpression(*part, column);
        if (!expression) continue;
        if (!all) {
          all = std::move(expression);
          continue;
        }
        all = duckdb::make_uniq<duckdb::BoundConjunctionExpression>(
            duckdb::ExpressionType::CONJUNCTION_AND, std::move(all),
            std::move(expression));
      }
      return all;
    }
    default:
      return filter.ToExpression(column);
  }
}

// The expression of a source column in SQL.
std::string ColumnSql(const SourceColumn& column) {
  if (column.name.empty()) return "TRUE";
  std::string sql = Quoted(column.name);
  for (const auto& field : column.path) {
    sql = "struct_extract(" + sql + ", " + duckdb::Value(field).ToSQLString() + ")";
  }
  if (!column.path.empty()) {
    sql = "CAST(" + sql + " AS " + column.type.ToString() + ")";
  }
  return sql;
}

std::string JoinedSql(const std::vector<SourceColumn>& columns) {
  std::string sql;
  for (const auto& column : columns) {
    sql += (sql.empty() ? "" : ", ") + ColumnSql(column);
  }
  return sql;
}

std::string CallSql(const duckdb::LogicalGet& op) {
  std::string args;
  for (const auto& value : op.parameters) {
    args += (args.empty() ? "" : ", ") + value.ToSQLString();
  }
  for (const auto& [name, value] : op.named_parameters) {
    args += (args.empty() ? "" : ", ") + name + " := " + value.ToSQLString();
  }
  return Quoted(op.function.name) + "(" + args + ")";
}

}  // namespace

plan::Node PlanTranslator::FileScan(duckdb::LogicalGet& op,
                                    const duckdb::MultiFileBindData& data) {
  const auto format = FileFormatOf(op.function.name);
  if (format.empty()) throw Unsupported("the file function " + op.function.name);
  plan::Node node;
  auto* scan = node.mutable_scan();
  scan->set_format(format);
  const auto name_of = [&](duckdb::idx_t i) {
    return i < data.names.size() ? data.names[i] : op.names.at(i);
  };
  for (const auto& id : ColumnsRead(op)) {
    const auto column = DescribeColumn(op, id, name_of);
    if (column.name == "file_index" && id.IsVirtualColumn()) {
      throw Unsupported("the column file_index, which counts the files of one process");
    }
    auto* out = scan->add_columns();
    out->set_name(column.name);
    for (const auto& field : column.path) out->add_path(field);
    *node.add_types() = ToPlanType(column.type);
  }
  std::vector<std::string> paths;
  for (const auto& file : data.file_list->GetAllFiles()) paths.push_back(file.path);
  if (paths.empty()) {  // pruned by its hive partitions
    node.mutable_empty();
    node.set_estimated_rows(0);
    return node;
  }
  auto described = files_.Describe(format, paths);
  if (!described.ok()) throw duckdb::IOException(described.status().message());
  if (data.file_options.union_by_name && paths.size() > 1 && format != "parquet") {
    throw Unsupported("union_by_name over " + format + " files");
  }
  double rows = 0;
  for (auto& file : *described) {
    rows += static_cast<double>(file.total_rows());
    *scan->add_files() = std::move(file);
  }
  for (auto& option : PinnedScanOptions(format, op, data)) {
    *scan->add_options() = std::move(option);
  }
  const auto key = op.parameters.empty() ? "" : ScanKey(op.parameters[0]);
  scan->set_table(ScanName(scan_names_, key, scan->files(0).path(), paths.size()));
  node.set_estimated_rows(
      format == "parquet" ? rows : static_cast<double>(op.estimated_cardinality));
  return node;
}

// Rows of the planning instance, read by SQL once the plan is made.
plan::Node PlanTranslator::PlannerScan(duckdb::LogicalGet& op) {
  plan::Node node;
  const auto table = op.GetTable();
  const auto name_of = [&](duckdb::idx_t i) {
    if (!table) return "a" + std::to_string(i);
    return table->GetColumn(duckdb::LogicalIndex(i)).Name();
  };
  std::vector<SourceColumn> columns;
  for (const auto& id : ColumnsRead(op)) {
    columns.push_back(DescribeColumn(op, id, name_of));
    *node.add_types() = ToPlanType(columns.back().type);
  }
  PendingTable pending;
  if (table) {
    pending.name = table->name;
    pending.sql = "SELECT " + JoinedSql(columns) + " FROM " +
                  QualifiedName(table->ParentCatalog().GetName(),
                                table->ParentSchema().name, table->name);
  } else {
    std::string aliases;
    for (size_t i = 0; i < op.names.size(); ++i) {
      aliases += (i == 0 ? "" : ", ") + name_of(i);
    }
    pending.name = op.function.name;
    pending.sql = "SELECT " + JoinedSql(columns) + " FROM " + CallSql(op) + " AS t(" +
                  aliases + ")";
  }
  node.mutable_local_table()->set_name(std::to_string(result_.tables.size()));
  node.set_estimated_rows(static_cast<double>(op.estimated_cardinality));
  result_.tables.push_back(std::move(pending));
  return node;
}

plan::Node PlanTranslator::FunctionScan(duckdb::LogicalGet& op) {
  plan::Node node;
  auto* function = node.mutable_table_function();
  function->set_name(op.function.name);
  function->set_function_columns(static_cast<uint32_t>(op.returned_types.size()));
  function->set_with_ordinality(op.ordinality_idx.IsValid());
  for (const auto& id : ColumnsRead(op)) {
    const auto column = DescribeColumn(op, id, [](duckdb::idx_t) { return "column"; });
    if (!column.path.empty() || (id.IsVirtualColumn() && !column.name.empty())) {
      throw Unsupported("a field or a virtual column of " + op.function.name + "()");
    }
    function->add_columns(column.name.empty()
                              ? plan::kRowMarker
                              : static_cast<uint32_t>(id.GetPrimaryIndex()));
    *node.add_types() = ToPlanType(column.type);
  }
  node.set_estimated_rows(
      op.has_estimated_cardinality ? static_cast<double>(op.estimated_cardinality) : -1);
  if (op.children.empty()) {
    for (const auto& value : op.parameters) *function->add_args() = ToPlanValue(value);
    for (const auto& [name, value] : op.named_parameters) {
      auto* named = function->add_named_args();
      named->set_name(name);
      *named->mutable_value() = ToPlanValue(value);
    }
    return node;
  }
  // Called for each row of its input, whose first columns are the arguments.
  *node.add_inputs() = TranslateNode(*op.children[0]);
  const auto& input = node.inputs(0);
  function->set_argument_columns(
      op.input_table_types.empty() ? static_cast<uint32_t>(input.types_size())
                                   : static_cast<uint32_t>(op.input_table_types.size()));
  for (const auto& [name, value] : op.named_parameters) {
    auto* named = function->add_named_args();
    named->set_name(name);
    *named->mutable_value() = ToPlanValue(value);
  }
  for (const auto column : op.projected_input) {
    function->add_passthrough(static_cast<uint32_t>(column));
    *node.add_types() = input.types(static_cast<int>(column));
  }
  return node;
}

plan::Node PlanTranslator::ApplyScanFilters(duckdb::LogicalGet& op, plan::Node scan,
                                            size_t columns) {
  const auto read = ColumnsRead(op);
  const auto types = TypesOf(scan);
  const ColumnLookup lookup = [&](const duckdb::Expression& reference) {
    const auto position = reference.Cast<duckdb::BoundReferenceExpression>().index;
    return plan::ColumnRef(static_cast<uint32_t>(position), types.at(position));
  };
  plan::Filter filter;
  for (const auto& [source, table_filter] : op.table_filters.filters) {
    const auto position = PositionOf(read, source);
    const ColumnIndex index(source);
    const auto& type =
        index.IsVirtualColumn() ? op.GetColumnType(index) : op.returned_types.at(source);
    const duckdb::BoundReferenceExpression column(StripCollation(type), position);
    if (auto expression = FilterExpression(*table_filter, column)) {
      *filter.add_predicates() = expressions_.Translate(*expression, lookup);
    }
  }
  if (filter.predicates_size() > 0) {
    auto node = Over(std::move(scan));
    *node.mutable_filter() = std::move(filter);
    node.set_estimated_rows(op.has_estimated_cardinality
                                ? static_cast<double>(op.estimated_cardinality)
                                : -1);
    scan = std::move(node);
  }
  // Columns read for filters alone, and those that projection_ids leaves out, go.
  std::vector<duckdb::idx_t> kept(op.projection_ids.begin(), op.projection_ids.end());
  const size_t ids = op.GetColumnIds().size();
  if (kept.empty()) {
    if (columns == ids) return scan;
    for (size_t i = 0; i < ids; ++i) kept.push_back(i);
  }
  for (size_t i = columns; i < types.size(); ++i) kept.push_back(i);
  return Reorder(std::move(scan), kept);
}

plan::Node PlanTranslator::TranslateGet(duckdb::LogicalGet& op) {
  if (op.GetColumnIds().empty()) throw Unsupported("a scan that reads no column");
  if (op.extra_info.sample_options) throw Unsupported("a sample inside of a scan");
  const size_t columns = ColumnsRead(op).size();
  plan::Node scan;
  const auto* files = dynamic_cast<const duckdb::MultiFileBindData*>(op.bind_data.get());
  if (op.GetTable()) {
    scan = PlannerScan(op);
  } else if (files && !FileFormatOf(op.function.name).empty()) {
    scan = FileScan(op, *files);
  } else if (RunsAnywhere(op.function.name)) {
    scan = FunctionScan(op);
  } else if (op.children.empty()) {
    scan = PlannerScan(op);
  } else {
    throw Unsupported("the table function " + op.function.name + " over rows");
  }
  return ApplyScanFilters(op, std::move(scan), columns);
}

}  // namespace ballista::sql
