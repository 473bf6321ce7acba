// Bound expressions of DuckDB to expressions of the plan IR.
//
// An expression is bound: every function is resolved, every cast is explicit. The IR
// names functions, and an executor binds the name again; what a name alone would lose
// (bind data, another overload) is restored as an argument, or caught by the re-bind
// check and thrown as Unsupported.
//
// One instance serves one plan (lambda parameters are numbered in it). Not thread-safe;
// must be used inside a transaction of `context`.
#pragma once

#include <functional>
#include <vector>

#include "ballista/plan.pb.h"
#include "ballista/sql/pch_internal.h"

namespace ballista::sql {

// The IR expression of a column reference (BoundColumnRef or BoundReference).
using ColumnLookup = std::function<plan::Expression(const duckdb::Expression&)>;

// References by binding: the position of the binding in `bindings`, which must outlive
// the lookup.
ColumnLookup LookupByBinding(const std::vector<duckdb::ColumnBinding>& bindings);

class ExpressionTranslator {
 public:
  explicit ExpressionTranslator(duckdb::ClientContext& context) : context_(context) {}

  plan::Expression Translate(const duckdb::Expression& expression,
                             const ColumnLookup& lookup);
  plan::SortKey TranslateOrder(const duckdb::BoundOrderByNode& order,
                               const ColumnLookup& lookup);

  static plan::Expression Literal(const duckdb::Value& value);
  static plan::Comparison::Op ComparisonOp(duckdb::ExpressionType type);

 private:
  plan::Expression TranslateFunction(const duckdb::BoundFunctionExpression& function,
                                     const ColumnLookup& lookup);
  plan::Expression TranslateLambdaCall(const duckdb::BoundFunctionExpression& function,
                                       const ColumnLookup& lookup);
  plan::Expression TranslateAggregate(const duckdb::BoundAggregateExpression& aggregate,
                                      const ColumnLookup& lookup);
  plan::Expression TranslateWindow(const duckdb::BoundWindowExpression& window,
                                   const ColumnLookup& lookup);
  plan::Expression TranslateOperator(const duckdb::BoundOperatorExpression& op,
                                     const ColumnLookup& lookup);
  plan::Expression TranslateFrameBound(const duckdb::BoundWindowExpression& window,
                                       const duckdb::Expression& bound,
                                       duckdb::WindowBoundary kind,
                                       const ColumnLookup& lookup);
  void AddArgs(const duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>& children,
               const ColumnLookup& lookup, plan::Expression* out);

  duckdb::ClientContext& context_;
  uint32_t next_parameter_ = 0;
};

}  // namespace ballista::sql
