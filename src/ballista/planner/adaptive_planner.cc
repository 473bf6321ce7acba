#include "ballista/planner/adaptive_planner.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "ballista/plan/plan.h"
#include "ballista/planner/cost.h"
#include "ballista/planner/graph_checker.h"

namespace ballista::planner {
namespace {

using job::JobGraph;
using job::Output;
using job::Stage;
using job::StageInput;
using plan::Join;
using plan::Node;

// What one task does in about the time that another stage would take to start.
constexpr uint64_t kSmallRows = 100000;
constexpr uint64_t kSmallBytes = 2 << 20;
// As in the first plan: a hash table's own bytes, and its share of an executor's memory.
constexpr double kTableBytesPerRow = 24;
constexpr double kMemoryShare = 0.25;

class Replanner {
 public:
  Replanner(const JobGraph& graph, const std::vector<StageProgress>& progress,
            const PlannerOptions& options)
      : options_(options), progress_(progress), graph_(graph) {
    CountReaders();
  }

  std::optional<JobGraph> Run() {
    for (int i = graph_.stages_size() - 1; i >= 0; --i) {
      if (IsWaiting(i) && readers_[static_cast<size_t>(i)] >= 0) BroadcastSmallSides(i);
    }
    for (int i = graph_.stages_size() - 1; i >= 0; --i) {
      if (IsWaiting(i) && readers_[static_cast<size_t>(i)] >= 0) MergeSmallProducers(i);
    }
    if (!changed_) return std::nullopt;
    if (!plan::ValidateGraph(graph_).ok() || !CheckRunningGraph(graph_).ok()) {
      return std::nullopt;
    }
    return std::move(graph_);
  }

 private:
  bool IsWaiting(int stage) const {
    const auto& progress = progress_[static_cast<size_t>(stage)];
    return !progress.started && !progress.complete;
  }

  void CountReaders() {
    readers_.assign(static_cast<size_t>(graph_.stages_size()), 0);
    for (const auto& stage : graph_.stages()) {
      for (const auto& input : stage.inputs()) {
        for (const uint32_t producer : input.stages()) ++readers_[producer];
      }
    }
  }

  // The one producer of an input; -1 where it is a union of several.
  static int Producer(const StageInput& input) {
    return input.stages_size() == 1 ? static_cast<int>(input.stages(0)) : -1;
  }

  // Adds what the stage would read if its small waiting producers were a part of it.
  // Whether that is little, and known.
  bool IsSmall(int stage, uint64_t* rows, uint64_t* bytes) const {
    const Stage& s = graph_.stages(stage);
    if (!IsWaiting(stage) || s.scans_size() > 0 || s.fragment().has_write()) return false;
    for (const auto& input : s.inputs()) {
      const int producer = Producer(input);
      if (producer < 0) return false;
      const auto& progress = progress_[static_cast<size_t>(producer)];
      if (progress.complete) {
        *rows += progress.rows;
        *bytes += progress.bytes;
      } else if (readers_[static_cast<size_t>(producer)] != 1 ||
                 !IsSmall(producer, rows, bytes)) {
        return false;
      }
      if (*rows > kSmallRows || *bytes > kSmallBytes) return false;
    }
    return s.inputs_size() > 0;
  }

  bool IsSmall(int stage) const {
    uint64_t rows = 0;
    uint64_t bytes = 0;
    return IsSmall(stage, &rows, &bytes);
  }

  // A stage of one task, or one that has so little to do, takes its small producers in.
  void MergeSmallProducers(int stage) {
    Stage* s = graph_.mutable_stages(stage);
    if (s->parallelism() != job::SINGLE_TASK) {
      if (!IsSmall(stage)) return RepeatSmallProducers(stage);
      s->set_parallelism(job::SINGLE_TASK);
      for (auto& input : *s->mutable_inputs()) input.set_splittable(false);
      changed_ = true;
    }
    bool merged = true;
    while (merged) {
      merged = false;
      for (int i = 0; i < s->inputs_size() && !merged; ++i) {
        const int producer = Producer(s->inputs(i));
        if (producer < 0) continue;
        if (readers_[static_cast<size_t>(producer)] != 1 || !IsSmall(producer)) continue;
        TakeIn(s, i, producer);
        merged = true;
      }
    }
  }

