#include "ballista/planner/graph_checker.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ballista/base/status.h"
#include "ballista/plan/plan.h"
#include "ballista/plan/repeatable.h"

namespace ballista::planner {
namespace {

using job::JobGraph;
using job::Output;
using job::Stage;
using job::StageInput;
using plan::Expression;
using plan::Join;
using plan::Node;

// What is known of the rows of a node, over all tasks of its stage.
struct Rows {
  // Each task has all of them. In a stage of one task that is true of everything.
  bool whole = false;
  // Otherwise each row is in one task; equal in `keys` means in the same one, unless
  // there are none. A key may be in several columns.
  std::vector<std::set<uint32_t>> keys;
  uint32_t partitions = 0;
  // The node above must be of this kind (and see all rows of a group) to make the result
  // right: what is here was computed by each task for itself.
  Node::KindCase pending = Node::KIND_NOT_SET;

  static Rows Whole() { return {true, {}, 0, Node::KIND_NOT_SET}; }
  static Rows Parts() { return {}; }

  bool Meet(const std::set<uint32_t>& columns) const {
    if (whole) return true;
    return !keys.empty() &&
           std::all_of(keys.begin(), keys.end(), [&](const std::set<uint32_t>& key) {
             return std::any_of(key.begin(), key.end(),
                                [&](uint32_t c) { return columns.contains(c); });
           });
  }

  template <typename NewPositions>  // old column -> its new positions
  Rows Moved(const NewPositions& new_positions) const {
    Rows moved = *this;
    for (auto& key : moved.keys) {
      std::set<uint32_t> columns;
      for (const uint32_t c : key) {
        for (const uint32_t n : new_positions(c)) columns.insert(n);
      }
      key = std::move(columns);
    }
    if (std::any_of(moved.keys.begin(), moved.keys.end(),
                    [](const auto& key) { return key.empty(); })) {
      moved.keys.clear();
    }
    return moved;
  }
};

bool IsColumn(const Expression& e) {
  return e.kind_case() == Expression::kColumn;
}

bool IsEquality(const plan::JoinCondition& c) {
  return c.op() == plan::Comparison::EQUAL ||
         c.op() == plan::Comparison::NOT_DISTINCT_FROM;
}

bool IsVolatileNode(const Node& node) {
  bool found = false;
  plan::ForEachExpression(
      node, [&](const Expression& e) { found = found || plan::IsVolatile(e); });
  return found;
}

// Aggregates whose results over parts of the rows give the result over all of them.
bool AddsUp(const std::string& name) {
  static const std::set<std::string> kNames = {
      "sum",    "count",    "count_star", "count_if",  "countif",      "min",
      "max",    "bool_and", "bool_or",    "bit_and",   "bit_or",       "bit_xor",
      "first",  "last",     "arbitrary",  "any_value", "arg_min",      "arg_max",
      "argmin", "argmax",   "min_by",     "max_by",    "arg_min_null", "arg_max_null"};
  return kNames.contains(name);
}

class StageChecker {
 public:
  static constexpr int kNoSplit = -1;

  // `split`: the input whose rows tasks that read the same partitions share. Seen within
  // these partitions, its rows are in one task each, in any, and those of the other hash
  // exchanges are whole in every task.
  StageChecker(const JobGraph& graph, const Stage& stage,
               const std::vector<Rows>& outputs, int split = kNoSplit)
      : graph_(graph),
        stage_(stage),
        outputs_(outputs),
        single_(stage.parallelism() == job::SINGLE_TASK),
        split_(split) {}

  // The rows of the stage's output before it is partitioned.
  arrow::Result<Rows> Check() {
    ARROW_ASSIGN_OR_RAISE(Rows rows, CheckNode(stage_.fragment()));
    ARROW_RETURN_NOT_OK(CheckOrder());
    if (!single_ && rows.whole) {
      return Bad(stage_.fragment(), "every task would give all rows");
    }
    if (scans_ != stage_.scans_size()) {
      return Bad(stage_.fragment(), "the stage's scans are not those of its fragment");
    }
    if (split_ == kNoSplit) ARROW_RETURN_NOT_OK(CheckSplits(&rows));
    if (stage_.row_limit() > 0) ARROW_RETURN_NOT_OK(CheckRowLimit());
    return rows;
  }

