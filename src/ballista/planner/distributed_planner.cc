#include "ballista/planner/distributed_planner.h"

#include <algorithm>
#include <string>
#include <utility>

#include "ballista/plan/plan.h"
#include "ballista/planner/column_pruning.h"
#include "ballista/planner/cost.h"
#include "ballista/planner/graph_checker.h"
#include "ballista/planner/node_planner.h"

namespace ballista::planner {
namespace {

using plan::Node;

constexpr uint32_t kMaxPartitions = 65535;
constexpr uint32_t kMinPartitions = 16;
// A task reads a contiguous range of partitions, and partitions cost nothing: enough of
// them for tasks of even size, and for more tasks than there are executors now.
constexpr uint32_t kPartitionsPerExecutor = 8;

uint32_t PartitionCount(const PlannerOptions& options) {
  if (options.shuffle_partitions > 0) {
    return std::min(options.shuffle_partitions, kMaxPartitions);
  }
  const uint64_t wanted = uint64_t{kPartitionsPerExecutor} * options.executors;
  return static_cast<uint32_t>(
      std::clamp<uint64_t>(wanted, kMinPartitions, kMaxPartitions));
}

bool HasScan(const Node& root) {
  bool found = false;
  plan::VisitNodes(root, [&](const Node& node) { found = found || node.has_scan(); });
  return found;
}

// Why one task is the best plan; empty where it is not.
std::string SingleTaskReason(const Node& root, const PlannerOptions& options) {
  if (root.has_statement()) {
    return root.statement().reason().empty() ? "the statement has no distributed form"
                                             : root.statement().reason();
  }
  // What a whole statement gives is written by a stage after it.
  if (root.has_write() && root.inputs(0).has_statement()) return "";
  if (!HasScan(root)) return "it reads no files";
  if (options.executors <= 1) return "the cluster has one executor";
  const double bytes = ScannedBytes(root);
  if (options.single_task_threshold > 0 &&
      bytes <= static_cast<double>(options.single_task_threshold)) {
    return "it reads " + std::to_string(static_cast<uint64_t>(bytes)) +
           " bytes, and up to ballista.single_task_threshold = " +
           std::to_string(options.single_task_threshold) + " one task is faster";
  }
  return "";
}

// The rows come in an order that matters.
bool IsOrdered(const Node& root) {
  const Node* node = &root;
  while (true) {
    switch (node->kind_case()) {
      case Node::kSort:
      case Node::kStatement:
        return true;
      case Node::kProject:
      case Node::kFilter:
      case Node::kLimit:
      case Node::kUnnest:
        node = &node->inputs(0);
        break;
      case Node::kShared:
        node = &node->inputs(1);
        break;
      default:
        return false;
    }
  }
}

Fragment WholePlan(Node root) {
  Fragment fragment;
  // Rows that are written out in the statement come back as they were written.
  fragment.ordered = IsOrdered(root) || !HasScan(root);
  fragment.steps.push_back("whole plan");
  fragment.root = std::move(root);
  return fragment;
}

arrow::Result<job::JobGraph> Finish(StageBuilder stages, Fragment result,
                                    const plan::Plan& plan, const std::string& reason) {
  ARROW_ASSIGN_OR_RAISE(job::JobGraph graph, std::move(stages).Finish(std::move(result)));
  *graph.mutable_names() = plan.names();
  *graph.mutable_settings() = plan.settings();
  graph.set_single_task_reason(reason);
  ARROW_RETURN_NOT_OK(plan::ValidateGraph(graph));
  ARROW_RETURN_NOT_OK(CheckGraph(graph));
  return graph;
}

arrow::Result<job::JobGraph> Distribute(const plan::Plan& plan, Node root,
                                        const PlannerOptions& options) {
  StageBuilder stages(PartitionCount(options));
  ARROW_RETURN_NOT_OK(PruneColumns(&root));
  NodePlanner planner(options, &stages);
  ARROW_ASSIGN_OR_RAISE(Fragment result, planner.Plan(std::move(root)));
  return Finish(std::move(stages), std::move(result), plan, "");
}

}  // namespace

arrow::Result<job::JobGraph> PlanJob(const plan::Plan& plan,
                                     const PlannerOptions& options) {
  Node root = plan.root();
  plan::VisitNodes(&root, [](Node* node) {
    if (node->has_scan()) node->mutable_scan()->clear_scan_index();
  });
  FillEstimates(&root);
  std::string reason = SingleTaskReason(root, options);
  if (reason.empty()) {
    auto graph = Distribute(plan, root, options);
    if (graph.ok()) return graph;
    // A wrong graph never runs; the plan itself may well be right.
    reason = "its distributed plan is refused: " + graph.status().message();
  }
  return Finish(StageBuilder(PartitionCount(options)), WholePlan(std::move(root)), plan,
                reason);
}

}  // namespace ballista::planner
