// The leaves of a fragment: files, exchanges, local tables, values, table functions.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_set>

#include "ballista/engine/duckdb/compiler_internal.h"

namespace ballista::engine::compile {

using duckdb::make_uniq;

namespace {

constexpr const char* kRowNumberColumn = "file_row_number";

duckdb::unique_ptr<duckdb::TableFunctionRef> CallTableFunction(
    const std::string& name, duckdb::vector<ExprPtr> args,
    const google::protobuf::RepeatedPtrField<plan::NamedValue>& named) {
  for (const auto& option : named) {
    args.push_back(make_uniq<duckdb::ComparisonExpression>(
        duckdb::ExpressionType::COMPARE_EQUAL,
        make_uniq<duckdb::ColumnRefExpression>(option.name()),
        Constant(OrThrow(ToDuckDbValue(option.value())))));
  }
  auto table = make_uniq<duckdb::TableFunctionRef>();
  table->function = make_uniq<duckdb::FunctionExpression>(name, std::move(args));
  table->alias = "f";
  return table;
}

ExprPtr Null(const plan::Type& type) {
  return CastTo(Constant(duckdb::Value()), type);
}

// A plan's path names one file: what a glob would read into it is escaped.
std::string EscapeGlob(const std::string& path) {
  if (path.find_first_of("*?[") == std::string::npos) return path;
  if (path.find("://") != std::string::npos) return path;
  std::string escaped;
  for (char c : path) {
    if (c == '*' || c == '?' || c == '[') {
      escaped += '[';
      escaped += c;
      escaped += ']';
    } else {
      escaped += c;
    }
  }
  return escaped;
}

duckdb::Value FileList(const std::vector<std::string>& files) {
  duckdb::vector<duckdb::Value> values;
  for (const auto& file : files) values.emplace_back(EscapeGlob(file));
  return duckdb::Value::LIST(duckdb::LogicalType::VARCHAR, std::move(values));
}

bool IsTrue(const plan::Scan& scan, const std::string& option) {
  for (const auto& named : scan.options()) {
    if (named.name() == option) return named.value().boolean();
  }
  return false;
}

bool HasOption(const plan::Scan& scan, const std::string& option) {
  return std::any_of(scan.options().begin(), scan.options().end(),
                     [&](const auto& named) { return named.name() == option; });
}

ExprPtr ScanColumnValue(const plan::ScanColumn& column, const plan::Type& type) {
  if (column.name().empty()) return Constant(duckdb::Value::BOOLEAN(true));
  ExprPtr value = make_uniq<duckdb::ColumnRefExpression>(column.name(), "f");
  for (const auto& field : column.path()) {
    duckdb::vector<ExprPtr> args;
    args.push_back(std::move(value));
    args.push_back(Constant(duckdb::Value(field)));
    value = make_uniq<duckdb::FunctionExpression>("struct_extract", std::move(args));
  }
  return CastTo(std::move(value), type);
}

arrow::Status CheckUnchanged(const plan::FileSplit& split) {
  if (split.file_size() == 0 && split.modified_ns() == 0) return arrow::Status::OK();
  if (split.path().find("://") != std::string::npos) return arrow::Status::OK();
  struct stat info {};
  if (stat(split.path().c_str(), &info) != 0) {
    return UserErrorStatus(
        UserError::RUNTIME,
        "the file " + split.path() + " cannot be read any more: " + std::strerror(errno));
  }
  const int64_t modified =
      static_cast<int64_t>(info.st_mtim.tv_sec) * 1000000000 + info.st_mtim.tv_nsec;
  const bool same_size =
      split.file_size() == 0 || split.file_size() == static_cast<uint64_t>(info.st_size);
  const bool same_time = split.modified_ns() == 0 || split.modified_ns() == modified;
  if (same_size && same_time) return arrow::Status::OK();
  return UserErrorStatus(UserError::RUNTIME,
                         "the file " + split.path() +
                             " has changed since the query was planned (size " +
                             std::to_string(split.file_size()) + " then, " +
                             std::to_string(info.st_size) + " now); run it again");
}

bool IsWholeFile(const plan::FileSplit& split) {
  return split.row_count() == 0 ||
         (split.first_row() == 0 && split.row_count() == split.total_rows());
}

// Ranges of one file that touch become one.
std::vector<plan::FileSplit> MergeRanges(std::vector<plan::FileSplit> ranges) {
  std::stable_sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) {
    return a.path() != b.path() ? a.path() < b.path() : a.first_row() < b.first_row();
  });
  std::vector<plan::FileSplit> merged;
  for (auto& range : ranges) {
    if (!merged.empty() && merged.back().path() == range.path() &&
        merged.back().first_row() + merged.back().row_count() == range.first_row()) {
      merged.back().set_row_count(merged.back().row_count() + range.row_count());
    } else {
      merged.push_back(std::move(range));
    }
  }
  return merged;
}

}  // namespace

