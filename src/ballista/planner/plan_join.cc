// Joins: which side moves, and how. Every allowed way is priced and the cheapest taken.
#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <utility>

#include "ballista/plan/plan.h"
#include "ballista/plan/repeatable.h"
#include "ballista/planner/node_planner.h"

namespace ballista::planner {
namespace {

using plan::Comparison;
using plan::Expression;
using plan::Join;
using plan::Node;

// A hash table holds a row in its bytes and this much more.
constexpr double kTableBytesPerRow = 24;
// The share of an executor's memory that one broadcast side may take.
constexpr double kMemoryShare = 0.25;
// What is left of an estimate that filters have passed: what nothing is known of counts
// as a fifth, and most filters leave less. With a copy, moreover, the other side's scan
// drops what has no partner (engine/duckdb/join_filters.h).
constexpr double kFiltered = 0.25;

bool IsEquality(const plan::JoinCondition& condition) {
  return condition.op() == Comparison::EQUAL ||
         condition.op() == Comparison::NOT_DISTINCT_FROM;
}

bool RefersToColumns(const Expression& expression) {
  bool found = false;
  plan::VisitExpression(expression, [&](const Expression& e) {
    found = found || e.kind_case() == Expression::kColumn;
  });
  return found;
}

// Conditions by whose values both sides may be partitioned: a matching pair of rows is
// equal in them. Types that differ would hash differently.
std::vector<int> KeyConditions(const Join& join) {
  std::vector<int> keys;
  if (join.positional() || join.mark_kind() == Join::MARK_NULL_AWARE) return keys;
  const int count = join.mark_kind() == Join::MARK_GROUPED
                        ? static_cast<int>(join.group_conditions())
                        : join.conditions_size();
  for (int i = 0; i < count; ++i) {
    const auto& condition = join.conditions(i);
    if (!IsEquality(condition) || !IsHashable(condition.left().type())) continue;
    if (!plan::TypesEqual(condition.left().type(), condition.right().type())) continue;
    if (!RefersToColumns(condition.left()) || !RefersToColumns(condition.right()))
      continue;
    if (plan::IsVolatile(condition.left()) || plan::IsVolatile(condition.right()))
      continue;
    keys.push_back(i);
  }
  return keys;
}

// Each row of the left side needs the whole right side, and no more than that.
bool MayReplicateRight(const Join& join) {
  if (join.positional()) return false;
  return join.type() != Join::RIGHT && join.type() != Join::FULL;
}

bool MayReplicateLeft(const Join& join) {
  if (join.positional() || join.asof()) return false;
  return join.type() == Join::INNER || join.type() == Join::RIGHT;
}

const Expression& Side(const plan::JoinCondition& condition, bool left) {
  return left ? condition.left() : condition.right();
}

// For each hash key of one side, the condition that ties it to the other side; `other`,
// where given, must be hashed by the other ends. Empty: no such list.
std::vector<int> MatchKeys(const Join& join, const std::vector<int>& conditions,
                           const Distribution& side, bool left,
                           const Distribution* other) {
  std::vector<int> matched;
  if (side.kind != Distribution::kHash) return matched;
  if (other != nullptr &&
      (other->kind != Distribution::kHash || other->partitions != side.partitions ||
       other->keys.size() != side.keys.size())) {
    return matched;
  }
  for (size_t k = 0; k < side.keys.size(); ++k) {
    const auto fits = [&](int i) {
      const Expression& mine = Side(join.conditions(i), left);
      const Expression& theirs = Side(join.conditions(i), !left);
      if (mine.kind_case() != Expression::kColumn) return false;
      if (!side.keys[k].contains(mine.column())) return false;
      return other == nullptr || (theirs.kind_case() == Expression::kColumn &&
                                  other->keys[k].contains(theirs.column()));
    };
    const auto found = std::find_if(conditions.begin(), conditions.end(), fits);
    if (found == conditions.end()) return {};
    matched.push_back(*found);
  }
  return matched;
}

// How a join's inputs come together.
struct Placement {
  enum Kind { kGather, kReplicateRight, kReplicateLeft, kHash };
  Kind kind = kGather;
  double cost = std::numeric_limits<double>::infinity();
  // kHash: the conditions to partition by, in order, and the sides that are moved.
  std::vector<int> keys;
  bool move_left = false;
  bool move_right = false;
};

class PlacementChooser {
 public:
  PlacementChooser(const PlannerOptions& options, const CostModel& cost,
                   const StageBuilder& stages, const Node& node, const Fragment& left,
                   const Fragment& right)
      : options_(options),
        cost_(cost),
        stages_(stages),
        join_(node.join()),
        left_(left),
        right_(right) {}

