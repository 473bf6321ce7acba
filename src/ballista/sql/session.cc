#include "ballista/base/status.h"
#include "ballista/plan/plan.h"
#include "ballista/sql/copy_commit.h"
#include "ballista/sql/error_conversion.h"
#include "ballista/sql/folder_files.h"
#include "ballista/sql/lexer_internal.h"
#include "ballista/sql/result_conversion.h"
#include "ballista/sql/session_internal.h"
#include "ballista/sql/unsupported_internal.h"
#include "ballista/sql/value_conversion.h"

namespace ballista::sql {

using duckdb::StatementType;

namespace {

arrow::Status NotSupported(const std::string& sentence) {
  return UserErrorStatus(UserError::NOT_SUPPORTED, sentence);
}

// The name in `SHOW a.b`; empty for any other statement, and for SHOW TABLES and the
// like.
std::string ShownName(const std::string& sql) {
  const auto tokens = Tokenize(sql);
  if (!tokens[0].Is("SHOW") || tokens.size() < 3) return "";
  std::string name;
  size_t at = 1;
  for (; tokens[at].IsName(); ++at) {
    name += tokens[at].text;
    if (!tokens[at + 1].Is(".")) {
      ++at;
      break;
    }
    name += ".";
    ++at;
  }
  if (tokens[at].Is(";")) ++at;
  return tokens[at].kind == Token::Kind::kEnd ? name : "";
}

std::string Refusal(StatementType type) {
  switch (type) {
    case StatementType::TRANSACTION_STATEMENT:
      return "transactions are not supported: each statement commits by itself";
    case StatementType::ATTACH_STATEMENT:
    case StatementType::DETACH_STATEMENT:
    case StatementType::COPY_DATABASE_STATEMENT:
      return "databases cannot be attached to the cluster; read files by CREATE EXTERNAL "
             "TABLE or by path";
    case StatementType::LOAD_STATEMENT:
    case StatementType::UPDATE_EXTENSIONS_STATEMENT:
    case StatementType::EXTENSION_STATEMENT:
      return "extensions cannot be installed or loaded by a client";
    case StatementType::EXPORT_STATEMENT:
      return "EXPORT and IMPORT are not supported; use COPY (query) TO 'folder'";
    case StatementType::VACUUM_STATEMENT:
    case StatementType::ANALYZE_STATEMENT:
      return "VACUUM and ANALYZE are not supported: there is nothing for them to do";
    case StatementType::PRAGMA_STATEMENT:
      return "this PRAGMA would change the scheduler's process";
    default:
      return "statements of the kind " + duckdb::StatementTypeToString(type) +
             " are not supported";
  }
}

}  // namespace

bool ShowsCatalog(const duckdb::SelectStatement& statement) {
  if (statement.node->type != duckdb::QueryNodeType::SELECT_NODE) return false;
  const auto& from = statement.node->Cast<duckdb::SelectNode>().from_table;
  return from && from->type == duckdb::TableReferenceType::SHOW_REF &&
         from->Cast<duckdb::ShowRef>().show_type != duckdb::ShowType::SUMMARY;
}

// ---------------------------------------------------------------------- locking

Session::Guard::Guard(Session& session, bool alone)
    : session_(session), lock_(session.mutex_) {
  if (alone || !session_.instance_settings_.empty()) {
    alone_ = std::unique_lock(session_.engine_->mutex);
    // While nobody plans: a plan from before has an older number.
    if (alone) ++session_.engine_->changes;
    status_ = session_.ApplyInstanceSettings(true);
  } else {
    shared_ = std::shared_lock(session_.engine_->mutex);
  }
}

Session::Guard::~Guard() {
  if (alone_.owns_lock()) (void)session_.ApplyInstanceSettings(false);
}

Session::Session(std::shared_ptr<EngineState> engine, std::string id)
    : engine_(std::move(engine)),
      id_(std::move(id)),
      connection_(engine_->database),
      planner_(connection_, engine_->files) {}

// ---------------------------------------------------------------------- entry points

arrow::Result<Statement> Session::Compile(const std::string& sql,
                                          const std::vector<plan::Value>& parameters) {
  const auto tokens = Tokenize(sql);
  // Anything but a query may change the catalog, local tables or settings.
  const bool alone =
      !(tokens[0].Is("SELECT") || tokens[0].Is("WITH") || tokens[0].Is("FROM") ||
        tokens[0].Is("VALUES") || tokens[0].Is("EXPLAIN") || tokens[0].Is("("));
  Guard guard(*this, alone);
  ARROW_RETURN_NOT_OK(guard.status());
  return Guarded([&]() -> arrow::Result<Statement> {
    auto planned = TakePlanned(sql, parameters);
    auto statement =
        planned ? QueryOf(std::move(*planned)) : CompileText(sql, parameters);
    if (statement.ok()) HoldUploads(&*statement);
    if (SqlEngine::MayChangeCatalog(sql)) SweepUploads();
    return statement;
  });
}

arrow::Result<std::string> Session::GetOption(const std::string& name) {
  Guard guard(*this, false);
  ARROW_RETURN_NOT_OK(guard.status());
  if (SessionOptions::IsSessionOption(name)) return options_.Get(name);
  return EngineOption(name);
}

arrow::Status Session::SetOption(const std::string& name, const std::string& value) {
  Guard guard(*this, true);
  ARROW_RETURN_NOT_OK(guard.status());
  const auto value_sql = duckdb::Value(value).ToSQLString();
  if (SessionOptions::IsSessionOption(name)) {
    ARROW_RETURN_NOT_OK(options_.Set(name, value));
    NoteSetting(name, value_sql, false);
    return arrow::Status::OK();
  }
  for (const char c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_') {
      return UserErrorStatus(UserError::CATALOG, "there is no setting " + name);
    }
  }
  ARROW_RETURN_NOT_OK(SetEngineOption(name, value_sql));
  NoteSetting(name, value_sql, false);
  return arrow::Status::OK();
}

