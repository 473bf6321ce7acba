#include "ballista/scheduler/service/adaptive_replanner.h"

#include "ballista/planner/adaptive_planner.h"

namespace ballista::scheduler {

std::optional<job::JobGraph> AdaptiveReplanner::Replan(
    const job::JobGraph& graph, const std::vector<StageStatistics>& stages) {
  const auto& settings = graph.replanning();
  if (!settings.enabled()) return std::nullopt;
  planner::PlannerOptions options;
  options.executors = settings.executors();
  options.memory_per_executor = settings.memory_per_executor();
  options.broadcast_threshold = settings.broadcast_threshold();
  options.single_task_threshold = settings.single_task_threshold();
  options.shuffle_partitions = settings.shuffle_partitions();
  std::vector<planner::StageProgress> progress;
  for (const auto& stage : stages) {
    progress.push_back({.started = stage.state != StageStatistics::State::kWaiting,
                        .complete = stage.state == StageStatistics::State::kComplete,
                        .rows = stage.rows,
                        .bytes = stage.bytes});
  }
  auto planned = planner::ReplanJob(graph, progress, options);
  if (planned.has_value()) planner::HoldForReplanning(&*planned, progress);
  return planned;
}

}  // namespace ballista::scheduler
