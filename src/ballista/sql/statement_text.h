// A whole statement as text that another process can run: for what the plan IR cannot
// express.
#pragma once

#include <arrow/result.h>

#include <map>
#include <string>
#include <vector>

#include "ballista/sql/pch_internal.h"

namespace ballista::sql {

// Walks parsed statements: every query node, table reference and expression, sub-queries
// included. Each callback may change what it is given.
struct ParsedVisitor {
  std::function<void(duckdb::BaseTableRef&)> on_table;
  std::function<void(duckdb::FunctionExpression&)> on_function;
  std::function<void(duckdb::unique_ptr<duckdb::ParsedExpression>&)> on_expression;

  void Visit(duckdb::QueryNode& node) const;
  void Visit(duckdb::unique_ptr<duckdb::ParsedExpression>& expression) const;

 private:
  void VisitTable(duckdb::TableRef& ref) const;
};

using ParameterValues = duckdb::case_insensitive_map_t<duckdb::BoundParameterData>;

struct StatementText {
  std::string sql;
  // Types, then macros, then views, each after what it names itself.
  std::vector<std::string> prelude;
  // Local tables that it reads: the name that `sql` and the views use, and a query for
  // the rows.
  std::map<std::string, std::string> tables;
};

// With parameters as constants, and names of user objects without their schemas.
// `context` must be in a transaction. Throws DuckDB's exceptions.
StatementText MakeStatementText(duckdb::ClientContext& context,
                                const duckdb::SelectStatement& statement,
                                const ParameterValues& parameters);

}  // namespace ballista::sql