 private:
  // What is right for rows that are anywhere, next to whole ones, is right within each
  // range of partitions that is split. What the parts leave to the stage's readers, these
  // must combine: `rows` says so then.
  arrow::Status CheckSplits(Rows* rows) const {
    for (int i = 0; i < stage_.inputs_size(); ++i) {
      if (!stage_.inputs(i).splittable()) continue;
      if (single_ || !IsHashed(stage_.inputs(i))) {
        return Bad(stage_.fragment(),
                   "input " + std::to_string(i) + " has no partitions to split");
      }
      StageChecker checker(graph_, stage_, outputs_, i);
      ARROW_ASSIGN_OR_RAISE(const Rows parts, checker.Check());
      if (rows->pending == Node::KIND_NOT_SET) rows->pending = parts.pending;
      if (parts.pending != Node::KIND_NOT_SET && rows->pending != parts.pending) {
        return Bad(stage_.fragment(), "input " + std::to_string(i) +
                                          " may be split, which leaves other work to do");
      }
    }
    return arrow::Status::OK();
  }

  // The fragment ends in that limit, so that a reader must apply one, too.
  arrow::Status CheckRowLimit() const {
    const Node& root = stage_.fragment();
    const auto& count = root.limit().limit().literal();
    if (!root.has_limit() || root.limit().has_offset() || root.limit().is_percent() ||
        !root.limit().limit().has_literal() ||
        static_cast<uint64_t>(count.int_()) != stage_.row_limit()) {
      return Bad(root, "it may stop at " + std::to_string(stage_.row_limit()) +
                           " rows, which is not its own limit");
    }
    return arrow::Status::OK();
  }

  bool IsHashed(const StageInput& input) const {
    return input.mode() == StageInput::PARTITIONED && input.stages_size() > 0 &&
           graph_.stages(static_cast<int>(input.stages(0))).output().kind() ==
               Output::HASH;
  }

  arrow::Status Bad(const Node& node, const std::string& what) const {
    const std::string text = plan::ToString(node);
    return InternalStatus("stage " + std::to_string(stage_.id()) +
                          " of the job is not right: " + what + ", at " +
                          text.substr(0, text.find('\n')));
  }

  // A run is what its sort gives; and where the order of the rows of several tasks
  // matters, nothing but row-wise operators and limits is between them and the ranges.
  arrow::Status CheckOrder() const {
    const Output& output = stage_.output();
    if (output.kind() == Output::RANGE) {
      if (!stage_.fragment().has_sort() ||
          !SameKeys(stage_.fragment().sort().keys(), output.sort_keys())) {
        return Bad(stage_.fragment(), "its output is not sorted as it says");
      }
      return arrow::Status::OK();
    }
    if (!output.ordered() || single_) return arrow::Status::OK();
    const Node* node = &stage_.fragment();
    while (node->has_project() || node->has_filter() || node->has_limit()) {
      node = &node->inputs(0);
    }
    if (!node->has_exchange_read() ||
        stage_.inputs(static_cast<int>(node->exchange_read().input()))
                .merge_keys_size() == 0) {
      return Bad(*node, "its tasks' rows are not in order one task after the other");
    }
    return arrow::Status::OK();
  }

  // Both are sorted alike: direction, place of NULLs, and plain columns.
  template <typename Keys>
  static bool SameKeys(const Keys& a, const Keys& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const plan::SortKey& x, const plan::SortKey& y) {
                        return IsColumn(x.expression()) && IsColumn(y.expression()) &&
                               x.expression().column() == y.expression().column() &&
                               x.descending() == y.descending() &&
                               x.nulls_first() == y.nulls_first();
                      });
  }