arrow::Result<SqlSession::Description> Session::Describe(
    const std::string& sql, const std::vector<plan::Value>& parameters) {
  Guard guard(*this, false);
  ARROW_RETURN_NOT_OK(guard.status());
  return Guarded([&]() -> arrow::Result<Description> {
    ARROW_ASSIGN_OR_RAISE(auto external, ParseExternalTable(sql));
    const auto shown = ShownName(sql);
    if (external || IsOption(shown)) {
      Description description;
      description.is_query = !external;
      description.schema = CountTable(0)->schema();
      if (!external) {
        ARROW_ASSIGN_OR_RAISE(const auto option, ShowOption(shown));
        description.schema = option.schema;
      }
      description.parameters = arrow::schema({});
      return description;
    }
    ARROW_ASSIGN_OR_RAISE(auto statements, Parse(sql));
    if (statements.size() != 1) return NotSupported("one statement at a time, please");
    if (parameters.empty()) {
      if (auto planned = PlanAhead(sql, *statements[0])) return std::move(*planned);
    }
    return DescribeParsed(std::move(statements[0]), parameters);
  });
}

arrow::Result<std::vector<std::vector<plan::Value>>> Session::ReadParameters(
    const std::shared_ptr<arrow::Table>& rows) {
  Guard guard(*this, false);
  ARROW_RETURN_NOT_OK(guard.status());
  using Values = std::vector<std::vector<plan::Value>>;
  return Guarded([&]() -> arrow::Result<Values> {
    ArrowSource source(rows);
    auto node = duckdb::make_uniq<duckdb::SelectNode>();
    node->select_list.push_back(duckdb::make_uniq<duckdb::StarExpression>());
    node->from_table = source.MakeTableRef();
    auto select = duckdb::make_uniq<duckdb::SelectStatement>();
    select->node = std::move(node);
    const auto result = connection_.Query(std::move(select));
    if (result->HasError()) return ToStatus(result->GetErrorObject());
    Values values;
    try {
      while (const auto chunk = result->Fetch()) {
        for (duckdb::idx_t row = 0; row < chunk->size(); ++row) {
          auto& of_row = values.emplace_back();
          for (duckdb::idx_t column = 0; column < chunk->ColumnCount(); ++column) {
            of_row.push_back(ToPlanValue(chunk->GetValue(column, row)));
          }
        }
      }
    } catch (const Unsupported& reason) {
      return NotSupported(std::string("as a parameter: ") + reason.what());
    }
    return values;
  });
}