  // A stage of many tasks that reads a small producer whole: each task does its work
  // anew, where that is deterministic, sooner than a stage would be through.
  void RepeatSmallProducers(int stage) {
    for (int i = 0; i < graph_.stages(stage).inputs_size(); ++i) {
      const StageInput& input = graph_.stages(stage).inputs(i);
      const int producer = Producer(input);
      if (producer < 0 || input.mode() != StageInput::ALL) continue;
      uint64_t rows = 0;
      uint64_t bytes = 0;
      if (readers_[static_cast<size_t>(producer)] != 1 ||
          !IsSmall(producer, &rows, &bytes) || rows > kSmallRows / 4) {
        continue;
      }
      const JobGraph before = graph_;
      const auto readers = readers_;
      for (auto& read : *graph_.mutable_stages(producer)->mutable_inputs()) {
        read.set_mode(StageInput::ALL);
        read.set_splittable(false);
      }
      TakeIn(graph_.mutable_stages(stage), i, producer);
      // The stage that was taken in is not run any more, but stays in the graph.
      *graph_.mutable_stages(producer) = before.stages(producer);
      if (CheckRunningGraph(graph_).ok()) return RepeatSmallProducers(stage);
      graph_ = before;
      readers_ = readers;
    }
  }

  // Puts the producer's fragment in the place of the read of input `index`.
  void TakeIn(Stage* stage, int index, int producer) {
    const Stage& taken = graph_.stages(producer);
    const Stage before = *stage;
    std::vector<StageInput> inputs;
    std::function<void(Node*, const Stage&, int)> move = [&](Node* node, const Stage& of,
                                                             int replaced) {
      if (node->has_exchange_read()) {
        const int input = static_cast<int>(node->exchange_read().input());
        if (input == replaced) {
          Node fragment = taken.fragment();
          *node = std::move(fragment);
          move(node, taken, -1);
          return;
        }
        node->mutable_exchange_read()->set_input(static_cast<uint32_t>(inputs.size()));
        inputs.push_back(of.inputs(input));
        // Its rows come out in parts where those of the read that it replaces did.
        if (&of == &taken && !before.inputs(index).splittable()) {
          inputs.back().set_splittable(false);
        }
        return;
      }
      for (auto& child : *node->mutable_inputs()) move(&child, of, replaced);
    };
    move(stage->mutable_fragment(), before, index);
    stage->clear_inputs();
    for (auto& input : inputs) {
      if (stage->parallelism() == job::SINGLE_TASK) {
        // What is merged stays in order.
        if (input.mode() != StageInput::MERGE) input.set_mode(StageInput::ALL);
        input.set_splittable(false);
      }
      *stage->add_inputs() = std::move(input);
    }
    stage->set_description(taken.description() + "; " + before.description());
    readers_[static_cast<size_t>(producer)] = -1;
    changed_ = true;
  }

  bool FitsBroadcast(const StageProgress& side) const {
    const double bytes = static_cast<double>(side.bytes);
    if (options_.broadcast_threshold == 0) return false;
    if (options_.broadcast_threshold > 0) {
      return bytes <= static_cast<double>(options_.broadcast_threshold);
    }
    const double table = bytes + static_cast<double>(side.rows) * kTableBytesPerRow;
    return options_.memory_per_executor == 0 ||
           table <= kMemoryShare * static_cast<double>(options_.memory_per_executor);
  }

  // The input that a join's side reads directly, hash-partitioned; -1 where it is not so.
  int HashedSide(const Stage& stage, const Node& side) const {
    if (!side.has_exchange_read()) return -1;
    const int input = static_cast<int>(side.exchange_read().input());
    const int producer = Producer(stage.inputs(input));
    if (producer < 0 || stage.inputs(input).mode() != StageInput::PARTITIONED) return -1;
    return graph_.stages(producer).output().kind() == Output::HASH ? input : -1;
  }

