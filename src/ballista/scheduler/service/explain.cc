#include "ballista/scheduler/service/explain.h"

#include <arrow/array/builder_binary.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "ballista/profile/complete.h"

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
std::string Text(const profile::Spread& spread, size_t tasks,
                 std::string (*format)(double), bool show_total = true) {
  const auto text = [format](uint64_t value) {
    return format(static_cast<double>(value));
  };
  if (tasks <= 1) return text(spread.total());
  const std::string range = fmt::format("min {}, median {}, max {}", text(spread.min()),
                                        text(spread.median()), text(spread.max()));
  return show_total ? fmt::format("{} ({})", text(spread.total()), range) : range;
}

size_t MeasuredTasks(const profile::StageProfile& stage) {
  return static_cast<size_t>(
      std::count_if(stage.task_list().begin(), stage.task_list().end(),
                    [](const auto& task) { return task.has_metrics(); }));
}

std::string StageFigures(const profile::StageProfile& stage, size_t tasks) {
  std::string text = fmt::format("  tasks {}, time {}", tasks,
                                 Text(stage.time_us(), tasks, Milliseconds, false));
  text += ", cpu " + Text(stage.cpu_us(), tasks, Milliseconds);
  text += "\n  rows out " + Text(stage.rows_out(), tasks, Count);
  text += ", bytes out " + Text(stage.bytes_out(), tasks, Bytes);
  text += "\n  rows in " + Text(stage.rows_in(), tasks, Count);
  text += ", bytes in " + Text(stage.bytes_in(), tasks, Bytes);
  text += ", rows scanned " + Text(stage.rows_scanned(), tasks, Count);
  text += ", spilled " + Text(stage.spilled_bytes(), tasks, Bytes);
  text += ", engine memory " + Text(stage.memory_bytes(), tasks, Bytes, false);
  text += "\n";
  return text;
}

// Partitions that several tasks share, because one would have had too much.
std::string SplitPartitions(const profile::StageProfile& stage) {
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> split;
  for (const auto& task : stage.task_list()) {
    if (task.pieces() > 1) {
      split[{task.first_partition(), task.last_partition()}] = task.pieces();
    }
  }
  std::string text;
  for (const auto& [range, pieces] : split) {
    text += fmt::format("  skew: partitions {} to {} are split among {} tasks\n",
                        range.first, range.second - 1, pieces);
  }
  return text;
}

std::string OperatorFigures(const profile::StageProfile& stage) {
  std::string text;
  for (const auto& one : stage.operators()) {
    text += fmt::format("    {:{}}{}: rows {}, bytes {}, time {}\n", "", 2 * one.depth(),
                        one.name(), Text(one.rows(), one.tasks(), Count),
                        Text(one.bytes(), one.tasks(), Bytes),
                        Text(one.time_us(), one.tasks(), Milliseconds));
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

std::string AnalyzedPlan(const profile::QueryProfile& profile) {
  std::string text = fmt::format(
      "Ran in {}\n", Milliseconds(static_cast<double>(profile.job().elapsed_us())));
  text += profile::PlanText(profile);
  text += "\nWhat the stages did:\n";
  for (const auto& stage : profile.stages()) {
    text += fmt::format("Stage {}: {}\n", stage.id(), stage.description());
    const size_t tasks = MeasuredTasks(stage);
    if (tasks == 0) {
      text += "  did not run\n";
      continue;
    }
    text += StageFigures(stage, tasks);
    if (stage.skipped() > 0) {
      text += fmt::format("  limit: {} more tasks were not needed\n", stage.skipped());
    }
    text += SplitPartitions(stage);
    text += OperatorFigures(stage);
  }
  return text;
}

}  // namespace ballista::scheduler