TablePtr ReadFiles(const plan::Scan& scan, const std::vector<std::string>& files) {
  auto options = scan.options();
  // The types of partition columns would be guessed anew from this task's paths alone; as
  // text they are cast to the plan's types.
  if (IsTrue(scan, "hive_partitioning") && !HasOption(scan, "hive_types") &&
      !HasOption(scan, "hive_types_autocast")) {
    auto* option = options.Add();
    option->set_name("hive_types_autocast");
    *option->mutable_value()->mutable_type() = plan::MakeType(plan::Type::BOOLEAN);
    option->mutable_value()->set_boolean(false);
  }
  duckdb::vector<ExprPtr> args;
  args.push_back(Constant(FileList(files)));
  const std::string& format = scan.format();
  if (format == "parquet") {
    return CallTableFunction("read_parquet", std::move(args), options);
  }
  if (format == "csv") return CallTableFunction("read_csv", std::move(args), options);
  if (format == "json") return CallTableFunction("read_json", std::move(args), options);
  Fail("files of format '" + format + "'");
}

QueryPtr NodeCompiler::CompileEmpty(const plan::Node& node) {
  auto select = make_uniq<duckdb::SelectNode>();
  select->from_table = make_uniq<duckdb::EmptyTableRef>();
  for (const auto& type : node.types()) select->select_list.push_back(Null(type));
  select->where_clause = Constant(duckdb::Value::BOOLEAN(false));
  NameColumns(select.get());
  return select;
}

QueryPtr NodeCompiler::CompileValues(const plan::Node& node) {
  auto list = make_uniq<duckdb::ExpressionListRef>();
  for (const auto& row : node.values().rows()) {
    if (row.cells_size() != node.types_size()) Fail("a row of values of another width");
    duckdb::vector<ExprPtr> cells;
    for (int i = 0; i < row.cells_size(); ++i) {
      cells.push_back(
          CastTo(CompileExpression(row.cells(i), NoColumns()), node.types(i)));
    }
    list->values.push_back(std::move(cells));
  }
  auto select = make_uniq<duckdb::SelectNode>();
  for (int i = 0; i < node.types_size(); ++i) {
    list->expected_names.push_back(ColumnName(i));
    select->select_list.push_back(Column("t", i));
  }
  list->alias = "t";
  select->from_table = std::move(list);
  NameColumns(select.get());
  return select;
}

QueryPtr NodeCompiler::CompileInput(const plan::Node& node) {
  auto select = make_uniq<duckdb::SelectNode>();
  if (sources_.register_input) {
    const uint64_t id = OrThrow(sources_.register_input(node));
    duckdb::vector<ExprPtr> args;
    args.push_back(Constant(duckdb::Value::UBIGINT(id)));
    select->from_table = CallTableFunction(kInputFunction, std::move(args), {});
  } else {
    auto table = make_uniq<duckdb::BaseTableRef>();
    table->table_name = node.has_exchange_read()
                            ? "exchange_" + std::to_string(node.exchange_read().input())
                            : node.local_table().name();
    table->alias = "f";
    select->from_table = std::move(table);
  }
  for (int i = 0; i < node.types_size(); ++i) {
    auto column = Column("f", i);
    select->select_list.push_back(node.has_local_table()
                                      ? CastTo(std::move(column), node.types(i))
                                      : std::move(column));
  }
  NameColumns(select.get());
  return select;
}

QueryPtr NodeCompiler::ScanFiles(const plan::Node& node,
                                 const std::vector<std::string>& files) {
  const auto& scan = node.scan();
  if (scan.columns_size() != node.types_size()) {
    Fail("a scan's columns do not match its types");
  }
  // With union_by_name a column may be in none of this task's files.
  std::unordered_set<std::string> known;
  const bool may_lack = sources_.file_columns && IsTrue(scan, "union_by_name");
  if (may_lack) {
    for (auto& name : OrThrow(sources_.file_columns(scan, files))) {
      known.insert(duckdb::StringUtil::Lower(name));
    }
  }
  auto select = make_uniq<duckdb::SelectNode>();
  select->from_table = ReadFiles(scan, files);
  for (int i = 0; i < scan.columns_size(); ++i) {
    const auto& column = scan.columns(i);
    const bool lacks = may_lack && !column.name().empty() &&
                       known.count(duckdb::StringUtil::Lower(column.name())) == 0;
    select->select_list.push_back(lacks ? Null(node.types(i))
                                        : ScanColumnValue(column, node.types(i)));
  }
  NameColumns(select.get());
  return select;
}

