// Statements that change the catalog or a local table: part of Session.
#include "ballista/base/status.h"
#include "ballista/plan/plan.h"
#include "ballista/sql/error_conversion.h"
#include "ballista/sql/names_internal.h"
#include "ballista/sql/result_conversion.h"
#include "ballista/sql/session_internal.h"
#include "ballista/sql/value_conversion.h"

namespace ballista::sql {
namespace {

using duckdb::CatalogType;

// By the extension, as COPY takes it: csv where nothing else is known.
std::string FormatOfPath(const std::string& path) {
  const auto lower = duckdb::StringUtil::Lower(path);
  const auto ends_with = [&](const char* end) {
    return duckdb::StringUtil::EndsWith(lower, end);
  };
  if (ends_with(".parquet") || ends_with(".pq")) return "parquet";
  if (ends_with(".json") || ends_with(".ndjson") || ends_with(".jsonl")) return "json";
  return "csv";
}

// SELECT CAST(c0 AS type), ... over rows that came back from the cluster.
arrow::Result<duckdb::unique_ptr<duckdb::SelectStatement>> SelectFromRows(
    const plan::Plan& plan, ArrowSource& rows) {
  auto node = duckdb::make_uniq<duckdb::SelectNode>();
  node->from_table = rows.MakeTableRef();
  for (int i = 0; i < plan.root().types_size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(auto type, FromPlanType(plan.root().types(i)));
    duckdb::unique_ptr<duckdb::ParsedExpression> column =
        duckdb::make_uniq<duckdb::ColumnRefExpression>("c" + std::to_string(i));
    if (type.id() != duckdb::LogicalTypeId::SQLNULL) {
      column = duckdb::make_uniq<duckdb::CastExpression>(type, std::move(column));
    }
    column->SetAlias(plan.names(i));
    node->select_list.push_back(std::move(column));
  }
  auto select = duckdb::make_uniq<duckdb::SelectStatement>();
  select->node = std::move(node);
  return select;
}

arrow::Result<std::shared_ptr<arrow::Table>> RunStatement(
    duckdb::Connection& connection, duckdb::unique_ptr<duckdb::SQLStatement> statement) {
  return Guarded([&]() -> arrow::Result<std::shared_ptr<arrow::Table>> {
    auto result = connection.Query(std::move(statement));
    return ToArrowTable(*connection.context, *result);
  });
}

}  // namespace

arrow::Result<Statement> Session::CompileExternalTable(const ExternalTable& table) {
  if (engine_->guard != nullptr) {
    ARROW_RETURN_NOT_OK(engine_->guard->Check(table.location));
  }
  ARROW_ASSIGN_OR_RAISE(auto sql, ExternalTableView(table));
  auto parsed = Parse(sql);
  if (!parsed.ok() || parsed->size() != 1 ||
      parsed->front()->type != duckdb::StatementType::CREATE_STATEMENT) {
    return UserErrorStatus(UserError::SYNTAX,
                           "CREATE EXTERNAL TABLE " + table.name +
                               ": a column's type or an option cannot be read" +
                               (parsed.ok() ? "" : ": " + parsed.status().message()));
  }
  auto& info = *parsed->front()->Cast<duckdb::CreateStatement>().info;
  info.tags[kExternalTag] = table.format;
  auto created = RunHere(std::move(parsed->front()), {}, false, "CREATE EXTERNAL TABLE");
  if (created.ok()) return created;
  // Positions are those of the view's text.
  const auto* detail = GetErrorDetail(created.status());
  const auto kind =
      detail && detail->has_user() ? detail->user().kind() : UserError::OTHER;
  return UserErrorStatus(kind, created.status().message());
}

arrow::Result<Statement> Session::CompileCreate(duckdb::CreateStatement& statement,
                                                const ParameterValues& parameters) {
  auto& info = *statement.info;
  switch (info.type) {
    case CatalogType::TABLE_ENTRY:
      if (info.Cast<duckdb::CreateTableInfo>().query) {
        return CompileCreateTableAs(statement, parameters);
      }
      return RunHere(statement.Copy(), parameters, false, "CREATE TABLE");
    case CatalogType::SECRET_ENTRY:
      return UserErrorStatus(UserError::NOT_SUPPORTED,
                             "CREATE SECRET is not supported: secrets of the cluster are "
                             "part of the executors' configuration");
    case CatalogType::TYPE_ENTRY:
      if (info.Cast<duckdb::CreateTypeInfo>().query) {
        ARROW_RETURN_NOT_OK(RefuseFileScans(statement, parameters));
      }
      return RunHere(statement.Copy(), parameters, false, "CREATE TYPE");
    default:
      return RunHere(statement.Copy(), parameters, false,
                     "CREATE " + duckdb::CatalogTypeToString(info.type));
  }
}

arrow::Result<Statement> Session::CompileCreateTableAs(
    duckdb::CreateStatement& statement, const ParameterValues& parameters) {
  auto& info = statement.info->Cast<duckdb::CreateTableInfo>();
  if (info.on_conflict != duckdb::OnCreateConflict::REPLACE_ON_CONFLICT) {
    bool exists = false;
    connection_.context->RunFunctionInTransaction([&] {
      exists = duckdb::Catalog::GetEntry(
                   *connection_.context, info.catalog, info.schema,
                   duckdb::EntryLookupInfo(CatalogType::TABLE_ENTRY, info.table),
                   duckdb::OnEntryNotFound::RETURN_NULL) != nullptr;
    });
    // CREATE without the query, for DuckDB's answer: its error, or nothing to do.
    if (exists) {
      const bool ignore =
          info.on_conflict == duckdb::OnCreateConflict::IGNORE_ON_CONFLICT;
      ARROW_ASSIGN_OR_RAISE(
          auto create,
          Parse(std::string("CREATE ") + (info.temporary ? "TEMP " : "") + "TABLE " +
                (ignore ? "IF NOT EXISTS " : "") +
                QualifiedName(info.catalog, info.schema, info.table) + " (a INTEGER)"));
      return RunHere(std::move(create.at(0)), {}, false, "CREATE TABLE AS");
    }
  }
  ARROW_ASSIGN_OR_RAISE(auto query, planner_.PlanSelect(*info.query, parameters));
  if (!query.planner_only.empty()) {
    return RunHere(statement.Copy(), parameters, false, "CREATE TABLE AS");
  }
  Statement result;
  result.kind = Statement::Kind::kInsertRows;
  result.is_query = false;
  result.type = "CREATE TABLE AS";
  result.plan = std::move(query.plan);
  result.schema = CountTable(0)->schema();
  auto self = shared_from_this();
  auto target = std::shared_ptr<duckdb::SQLStatement>(statement.Copy().release());
  auto plan = std::make_shared<plan::Plan>();  // names and types only
  *plan->mutable_names() = result.plan.names();
  *plan->mutable_root()->mutable_types() = result.plan.root().types();
  result.consume = [self, target, plan](const std::shared_ptr<arrow::Table>& rows)
      -> arrow::Result<std::shared_ptr<arrow::Table>> {
    std::lock_guard session(self->mutex_);
    std::unique_lock engine(self->engine_->mutex);
    ++self->engine_->changes;
    ArrowSource source(rows);
    auto create = target->Copy();
    auto& create_info =
        create->Cast<duckdb::CreateStatement>().info->Cast<duckdb::CreateTableInfo>();
    ARROW_ASSIGN_OR_RAISE(create_info.query, SelectFromRows(*plan, source));
    return RunStatement(self->connection_, std::move(create));
  };
  return result;
}

arrow::Result<Statement> Session::CompileInsert(duckdb::InsertStatement& statement,
                                                const ParameterValues& parameters) {
  const bool returns_rows = !statement.returning_list.empty();
  const auto here = [&] {
    return RunHere(statement.Copy(), parameters, returns_rows, "INSERT");
  };
  if (!statement.select_statement) return here();  // DEFAULT VALUES
  if (statement.select_statement->node->type == duckdb::QueryNodeType::SELECT_NODE) {
    const auto& node = statement.select_statement->node->Cast<duckdb::SelectNode>();
    if (node.from_table->type == duckdb::TableReferenceType::EXPRESSION_LIST) {
      return here();  // VALUES; may hold DEFAULT, which only INSERT understands
    }
  }
  ARROW_ASSIGN_OR_RAISE(auto query,
                        planner_.PlanSelect(*statement.select_statement, parameters));
  if (!query.planner_only.empty() || !query.reads_files) return here();
  Statement result;
  result.kind = Statement::Kind::kInsertRows;
  result.is_query = returns_rows;
  result.type = "INSERT";
  result.plan = std::move(query.plan);
  result.schema = CountTable(0)->schema();
  auto self = shared_from_this();
  auto target = std::shared_ptr<duckdb::SQLStatement>(statement.Copy().release());
  auto plan = std::make_shared<plan::Plan>();  // names and types only
  *plan->mutable_names() = result.plan.names();
  *plan->mutable_root()->mutable_types() = result.plan.root().types();
  if (returns_rows) {
    return UserErrorStatus(UserError::NOT_SUPPORTED,
                           "INSERT ... SELECT over files cannot have RETURNING");
  }
  result.consume = [self, target, plan](const std::shared_ptr<arrow::Table>& rows)
      -> arrow::Result<std::shared_ptr<arrow::Table>> {
    std::lock_guard session(self->mutex_);
    std::unique_lock engine(self->engine_->mutex);
    ++self->engine_->changes;
    ArrowSource source(rows);
    auto insert = target->Copy();
    ARROW_ASSIGN_OR_RAISE(insert->Cast<duckdb::InsertStatement>().select_statement,
                          SelectFromRows(*plan, source));
    return RunStatement(self->connection_, std::move(insert));
  };
  return result;
}

// COPY table FROM 'file' (...): an INSERT of what the reader of the format gives.
arrow::Result<Statement> Session::CompileCopyFrom(
    const duckdb::CopyStatement& statement) {
  const auto& info = *statement.info;
  auto format = duckdb::StringUtil::Lower(info.format);
  if (format.empty()) format = FormatOfPath(info.file_path);
  if (format != "csv" && format != "parquet" && format != "json") {
    return UserErrorStatus(UserError::NOT_SUPPORTED,
                           "COPY ... FROM reads csv, parquet and json, not " + format);
  }
  std::string columns;
  for (const auto& column : info.select_list) {
    columns += (columns.empty() ? "" : ", ") + Quoted(column);
  }
  std::string arguments = duckdb::Value(info.file_path).ToSQLString();
  if (info.file_path_expression) arguments = info.file_path_expression->ToString();
  for (const auto& [name, values] : info.options) {
    if (duckdb::StringUtil::Lower(name) == "format") continue;
    const auto value = values.empty() ? duckdb::Value::BOOLEAN(true)
                       : values.size() == 1
                           ? values[0]
                           : duckdb::Value::LIST(values[0].type(), values);
    arguments += ", " + name + " := " + value.ToSQLString();
  }
  for (const auto& [name, expression] : info.parsed_options) {
    if (duckdb::StringUtil::Lower(name) == "format") continue;
    arguments += ", " + name + " := " + (expression ? expression->ToString() : "true");
  }
  const auto target = QualifiedName(info.catalog, info.schema, info.table);
  const auto sql = "INSERT INTO " + target +
                   (columns.empty() ? "" : " (" + columns + ")") +
                   " SELECT * FROM read_" + format + "(" + arguments + ")";
  ARROW_ASSIGN_OR_RAISE(auto parsed, Parse(sql));
  ARROW_ASSIGN_OR_RAISE(auto result, CompileParsed(std::move(parsed.at(0)), {}));
  result.type = "COPY FROM";
  return result;
}

bool Session::IsExternalTable(const duckdb::DropInfo& info) {
  bool external = false;
  connection_.context->RunFunctionInTransaction([&] {
    const auto entry = duckdb::Catalog::GetEntry(
        *connection_.context, info.catalog, info.schema,
        duckdb::EntryLookupInfo(CatalogType::VIEW_ENTRY, info.name),
        duckdb::OnEntryNotFound::RETURN_NULL);
    external = entry && entry->type == CatalogType::VIEW_ENTRY &&
               entry->tags.find(kExternalTag) != entry->tags.end();
  });
  return external;
}

arrow::Result<Statement> Session::CompileDrop(duckdb::DropStatement& statement) {
  auto copy = statement.Copy();
  auto& info = *copy->Cast<duckdb::DropStatement>().info;
  const auto type = "DROP " + duckdb::CatalogTypeToString(info.type);
  if (info.type == CatalogType::PREPARED_STATEMENT) {
    if (prepared_.erase(duckdb::StringUtil::Lower(info.name)) == 0) {
      return UserErrorStatus(UserError::CATALOG,
                             "there is no prepared statement " + info.name);
    }
    return RunHere(std::move(Parse("SELECT 0 AS \"Count\" WHERE false")->at(0)), {},
                   false, "DEALLOCATE");
  }
  if (info.type == CatalogType::SECRET_ENTRY) {
    return UserErrorStatus(UserError::NOT_SUPPORTED, "DROP SECRET is not supported");
  }
  if (info.type == CatalogType::TABLE_ENTRY || info.type == CatalogType::VIEW_ENTRY) {
    const bool external = IsExternalTable(info);
    if (external && info.type == CatalogType::VIEW_ENTRY) {
      return UserErrorStatus(UserError::CATALOG, info.name +
                                                     " is an external table; drop it "
                                                     "with DROP TABLE " +
                                                     info.name);
    }
    if (external) info.type = CatalogType::VIEW_ENTRY;
  }
  return RunHere(std::move(copy), {}, false, type);
}

arrow::Status Session::RefuseFileScans(const duckdb::SQLStatement& statement,
                                       const ParameterValues& parameters) {
  return Guarded([&]() -> arrow::Status {
    PlanSources sources;
    connection_.context->RunFunctionInTransaction([&] {
      duckdb::Planner planner(*connection_.context);
      planner.parameter_data = parameters;
      planner.CreatePlan(statement.Copy());
      if (planner.plan) sources = FindSources(*planner.plan);
    });
    if (!sources.files) return arrow::Status::OK();
    return UserErrorStatus(UserError::NOT_SUPPORTED,
                           "a change of a local table cannot read files itself; put the "
                           "rows into a local table with CREATE TABLE ... AS first");
  });
}

// UPDATE, DELETE, MERGE, ALTER, ...: of local objects, done in the planning instance.
arrow::Result<Statement> Session::CompileChange(Parsed statement,
                                                const ParameterValues& parameters) {
  bool returns_rows = false;
  if (statement->type == duckdb::StatementType::UPDATE_STATEMENT) {
    returns_rows = !statement->Cast<duckdb::UpdateStatement>().returning_list.empty();
  } else if (statement->type == duckdb::StatementType::DELETE_STATEMENT) {
    returns_rows = !statement->Cast<duckdb::DeleteStatement>().returning_list.empty();
  }
  ARROW_RETURN_NOT_OK(RefuseFileScans(*statement, parameters));
  const auto type = duckdb::StatementTypeToString(statement->type);
  return RunHere(std::move(statement), parameters, returns_rows, type);
}

}  // namespace ballista::sql