  Placement Choose() {
    const auto keys = KeyConditions(join_);
    if (!keys.empty()) TryHash(keys);
    // Without keys the choice is between one task and a broadcast of any size.
    const bool forced = keys.empty();
    if (MayReplicateRight(join_) && left_.distribution.IsSpread()) {
      TryReplicate(Placement::kReplicateRight, right_, left_, forced);
    }
    if (MayReplicateLeft(join_) && right_.distribution.IsSpread()) {
      TryReplicate(Placement::kReplicateLeft, left_, right_, forced);
    }
    TryGather();
    return best_;
  }

 private:
  static double Rows(const Fragment& f) { return f.root.estimated_rows(); }
  static double Bytes(const Fragment& f) { return EstimatedBytes(f.root); }

  // Rows that a hash table is likely to get.
  double Built(const Fragment& f) const {
    return Rows(f) * (stages_.IsFiltered(f.root) ? kFiltered : 1);
  }

  // Of the join itself, each row once, in as many tasks.
  double Work(double tasks) const {
    return CostModel::HashTables(tasks, std::min(Built(left_), Built(right_)) / tasks,
                                 std::max(Rows(left_), Rows(right_)));
  }

  void Offer(Placement placement) {
    if (placement.cost < best_.cost) best_ = std::move(placement);
  }

  bool FitsMemory(const Fragment& side) const {
    if (options_.memory_per_executor == 0) return true;
    return Bytes(side) + Rows(side) * kTableBytesPerRow <=
           kMemoryShare * static_cast<double>(options_.memory_per_executor);
  }

  void TryReplicate(Placement::Kind kind, const Fragment& copied, const Fragment& kept,
                    bool forced) {
    const bool is_free = copied.distribution.kind == Distribution::kReplicated;
    const auto threshold = options_.broadcast_threshold;
    double cost = is_free ? 0 : cost_.Broadcast(Bytes(copied));
    if (!is_free && !forced) {
      if (threshold == 0) return;
      if (threshold > 0 && Bytes(copied) > static_cast<double>(threshold)) return;
      if (threshold < 0 && !FitsMemory(copied)) return;
      // A limit that the user has set is a decision, not a bound on one.
      if (threshold > 0) cost *= kPreferred;
    }
    // Each executor has all of the one side, and its share of the other.
    double work = CostModel::HashTables(cost_.executors, Built(copied), Rows(kept));
    if (!is_free && threshold > 0) work *= kPreferred;
    Offer({kind, cost + work, {}, false, false});
  }

  void TryHash(const std::vector<int>& keys) {
    const auto& left = left_.distribution;
    const auto& right = right_.distribution;
    const double move_left = cost_.Shuffle(Rows(left_), Bytes(left_));
    const double move_right = cost_.Shuffle(Rows(right_), Bytes(right_));
    const double build = Work(cost_.executors);
    if (auto both = MatchKeys(join_, keys, left, true, &right); !both.empty()) {
      Offer({Placement::kHash, build, std::move(both), false, false});
      return;
    }
    if (auto match = MatchKeys(join_, keys, left, true, nullptr); !match.empty()) {
      Offer({Placement::kHash, build + move_right, std::move(match), false, true});
    }
    if (auto match = MatchKeys(join_, keys, right, false, nullptr); !match.empty()) {
      Offer({Placement::kHash, build + move_left, std::move(match), true, false});
    }
    Offer({Placement::kHash, build + move_left + move_right, keys, true, true});
  }

  void TryGather() {
    // One executor works while the others wait.
    double cost = cost_.executors * Work(1);
    for (const Fragment* side : {&left_, &right_}) {
      if (side->distribution.IsSpread()) cost += cost_.Gather(Bytes(*side));
    }
    Offer({Placement::kGather, cost, {}, false, false});
  }

  static constexpr double kPreferred = 1e-6;

