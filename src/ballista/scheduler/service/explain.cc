#include "ballista/scheduler/service/explain.h"

#include <arrow/array/builder_binary.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "ballista/plan/plan.h"

namespace ballista::scheduler {
namespace {

std::string Bytes(double bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  while (bytes >= 1024 && unit < 4) {
    bytes /= 1024;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 1, kUnits[unit]);
}

std::string Milliseconds(double microseconds) {
  return fmt::format("{:.1f} ms", microseconds / 1000);
}

std::string Count(double value) {
  return fmt::format("{:.0f}", value);
}

// "total (min/median/max)" of one figure over the tasks; just the figure for one task.
std::string Spread(std::vector<double> values, std::string (*format)(double),
                   bool show_total) {
  if (values.empty()) return format(0);
  std::sort(values.begin(), values.end());
  double total = 0;
  for (const double value : values) total += value;
  if (values.size() == 1) return format(total);
  const std::string spread =
      fmt::format("min {}, median {}, max {}", format(values.front()),
                  format(values[values.size() / 2]), format(values.back()));
  return show_total ? fmt::format("{} ({})", format(total), spread) : spread;
}

template <typename Figure>
std::vector<double> Figures(const std::vector<const TaskReport*>& tasks, Figure figure) {
  std::vector<double> values;
  for (const auto* task : tasks) values.push_back(static_cast<double>(figure(*task)));
  return values;
}

std::string StageFigures(const std::vector<const TaskReport*>& tasks) {
  const auto figures = [&](auto field) {
    return Figures(tasks, [&](const TaskReport& t) { return (t.metrics.*field)(); });
  };
  using M = job::TaskMetrics;
  std::string text = fmt::format("  tasks {}, time {}", tasks.size(),
                                 Spread(figures(&M::elapsed_us), Milliseconds, false));
  text += ", cpu " + Spread(figures(&M::cpu_us), Milliseconds, true);
  text += "\n  rows out " + Spread(figures(&M::output_rows), Count, true);
  text += ", bytes out " + Spread(figures(&M::output_bytes), Bytes, true);
  text += "\n  rows in " + Spread(figures(&M::input_rows), Count, true);
  text += ", bytes in " + Spread(figures(&M::input_bytes), Bytes, true);
  text += ", rows scanned " + Spread(figures(&M::scan_rows), Count, true);
  text += ", spilled " + Spread(figures(&M::spilled_bytes), Bytes, true);
  text += ", engine memory " + Spread(figures(&M::peak_memory_bytes), Bytes, false);
  text += "\n";
  return text;
}

std::string SkippedTasks(uint32_t stage, const control::JobProgressResponse& progress) {
  for (const auto& one : progress.stages()) {
    if (one.stage_id() != stage || one.skipped() == 0) continue;
    return fmt::format("  limit: {} more tasks were not needed\n", one.skipped());
  }
  return "";
}

// Partitions that several tasks share, because one would have had too much.
std::string SplitPartitions(const std::vector<const TaskReport*>& tasks) {
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> split;
  for (const auto* task : tasks) {
    if (task->pieces > 1) {
      split[{task->first_partition, task->last_partition}] = task->pieces;
    }
  }
  std::string text;
  for (const auto& [range, pieces] : split) {
    text += fmt::format("  skew: partitions {} to {} are split among {} tasks\n",
                        range.first, range.second - 1, pieces);
  }
  return text;
}

// Operators of the tasks of a stage are alike in order and depth: position by position.
std::string OperatorFigures(const std::vector<const TaskReport*>& tasks) {
  struct Merged {
    job::OperatorMetrics first;
    std::vector<double> rows;
    std::vector<double> bytes;
    std::vector<double> times;
  };
  std::vector<Merged> merged;
  for (const auto* task : tasks) {
    for (int i = 0; i < task->metrics.operators_size(); ++i) {
      const auto& one = task->metrics.operators(i);
      if (static_cast<size_t>(i) >= merged.size()) merged.push_back({one, {}, {}, {}});
      auto& into = merged[static_cast<size_t>(i)];
      if (into.first.name() != one.name()) break;
      into.rows.push_back(static_cast<double>(one.rows()));
      into.bytes.push_back(static_cast<double>(one.bytes()));
      into.times.push_back(static_cast<double>(one.elapsed_us()));
    }
  }
  std::string text;
  for (const auto& one : merged) {
    text += fmt::format("    {:{}}{}: rows {}, bytes {}, time {}\n", "",
                        2 * one.first.depth(), one.first.name(),
                        Spread(one.rows, Count, true), Spread(one.bytes, Bytes, true),
                        Spread(one.times, Milliseconds, true));
  }
  return text;
}

}  // namespace

arrow::Result<std::shared_ptr<arrow::Table>> ExplainTable(const std::string& plan_type,
                                                          const std::string& plan) {
  arrow::StringBuilder types;
  arrow::StringBuilder plans;
  ARROW_RETURN_NOT_OK(types.Append(plan_type));
  ARROW_RETURN_NOT_OK(plans.Append(plan));
  ARROW_ASSIGN_OR_RAISE(auto type_array, types.Finish());
  ARROW_ASSIGN_OR_RAISE(auto plan_array, plans.Finish());
  return arrow::Table::Make(arrow::schema({arrow::field("plan_type", arrow::utf8()),
                                           arrow::field("plan", arrow::utf8())}),
                            {type_array, plan_array});
}

std::string AnalyzedPlan(const job::JobGraph& graph,
                         const std::vector<TaskReport>& reports,
                         const control::JobProgressResponse& progress) {
  std::map<uint32_t, std::vector<const TaskReport*>> by_stage;
  for (const auto& report : reports) by_stage[report.stage_id].push_back(&report);
  std::string text = fmt::format(
      "Ran in {}\n", Milliseconds(static_cast<double>(progress.elapsed_us())));
  text += plan::ToString(graph);
  text += "\nWhat the stages did:\n";
  for (const auto& stage : graph.stages()) {
    text += fmt::format("Stage {}: {}\n", stage.id(), stage.description());
    const auto tasks = by_stage.find(stage.id());
    if (tasks == by_stage.end()) {
      text += "  did not run\n";
      continue;
    }
    text += StageFigures(tasks->second);
    text += SkippedTasks(stage.id(), progress);
    text += SplitPartitions(tasks->second);
    text += OperatorFigures(tasks->second);
  }
  return text;
}

}  // namespace ballista::scheduler