  // Joins of two shuffled sides, where the one is there and small and the other has not
  // begun: the one is broadcast, and the other's stage becomes a part of this one.
  void BroadcastSmallSides(int index) {
    Stage* stage = graph_.mutable_stages(index);
    if (stage->parallelism() != job::MANY_TASKS) return;
    const Node* found = nullptr;
    plan::VisitNodes(stage->fragment(), [&](const Node& node) {
      if (found == nullptr && node.has_join() && CanBroadcast(*stage, node))
        found = &node;
    });
    if (found == nullptr) return;
    const bool right = SmallIsRight(*stage, *found);
    const int small = HashedSide(*stage, found->inputs(right ? 1 : 0));
    const int large = HashedSide(*stage, found->inputs(right ? 0 : 1));
    const int producer = Producer(stage->inputs(large));

    const JobGraph before = graph_;
    const auto readers = readers_;
    const bool changed = changed_;
    stage->mutable_inputs(small)->set_mode(StageInput::ALL);
    stage->mutable_inputs(small)->set_splittable(false);
    TakeInScans(stage, large, producer);
    // What is above the join may have relied on how its rows were partitioned.
    if (!CheckRunningGraph(graph_).ok()) {
      graph_ = before;
      readers_ = readers;
      changed_ = changed;
    }
  }

  // A scan whose files are dealt out to the tasks.
  static bool IsDealt(const Node& node) {
    return node.has_scan() && node.scan().files_size() == 0;
  }

  // As TakeIn, for a producer with scans: these are numbered anew.
  void TakeInScans(Stage* stage, int index, int producer) {
    const Stage taken = graph_.stages(producer);
    const Stage before = *stage;
    // Scans of the producer stand where its read stood: number by a walk.
    uint32_t offset = 0;
    bool passed = false;
    plan::VisitNodes(before.fragment(), [&](const Node& node) {
      if (node.has_exchange_read() &&
          static_cast<int>(node.exchange_read().input()) == index) {
        passed = true;
      }
      if (IsDealt(node) && !passed) ++offset;
    });
    TakeIn(stage, index, producer);
    stage->clear_scans();
    uint32_t next = 0;
    plan::VisitNodes(stage->mutable_fragment(), [&](Node* node) {
      if (!IsDealt(*node)) return;
      const uint32_t here = next++;
      const uint32_t of_taken = static_cast<uint32_t>(taken.scans_size());
      const bool is_taken = here >= offset && here < offset + of_taken;
      const Stage& source = is_taken ? taken : before;
      *stage->add_scans() = source.scans(static_cast<int>(node->scan().scan_index()));
      node->mutable_scan()->set_scan_index(here);
    });
  }

  bool SmallIsRight(const Stage& stage, const Node& join) const {
    const int right = HashedSide(stage, join.inputs(1));
    const int producer = Producer(stage.inputs(right));
    return progress_[static_cast<size_t>(producer)].complete;
  }

  bool CanBroadcast(const Stage& stage, const Node& node) const {
    const Join& join = node.join();
    const int left = HashedSide(stage, node.inputs(0));
    const int right = HashedSide(stage, node.inputs(1));
    if (left < 0 || right < 0 || join.asof() || join.positional()) return false;
    const auto pays = [&](int small, int large) {
      const int built = Producer(stage.inputs(small));
      const int waiting = Producer(stage.inputs(large));
      const auto& side = progress_[static_cast<size_t>(built)];
      const Stage& other = graph_.stages(waiting);
      if (!side.complete || !IsWaiting(waiting) ||
          readers_[static_cast<size_t>(waiting)] != 1 ||
          other.parallelism() != job::MANY_TASKS || !FitsBroadcast(side)) {
        return false;
      }
      const CostModel cost{static_cast<double>(options_.executors)};
      const double rows = static_cast<double>(side.rows);
      const double probes = other.estimated_rows();
      const auto tables = [&](double rows_of_one) {
        return CostModel::HashTables(cost.executors, rows_of_one, probes);
      };
      return cost.Broadcast(static_cast<double>(side.bytes)) + tables(rows) <
             cost.Shuffle(probes, other.estimated_bytes()) +
                 tables(rows / cost.executors);
    };
    const bool keeps_right = join.type() == Join::RIGHT || join.type() == Join::FULL;
    if (!keeps_right && pays(right, left)) return true;
    const bool may_copy_left = join.type() == Join::INNER || join.type() == Join::RIGHT;
    const int right_producer = Producer(stage.inputs(right));
    return may_copy_left && !progress_[static_cast<size_t>(right_producer)].complete &&
           pays(left, right);
  }