  // Several tasks that merge share out ranges, and nothing else.
  arrow::Status CheckMerge(const Node& node, const StageInput& input) const {
    for (const uint32_t id : input.stages()) {
      const Output& output = graph_.stages(static_cast<int>(id)).output();
      if (input.merge_keys().empty()
              ? !output.ordered()
              : output.kind() != Output::RANGE ||
                    !SameKeys(output.sort_keys(), input.merge_keys())) {
        return Bad(node, "what it merges is not in that order");
      }
    }
    if (single_) return arrow::Status::OK();
    if (input.merge_keys().empty()) return Bad(node, "outputs in order, in many tasks");
    const auto whole = std::count_if(
        stage_.inputs().begin(), stage_.inputs().end(),
        [](const StageInput& other) { return other.mode() == StageInput::ALL; });
    if (whole + 1 != stage_.inputs_size() || stage_.scans_size() > 0) {
      return Bad(node, "ranges are merged beside rows that are shared out otherwise");
    }
    return arrow::Status::OK();
  }

  // In one task, rows are whole wherever they come from.
  Rows Settle(Rows rows) const {
    if (single_) {
      rows.whole = true;
      rows.keys.clear();
    }
    return rows;
  }

  // Groups without calls are distinct rows.
  static bool FindsDistinct(const Node& node) {
    return node.has_aggregate() && node.aggregate().aggregates_size() == 0 &&
           node.aggregate().grouping_calls_size() == 0 &&
           node.aggregate().grouping_sets_size() <= 1;
  }

  // Whether it makes no difference to the node how often a row of `input` comes up.
  static bool IgnoresRepeats(const Node& node, const Node& input) {
    if (FindsDistinct(node)) return true;
    return node.has_join() && &input == &node.inputs(1) &&
           (node.join().type() == Join::SEMI || node.join().type() == Join::ANTI);
  }

  arrow::Result<Rows> CheckNode(const Node& node) {
    std::vector<Rows> inputs;
    for (const auto& input : node.inputs()) {
      ARROW_ASSIGN_OR_RAISE(Rows rows, CheckNode(input));
      if (rows.pending == Node::kDistinct && IgnoresRepeats(node, input)) {
        rows.pending = Node::KIND_NOT_SET;
      }
      if (rows.pending != Node::KIND_NOT_SET && rows.pending != node.kind_case()) {
        return Bad(node, "its input holds partial results that nothing combines");
      }
      inputs.push_back(std::move(rows));
    }
    if (node.inputs_size() == 0) return CheckLeaf(node);
    if (!single_ && inputs[0].whole && node.inputs_size() == 1 && IsVolatileNode(node)) {
      return Bad(node, "each task would draw its own random values for the same rows");
    }
    return CheckInner(node, std::move(inputs));
  }

  arrow::Result<Rows> CheckLeaf(const Node& node) {
    switch (node.kind_case()) {
      case Node::kScan:
        // With files of its own it is read whole by each task.
        if (node.scan().files_size() > 0) return Rows::Whole();
        if (node.scan().scan_index() != static_cast<uint32_t>(scans_++)) {
          return Bad(node, "the scan is not numbered");
        }
        return Settle(Rows::Parts());
      case Node::kExchangeRead:
        return CheckRead(node);
      case Node::kStatement:
        if (!single_) return Bad(node, "a whole statement in more than one task");
        return Rows::Whole();
      case Node::kSharedRef:
        if (!single_) return Bad(node, "a shared node in more than one task");
        return Rows::Whole();
      default:
        if (!single_ && IsVolatileNode(node)) {
          return Bad(node, "each task would draw its own random values");
        }
        return Rows::Whole();
    }
  }

