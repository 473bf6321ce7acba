#include "ballista/planner/stage_builder.h"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "ballista/plan/plan.h"
#include "ballista/planner/cost.h"

namespace ballista::planner {
namespace {

using job::StageInput;

// Not worth a stage.
constexpr double kCheapBytes = 1 << 20;

// Where an estimate is wrong, one task is done with so many rows before they would be
// missed. Above, they are exchanged, and merged again if they turn out to be few.
constexpr double kTinyRowsAtMost = 100000;

// The number of groups is an estimate of its own where it is far below that of the rows;
// else it follows from theirs.
constexpr double kFewGroups = 0.1;

job::Output Unpartitioned() {
  job::Output output;
  output.set_kind(job::Output::UNPARTITIONED);
  return output;
}

job::Output HashOutput(const std::vector<uint32_t>& keys, uint32_t partitions) {
  job::Output output;
  output.set_kind(job::Output::HASH);
  output.mutable_keys()->Add(keys.begin(), keys.end());
  output.set_partitions(partitions);
  return output;
}

std::string Describe(const std::vector<std::string>& steps, const job::Output& output) {
  std::string text;
  for (const auto& step : steps) text += (text.empty() ? "" : "; ") + step;
  if (output.kind() == job::Output::RANGE) text += text.empty() ? "runs" : "; runs";
  if (output.kind() == job::Output::HASH) {
    text += text.empty() ? "hash" : "; hash";
    for (const uint32_t key : output.keys()) text += " #" + std::to_string(key);
  }
  return text.empty() ? "read" : text;
}

// Numbers the scans of a stage's fragment in pre-order and moves their files to the
// stage, to be dealt out to its tasks; a scan that each task reads whole keeps its own.
void MoveScans(job::Stage* stage) {
  plan::VisitNodes(stage->mutable_fragment(), [&](plan::Node* node) {
    if (!node->has_scan()) return;
    auto* scan = node->mutable_scan();
    if (scan->scan_index() == kReadByEachTask) {
      scan->clear_scan_index();
      for (auto& file : *scan->mutable_files()) file.clear_row_group_ends();
      return;
    }
    scan->set_scan_index(static_cast<uint32_t>(stage->scans_size()));
    stage->add_scans()->mutable_splits()->Swap(scan->mutable_files());
    scan->clear_files();
  });
}

}  // namespace

uint32_t StageBuilder::AddStage(Fragment fragment, job::Output output) {
  const bool filtered = IsFiltered(fragment.root);
  const double most_rows = MostRows(fragment.root);
  stages_.push_back({std::move(fragment), std::move(output), {}, filtered, most_rows});
  return static_cast<uint32_t>(stages_.size() - 1);
}

bool StageBuilder::IsFiltered(const plan::Node& root) const {
  bool filtered = false;
  plan::VisitNodes(root, [&](const plan::Node& node) {
    if (node.has_filter()) filtered = true;
    if (node.has_exchange_read()) {
      filtered |= stages_[reads_[node.exchange_read().input()].stage].filtered;
    }
  });
  return filtered;
}

double StageBuilder::MostRows(const plan::Node& node) const {
  const double estimate = node.estimated_rows();
  const auto input = [&](int i) { return MostRows(node.inputs(i)); };
  const auto most_of_all = [&] {
    double most = 0;
    for (const auto& child : node.inputs()) most = std::max(most, MostRows(child));
    return most;
  };
  switch (node.kind_case()) {
    case plan::Node::kScan: {
      double rows = 0;
      for (const auto& split : node.scan().files()) {
        rows += static_cast<double>(split.row_count() > 0 ? split.row_count()
                                                          : split.total_rows());
      }
      return std::max(rows, estimate);
    }
    case plan::Node::kExchangeRead:
      return stages_[reads_[node.exchange_read().input()].stage].most_rows;
    case plan::Node::kAggregate:
      if (node.aggregate().groups_size() == 0) return 1;
      return estimate < kFewGroups * node.inputs(0).estimated_rows() ? estimate
                                                                     : input(0);
    case plan::Node::kSort:
      if (!node.sort().has_limit()) return input(0);
      return std::min(input(0), static_cast<double>(node.sort().limit()));
    case plan::Node::kLimit:
      return node.limit().has_limit() && !node.limit().is_percent() ? estimate : input(0);
    case plan::Node::kJoin:
      switch (node.join().type()) {
        case plan::Join::SEMI:
        case plan::Join::ANTI:
        case plan::Join::MARK:
        case plan::Join::SINGLE:
          return input(0);
        default:
          return node.join().conditions_size() > 0 ? most_of_all() : input(0) * input(1);
      }
    case plan::Node::kSetOperation: {
      double rows = 0;
      for (const auto& child : node.inputs()) rows += MostRows(child);
      return rows;
    }
    default:
      return node.inputs_size() > 0 ? std::max(estimate, most_of_all()) : estimate;
  }
}

bool StageBuilder::IsTiny(const plan::Node& root) const {
  return IsEstimatedTiny(root) && MostRows(root) <= kTinyRowsAtMost;
}

Fragment StageBuilder::ReadAs(uint32_t stage, StageInput::Mode mode,
                              Distribution distribution) {
  const plan::Node& producer = stages_[stage].fragment.root;
  Fragment fragment;
  *fragment.root.mutable_types() = producer.types();
  fragment.root.set_estimated_rows(producer.estimated_rows());
  fragment.root.mutable_exchange_read()->set_input(static_cast<uint32_t>(reads_.size()));
  fragment.distribution = std::move(distribution);
  if (mode == StageInput::PARTITIONED &&
      stages_[stage].output.kind() == job::Output::HASH) {
    fragment.splittable.insert(static_cast<uint32_t>(reads_.size()));
  }
  reads_.push_back({stage, mode});
  return fragment;
}

bool StageBuilder::ReadAgain(plan::Node* root, StageInput::Mode mode) {
  plan::Node* node = root;
  while (node->has_project() || node->has_filter()) {
    bool is_volatile = false;
    plan::ForEachExpression(*node, [&](const plan::Expression& e) {
      is_volatile = is_volatile || plan::IsVolatile(e);
    });
    if (is_volatile) return false;
    node = node->mutable_inputs(0);
  }
  if (!node->has_exchange_read()) return false;
  if (EstimatedBytes(*node) > 2 * EstimatedBytes(*root) + kCheapBytes) return false;
  const DraftRead read = reads_[node->exchange_read().input()];
  node->mutable_exchange_read()->set_input(static_cast<uint32_t>(reads_.size()));
  reads_.push_back({read.stage, mode});
  return true;
}

Fragment StageBuilder::Gather(Fragment input) {
  const bool ordered = input.ordered && input.distribution.IsSpread();
  const auto mode = ordered ? StageInput::MERGE : StageInput::ALL;
  if (!input.distribution.IsSpread() || ReadAgain(&input.root, mode)) {
    input.distribution = Distribution::Single();
    return input;
  }
  job::Output output = Unpartitioned();
  output.set_ordered(ordered);
  const uint32_t stage = AddStage(std::move(input), std::move(output));
  Fragment gathered = ReadAs(stage, mode, Distribution::Single());
  gathered.ordered = ordered;
  return gathered;
}

Fragment StageBuilder::Broadcast(Fragment input) {
  if (input.distribution.kind == Distribution::kReplicated) return input;
  if (ReadAgain(&input.root, StageInput::ALL)) {
    input.distribution = Distribution::Replicated();
    return input;
  }
  const uint32_t stage = AddStage(std::move(input), Unpartitioned());
  return ReadAs(stage, StageInput::ALL, Distribution::Replicated());
}

Fragment StageBuilder::HashExchange(Fragment input, const std::vector<uint32_t>& keys) {
  const uint32_t stage = AddStage(std::move(input), HashOutput(keys, partitions_));
  return ReadAs(stage, StageInput::PARTITIONED, Distribution::Hash(keys, partitions_));
}

Fragment StageBuilder::RangeExchange(Fragment input,
                                     const std::vector<plan::SortKey>& keys) {
  job::Output output;
  output.set_kind(job::Output::RANGE);
  output.set_ordered(true);
  output.mutable_sort_keys()->Assign(keys.begin(), keys.end());
  const uint32_t stage = AddStage(std::move(input), std::move(output));
  Fragment merged = ReadAs(stage, StageInput::MERGE, Distribution::Random());
  merged.ordered = true;
  merged.steps.push_back("merge");
  return merged;
}

Fragment StageBuilder::Spread(Fragment input) {
  if (input.distribution.IsSpread()) return input;
  if (ReadAgain(&input.root, StageInput::PARTITIONED)) {
    input.distribution = Distribution::Random();
    return input;
  }
  const uint32_t stage = AddStage(std::move(input), Unpartitioned());
  return ReadAs(stage, StageInput::PARTITIONED, Distribution::Random());
}

uint32_t StageBuilder::Materialize(Fragment input, const std::vector<uint32_t>& keys) {
  Distribution produced = input.distribution;
  job::Output output = Unpartitioned();
  if (produced.kind == Distribution::kHash) {
    std::vector<uint32_t> columns;
    for (const auto& key : produced.keys) columns.push_back(*key.begin());
    output = HashOutput(columns, produced.partitions);
  } else if (produced.kind == Distribution::kRandom && !keys.empty()) {
    produced = Distribution::Hash(keys, partitions_);
    output = HashOutput(keys, partitions_);
  }
  const uint32_t stage = AddStage(std::move(input), std::move(output));
  stages_[stage].produced = std::move(produced);
  return stage;
}

Fragment StageBuilder::Read(uint32_t stage) {
  const Distribution produced = stages_[stage].produced;
  if (!produced.IsSpread()) {
    return ReadAs(stage, StageInput::ALL, Distribution::Single());
  }
  return ReadAs(stage, StageInput::PARTITIONED, produced);
}

void StageBuilder::Order(uint32_t stage, std::vector<int64_t>* position,
                         std::vector<uint32_t>* order) const {
  if ((*position)[stage] >= 0) return;
  // Broadcast sides first, then the others from right to left: the sides that joins build
  // their hash tables from come before the ones that probe them.
  std::vector<const DraftRead*> reads;
  plan::VisitNodes(stages_[stage].fragment.root, [&](const plan::Node& node) {
    if (node.has_exchange_read()) reads.push_back(&reads_[node.exchange_read().input()]);
  });
  std::reverse(reads.begin(), reads.end());
  std::stable_partition(reads.begin(), reads.end(), [](const DraftRead* read) {
    return read->mode == StageInput::ALL;
  });
  for (const DraftRead* read : reads) Order(read->stage, position, order);
  (*position)[stage] = static_cast<int64_t>(order->size());
  order->push_back(stage);
}

arrow::Result<job::JobGraph> StageBuilder::Finish(Fragment result) && {
  job::Output output = Unpartitioned();
  output.set_is_result(true);
  output.set_ordered(result.ordered);
  const uint32_t last = AddStage(std::move(result), std::move(output));

  std::vector<int64_t> position(stages_.size(), -1);
  std::vector<uint32_t> order;
  Order(last, &position, &order);

  job::JobGraph graph;
  for (const uint32_t number : order) {
    DraftStage& draft = stages_[number];
    job::Stage* stage = graph.add_stages();
    stage->set_id(static_cast<uint32_t>(position[number]));
    stage->set_description(Describe(draft.fragment.steps, draft.output));
    stage->set_estimated_rows(draft.fragment.root.estimated_rows());
    stage->set_estimated_bytes(EstimatedBytes(draft.fragment.root));
    stage->set_parallelism(draft.fragment.distribution.IsSpread() ? job::MANY_TASKS
                                                                  : job::SINGLE_TASK);
    stage->set_row_limit(draft.fragment.row_limit);
    *stage->mutable_output() = std::move(draft.output);
    *stage->mutable_fragment() = std::move(draft.fragment.root);
    // A read's rows come once, so each read is an input of its own, even of one stage.
    plan::VisitNodes(stage->mutable_fragment(), [&](plan::Node* node) {
      if (!node->has_exchange_read()) return;
      const uint32_t number = node->exchange_read().input();
      const DraftRead& read = reads_[number];
      node->mutable_exchange_read()->set_input(
          static_cast<uint32_t>(stage->inputs_size()));
      StageInput* input = stage->add_inputs();
      input->add_stages(static_cast<uint32_t>(position[read.stage]));
      input->set_mode(read.mode);
      input->set_splittable(stage->parallelism() == job::MANY_TASKS &&
                            draft.fragment.splittable.contains(number));
      const job::Output& read_output =
          graph.stages(static_cast<int>(position[read.stage])).output();
      if (read.mode == StageInput::MERGE && read_output.kind() == job::Output::RANGE) {
        *input->mutable_merge_keys() = read_output.sort_keys();
      }
    });
    MoveScans(stage);
  }
  graph.set_result_stage(static_cast<uint32_t>(graph.stages_size() - 1));
  return graph;
}

}  // namespace ballista::planner