// ---------------------------------------------------------------------- dispatch

arrow::Result<std::vector<Session::Parsed>> Session::Parse(const std::string& sql) {
  return Guarded([&]() -> arrow::Result<std::vector<Parsed>> {
    std::vector<Parsed> result;
    try {
      auto statements = connection_.ExtractStatements(sql);
      for (auto& statement : statements) {
        ARROW_RETURN_NOT_OK(ExpandFolders(statement.get(), engine_->guard.get()));
        result.push_back(std::move(statement));
      }
    } catch (const std::exception&) {
      // The parser alone tells the position of a syntax error.
      duckdb::Parser parser(connection_.context->GetParserOptions());
      parser.ParseQuery(sql);
      throw;
    }
    return result;
  });
}

arrow::Result<ParameterValues> Session::BindParameters(
    const duckdb::SQLStatement& statement, const std::vector<plan::Value>& values) {
  const auto& names = statement.named_param_map;
  if (names.size() != values.size()) {
    return UserErrorStatus(UserError::BINDER,
                           "the statement has " + std::to_string(names.size()) +
                               " parameters, but " + std::to_string(values.size()) +
                               " values are given");
  }
  ParameterValues bound;
  for (const auto& [name, position] : names) {
    if (position < 1 || position > values.size()) {
      return UserErrorStatus(UserError::BINDER,
                             "there is no value for the parameter $" + name);
    }
    ARROW_ASSIGN_OR_RAISE(auto value, FromPlanValue(values[position - 1]));
    bound[name] = duckdb::BoundParameterData(std::move(value));
  }
  return bound;
}

arrow::Result<Statement> Session::CompileText(
    const std::string& sql, const std::vector<plan::Value>& parameters) {
  ARROW_ASSIGN_OR_RAISE(auto external, ParseExternalTable(sql));
  if (external) return CompileExternalTable(*external);
  const auto shown = ShownName(sql);
  if (IsOption(shown)) return ShowOption(shown);
  ARROW_ASSIGN_OR_RAISE(auto statements, Parse(sql));
  if (statements.empty()) {
    return UserErrorStatus(UserError::SYNTAX, "there is no statement in the text");
  }
  if (statements.size() == 1) {
    ARROW_ASSIGN_OR_RAISE(auto bound, BindParameters(*statements[0], parameters));
    return CompileParsed(std::move(statements[0]), bound);
  }
  // DuckDB makes several statements of a PIVOT without an IN list.
  const auto tokens = Tokenize(sql);
  size_t semicolons = 0;
  for (size_t i = 0; i + 2 < tokens.size(); ++i) semicolons += tokens[i].Is(";");
  if (semicolons > 0) return NotSupported("one statement at a time, please");
  return CompilePivot(std::move(statements), {});
}

