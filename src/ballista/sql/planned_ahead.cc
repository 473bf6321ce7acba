// A client that prepares a statement to run it once (the ADBC driver does so for every
// query) would have it planned twice. So what Describe has planned is kept for a moment.
#include <utility>

#include "ballista/plan/plan.h"
#include "ballista/sql/session_internal.h"

namespace ballista::sql {
namespace {

// For as long a plan may not know of files that somebody else has just written; what is
// written and changed by SQL is always known.
constexpr auto kKeptFor = std::chrono::seconds(1);
constexpr size_t kMaxKeptBytes = 1 << 20;

}  // namespace

// Nothing where the statement is no query, takes parameters, or does not plan: then the
// binder alone describes it, or says what is wrong with it.
std::optional<SqlSession::Description> Session::PlanAhead(
    const std::string& sql, const duckdb::SQLStatement& statement) {
  ahead_.reset();
  if (statement.type != duckdb::StatementType::SELECT_STATEMENT ||
      !statement.named_param_map.empty()) {
    return std::nullopt;
  }
  const auto& select = statement.Cast<duckdb::SelectStatement>();
  if (ShowsCatalog(select)) return std::nullopt;
  // As it is before planning: a change meanwhile makes the plan an old one.
  const uint64_t changes = engine_->changes;
  auto query = planner_.PlanSelect(select, {});
  if (!query.ok() || !query->planner_only.empty()) return std::nullopt;
  auto schema = plan::ResultSchema(query->plan);
  if (!schema.ok()) return std::nullopt;
  Description description;
  description.schema = std::move(*schema);
  description.parameters = arrow::schema({});
  description.is_query = true;
  if (!AnswersItself(query->plan) && query->plan.ByteSizeLong() <= kMaxKeptBytes) {
    ahead_ =
        PlannedAhead{sql, std::move(*query), changes, std::chrono::steady_clock::now()};
  }
  return description;
}

std::optional<PlannedQuery> Session::TakePlanned(
    const std::string& sql, const std::vector<plan::Value>& parameters) {
  auto ahead = std::exchange(ahead_, std::nullopt);
  if (!ahead || ahead->sql != sql || !parameters.empty() ||
      ahead->changes != engine_->changes ||
      std::chrono::steady_clock::now() - ahead->made > kKeptFor) {
    return std::nullopt;
  }
  return std::move(ahead->query);
}

}  // namespace ballista::sql