  const PlannerOptions& options_;
  const CostModel& cost_;
  const StageBuilder& stages_;
  const Join& join_;
  const Fragment& left_;
  const Fragment& right_;
  Placement best_;
};

// Computes the key expressions of one side as columns of it; the conditions then refer to
// those.
std::vector<uint32_t> MaterializeKeys(Node* node, const std::vector<int>& keys, bool left,
                                      Fragment* side) {
  auto* join = node->mutable_join();
  std::vector<Expression> expressions;
  for (const int i : keys) expressions.push_back(Side(join->conditions(i), left));
  auto columns = AppendColumns(side, expressions);
  for (size_t k = 0; k < keys.size(); ++k) {
    auto* condition = join->mutable_conditions(keys[k]);
    auto* expression = left ? condition->mutable_left() : condition->mutable_right();
    const plan::Type type = expression->type();
    *expression = plan::ColumnRef(columns[k], type);
  }
  return columns;
}

// The inputs have become wider: what refers to both sides' columns moves along.
arrow::Status ShiftColumns(Node* node, int old_left, int old_right, int new_left,
                           int new_right) {
  std::vector<int> mapping;
  for (int i = 0; i < old_left; ++i) mapping.push_back(i);
  for (int i = 0; i < old_right; ++i) mapping.push_back(new_left + i);
  mapping.push_back(new_left + new_right);  // the mark
  auto* join = node->mutable_join();
  if (join->has_predicate()) {
    ARROW_RETURN_NOT_OK(plan::RemapColumns(join->mutable_predicate(), mapping));
  }
  for (auto& column : *join->mutable_output()) {
    column = static_cast<uint32_t>(mapping[column]);
  }
  return arrow::Status::OK();
}

// Of the join's output, when the side `left` stays where it is. With an inner join, a key
// column of the one side carries the value of its partner.
Distribution JoinDistribution(const Join& join, const Distribution& side, bool left,
                              int left_columns, int right_columns) {
  const uint32_t shift = static_cast<uint32_t>(left_columns);
  std::vector<std::set<uint32_t>> positions(
      static_cast<size_t>(left ? left_columns : right_columns));
  const auto place = [&](uint32_t combined, std::set<uint32_t>* outputs) {
    for (int i = 0; i < join.output_size(); ++i) {
      if (join.output(i) == combined) outputs->insert(static_cast<uint32_t>(i));
    }
  };
  for (uint32_t c = 0; c < positions.size(); ++c) {
    place(left ? c : c + shift, &positions[c]);
  }
  if (join.type() == Join::INNER && !join.asof()) {
    for (const auto& condition : join.conditions()) {
      const Expression& mine = Side(condition, left);
      const Expression& theirs = Side(condition, !left);
      if (!IsEquality(condition) || mine.kind_case() != Expression::kColumn ||
          theirs.kind_case() != Expression::kColumn ||
          !plan::TypesEqual(mine.type(), theirs.type())) {
        continue;
      }
      place(left ? theirs.column() + shift : theirs.column(), &positions[mine.column()]);
    }
  }
  return RemapDistribution(side, positions);
}

std::string Label(const Join& join, Placement::Kind kind) {
  std::string text = Join::Type_Name(join.type());
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  if (join.asof()) text = "asof " + text;
  const bool copied =
      kind == Placement::kReplicateLeft || kind == Placement::kReplicateRight;
  return (copied                     ? "broadcast "
          : kind == Placement::kHash ? "hash "
                                     : "") +
         text + " join";
}

// Reads below the join whose rows it may see in parts, next to the whole other side of
// the same partitions. Each part computes that side for itself, and must get the same.
std::set<uint32_t> SplittableReads(const Join& join, const Fragment& left,
                                   const Fragment& right) {
  std::set<uint32_t> reads;
  if (MayReplicateRight(join) && plan::IsRepeatable(right.root)) {
    reads.insert(left.splittable.begin(), left.splittable.end());
  }
  if (MayReplicateLeft(join) && plan::IsRepeatable(left.root)) {
    reads.insert(right.splittable.begin(), right.splittable.end());
  }
  return reads;
}

// Of what is small enough for a job of one task, the part that a sub-plan may read to run
// as one task within a larger job.
constexpr double kSubplanShare = 0.125;

// Where distinct values are about as many as there were, finding them is not worth a
// stage.
constexpr double kHardlyRepeated = 0.5;

// An inner join with distinct values, all of which it compares and none of which it
// gives, only selects rows: a semi join selects the same ones, and needs no distinct
// values. The keys of decorrelated subqueries are joined like this.
void SelectWithoutDistinct(Node* node) {
  const Join& join = node->join();
  const Node& right = node->inputs(1);
  if (join.type() != Join::INNER || join.asof() || join.positional()) return;
  if (join.has_predicate() || !right.has_distinct() || right.distinct().on_size() > 0) {
    return;
  }
  const Node& values = right.inputs(0);
  if (right.estimated_rows() < kHardlyRepeated * values.estimated_rows()) return;
  const auto left_columns = static_cast<uint32_t>(node->inputs(0).types_size());
  for (const uint32_t column : join.output()) {
    if (column >= left_columns) return;
  }
  std::set<uint32_t> compared;
  for (const auto& condition : join.conditions()) {
    if (!IsEquality(condition) || condition.right().kind_case() != Expression::kColumn) {
      continue;
    }
    compared.insert(condition.right().column());
  }
  if (compared.size() != static_cast<size_t>(right.types_size())) return;
  Node input = values;
  *node->mutable_inputs(1) = std::move(input);
  node->mutable_join()->set_type(Join::SEMI);
}

// From so many rows on for each row that looks for them, most are taken to be repeated.
constexpr double kManyRepeated = 4;

// A semi or anti join asks only whether there is a row: where there are many more than
// rows that ask, each task sends its distinct ones.
bool SendsDistinct(const Join& join, const Fragment& left, const Fragment& right) {
  if (join.type() != Join::SEMI && join.type() != Join::ANTI) return false;
  if (join.asof() || join.positional() || right.root.types_size() == 0) return false;
  const auto all = AllColumns(right.root);
  return HashableColumns(all, right.root).size() == all.size() &&
         right.root.estimated_rows() >= kManyRepeated * left.root.estimated_rows();
}

// The distinct rows of what each task has; some may come up more than once.
Fragment DistinctInParts(Fragment input, double estimated_rows) {
  Node node;
  node.mutable_aggregate()->set_partial(true);
  for (int i = 0; i < input.root.types_size(); ++i) {
    *node.add_types() = input.root.types(i);
    *node.mutable_aggregate()->add_groups() =
        plan::ColumnRef(static_cast<uint32_t>(i), input.root.types(i));
  }
  node.set_estimated_rows(std::min(estimated_rows, input.root.estimated_rows()));
  input.steps.push_back("local distinct");
  input.splittable.clear();
  return OnTop(std::move(node), std::move(input));
}

// So little, in so few files, is read by each task sooner than a stage would have started
// that reads it for all of them.
constexpr double kReadByEachBytes = 256 << 10;
constexpr int kReadByEachFiles = 8;

// Whether every task may read the sub-plan's files and compute its rows for itself, and
// has all of the same rows then.
bool MayReadInEachTask(const Node& root) {
  if (ScannedBytes(root) > kReadByEachBytes) return false;
  bool row_wise = true;
  int files = 0;
  plan::VisitNodes(root, [&](const Node& node) {
    row_wise = row_wise && !HasVolatile(node) &&
               ((node.has_scan() && node.scan().files_size() > 0) || node.has_filter() ||
                node.has_project() ||
                (node.has_join() && !node.join().positional() && !node.join().asof()));
    if (node.has_scan()) files += node.scan().files_size();
  });
  return row_wise && files <= kReadByEachFiles;
}

bool HasScan(const Node& root) {
  bool found = false;
  plan::VisitNodes(root, [&](const Node& node) { found = found || node.has_scan(); });
  return found;
}

bool HasReference(const Node& root) {
  bool found = false;
  plan::VisitNodes(root,
                   [&](const Node& node) { found = found || node.has_shared_ref(); });
  return found;
}

}  // namespace

arrow::Result<Fragment> NodePlanner::PlanJoinSide(Node node) {
  const double bytes = ScannedBytes(node);
  const double limit =
      kSubplanShare * static_cast<double>(options_.single_task_threshold);
  if (bytes == 0 || bytes > limit || HasReference(node)) return Plan(std::move(node));
  // Joins of small tables with each other, in one stage instead of one for each table.
  Fragment whole;
  plan::VisitNodes(node, [&](const Node& visited) {
    if (!visited.has_scan()) return;
    whole.steps.push_back("scan " + (visited.scan().table().empty()
                                         ? visited.scan().format()
                                         : visited.scan().table()));
  });
  if (whole.steps.size() > 1) whole.steps.push_back("join");
  if (MayReadInEachTask(node)) {
    plan::VisitNodes(&node, [](Node* visited) {
      if (visited->has_scan()) visited->mutable_scan()->set_scan_index(kReadByEachTask);
    });
    whole.distribution = Distribution::Replicated();
  }
  whole.root = std::move(node);
  return whole;
}

arrow::Result<Fragment> NodePlanner::PlanJoin(Node node) {
  if (node.inputs(1).has_shared_ref()) {
    auto& definition = definitions_[node.inputs(1).shared_ref().id()];
    if (definition.inlined && definition.inlined->has_distinct()) {
      *node.mutable_inputs(1) = *std::exchange(definition.inlined, std::nullopt);
    }
  }
  SelectWithoutDistinct(&node);
  ARROW_ASSIGN_OR_RAISE(Fragment left, PlanJoinSide(TakeInput(&node, 0)));
  ARROW_ASSIGN_OR_RAISE(Fragment right, PlanJoinSide(TakeInput(&node, 1)));
  node.clear_inputs();
  const int old_left = left.root.types_size();
  const int old_right = right.root.types_size();

  Placement placement;
  Distribution distribution = Distribution::Single();
  if (!left.distribution.IsSpread() && !right.distribution.IsSpread()) {
    // What is above a join of files may choose among its rows, each task for itself.
    const bool constant = left.distribution.kind == Distribution::kReplicated &&
                          right.distribution.kind == Distribution::kReplicated &&
                          !HasScan(left.root) && !HasScan(right.root);
    if (constant && !node.join().asof() && !node.join().positional() &&
        !HasVolatile(node)) {
      distribution = Distribution::Replicated();
    }
  } else {
    placement = PlacementChooser(options_, cost_, *stages_, node, left, right).Choose();
    switch (placement.kind) {
      case Placement::kGather:
        left = stages_->Gather(std::move(left));
        right = stages_->Gather(std::move(right));
        break;
      case Placement::kReplicateRight:
        right = stages_->Broadcast(std::move(right));
        break;
      case Placement::kReplicateLeft:
        left = stages_->Broadcast(std::move(left));
        break;
      case Placement::kHash: {
        if (placement.move_left) {
          const auto keys = MaterializeKeys(&node, placement.keys, true, &left);
          left = stages_->HashExchange(std::move(left), keys);
        }
        if (placement.move_right) {
          const auto keys = MaterializeKeys(&node, placement.keys, false, &right);
          if (SendsDistinct(node.join(), left, right)) {
            right = DistinctInParts(std::move(right),
                                    left.root.estimated_rows() * cost_.executors);
          }
          right = stages_->HashExchange(std::move(right), keys);
        }
        break;
      }
    }
    ARROW_RETURN_NOT_OK(ShiftColumns(&node, old_left, old_right, left.root.types_size(),
                                     right.root.types_size()));
    const bool right_stays =
        placement.kind == Placement::kReplicateLeft ||
        (placement.kind == Placement::kHash && node.join().type() == Join::RIGHT);
    if (placement.kind != Placement::kGather) {
      distribution = JoinDistribution(
          node.join(), right_stays ? right.distribution : left.distribution, !right_stays,
          left.root.types_size(), right.root.types_size());
      // Rows of the right side without a partner have no left key.
      if (node.join().type() == Join::FULL) distribution = Distribution::Random();
    }
  }

  Fragment joined;
  joined.distribution = std::move(distribution);
  joined.splittable = SplittableReads(node.join(), left, right);
  joined.steps = std::move(left.steps);
  joined.steps.insert(joined.steps.end(), right.steps.begin(), right.steps.end());
  joined.steps.push_back(Label(node.join(), placement.kind));
  *node.add_inputs() = std::move(left.root);
  *node.add_inputs() = std::move(right.root);
  joined.root = std::move(node);
  return joined;
}

}  // namespace ballista::planner
