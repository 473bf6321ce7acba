// SELECT statements to plans: DuckDB's planner and optimizer, the translator, and the
// fallback of a whole statement as text where the translator has no form for something.
#pragma once

#include <arrow/result.h>

#include <string>
#include <vector>

#include "ballista/catalog/file_catalog.h"
#include "ballista/plan.pb.h"
#include "ballista/sql/pch_internal.h"
#include "ballista/sql/statement_text.h"

namespace ballista::sql {

// Rows of local tables that travel inside of a plan.
inline constexpr uint64_t kMaxLocalTableBytes = 64ULL << 20;

struct PlannedQuery {
  plan::Plan plan;
  bool reads_files = false;
  // Not empty: the query shows state of the planning instance (its catalog, a sequence)
  // and has to run there; `plan` is empty. Says why.
  std::string planner_only;
};

// Sources that a logical plan reads.
struct PlanSources {
  bool files = false;
  bool catalog = false;
};
PlanSources FindSources(duckdb::LogicalOperator& plan);
bool IsFileFunction(const std::string& function);
// Table functions that an executor can call as well as the planning instance.
bool RunsAnywhere(const std::string& function);

class QueryPlanner {
 public:
  QueryPlanner(duckdb::Connection& connection, catalog::FileCatalog& files)
      : connection_(connection), files_(files) {}

  arrow::Result<PlannedQuery> PlanSelect(const duckdb::SelectStatement& statement,
                                         const ParameterValues& parameters);
  // A COPY ... TO: the query below a Write node.
  arrow::Result<PlannedQuery> PlanCopy(const duckdb::CopyStatement& statement,
                                       const ParameterValues& parameters);

 private:
  struct Draft;
  arrow::Result<PlannedQuery> Finish(Draft draft);
  void PlanInTransaction(duckdb::unique_ptr<duckdb::SQLStatement> statement,
                         const ParameterValues& parameters, Draft* draft);
  void TranslateOrExplain(duckdb::LogicalOperator& root, Draft* draft);
  arrow::Result<plan::LocalTable> ReadLocalTable(const std::string& sql,
                                                 const std::string& name);
  arrow::Result<plan::Node> MakeStatementNode(const Draft& draft);

  duckdb::Connection& connection_;
  catalog::FileCatalog& files_;
};

// Settings of the session that the execution of a plan depends on, or that of a whole
// statement as text, which depends on more of them.
std::vector<plan::Setting> ExecutionSettings(duckdb::ClientContext& context,
                                             bool whole_statement);

}  // namespace ballista::sql