  arrow::Result<Rows> CheckRead(const Node& node) {
    const StageInput& input =
        stage_.inputs(static_cast<int>(node.exchange_read().input()));
    if (!read_.insert(node.exchange_read().input()).second) {
      return Bad(node, "an input is read twice");
    }
    if (input.mode() == StageInput::MERGE) {
      ARROW_RETURN_NOT_OK(CheckMerge(node, input));
    }
    Rows rows;
    for (int i = 0; i < input.stages_size(); ++i) {
      const Stage& producer = graph_.stages(static_cast<int>(input.stages(i)));
      const auto& types = producer.fragment().types();
      if (!std::equal(types.begin(), types.end(), node.types().begin(),
                      node.types().end(), plan::TypesEqual)) {
        return Bad(node,
                   "its types are not those of stage " + std::to_string(producer.id()));
      }
      Rows here = outputs_[producer.id()];
      if (i > 0 && (here.keys != rows.keys || here.partitions != rows.partitions ||
                    here.pending != rows.pending)) {
        here.keys.clear();
        if (here.pending != rows.pending) return Bad(node, "it mixes unlike outputs");
      }
      rows = std::move(here);
    }
    // Of several tasks that merge, each has the rows of one range.
    rows.whole =
        input.mode() == StageInput::ALL || (input.mode() == StageInput::MERGE && single_);
    if (split_ != kNoSplit && IsHashed(input)) {
      rows.whole = static_cast<int>(node.exchange_read().input()) != split_;
      rows.keys.clear();
    }
    if (rows.whole) rows.keys.clear();
    return Settle(std::move(rows));
  }

  arrow::Result<Rows> CheckInner(const Node& node, std::vector<Rows> inputs) {
    switch (node.kind_case()) {
      case Node::kFilter:
        return inputs[0];
      case Node::kUnnest:
        return inputs[0];
      case Node::kProject:
        return inputs[0].Moved([&](uint32_t c) { return Copies(node, c); });
      case Node::kTableFunction: {
        const auto& function = node.table_function();
        return inputs[0].Moved([&](uint32_t c) {
          std::vector<uint32_t> positions;
          for (int i = 0; i < function.passthrough_size(); ++i) {
            if (function.passthrough(i) == c) {
              positions.push_back(static_cast<uint32_t>(function.columns_size() + i));
            }
          }
          return positions;
        });
      }
      case Node::kAggregate:
        return CheckAggregate(node, std::move(inputs[0]));
      case Node::kJoin:
        return CheckJoin(node, inputs[0], inputs[1]);
      case Node::kSort:
        return CheckFirstRows(node, std::move(inputs[0]), node.sort().has_limit(),
                              node.sort().offset() > 0);
      case Node::kLimit:
        return CheckFirstRows(node, std::move(inputs[0]),
                              node.limit().has_limit() && !node.limit().is_percent(),
                              node.limit().has_offset());
      case Node::kDistinct:
        return CheckDistinct(node, std::move(inputs[0]));
      case Node::kWindow:
        return CheckWindow(node, std::move(inputs[0]));
      case Node::kSetOperation:
        return CheckSetOperation(node, std::move(inputs));
      case Node::kSample:
        if (!inputs[0].whole &&
            (!node.sample().is_percentage() || node.sample().has_seed())) {
          return Bad(node, "a sample of the whole in more than one task");
        }
        return inputs[0];
      case Node::kWrite: {
        if (!single_) {
          if (inputs[0].whole) return Bad(node, "every task would write all rows");
          if (node.write().single_file()) return Bad(node, "one file, several tasks");
        }
        return Settle(Rows::Parts());
      }
      default:
        if (!single_) return Bad(node, "an operator of one task in a stage of many");
        return Rows::Whole();
    }
  }

  static std::vector<uint32_t> Copies(const Node& project, uint32_t column) {
    std::vector<uint32_t> positions;
    for (int i = 0; i < project.project().expressions_size(); ++i) {
      const auto& e = project.project().expressions(i);
      if (IsColumn(e) && e.column() == column) {
        positions.push_back(static_cast<uint32_t>(i));
      }
    }
    return positions;
  }