  const PlannerOptions& options_;
  const std::vector<StageProgress>& progress_;
  JobGraph graph_;
  std::vector<int> readers_;  // -1: became a part of its reader
  bool changed_ = false;
};

}  // namespace

std::optional<JobGraph> ReplanJob(const JobGraph& graph,
                                  const std::vector<StageProgress>& progress,
                                  const PlannerOptions& options) {
  if (progress.size() != static_cast<size_t>(graph.stages_size())) return std::nullopt;
  return Replanner(graph, progress, options).Run();
}

namespace {

bool HasJoin(const plan::Node& fragment) {
  bool found = false;
  plan::VisitNodes(fragment,
                   [&](const plan::Node& node) { found = found || node.has_join(); });
  return found;
}

// Whether `stage` cannot complete before `target` has, by what it reads and waits for.
bool DependsOn(const job::JobGraph& graph, uint32_t stage, uint32_t target,
               std::vector<bool>* seen) {
  if (stage == target) return true;
  if ((*seen)[stage]) return false;
  (*seen)[stage] = true;
  const auto& definition = graph.stages(static_cast<int>(stage));
  for (const auto& input : definition.inputs()) {
    for (const uint32_t producer : input.stages()) {
      if (DependsOn(graph, producer, target, seen)) return true;
    }
  }
  for (const uint32_t first : definition.start_after()) {
    if (DependsOn(graph, first, target, seen)) return true;
  }
  return false;
}

// The producers of the hash exchanges that the stage reads, smallest estimate first.
std::vector<uint32_t> HashProducers(const job::JobGraph& graph, const job::Stage& stage) {
  std::vector<uint32_t> producers;
  for (const auto& input : stage.inputs()) {
    if (input.mode() != job::StageInput::PARTITIONED || input.stages_size() != 1)
      continue;
    const auto& producer = graph.stages(static_cast<int>(input.stages(0)));
    if (producer.output().kind() == job::Output::HASH) producers.push_back(producer.id());
  }
  std::sort(producers.begin(), producers.end(), [&](uint32_t a, uint32_t b) {
    return graph.stages(static_cast<int>(a)).estimated_bytes() <
           graph.stages(static_cast<int>(b)).estimated_bytes();
  });
  return producers;
}

}  // namespace

void HoldForReplanning(job::JobGraph* graph, const std::vector<StageProgress>& progress) {
  const auto started = [&](uint32_t stage) {
    return stage < progress.size() && progress[stage].started;
  };
  for (auto& stage : *graph->mutable_stages()) {
    if (!started(stage.id())) stage.clear_start_after();
  }
  for (const auto& stage : graph->stages()) {
    if (!HasJoin(stage.fragment())) continue;
    const auto producers = HashProducers(*graph, stage);
    for (size_t i = 1; i < producers.size(); ++i) {
      if (started(producers[i])) continue;
      std::vector<bool> seen(static_cast<size_t>(graph->stages_size()));
      if (DependsOn(*graph, producers[0], producers[i], &seen)) continue;
      graph->mutable_stages(static_cast<int>(producers[i]))
          ->add_start_after(producers[0]);
    }
  }
}

}  // namespace ballista::planner
