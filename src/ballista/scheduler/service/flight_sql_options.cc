// Options of sessions: part of FlightSqlService.
#include <arrow/scalar.h>
#include <arrow/table.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>
#include <variant>

#include "ballista/base/log.h"
#include "ballista/base/status.h"
#include "ballista/scheduler/service/flight_sql_messages_internal.h"
#include "ballista/scheduler/service/flight_sql_service.h"
#include "ballista/sql/session_options.h"

namespace ballista::scheduler {
namespace {

namespace fl = arrow::flight;

// The names that Flight SQL gives to where a session looks for tables.
constexpr const char* kCatalog = "catalog";
constexpr const char* kSchema = "schema";

std::string OptionText(const fl::SessionOptionValue& value) {
  struct Visitor {
    std::string operator()(std::monostate) const { return ""; }
    std::string operator()(const std::string& text) const { return text; }
    std::string operator()(bool flag) const { return flag ? "true" : "false"; }
    std::string operator()(int64_t number) const { return std::to_string(number); }
    std::string operator()(double number) const { return fmt::format("{}", number); }
    std::string operator()(const std::vector<std::string>& list) const {
      return fmt::format("{}", fmt::join(list, ","));
    }
  };
  return std::visit(Visitor{}, value);
}

bool IsOptionName(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '.';
  });
}

struct Place {
  std::string catalog;
  std::string schema;
};

// A catalog query, which is answered without a job.
arrow::Result<Place> CurrentPlace(sql::SqlSession* session) {
  ARROW_ASSIGN_OR_RAISE(const auto statement,
                        session->Compile("SELECT current_catalog(), current_schema() "
                                         "FROM duckdb_databases() LIMIT 1"));
  if (statement.rows == nullptr || statement.rows->num_rows() != 1) {
    return InternalStatus("the session has no catalog");
  }
  ARROW_ASSIGN_OR_RAISE(const auto catalog, statement.rows->column(0)->GetScalar(0));
  ARROW_ASSIGN_OR_RAISE(const auto schema, statement.rows->column(1)->GetScalar(0));
  return Place{catalog->ToString(), schema->ToString()};
}

// An empty value takes back what was set.
arrow::Status SetOne(sql::SqlSession* session, const std::string& name,
                     const fl::SessionOptionValue& value) {
  if (!IsOptionName(name)) return arrow::Status::Invalid("no name of an option: ", name);
  if (std::holds_alternative<std::monostate>(value)) {
    return session->Compile("RESET " + name).status();
  }
  const std::string text = OptionText(value);
  if (name != kCatalog) return session->SetOption(name, text);
  ARROW_ASSIGN_OR_RAISE(const auto place, CurrentPlace(session));
  if (text == place.catalog) return arrow::Status::OK();
  return arrow::Status::Invalid("there is no catalog ", text, " but ", place.catalog);
}

}  // namespace

arrow::Result<std::string> FlightSqlService::SetSessionOptions(const Context& context,
                                                               std::string_view body) {
  ARROW_ASSIGN_OR_RAISE(auto request, fl::SetSessionOptionsRequest::Deserialize(body));
  ARROW_ASSIGN_OR_RAISE(auto session, sessions_->ForCall(context));
  fl::SetSessionOptionsResult result;
  for (const auto& [name, value] : request.session_options) {
    const auto status = SetOne(session.get(), name, value);
    if (status.ok()) continue;
    LOG_DEBUG("scheduler", "session option {} refused: {}", name, status.ToString());
    const bool known =
        name == kCatalog || (IsOptionName(name) && session->GetOption(name).ok());
    result.errors[name] = {known ? fl::SetSessionOptionErrorValue::kInvalidValue
                                 : fl::SetSessionOptionErrorValue::kInvalidName};
  }
  ARROW_RETURN_NOT_OK(sessions_->KeepSettings(context, session.get()));
  return result.SerializeToString();
}

// Those of Ballista, where the session looks for tables, and what was set besides.
arrow::Result<std::string> FlightSqlService::GetSessionOptions(const Context& context) {
  ARROW_ASSIGN_OR_RAISE(auto session, sessions_->ForCall(context));
  fl::GetSessionOptionsResult result;
  for (const auto& changed : session->ChangedSettings()) {
    if (changed.variable) continue;
    auto value = session->GetOption(changed.name);
    if (value.ok()) result.session_options[changed.name] = std::move(*value);
  }
  for (const auto& spec : sql::SessionOptionSpecs()) {
    ARROW_ASSIGN_OR_RAISE(auto value, session->GetOption(spec.name));
    result.session_options[spec.name] = std::move(value);
  }
  ARROW_ASSIGN_OR_RAISE(auto zone, session->GetOption("TimeZone"));
  result.session_options["TimeZone"] = std::move(zone);
  ARROW_ASSIGN_OR_RAISE(auto place, CurrentPlace(session.get()));
  result.session_options[kCatalog] = std::move(place.catalog);
  result.session_options[kSchema] = std::move(place.schema);
  return result.SerializeToString();
}

}  // namespace ballista::scheduler