  arrow::Result<Rows> CheckAggregate(const Node& node, Rows input) {
    const auto& aggregate = node.aggregate();
    std::set<uint32_t> groups;
    for (int i = 0; i < aggregate.groups_size(); ++i) {
      const bool in_all =
          std::all_of(aggregate.grouping_sets().begin(), aggregate.grouping_sets().end(),
                      [&](const auto& set) {
                        return std::count(set.groups().begin(), set.groups().end(),
                                          static_cast<uint32_t>(i)) > 0;
                      });
      if (in_all) groups.insert(aggregate.groups(i).column());
    }
    const bool complete = input.Meet(groups);
    if (!complete && input.pending != Node::KIND_NOT_SET) {
      return Bad(node, "it combines partial results of which it misses some");
    }
    for (const auto& call : aggregate.aggregates()) {
      if (!complete && !AddsUp(call.aggregate().name())) {
        return Bad(node, "an aggregate without partial results, of a part of the rows");
      }
      if (!complete && call.aggregate().order_by_size() > 0) {
        return Bad(node, "an ordered aggregate of a part of the rows");
      }
      std::set<uint32_t> arguments;
      for (const auto& arg : call.args()) {
        if (IsColumn(arg)) arguments.insert(arg.column());
      }
      if (!complete && call.aggregate().distinct() && !input.Meet(arguments)) {
        return Bad(node, "a DISTINCT aggregate of a part of the rows");
      }
    }
    Rows rows = input.Moved([&](uint32_t c) {
      std::vector<uint32_t> positions;
      for (int i = 0; i < aggregate.groups_size(); ++i) {
        if (aggregate.groups(i).column() == c && groups.contains(c)) {
          positions.push_back(static_cast<uint32_t>(i));
        }
      }
      return positions;
    });
    rows.pending = complete              ? Node::KIND_NOT_SET
                   : FindsDistinct(node) ? Node::kDistinct
                                         : Node::kAggregate;
    return rows;
  }

  // The hash keys of the two sides, pair by pair, are tied by equalities.
  static bool MeetInPairs(const Join& join, int conditions, const Rows& left,
                          const Rows& right) {
    if (left.keys.empty() || left.keys.size() != right.keys.size() ||
        left.partitions != right.partitions) {
      return false;
    }
    for (size_t k = 0; k < left.keys.size(); ++k) {
      bool tied = false;
      for (int i = 0; i < conditions; ++i) {
        const auto& c = join.conditions(i);
        tied = tied || (IsEquality(c) && IsColumn(c.left()) && IsColumn(c.right()) &&
                        plan::TypesEqual(c.left().type(), c.right().type()) &&
                        left.keys[k].contains(c.left().column()) &&
                        right.keys[k].contains(c.right().column()));
      }
      if (!tied) return false;
    }
    return true;
  }

  arrow::Result<Rows> CheckJoin(const Node& node, const Rows& left, const Rows& right) {
    const Join& join = node.join();
    if (left.whole && right.whole) {
      if (!single_ && IsVolatileNode(node)) {
        return Bad(node, "each task would draw its own random values");
      }
      return Rows::Whole();
    }
    if (join.positional()) return Bad(node, "a positional join of a part of the rows");
    if (split_ != kNoSplit && left.whole != right.whole &&
        !plan::IsRepeatable(node.inputs(left.whole ? 0 : 1))) {
      return Bad(node, "tasks that share partitions may see different rows of one side");
    }
    const bool outer_right = join.type() == Join::RIGHT || join.type() == Join::FULL;
    const bool needs_left = join.type() != Join::INNER && join.type() != Join::RIGHT;
    bool keep_left = !outer_right;
    if (left.whole) {
      if (needs_left || join.asof()) {
        return Bad(node, "the left side is whole in every task: its rows come up twice");
      }
      keep_left = false;
    } else if (right.whole) {
      if (outer_right) {
        return Bad(node, "the right side is whole in every task: its rows come up twice");
      }
    } else {
      if (join.mark_kind() == Join::MARK_NULL_AWARE) {
        return Bad(node, "a null-aware IN misses values of its right side");
      }
      const int conditions = join.mark_kind() == Join::MARK_GROUPED
                                 ? static_cast<int>(join.group_conditions())
                                 : join.conditions_size();
      if (!MeetInPairs(join, conditions, left, right)) {
        return Bad(node, "matching rows of the two sides are in different tasks");
      }
    }
    if (join.type() == Join::FULL) return Rows::Parts();
    return JoinOutput(node, keep_left ? left : right, keep_left);
  }