arrow::Result<Statement> Session::CompileParsed(Parsed statement,
                                                const ParameterValues& parameters) {
  ARROW_RETURN_NOT_OK(RefuseUploadedTable(*statement));
  switch (statement->type) {
    case StatementType::SELECT_STATEMENT:
      return CompileSelect(statement->Cast<duckdb::SelectStatement>(), parameters);
    case StatementType::EXPLAIN_STATEMENT:
      return CompileExplain(statement->Cast<duckdb::ExplainStatement>(), parameters);
    case StatementType::COPY_STATEMENT:
      return CompileCopy(statement->Cast<duckdb::CopyStatement>(), parameters);
    case StatementType::SET_STATEMENT:
      return CompileSet(statement->Cast<duckdb::SetStatement>());
    case StatementType::CREATE_STATEMENT:
      return CompileCreate(statement->Cast<duckdb::CreateStatement>(), parameters);
    case StatementType::DROP_STATEMENT:
      return CompileDrop(statement->Cast<duckdb::DropStatement>());
    case StatementType::INSERT_STATEMENT:
      return CompileInsert(statement->Cast<duckdb::InsertStatement>(), parameters);
    case StatementType::UPDATE_STATEMENT:
    case StatementType::DELETE_STATEMENT:
    case StatementType::MERGE_INTO_STATEMENT:
    case StatementType::ALTER_STATEMENT:
      return CompileChange(std::move(statement), parameters);
    case StatementType::EXECUTE_STATEMENT:
      return CompileExecute(statement->Cast<duckdb::ExecuteStatement>());
    case StatementType::PREPARE_STATEMENT: {
      auto& prepare = statement->Cast<duckdb::PrepareStatement>();
      prepared_[duckdb::StringUtil::Lower(prepare.name)] = std::move(prepare.statement);
      Statement result;
      result.is_query = false;
      result.type = "PREPARE";
      result.rows = CountTable(0)->Slice(0, 0);
      result.schema = result.rows->schema();
      return result;
    }
    case StatementType::CALL_STATEMENT: {
      auto ref = duckdb::make_uniq<duckdb::TableFunctionRef>();
      ref->function = statement->Cast<duckdb::CallStatement>().function->Copy();
      const auto& name = ref->function->Cast<duckdb::FunctionExpression>().function_name;
      if (name.rfind("duckdb_", 0) != 0 && name.rfind("pragma_", 0) != 0) {
        return NotSupported("CALL " + name +
                            "() is not supported; table functions are read by SELECT * "
                            "FROM " +
                            name + "()");
      }
      auto node = duckdb::make_uniq<duckdb::SelectNode>();
      node->select_list.push_back(duckdb::make_uniq<duckdb::StarExpression>());
      node->from_table = std::move(ref);
      duckdb::SelectStatement select;
      select.node = std::move(node);
      return CompileSelect(select, parameters);
    }
    default:
      return NotSupported(Refusal(statement->type));
  }
}

namespace {

// Nothing but one row, or a few, of literals: planning has computed all there is.
bool IsOfLiterals(const plan::Node& node) {
  constexpr int kFewRows = 100;
  bool literals = true;
  plan::VisitNodes(node, [&](const plan::Node& part) {
    literals = literals && (part.has_project() || part.has_empty() ||
                            (part.has_values() && part.values().rows_size() <= kFewRows));
    plan::ForEachExpression(part, [&](const plan::Expression& expression) {
      literals = literals && (expression.has_literal() || expression.has_column());
    });
  });
  return literals;
}

}  // namespace

// The answer is at hand: a task would only carry it to an executor and back.
bool Session::AnswersItself(const plan::Plan& plan) const {
  const auto threshold = options_.Get("ballista.single_task_threshold");
  return threshold.ok() && *threshold != "0" && IsOfLiterals(plan.root());
}

arrow::Result<Statement> Session::CompileSelect(const duckdb::SelectStatement& statement,
                                                const ParameterValues& parameters) {
  if (ShowsCatalog(statement)) {
    return RunHere(statement.Copy(), parameters, true, "SHOW");
  }
  ARROW_ASSIGN_OR_RAISE(auto query, planner_.PlanSelect(statement, parameters));
  if (!query.planner_only.empty()) {
    return RunHere(statement.Copy(), parameters, true, "SELECT");
  }
  ARROW_ASSIGN_OR_RAISE(auto result, QueryOf(std::move(query)));
  if (AnswersItself(result.plan)) {
    ARROW_ASSIGN_OR_RAISE(auto answer,
                          RunHere(statement.Copy(), parameters, true, "SELECT"));
    if (answer.schema->Equals(*result.schema)) result.rows = std::move(answer.rows);
  }
  return result;
}

arrow::Result<Statement> Session::QueryOf(PlannedQuery query) {
  Statement result;
  result.kind = Statement::Kind::kQuery;
  result.type = "SELECT";
  ARROW_ASSIGN_OR_RAISE(result.schema, plan::ResultSchema(query.plan));
  result.plan = std::move(query.plan);
  return result;
}

