#include "ballista/sql/query_planner.h"

#include <filesystem>
#include <set>

#include "ballista/base/log.h"
#include "ballista/base/status.h"
#include "ballista/base/version.h"
#include "ballista/plan/plan.h"
#include "ballista/sql/error_conversion.h"
#include "ballista/sql/plan_translator.h"
#include "ballista/sql/result_conversion.h"
#include "ballista/sql/scan_options.h"
#include "ballista/sql/unsupported_internal.h"
#include "ballista/sql/value_conversion.h"

namespace ballista::sql {

// What is known once the transaction of planning is over.
struct QueryPlanner::Draft {
  std::vector<std::string> names;
  std::vector<duckdb::LogicalType> types;
  PlanSources sources;
  ScanNames scan_names;
  Translation translation;
  std::string unsupported;   // why the translator gave up
  std::string planner_only;  // why only the planning instance can run it
  std::optional<StatementText> text;
  std::optional<plan::Node> write;  // without input
};

bool IsFileFunction(const std::string& function) {
  return !FileFormatOf(function).empty() || function == "read_text" ||
         function == "read_blob" || function == "glob" || function == "sniff_csv" ||
         function.rfind("parquet_", 0) == 0;
}

bool RunsAnywhere(const std::string& function) {
  static const std::set<std::string> names = {
      "range",     "generate_series", "unnest",         "repeat",           "repeat_row",
      "json_each", "json_tree",       "test_all_types", "test_vector_types"};
  return names.count(function) > 0 || IsFileFunction(function);
}

PlanSources FindSources(duckdb::LogicalOperator& plan) {
  PlanSources sources;
  if (plan.type == duckdb::LogicalOperatorType::LOGICAL_GET) {
    const auto& get = plan.Cast<duckdb::LogicalGet>();
    if (IsFileFunction(get.function.name)) {
      sources.files = true;
    } else if (!get.GetTable() && !RunsAnywhere(get.function.name)) {
      sources.catalog = true;
    }
  }
  for (const auto& child : plan.children) {
    const auto below = FindSources(*child);
    sources.files = sources.files || below.files;
    sources.catalog = sources.catalog || below.catalog;
  }
  return sources;
}

std::vector<plan::Setting> ExecutionSettings(duckdb::ClientContext& context,
                                             bool whole_statement) {
  struct Known {
    const char* name;
    const char* usual;
    bool resolved;  // in a plan: only a whole statement as text depends on it
  };
  // The zone of the machine may differ, so these always go along; the others only where
  // the session has changed them.
  static constexpr Known kSettings[] = {
      {"TimeZone", "", false},
      {"Calendar", "", false},
      {"ieee_floating_point_ops", "true", false},
      {"integer_division", "false", true},
      {"default_order", "ASCENDING", true},
      {"default_null_order", "NULLS_LAST", true},
      {"default_collation", "", true},
      {"scalar_subquery_error_on_multiple_rows", "true", true}};
  std::vector<plan::Setting> settings;
  for (const auto& known : kSettings) {
    if (known.resolved && !whole_statement) continue;
    duckdb::Value value;
    if (!context.TryGetCurrentSetting(known.name, value) || value.IsNull()) continue;
    const auto text = value.ToString();
    if (text == known.usual || (text == "ASC" && known.resolved)) continue;
    plan::Setting setting;
    setting.set_name(known.name);
    setting.set_value(text);
    settings.push_back(std::move(setting));
  }
  return settings;
}

namespace {

std::string FileExtension(const std::string& path) {
  return std::filesystem::path(path).extension().string();
}

plan::Node MakeWrite(const duckdb::LogicalCopyToFile& copy) {
  plan::Node node;
  const auto text = plan::MakeType(plan::Type::VARCHAR);
  *node.add_types() = plan::MakeType(plan::Type::BIGINT);
  *node.add_types() = plan::ListType(text);
  *node.add_types() = plan::ListType(text);
  node.set_estimated_rows(1);
  auto* write = node.mutable_write();
  const auto& info = *copy.copy_info;
  std::string path = copy.file_path;
  if (path.find("://") == std::string::npos) {
    path = std::filesystem::absolute(path).lexically_normal().string();
  }
  write->set_path(path);
  write->set_format(duckdb::StringUtil::Lower(info.format));
  const auto& format = write->format();
  if (format != "parquet" && format != "csv" && format != "json") {
    throw Unsupported("COPY ... TO in the format " + format);
  }
  if (copy.return_type != duckdb::CopyFunctionReturnType::CHANGED_ROWS) {
    throw Unsupported("COPY ... TO with RETURN_FILES or RETURN_STATS");
  }
  bool many_files = copy.per_thread_output || copy.rotate;
  static const std::set<std::string> refused = {"append", "preserve_order"};
  static const std::set<std::string> consumed = {"format", "partition_by",
                                                 "per_thread_output", "use_tmp_file"};
  for (const auto& [name, values] : info.options) {
    const auto key = duckdb::StringUtil::Lower(name);
    if (refused.count(key)) {
      throw Unsupported("the option " + key + " of COPY ... TO");
    }
    if (consumed.count(key)) continue;
    auto* option = write->add_options();
    option->set_name(key);
    *option->mutable_value() =
        values.empty() ? ToPlanValue(duckdb::Value::BOOLEAN(true))
                       : ToPlanValue(values.size() == 1
                                         ? values[0]
                                         : duckdb::Value::LIST(values[0].type(), values));
  }
  for (const auto column : copy.partition_columns) {
    write->add_partition_by(static_cast<uint32_t>(column));
  }
  many_files = many_files || copy.partition_output;
  write->set_single_file(!many_files && !FileExtension(copy.file_path).empty());
  return node;
}

}  // namespace

// Within a transaction of the connection. What DuckDB throws passes through.
void QueryPlanner::PlanInTransaction(duckdb::unique_ptr<duckdb::SQLStatement> statement,
                                     const ParameterValues& parameters, Draft* draft) {
  auto& context = *connection_.context;
  draft->scan_names = FindScanNames(context, *statement);
  duckdb::Planner planner(context);
  planner.parameter_data = parameters;
  planner.CreatePlan(std::move(statement));
  auto root = std::move(planner.plan);
  draft->names = planner.names;
  draft->types = planner.types;
  if (!planner.properties.bound_all_parameters) {
    throw duckdb::BinderException(
        "the type of a parameter cannot be told from the statement; cast it");
  }
  duckdb::LogicalCopyToFile* copy = nullptr;
  if (root->type == duckdb::LogicalOperatorType::LOGICAL_COPY_TO_FILE) {
    copy = &root->Cast<duckdb::LogicalCopyToFile>();
    draft->write = MakeWrite(*copy);
    for (const auto& name : copy->names) {
      draft->write->mutable_write()->add_names(name);
    }
    draft->types.assign(copy->expected_types.begin(), copy->expected_types.end());
  }
  duckdb::Optimizer optimizer(*planner.binder, context);
  root = optimizer.Optimize(std::move(root));
  root->ResolveOperatorTypes();
  root->EstimateCardinality(context);
  auto& query = copy ? *root->children.at(0) : *root;
  draft->sources = FindSources(query);
  if (draft->sources.catalog && !draft->sources.files && !copy) {
    draft->planner_only = "it reads the catalog of the scheduler";
    return;
  }
  TranslateOrExplain(query, draft);
}

void QueryPlanner::TranslateOrExplain(duckdb::LogicalOperator& root, Draft* draft) {
  try {
    draft->translation =
        PlanTranslator(*connection_.context, files_, draft->scan_names).Translate(root);
  } catch (const Unsupported& reason) {
    draft->unsupported = reason.what();
  } catch (const PlannerOnly& reason) {
    draft->planner_only = reason.what();
  }
}

arrow::Result<plan::LocalTable> QueryPlanner::ReadLocalTable(const std::string& sql,
                                                             const std::string& name) {
  auto result = connection_.Query(sql);
  ARROW_ASSIGN_OR_RAISE(auto table, ToArrowTable(*connection_.context, *result));
  plan::LocalTable local;
  ARROW_ASSIGN_OR_RAISE(*local.mutable_arrow_ipc(), ToIpc(*table));
  if (local.arrow_ipc().size() > kMaxLocalTableBytes) {
    return UserErrorStatus(
        UserError::NOT_SUPPORTED,
        "the local table " + name + " is too large to be sent along with a query (" +
            std::to_string(local.arrow_ipc().size()) + " of at most " +
            std::to_string(kMaxLocalTableBytes) +
            " bytes); write it to files with COPY ... TO and read those");
  }
  local.set_name(name);
  local.set_rows(static_cast<uint64_t>(table->num_rows()));
  return local;
}

arrow::Result<plan::Node> QueryPlanner::MakeStatementNode(const Draft& draft) {
  plan::Node node;
  auto* statement = node.mutable_statement();
  statement->set_sql(draft.text->sql);
  statement->set_reason(draft.unsupported);
  for (const auto& sql : draft.text->prelude) statement->add_prelude(sql);
  for (const auto& [name, sql] : draft.text->tables) {
    auto* table = statement->add_tables();
    table->set_name(name);
    ARROW_ASSIGN_OR_RAISE(*table->mutable_table(), ReadLocalTable(sql, name));
  }
  for (const auto& type : draft.types) {
    try {
      *node.add_types() = ToPlanType(type);
    } catch (const Unsupported& reason) {
      return UserErrorStatus(UserError::NOT_SUPPORTED,
                             std::string(reason.what()) +
                                 "; cast the column to a plain type, such as VARCHAR");
    }
  }
  node.set_id(1);
  node.set_estimated_rows(-1);
  return node;
}

arrow::Result<PlannedQuery> QueryPlanner::Finish(Draft draft) {
  PlannedQuery query;
  query.reads_files = draft.sources.files;
  if (!draft.planner_only.empty()) {
    if (draft.sources.files || draft.write) {
      return UserErrorStatus(
          UserError::NOT_SUPPORTED,
          "a query over files cannot be combined with this: " + draft.planner_only);
    }
    query.planner_only = draft.planner_only;
    return query;
  }
  auto& root = *query.plan.mutable_root();
  if (!draft.unsupported.empty()) {
    if (draft.sources.catalog) {
      return UserErrorStatus(UserError::NOT_SUPPORTED,
                             "the catalog cannot be read in a statement that runs as "
                             "one task, which this does because of " +
                                 draft.unsupported);
    }
    ARROW_ASSIGN_OR_RAISE(root, MakeStatementNode(draft));
  } else {
    root = std::move(draft.translation.root);
    arrow::Status filled;
    plan::VisitNodes(&root, [&](plan::Node* node) {
      if (!filled.ok() || node->kind_case() != plan::Node::kLocalTable) return;
      const auto& table =
          draft.translation.tables.at(std::stoul(node->local_table().name()));
      auto rows = ReadLocalTable(table.sql, table.name);
      filled = rows.status();
      if (filled.ok()) *node->mutable_local_table() = std::move(*rows);
    });
    ARROW_RETURN_NOT_OK(filled);
  }
  if (draft.write) {
    auto write = std::move(*draft.write);
    *write.add_inputs() = std::move(root);
    root = std::move(write);
    draft.names = {"rows", "staged", "final"};
    uint32_t id = 0;
    plan::VisitNodes(&root, [&](plan::Node* node) { node->set_id(++id); });
  }
  query.plan.set_version(kPlanVersion);
  for (const auto& name : draft.names) query.plan.add_names(name);
  for (auto& setting :
       ExecutionSettings(*connection_.context, !draft.unsupported.empty())) {
    *query.plan.add_settings() = std::move(setting);
  }
  ARROW_RETURN_NOT_OK(plan::Validate(query.plan));
  return query;
}

arrow::Result<PlannedQuery> QueryPlanner::PlanSelect(
    const duckdb::SelectStatement& statement, const ParameterValues& parameters) {
  return Guarded([&]() -> arrow::Result<PlannedQuery> {
    Draft draft;
    connection_.context->RunFunctionInTransaction([&] {
      PlanInTransaction(statement.Copy(), parameters, &draft);
      if (!draft.unsupported.empty()) {
        draft.text = MakeStatementText(*connection_.context, statement, parameters);
      }
    });
    return Finish(std::move(draft));
  });
}

arrow::Result<PlannedQuery> QueryPlanner::PlanCopy(const duckdb::CopyStatement& statement,
                                                   const ParameterValues& parameters) {
  return Guarded([&]() -> arrow::Result<PlannedQuery> {
    Draft draft;
    connection_.context->RunFunctionInTransaction([&] {
      PlanInTransaction(statement.Copy(), parameters, &draft);
      if (draft.unsupported.empty()) return;
      const auto& info = *statement.info;
      duckdb::SelectStatement select;
      if (info.select_statement) {
        select.node = info.select_statement->Copy();
      } else {
        auto node = duckdb::make_uniq<duckdb::SelectNode>();
        node->select_list.push_back(duckdb::make_uniq<duckdb::StarExpression>());
        auto table = duckdb::make_uniq<duckdb::BaseTableRef>();
        table->catalog_name = info.catalog;
        table->schema_name = info.schema;
        table->table_name = info.table;
        node->from_table = std::move(table);
        select.node = std::move(node);
      }
      draft.text = MakeStatementText(*connection_.context, select, parameters);
    });
    return Finish(std::move(draft));
  });
}

}  // namespace ballista::sql
