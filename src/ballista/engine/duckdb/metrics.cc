#include "ballista/engine/duckdb/metrics.h"

namespace ballista::engine {
namespace {

using duckdb::MetricType;
using duckdb::ProfilingInfo;
using duckdb::ProfilingNode;

constexpr size_t kMaxDetail = 400;

template <typename T>
T Metric(const ProfilingInfo& info, MetricType type) {
  if (info.metrics.find(type) == info.metrics.end()) return T();
  return info.GetMetricValue<T>(type);
}

// "Filters: a > 1; Projections: b", on one line.
std::string Detail(const ProfilingInfo& info) {
  if (info.metrics.find(MetricType::EXTRA_INFO) == info.metrics.end()) return "";
  std::string detail;
  const auto extra =
      info.GetMetricValue<duckdb::InsertionOrderPreservingMap<std::string>>(
          MetricType::EXTRA_INFO);
  for (const auto& entry : extra) {
    if (entry.second.empty()) continue;
    if (!detail.empty()) detail += "; ";
    detail += entry.first + ": " + duckdb::StringUtil::Replace(entry.second, "\n", ", ");
  }
  return detail.substr(0, kMaxDetail);
}

void AddOperator(const ProfilingNode& node, uint32_t depth, job::TaskMetrics* metrics) {
  const auto& info = node.GetProfilingInfo();
  // The collector of the output has no name of its own, and is no operator of the query.
  if (info.metrics.find(MetricType::OPERATOR_TYPE) != info.metrics.end() &&
      !Metric<std::string>(info, MetricType::OPERATOR_NAME).empty()) {
    auto* op = metrics->add_operators();
    op->set_name(Metric<std::string>(info, MetricType::OPERATOR_NAME));
    op->set_rows(Metric<uint64_t>(info, MetricType::OPERATOR_CARDINALITY));
    op->set_bytes(Metric<uint64_t>(info, MetricType::RESULT_SET_SIZE));
    op->set_elapsed_us(
        static_cast<uint64_t>(1e6 * Metric<double>(info, MetricType::OPERATOR_TIMING)));
    op->set_depth(depth);
    op->set_detail(Detail(info));
    ++depth;
  }
  for (const auto& child : node.children) AddOperator(*child, depth, metrics);
}

}  // namespace

void SetProfiling(duckdb::Connection* connection, bool enabled) {
  auto& config = duckdb::ClientConfig::GetConfig(*connection->context);
  config.enable_profiler = enabled;
  config.emit_profiler_output = false;
}

void AddOperatorMetrics(duckdb::Connection* connection, job::TaskMetrics* metrics) {
  auto root = connection->GetProfilingTree();
  if (!root) return;
  const auto& info = root->GetProfilingInfo();
  metrics->set_peak_memory_bytes(
      Metric<uint64_t>(info, MetricType::SYSTEM_PEAK_BUFFER_MEMORY));
  metrics->set_spilled_bytes(
      Metric<uint64_t>(info, MetricType::SYSTEM_PEAK_TEMP_DIR_SIZE));
  AddOperator(*root, 0, metrics);
}

}  // namespace ballista::engine
