// SET, RESET and the values of settings: part of Session.
//
// Three kinds: `ballista.*` options (session_options.h); settings of DuckDB that its
// connections have of their own; and a few that DuckDB has for the instance alone but
// that belong to a session here. The last ones are kept in the session and put in place
// for each of its statements, while no other session plans.
#include <algorithm>
#include <set>

#include "ballista/base/status.h"
#include "ballista/sql/error_conversion.h"
#include "ballista/sql/result_conversion.h"
#include "ballista/sql/session_internal.h"

namespace ballista::sql {
namespace {

std::string Lower(const std::string& text) {
  return duckdb::StringUtil::Lower(text);
}

bool IsConnectionSetting(const std::string& name) {
  static const std::set<std::string> names = {"timezone",
                                              "calendar",
                                              "ieee_floating_point_ops",
                                              "integer_division",
                                              "scalar_subquery_error_on_multiple_rows",
                                              "search_path",
                                              "schema",
                                              "pivot_limit",
                                              "pivot_filter_threshold",
                                              "max_expression_depth",
                                              "order_by_non_integer_literal",
                                              "lambda_syntax",
                                              "preserve_identifier_case",
                                              "enable_progress_bar",
                                              "enable_progress_bar_print",
                                              "progress_bar_time"};
  return names.count(name) > 0;
}

// The setting's one name, where it is an instance's that a session has for itself here.
std::string InstanceSetting(const std::string& name) {
  if (name == "null_order") return "default_null_order";
  if (name == "default_null_order" || name == "default_order" ||
      name == "default_collation") {
    return name;
  }
  return "";
}

arrow::Status RunSet(duckdb::Connection& connection, const std::string& sql) {
  const auto result = connection.Query(sql);
  if (result->HasError()) return ToStatus(result->GetErrorObject());
  return arrow::Status::OK();
}

}  // namespace

arrow::Status Session::ApplyInstanceSettings(bool apply) {
  for (const auto& [name, value] : instance_settings_) {
    ARROW_RETURN_NOT_OK(RunSet(connection_, apply ? "SET GLOBAL " + name + " = " + value
                                                  : "RESET GLOBAL " + name));
  }
  return arrow::Status::OK();
}

arrow::Status Session::SetEngineOption(const std::string& name,
                                       const std::string& value_sql) {
  const auto key = Lower(name);
  const bool reset = value_sql.empty();
  const auto instance = InstanceSetting(key);
  if (!instance.empty()) {
    // Tried out, so that a bad value is refused now; the statement's guard puts it back.
    ARROW_RETURN_NOT_OK(RunSet(connection_, "RESET GLOBAL " + instance));
    instance_settings_.erase(instance);
    if (reset) return arrow::Status::OK();
    ARROW_RETURN_NOT_OK(
        RunSet(connection_, "SET GLOBAL " + instance + " = " + value_sql));
    instance_settings_[instance] = value_sql;
    return arrow::Status::OK();
  }
  if (IsConnectionSetting(key)) {
    return RunSet(connection_,
                  reset ? "RESET " + name : "SET " + name + " = " + value_sql);
  }
  ARROW_RETURN_NOT_OK(EngineOption(name).status());  // unknown: DuckDB says so
  return UserErrorStatus(UserError::NOT_SUPPORTED,
                         "the setting " + name +
                             " belongs to the scheduler's or the executors' process, not "
                             "to a session; it is set in their configuration");
}

arrow::Result<Statement> Session::CompileSet(duckdb::SetStatement& statement) {
  const bool reset = statement.set_type == duckdb::SetType::RESET;
  if (statement.scope == duckdb::SetScope::VARIABLE) {
    auto done = RunHere(statement.Copy(), {}, false, reset ? "RESET" : "SET");
    if (done.ok()) NoteVariable(statement.name, reset);
    return done;
  }
  if (statement.scope == duckdb::SetScope::GLOBAL) {
    return UserErrorStatus(UserError::NOT_SUPPORTED,
                           "SET GLOBAL would change the settings of all clients; leave "
                           "out GLOBAL to set " +
                               statement.name + " in this session");
  }
  std::string value_sql;
  if (!reset) {
    auto& value = statement.Cast<duckdb::SetVariableStatement>().value;
    if (value->GetExpressionClass() == duckdb::ExpressionClass::COLUMN_REF) {
      value_sql =
          duckdb::Value(value->Cast<duckdb::ColumnRefExpression>().GetColumnName())
              .ToSQLString();
    } else {
      value_sql = value->ToString();
    }
  }
  if (SessionOptions::IsSessionOption(statement.name)) {
    if (reset) {
      ARROW_RETURN_NOT_OK(options_.Reset(statement.name));
    } else {
      ARROW_ASSIGN_OR_RAISE(auto table,
                            QueryHere("SELECT CAST((" + value_sql + ") AS VARCHAR)"));
      ARROW_ASSIGN_OR_RAISE(auto scalar, table->column(0)->GetScalar(0));
      value_sql = duckdb::Value(scalar->ToString()).ToSQLString();
      ARROW_RETURN_NOT_OK(options_.Set(statement.name, scalar->ToString()));
    }
  } else {
    ARROW_RETURN_NOT_OK(SetEngineOption(statement.name, value_sql));
  }
  NoteSetting(statement.name, value_sql, false);
  Statement result;
  result.is_query = false;
  result.type = reset ? "RESET" : "SET";
  result.rows = CountTable(0)->Slice(0, 0);
  result.schema = result.rows->schema();
  return result;
}

void Session::NoteSetting(const std::string& name, const std::string& value_sql,
                          bool variable) {
  const auto key = Lower(name);
  std::erase_if(changed_, [&](const ChangedSetting& one) {
    return one.variable == variable && one.name == key;
  });
  if (!value_sql.empty()) changed_.push_back({key, value_sql, variable});
  ++settings_version_;
}

void Session::NoteVariable(const std::string& name, bool reset) {
  std::string value_sql;
  duckdb::Value value;
  if (!reset && duckdb::ClientConfig::GetConfig(*connection_.context)
                    .GetUserVariable(name, value)) {
    value_sql = "CAST(" + value.ToSQLString() + " AS " + value.type().ToString() + ")";
  }
  NoteSetting(name, value_sql, true);
}

std::vector<ChangedSetting> Session::ChangedSettings() {
  const std::lock_guard lock(mutex_);
  return changed_;
}

arrow::Status Session::RestoreSettings(const std::vector<ChangedSetting>& settings) {
  arrow::Status first;
  const auto run = [&](const char* verb, const ChangedSetting& one,
                       const std::string& rest) {
    const auto name =
        one.variable ? duckdb::KeywordHelper::WriteQuoted(one.name, '"') : one.name;
    const std::string what = one.variable ? " VARIABLE " : " ";
    const auto done = Compile(verb + what + name + rest, {});
    if (first.ok()) first = done.status();
  };
  for (const ChangedSetting& before : ChangedSettings()) {
    const bool stays =
        std::any_of(settings.begin(), settings.end(), [&](const auto& one) {
          return one.variable == before.variable && one.name == before.name;
        });
    if (!stays) run("RESET", before, "");
  }
  for (const ChangedSetting& one : settings) run("SET", one, " = " + one.value);
  return first;
}

arrow::Result<std::string> Session::EngineOption(const std::string& name) {
  ARROW_ASSIGN_OR_RAISE(auto table,
                        QueryHere("SELECT CAST(current_setting(" +
                                  duckdb::Value(name).ToSQLString() + ") AS VARCHAR)"));
  ARROW_ASSIGN_OR_RAISE(auto scalar, table->column(0)->GetScalar(0));
  return scalar->is_valid ? scalar->ToString() : std::string();
}

}  // namespace ballista::sql
