// What a statement gives and takes: part of Session.
#include "ballista/base/status.h"
#include "ballista/plan/plan.h"
#include "ballista/sql/error_conversion.h"
#include "ballista/sql/session_internal.h"
#include "ballista/sql/unsupported_internal.h"
#include "ballista/sql/value_conversion.h"

namespace ballista::sql {

using duckdb::StatementType;

namespace {

bool ReturnsRows(const duckdb::SQLStatement& statement) {
  switch (statement.type) {
    case StatementType::SELECT_STATEMENT:
    case StatementType::EXPLAIN_STATEMENT:
    case StatementType::PRAGMA_STATEMENT:
    case StatementType::CALL_STATEMENT:
    case StatementType::EXECUTE_STATEMENT:
      return true;
    case StatementType::INSERT_STATEMENT:
      return !statement.Cast<duckdb::InsertStatement>().returning_list.empty();
    case StatementType::UPDATE_STATEMENT:
      return !statement.Cast<duckdb::UpdateStatement>().returning_list.empty();
    case StatementType::DELETE_STATEMENT:
      return !statement.Cast<duckdb::DeleteStatement>().returning_list.empty();
    default:
      return false;
  }
}

bool IsKnown(const duckdb::LogicalType& type) {
  return type.id() != duckdb::LogicalTypeId::UNKNOWN &&
         type.id() != duckdb::LogicalTypeId::INVALID;
}

// Text where nothing is known of it: drivers that hold values to the type have no value
// for the null type. Null where Arrow has no type for it.
std::shared_ptr<arrow::DataType> ParameterType(const duckdb::LogicalType& type,
                                               const std::string& zone) {
  if (!IsKnown(type)) return arrow::utf8();
  try {
    return plan::ToArrowType(ToPlanType(type), zone).ValueOr(arrow::null());
  } catch (const Unsupported&) {
    return arrow::null();
  }
}

}  // namespace

Session::Planned Session::PlanToDescribe(const duckdb::SQLStatement& statement,
                                         const ParameterValues& given) {
  Planned planned;
  duckdb::Planner planner(*connection_.context);
  planner.parameter_data = given;
  planner.CreatePlan(statement.Copy());
  planned.types = planner.types;
  planned.names = planner.names;
  for (const auto& [name, data] : planner.value_map) {
    planned.parameters[name] = data->return_type;
  }
  if (planner.properties.bound_all_parameters) return planned;
  // A parameter's type depends on its value: NULL stands in for each.
  try {
    duckdb::Planner again(*connection_.context);
    for (const auto& [name, position] : statement.named_param_map) {
      again.parameter_data[name] = duckdb::BoundParameterData(duckdb::Value());
    }
    again.CreatePlan(statement.Copy());
    planned.types = again.types;
    planned.names = again.names;
  } catch (const std::exception&) {
    planned.known = false;  // NULL is no value for it: the name of a file, say
  }
  return planned;
}

arrow::Result<SqlSession::Description> Session::DescribeParsed(
    Parsed statement, const std::vector<plan::Value>& values) {
  ARROW_RETURN_NOT_OK(RefuseUploadedTable(*statement));
  Description description;
  ParameterValues given;
  bool takes_parameters = true;
  if (statement->type == StatementType::EXECUTE_STATEMENT) {
    ARROW_ASSIGN_OR_RAISE(auto bound,
                          BindExecute(statement->Cast<duckdb::ExecuteStatement>()));
    statement = std::move(bound.statement);
    given = std::move(bound.values);
    takes_parameters = false;
  } else if (!values.empty()) {
    ARROW_ASSIGN_OR_RAISE(given, BindParameters(*statement, values));
  }
  description.is_query = ReturnsRows(*statement);
  Planned planned;
  connection_.context->RunFunctionInTransaction(
      [&] { planned = PlanToDescribe(*statement, given); });
  const auto zone = connection_.context->GetClientProperties().time_zone;
  const auto count = takes_parameters ? statement->named_param_map.size() : 0;
  arrow::FieldVector parameters(count, arrow::field("", arrow::utf8()));
  for (const auto& [name, position] : statement->named_param_map) {
    if (position < 1 || position > count) continue;
    const auto found = planned.parameters.find(name);
    auto type = found == planned.parameters.end() ? arrow::utf8()
                                                  : ParameterType(found->second, zone);
    parameters[position - 1] = arrow::field("$" + name, std::move(type));
  }
  description.parameters = arrow::schema(std::move(parameters));
  if (!planned.known) return description;
  arrow::FieldVector fields;
  if (statement->type == StatementType::EXPLAIN_STATEMENT) {
    fields = {arrow::field("plan_type", arrow::utf8()),
              arrow::field("plan", arrow::utf8())};
  } else {
    for (size_t i = 0; i < planned.types.size(); ++i) {
      ARROW_ASSIGN_OR_RAISE(auto type,
                            plan::ToArrowType(ToPlanType(planned.types[i]), zone));
      fields.push_back(arrow::field(planned.names[i], std::move(type)));
    }
  }
  description.schema = arrow::schema(std::move(fields));
  return description;
}

}  // namespace ballista::sql