QueryPtr NodeCompiler::ScanRange(const plan::Node& node, const plan::FileSplit& split) {
  if (node.scan().format() != "parquet") Fail("a range of rows of a file without rows");
  auto query = ScanFiles(node, {split.path()});
  auto bound = [](uint64_t row) {
    return Constant(duckdb::Value::BIGINT(static_cast<int64_t>(row)));
  };
  query->Cast<duckdb::SelectNode>().where_clause = make_uniq<duckdb::BetweenExpression>(
      make_uniq<duckdb::ColumnRefExpression>(kRowNumberColumn, "f"),
      bound(split.first_row()), bound(split.first_row() + split.row_count() - 1));
  return query;
}

QueryPtr NodeCompiler::CompileScan(const plan::Node& node) {
  const auto& scan = node.scan();
  const google::protobuf::RepeatedPtrField<plan::FileSplit>* splits = &scan.files();
  // One with files of its own is read whole by every task.
  if (sources_.scans && scan.files_size() == 0) {
    if (scan.scan_index() >= sources_.scans->size()) return CompileEmpty(node);
    splits = &(*sources_.scans)[scan.scan_index()].splits();
  }
  std::vector<std::string> files;
  std::vector<plan::FileSplit> ranges;
  for (const auto& split : *splits) {
    if (sources_.scans) {
      const auto unchanged = CheckUnchanged(split);
      if (!unchanged.ok()) throw CompileError(unchanged);
    }
    if (IsWholeFile(split)) {
      files.push_back(split.path());
    } else {
      ranges.push_back(split);
    }
  }
  std::vector<QueryPtr> parts;
  if (!files.empty()) parts.push_back(ScanFiles(node, files));
  for (const auto& range : MergeRanges(std::move(ranges))) {
    parts.push_back(ScanRange(node, range));
  }
  if (parts.empty()) return CompileEmpty(node);
  if (parts.size() == 1) return std::move(parts[0]);
  auto all = make_uniq<duckdb::SetOperationNode>();
  all->setop_type = duckdb::SetOperationType::UNION;
  all->setop_all = true;
  for (auto& part : parts) all->children.push_back(std::move(part));
  return all;
}

// With an input: FROM input t CROSS JOIN f(t.c0, ...), called for each row.
QueryPtr NodeCompiler::CompileTableFunction(const plan::Node& node) {
  const auto& call = node.table_function();
  auto select = make_uniq<duckdb::SelectNode>();
  duckdb::vector<ExprPtr> args;
  if (node.inputs_size() > 0) {
    for (uint32_t i = 0; i < call.argument_columns(); ++i) args.push_back(Column("t", i));
  } else {
    for (const auto& arg : call.args()) {
      args.push_back(CastTo(Constant(OrThrow(ToDuckDbValue(arg))), arg.type()));
    }
  }
  auto function = CallTableFunction(call.name(), std::move(args), call.named_args());
  for (uint32_t i = 0; i < call.function_columns(); ++i) {
    function->column_name_alias.push_back(ColumnName(i));
  }
  if (call.with_ordinality()) {
    function->with_ordinality = duckdb::OrdinalityType::WITH_ORDINALITY;
  }
  if (node.inputs_size() > 0) {
    auto join = make_uniq<duckdb::JoinRef>(duckdb::JoinRefType::CROSS);
    join->left = Reference(node.inputs(0), "t");
    join->right = std::move(function);
    select->from_table = std::move(join);
  } else {
    select->from_table = std::move(function);
  }
  int position = 0;
  for (uint32_t column : call.columns()) {
    if (position >= node.types_size()) Fail("a table function's columns");
    const auto& type = node.types(position++);
    select->select_list.push_back(column == plan::kRowMarker
                                      ? Constant(duckdb::Value::BOOLEAN(true))
                                      : CastTo(Column("f", column), type));
  }
  for (uint32_t column : call.passthrough()) {
    select->select_list.push_back(Column("t", column));
  }
  if (select->select_list.empty()) Fail("a table function without output");
  NameColumns(select.get());
  return select;
}

}  // namespace ballista::engine::compile