  static Rows JoinOutput(const Node& node, const Rows& side, bool is_left) {
    const Join& join = node.join();
    const auto left_width = static_cast<uint32_t>(node.inputs(0).types_size());
    return side.Moved([&](uint32_t c) {
      std::set<uint32_t> combined = {is_left ? c : c + left_width};
      if (join.type() == Join::INNER && !join.asof()) {
        for (const auto& condition : join.conditions()) {
          const Expression& mine = is_left ? condition.left() : condition.right();
          const Expression& theirs = is_left ? condition.right() : condition.left();
          if (IsEquality(condition) && IsColumn(mine) && mine.column() == c &&
              IsColumn(theirs) && plan::TypesEqual(mine.type(), theirs.type())) {
            combined.insert(is_left ? theirs.column() + left_width : theirs.column());
          }
        }
      }
      std::vector<uint32_t> positions;
      for (int i = 0; i < join.output_size(); ++i) {
        if (combined.contains(join.output(i))) {
          positions.push_back(static_cast<uint32_t>(i));
        }
      }
      return positions;
    });
  }

  // Sort and Limit: of a part of the rows only with a limit, to be done again on all.
  arrow::Result<Rows> CheckFirstRows(const Node& node, Rows input, bool has_limit,
                                     bool has_offset) {
    if (input.whole) {
      if (!single_)
        return Bad(node, "which rows come first may differ from task to task");
      input.pending = Node::KIND_NOT_SET;
      return input;
    }
    // A run: merging makes one order of all. Its limit is for all rows once more, too.
    const bool is_run = &node == &stage_.fragment() && node.has_sort() &&
                        stage_.output().kind() == Output::RANGE;
    if (is_run && !has_offset && input.pending == Node::KIND_NOT_SET) {
      if (has_limit) input.pending = Node::kLimit;
      return input;
    }
    if (!has_limit || has_offset) return Bad(node, "it sees a part of the rows");
    // The first rows of a range, of runs that were cut to their first rows.
    if (input.pending == Node::kLimit && node.has_limit()) return input;
    if (input.pending != Node::KIND_NOT_SET) {
      return Bad(node, "it combines partial results of which it misses some");
    }
    input.pending = node.kind_case();
    return input;
  }

  arrow::Result<Rows> CheckDistinct(const Node& node, Rows input) {
    const auto& distinct = node.distinct();
    std::set<uint32_t> columns;
    for (int i = 0; distinct.on_size() == 0 && i < node.types_size(); ++i) {
      columns.insert(static_cast<uint32_t>(i));
    }
    for (const auto& e : distinct.on()) {
      if (IsColumn(e)) columns.insert(e.column());
    }
    if (input.whole && !single_ && distinct.on_size() > 0) {
      return Bad(node, "which row it keeps may differ from task to task");
    }
    if (input.Meet(columns)) {
      input.pending = Node::KIND_NOT_SET;
    } else {
      if (distinct.on_size() > 0) return Bad(node, "it sees a part of the rows");
      input.pending = Node::kDistinct;
    }
    return input;
  }

  arrow::Result<Rows> CheckWindow(const Node& node, Rows input) {
    if (input.whole && !single_) {
      return Bad(node, "the order of equal rows may differ from task to task");
    }
    for (const auto& call : node.window().calls()) {
      std::set<uint32_t> columns;
      for (const auto& e : call.window().partition_by()) {
        if (IsColumn(e)) columns.insert(e.column());
      }
      if (!input.Meet(columns)) return Bad(node, "a window over a part of its rows");
    }
    return input;
  }

