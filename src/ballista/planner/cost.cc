#include "ballista/planner/cost.h"

#include <algorithm>

#include "ballista/plan/plan.h"

namespace ballista::planner {
namespace {

constexpr double kUnknownScanRows = 1e6;
// A row of a compressed columnar file, guessed.
constexpr double kFileBytesPerRow = 32;

double ScanRows(const plan::Scan& scan) {
  double rows = 0;
  double bytes = 0;
  for (const auto& split : scan.files()) {
    rows += static_cast<double>(split.row_count() > 0 ? split.row_count()
                                                      : split.total_rows());
    bytes += static_cast<double>(split.size_bytes());
  }
  if (rows > 0) return rows;
  return bytes > 0 ? bytes / kFileBytesPerRow : kUnknownScanRows;
}

double JoinRows(const plan::Node& node) {
  const double left = node.inputs(0).estimated_rows();
  const double right = node.inputs(1).estimated_rows();
  switch (node.join().type()) {
    case plan::Join::SEMI:
    case plan::Join::ANTI:
    case plan::Join::MARK:
    case plan::Join::SINGLE:
    case plan::Join::LEFT:
      return left;
    case plan::Join::RIGHT:
      return right;
    default:
      return node.join().conditions_size() > 0 ? std::max(left, right) : left * right;
  }
}

double GuessRows(const plan::Node& node) {
  const auto input = [&](int i) { return node.inputs(i).estimated_rows(); };
  switch (node.kind_case()) {
    case plan::Node::kScan:
      return ScanRows(node.scan());
    case plan::Node::kValues:
      return node.values().rows_size();
    case plan::Node::kEmpty:
      return 0;
    case plan::Node::kLocalTable:
      return static_cast<double>(node.local_table().rows());
    case plan::Node::kFilter:
      return input(0) * 0.2;
    case plan::Node::kAggregate:
      return node.aggregate().groups_size() == 0 ? 1 : input(0) * 0.1;
    case plan::Node::kDistinct:
      return input(0) * 0.3;
    case plan::Node::kJoin:
      return JoinRows(node);
    case plan::Node::kSort:
      if (!node.sort().has_limit()) return input(0);
      return std::min(input(0), static_cast<double>(node.sort().limit()));
    case plan::Node::kSetOperation: {
      double rows = 0;
      for (const auto& child : node.inputs()) rows += child.estimated_rows();
      return rows;
    }
    case plan::Node::kShared:
      return input(1);
    default:
      return node.inputs_size() > 0 ? input(0) : 1000;
  }
}

}  // namespace

void FillEstimates(plan::Node* node) {
  for (auto& input : *node->mutable_inputs()) FillEstimates(&input);
  // A literal's size is exact; what the front end says of it may not be. No estimate is
  // a good reason to believe that there is no row at all.
  if (node->estimated_rows() <= 0 || node->has_values() || node->has_local_table()) {
    node->set_estimated_rows(GuessRows(*node));
  }
}

double EstimatedBytes(const plan::Node& node) {
  return std::max(1.0, node.estimated_rows()) * plan::EstimatedRowBytes(node.types());
}

bool IsEstimatedTiny(const plan::Node& node) {
  constexpr double kTinyRows = 10000;
  constexpr double kTinyBytes = 1 << 20;
  return node.estimated_rows() <= kTinyRows && EstimatedBytes(node) <= kTinyBytes;
}

double ScannedBytes(const plan::Node& node) {
  double total = 0;
  plan::VisitNodes(node, [&](const plan::Node& visited) {
    if (!visited.has_scan()) return;
    const double width = plan::EstimatedRowBytes(visited.types());
    for (const auto& split : visited.scan().files()) {
      const double file = static_cast<double>(split.size_bytes());
      const double rows = static_cast<double>(split.row_count() > 0 ? split.row_count()
                                                                    : split.total_rows());
      total += rows > 0 && file > 0 ? std::min(file, rows * width)
                                    : std::max(file, rows * width);
    }
  });
  return total;
}

}  // namespace ballista::planner
