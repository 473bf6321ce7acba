// Optimised logical plans of DuckDB to the plan IR.
//
// Names are gone after this: a column reference is the position of its binding in what
// the operator's inputs give (`GetColumnBindings()`).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ballista/catalog/file_catalog.h"
#include "ballista/plan.pb.h"
#include "ballista/sql/expression_translator.h"
#include "ballista/sql/pch_internal.h"
#include "ballista/sql/scan_names.h"

namespace ballista::sql {

// Rows that the planning instance has: `sql` gives them. A LocalTable node stands for
// them, whose name is the position in Translation.tables until the rows are filled in.
struct PendingTable {
  std::string sql;
  std::string name;
};

struct Translation {
  plan::Node root;
  std::vector<PendingTable> tables;
};

// One instance translates one plan, inside a transaction of `context`. Throws Unsupported
// and PlannerOnly, and whatever DuckDB throws.
class PlanTranslator {
 public:
  // `names`: what to call scans, for people.
  PlanTranslator(duckdb::ClientContext& context, catalog::FileCatalog& files,
                 ScanNames names = {})
      : context_(context),
        files_(files),
        scan_names_(std::move(names)),
        expressions_(context) {}

  // `root` has its types resolved and its cardinalities estimated.
  Translation Translate(duckdb::LogicalOperator& root);

 private:
  struct Delim {
    uint32_t id;
    std::vector<plan::Type> types;
  };

  plan::Node TranslateNode(duckdb::LogicalOperator& op);
  plan::Node TranslateKind(duckdb::LogicalOperator& op);
  plan::Node TranslateFilter(duckdb::LogicalFilter& op);
  plan::Node TranslateProjection(duckdb::LogicalOperator& op);
  plan::Node TranslateAggregate(duckdb::LogicalAggregate& op);
  plan::Node TranslateWindow(duckdb::LogicalOperator& op);
  plan::Node TranslateUnnest(duckdb::LogicalOperator& op);
  plan::Node TranslateOrder(duckdb::LogicalOrder& op);
  plan::Node TranslateTopN(duckdb::LogicalTopN& op);
  plan::Node TranslateLimit(duckdb::LogicalLimit& op);
  plan::Node TranslateDistinct(duckdb::LogicalDistinct& op);
  plan::Node TranslateSample(duckdb::LogicalSample& op);
  plan::Node TranslateSetOperation(duckdb::LogicalSetOperation& op);
  plan::Node TranslateRows(duckdb::LogicalColumnDataGet& op);
  plan::Node TranslateValues(duckdb::LogicalExpressionGet& op);
  plan::Node TranslateCte(duckdb::LogicalMaterializedCTE& op);
  plan::Node TranslateCteRef(duckdb::LogicalCTERef& op);
  plan::Node TranslateRecursiveCte(duckdb::LogicalRecursiveCTE& op);
  plan::Node TranslateDelimGet(duckdb::LogicalDelimGet& op);
  plan::Node TranslatePivot(duckdb::LogicalPivot& op);

  // join_translator.cc
  plan::Node TranslateJoin(duckdb::LogicalOperator& op);
  plan::Node TranslateDelimJoin(duckdb::LogicalComparisonJoin& op);
  plan::Node MakeJoin(duckdb::LogicalOperator& op, plan::Node left, plan::Node right);
  void FillComparisonJoin(duckdb::LogicalComparisonJoin& op, plan::Node* node);

  // scan_translator.cc
  plan::Node TranslateGet(duckdb::LogicalGet& op);
  plan::Node FileScan(duckdb::LogicalGet& op, const duckdb::MultiFileBindData& data);
  plan::Node PlannerScan(duckdb::LogicalGet& op);
  plan::Node FunctionScan(duckdb::LogicalGet& op);
  plan::Node ApplyScanFilters(duckdb::LogicalGet& op, plan::Node scan, size_t columns);

  plan::Node SharedRef(uint32_t id, const std::vector<plan::Type>& types);
  static plan::Node Over(plan::Node input);
  static void SetTypes(const duckdb::vector<duckdb::LogicalType>& types,
                       plan::Node* node);
  static plan::Node Reorder(plan::Node input, const std::vector<duckdb::idx_t>& columns);
  static std::vector<plan::Type> TypesOf(const plan::Node& node);

  duckdb::ClientContext& context_;
  catalog::FileCatalog& files_;
  const ScanNames scan_names_;
  ExpressionTranslator expressions_;
  Translation result_;
  uint32_t next_shared_ = 0;
  struct Cte {
    uint32_t id;
    std::vector<plan::Type> types;
  };
  std::map<duckdb::idx_t, Cte> ctes_;  // by DuckDB's table index
  std::vector<Delim> delims_;          // the innermost last
};

}  // namespace ballista::sql