  arrow::Result<Rows> CheckSetOperation(const Node& node, std::vector<Rows> inputs) {
    const bool whole = inputs[0].whole;
    Rows rows = inputs[0];
    for (const Rows& input : inputs) {
      if (input.whole != whole) return Bad(node, "some inputs are whole, some are not");
      if (input.partitions != rows.partitions || input.keys.size() != rows.keys.size()) {
        rows.keys.clear();
      }
      for (size_t k = 0; k < rows.keys.size(); ++k) {
        std::erase_if(rows.keys[k],
                      [&](uint32_t c) { return !input.keys[k].contains(c); });
      }
      if (std::any_of(rows.keys.begin(), rows.keys.end(),
                      [](const auto& key) { return key.empty(); })) {
        rows.keys.clear();
      }
    }
    const auto& set = node.set_operation();
    const bool union_all = set.op() == plan::SetOperation::UNION && set.all();
    if (!whole && !union_all && rows.keys.empty()) {
      return Bad(node, "equal rows of its inputs are in different tasks");
    }
    return rows;
  }

  const JobGraph& graph_;
  const Stage& stage_;
  const std::vector<Rows>& outputs_;
  const bool single_;
  const int split_;
  int scans_ = 0;
  std::set<uint32_t> read_;
};

arrow::Status BadStage(const Stage& stage, const std::string& what) {
  return InternalStatus("stage " + std::to_string(stage.id()) +
                        " of the job is not right: " + what);
}

// What readers of the stage's output may rely on.
arrow::Result<Rows> CheckOutput(const Stage& stage, Rows rows) {
  const Output& output = stage.output();
  // Columns that carry the value of a key here carry it for the readers, too.
  const auto alike = std::move(rows.keys);
  rows.whole = false;
  rows.keys.clear();
  rows.partitions = 0;
  if (output.kind() == Output::UNPARTITIONED || output.kind() == Output::RANGE) {
    return rows;
  }
  if (output.kind() != Output::HASH) return BadStage(stage, "its output has no kind");
  if (output.partitions() < 1 || output.partitions() > 65535 || output.keys_size() == 0) {
    return BadStage(stage, "a hash output without keys, or with " +
                               std::to_string(output.partitions()) + " partitions");
  }
  for (const uint32_t key : output.keys()) {
    if (key >= static_cast<uint32_t>(stage.fragment().types_size())) {
      return BadStage(stage, "a hash key is no column of its output");
    }
    if (stage.fragment().types(static_cast<int>(key)).id() == plan::Type::MAP) {
      return BadStage(stage, "a MAP has no partition hash");
    }
    const auto found = std::find_if(alike.begin(), alike.end(), [&](const auto& columns) {
      return columns.contains(key);
    });
    rows.keys.push_back(found == alike.end() ? std::set<uint32_t>{key} : *found);
  }
  rows.partitions = output.partitions();
  return rows;
}

arrow::Status Check(const JobGraph& graph, bool allow_unread) {
  std::vector<Rows> outputs;
  std::set<uint32_t> read;
  for (const Stage& stage : graph.stages()) {
    if (stage.id() != outputs.size()) return BadStage(stage, "it is out of order");
    for (const auto& input : stage.inputs()) {
      for (const uint32_t producer : input.stages()) {
        if (producer >= stage.id()) return BadStage(stage, "it reads a later stage");
        read.insert(producer);
      }
    }
    ARROW_ASSIGN_OR_RAISE(Rows rows, StageChecker(graph, stage, outputs).Check());
    const bool is_result = stage.id() == graph.result_stage();
    if (stage.output().is_result() != is_result) {
      return BadStage(stage, "the result is marked wrongly");
    }
    if (is_result && rows.pending != Node::KIND_NOT_SET) {
      return BadStage(stage, "its partial results would be the job's");
    }
    ARROW_ASSIGN_OR_RAISE(rows, CheckOutput(stage, std::move(rows)));
    outputs.push_back(std::move(rows));
  }
  for (const Stage& stage : graph.stages()) {
    if (!allow_unread && stage.id() != graph.result_stage() &&
        !read.contains(stage.id())) {
      return BadStage(stage, "nothing reads it");
    }
  }
  return arrow::Status::OK();
}

}  // namespace

arrow::Status CheckGraph(const JobGraph& graph) {
  return Check(graph, false);
}

arrow::Status CheckRunningGraph(const JobGraph& graph) {
  return Check(graph, true);
}

}  // namespace ballista::planner