namespace {

// The end of a COPY ... TO: its files appear, and the client sees how many rows they
// have.
auto CommitAndCount(std::shared_ptr<EngineState> engine) {
  return [engine = std::move(engine)](const std::shared_ptr<arrow::Table>& written)
             -> arrow::Result<std::shared_ptr<arrow::Table>> {
    const auto rows = CommitCopy(*written);
    ++engine->changes;
    ARROW_RETURN_NOT_OK(rows.status());
    return CountTable(*rows);
  };
}

}  // namespace

arrow::Result<Statement> Session::CompileExplain(duckdb::ExplainStatement& statement,
                                                 const ParameterValues& parameters) {
  const bool analyze = statement.explain_type == duckdb::ExplainType::EXPLAIN_ANALYZE;
  const auto inner = statement.stmt->type;
  const bool is_query = inner == StatementType::SELECT_STATEMENT;
  const bool is_copy = inner == StatementType::COPY_STATEMENT &&
                       !statement.stmt->Cast<duckdb::CopyStatement>().info->is_from;
  if (!is_query && !is_copy) {
    if (analyze) return NotSupported("EXPLAIN ANALYZE takes a query or COPY ... TO");
    return RunHere(statement.Copy(), parameters, true, "EXPLAIN");
  }
  if (is_query && ShowsCatalog(statement.stmt->Cast<duckdb::SelectStatement>())) {
    return RunHere(statement.Copy(), parameters, true, "EXPLAIN");
  }
  PlannedQuery query;
  if (is_query) {
    ARROW_ASSIGN_OR_RAISE(
        query,
        planner_.PlanSelect(statement.stmt->Cast<duckdb::SelectStatement>(), parameters));
  } else {
    ARROW_ASSIGN_OR_RAISE(
        query,
        planner_.PlanCopy(statement.stmt->Cast<duckdb::CopyStatement>(), parameters));
  }
  if (!query.planner_only.empty()) {
    return RunHere(statement.Copy(), parameters, true, "EXPLAIN");
  }
  Statement result;
  result.kind = analyze ? Statement::Kind::kExplainAnalyze : Statement::Kind::kExplain;
  result.type = analyze ? "EXPLAIN ANALYZE" : "EXPLAIN";
  if (is_copy && analyze) result.consume = CommitAndCount(engine_);
  result.plan = std::move(query.plan);
  result.schema = arrow::schema(
      {arrow::field("plan_type", arrow::utf8()), arrow::field("plan", arrow::utf8())});
  return result;
}

arrow::Result<Statement> Session::CompileCopy(const duckdb::CopyStatement& statement,
                                              const ParameterValues& parameters) {
  if (statement.info->is_from) return CompileCopyFrom(statement);
  ARROW_ASSIGN_OR_RAISE(auto query, planner_.PlanCopy(statement, parameters));
  if (engine_->guard != nullptr && query.plan.root().has_write()) {
    ARROW_RETURN_NOT_OK(engine_->guard->Check(query.plan.root().write().path()));
  }
  Statement result;
  result.kind = Statement::Kind::kInsertRows;
  result.is_query = false;
  result.type = "COPY";
  result.schema = CountTable(0)->schema();
  result.plan = std::move(query.plan);
  result.consume = CommitAndCount(engine_);
  return result;
}

arrow::Result<Session::BoundExecute> Session::BindExecute(
    const duckdb::ExecuteStatement& statement) {
  const auto found = prepared_.find(duckdb::StringUtil::Lower(statement.name));
  if (found == prepared_.end()) {
    return UserErrorStatus(UserError::CATALOG, "Prepared statement \"" + statement.name +
                                                   "\" does not exist");
  }
  BoundExecute bound;
  for (const auto& [name, expression] : statement.named_values) {
    const auto result = connection_.Query("SELECT (" + expression->ToString() + ")");
    if (result->HasError()) return ToStatus(result->GetErrorObject());
    bound.values[name] = duckdb::BoundParameterData(result->GetValue(0, 0));
  }
  const auto& wanted = found->second->named_param_map;
  std::string missing;
  for (const auto& [name, position] : wanted) {
    if (bound.values.count(name) > 0) continue;
    missing += (missing.empty() ? "" : ", ") + name;
  }
  if (!missing.empty() || wanted.size() != bound.values.size()) {
    return UserErrorStatus(
        UserError::BINDER,
        missing.empty() ? "Prepared statement \"" + statement.name + "\" takes " +
                              std::to_string(wanted.size()) + " values, and got " +
                              std::to_string(bound.values.size())
                        : "Values were not provided for the following prepared statement "
                          "parameters: " +
                              missing);
  }
  bound.statement = found->second->Copy();
  return bound;
}

