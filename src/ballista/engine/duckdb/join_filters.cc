#include "ballista/engine/duckdb/join_filters.h"

#include "ballista/engine/duckdb/compiler.h"
#include "duckdb/execution/operator/join/join_filter_pushdown.hpp"
#include "duckdb/optimizer/optimizer_extension.hpp"
#include "duckdb/planner/operator/logical_comparison_join.hpp"
#include "duckdb/planner/operator/logical_get.hpp"

namespace ballista::engine {
namespace {

bool ReadsExchange(const duckdb::LogicalOperator& op) {
  if (op.type == duckdb::LogicalOperatorType::LOGICAL_GET) {
    return op.Cast<duckdb::LogicalGet>().function.name == kInputFunction;
  }
  for (const auto& child : op.children) {
    if (ReadsExchange(*child)) return true;
  }
  return false;
}

void MarkFiltered(duckdb::LogicalOperator& op) {
  for (auto& child : op.children) MarkFiltered(*child);
  if (op.type != duckdb::LogicalOperatorType::LOGICAL_COMPARISON_JOIN) return;
  const auto& join = op.Cast<duckdb::LogicalComparisonJoin>();
  if (join.filter_pushdown == nullptr || join.filter_pushdown->probe_info.empty()) return;
  if (ReadsExchange(*join.children[1])) {
    join.filter_pushdown->build_side_has_filter = true;
  }
}

void Optimize(duckdb::OptimizerExtensionInput&,
              duckdb::unique_ptr<duckdb::LogicalOperator>& plan) {
  MarkFiltered(*plan);
}

}  // namespace

void RegisterJoinFilterRule(duckdb::DBConfig* config) {
  duckdb::OptimizerExtension rule;
  rule.optimize_function = Optimize;
  duckdb::OptimizerExtension::Register(*config, std::move(rule));
}

}  // namespace ballista::engine