arrow::Result<Statement> Session::CompileExecute(duckdb::ExecuteStatement& statement) {
  ARROW_ASSIGN_OR_RAISE(auto bound, BindExecute(statement));
  return CompileParsed(std::move(bound.statement), bound.values);
}

// A PIVOT without an IN list: first a type with the distinct values is made, then the
// query over it is planned, then the type goes. The values are found here, in the
// planning instance.
arrow::Result<Statement> Session::CompilePivot(std::vector<Parsed> pieces,
                                               const ParameterValues& parameters) {
  arrow::Result<Statement> result = NotSupported("one statement at a time, please");
  arrow::Status failed;
  for (auto& piece : pieces) {
    if (piece->type == StatementType::SELECT_STATEMENT) {
      if (failed.ok()) {
        result = CompileSelect(piece->Cast<duckdb::SelectStatement>(), parameters);
      }
    } else if (piece->type == StatementType::EXPLAIN_STATEMENT) {
      if (failed.ok()) result = CompileParsed(std::move(piece), parameters);
    } else if (failed.ok() || piece->type == StatementType::DROP_STATEMENT) {
      const auto done = connection_.Query(std::move(piece));
      if (done->HasError() && failed.ok()) failed = ToStatus(done->GetErrorObject());
    }
  }
  ARROW_RETURN_NOT_OK(failed);
  return result;
}

// ---------------------------------------------------------------------- rows

arrow::Result<Statement> Session::RunHere(Parsed statement,
                                          const ParameterValues& parameters,
                                          bool is_query, std::string type) {
  return Guarded([&]() -> arrow::Result<Statement> {
    duckdb::unique_ptr<duckdb::QueryResult> rows;
    if (parameters.empty()) {
      rows = connection_.Query(std::move(statement));
    } else {
      auto prepared = connection_.Prepare(std::move(statement));
      if (prepared->HasError()) return ToStatus(prepared->GetErrorObject());
      auto values = parameters;
      rows = prepared->Execute(values, false);
    }
    Statement result;
    result.kind = Statement::Kind::kRows;
    result.is_query = is_query;
    result.type = std::move(type);
    ARROW_ASSIGN_OR_RAISE(result.rows, ToArrowTable(*connection_.context, *rows));
    result.schema = result.rows->schema();
    return result;
  });
}

arrow::Result<std::shared_ptr<arrow::Table>> Session::QueryHere(const std::string& sql) {
  return Guarded([&]() -> arrow::Result<std::shared_ptr<arrow::Table>> {
    auto rows = connection_.Query(sql);
    return ToArrowTable(*connection_.context, *rows);
  });
}

bool Session::IsOption(const std::string& name) {
  duckdb::Value value;
  return SessionOptions::IsSessionOption(name) ||
         (!name.empty() && connection_.context->TryGetCurrentSetting(name, value));
}

arrow::Result<Statement> Session::ShowOption(const std::string& name) {
  std::string value;
  if (SessionOptions::IsSessionOption(name)) {
    ARROW_ASSIGN_OR_RAISE(value, options_.Get(name));
  } else {
    ARROW_ASSIGN_OR_RAISE(value, EngineOption(name));
  }
  Statement result;
  result.type = "SHOW";
  ARROW_ASSIGN_OR_RAISE(
      result.rows,
      QueryHere("SELECT " + duckdb::Value(name).ToSQLString() + " AS name, " +
                duckdb::Value(value).ToSQLString() + " AS value"));
  result.schema = result.rows->schema();
  return result;
}

}  // namespace ballista::sql
