// The relations of a plan: part of Translator.
#include "ballista/plan/data_frame.h"
#include "ballista/substrait/translate.h"
#include "ballista/substrait/translator_internal.h"

namespace ballista::substrait {
namespace {

using dataframe::Relation;

// Of all, each reference to a shared one counted.
constexpr int kMaxRelations = 5000;

Relation Over(Relation input) {
  Relation relation;
  *relation.add_inputs() = std::move(input);
  return relation;
}

arrow::Status Emit(const pb::RelCommon& common, std::vector<Column>* columns) {
  if (!common.has_emit()) return arrow::Status::OK();
  std::vector<Column> emitted;
  for (const int32_t column : common.emit().output_mapping()) {
    if (column < 0 || static_cast<size_t>(column) >= columns->size()) {
      return BadPlan("a relation of " + std::to_string(columns->size()) +
                     " columns gives on column " + std::to_string(column));
    }
    emitted.push_back((*columns)[column]);
  }
  *columns = std::move(emitted);
  return arrow::Status::OK();
}

const pb::RelCommon& CommonOf(const pb::Rel& rel) {
  switch (rel.rel_type_case()) {
    case pb::Rel::kRead:
      return rel.read().common();
    case pb::Rel::kFilter:
      return rel.filter().common();
    case pb::Rel::kFetch:
      return rel.fetch().common();
    case pb::Rel::kAggregate:
      return rel.aggregate().common();
    case pb::Rel::kSort:
      return rel.sort().common();
    case pb::Rel::kJoin:
      return rel.join().common();
    case pb::Rel::kProject:
      return rel.project().common();
    case pb::Rel::kSet:
      return rel.set().common();
    case pb::Rel::kCross:
      return rel.cross().common();
    default:
      return pb::RelCommon::default_instance();
  }
}

bool IsIdentity(const Translated& input) {
  if (input.columns.size() != input.width) return false;
  for (uint32_t i = 0; i < input.width; ++i) {
    const auto& column = input.columns[i];
    if (column.position != i || column.cast || column.loose) return false;
  }
  return true;
}

}  // namespace

arrow::Result<Translated> Exactly(Translated input) {
  if (input.columns.empty()) return NotSupported("a result without columns");
  if (IsIdentity(input)) return input;
  Translated exact;
  exact.relation = Over(std::move(input.relation));
  for (auto& column : input.columns) {
    column.cast |= column.loose;
    *exact.relation.mutable_project()->add_expressions() = Use(column);
    exact.columns.push_back({exact.width++, std::move(column.type)});
  }
  return exact;
}

namespace {

void PassAll(uint32_t width, Relation* project) {
  for (uint32_t i = 0; i < width; ++i) {
    project->mutable_project()->add_expressions()->set_column(i);
  }
}

// The input's column that the expression, which has been checked, is; null: it is
// computed.
const Column* InputColumn(const pb::Expression& expression, const Translated& input) {
  const auto& reference = expression.selection();
  if (!expression.has_selection() || reference.has_outer_reference()) return nullptr;
  return &input.columns[reference.direct_reference().struct_field().field()];
}

// How many rows; -1: all of them.
arrow::Result<int64_t> Rows(const pb::Expression& expression) {
  if (expression.has_literal()) {
    ARROW_ASSIGN_OR_RAISE(const auto literal, LiteralOf(expression.literal()));
    if (literal.literal().kind_case() == plan::Value::KIND_NOT_SET) return -1;
    if (literal.literal().kind_case() == plan::Value::kInt) {
      return literal.literal().int_();
    }
  }
  return NotSupported("a fetch of a number of rows that is no literal");
}

}  // namespace

arrow::Status Translator::CountRelation() {
  if (++relations_ > kMaxRelations) {
    return NotSupported("more than " + std::to_string(kMaxRelations) + " relations");
  }
  if (depth_ > kMaxPlanDepth) {
    return NotSupported("relations nested more than " + std::to_string(kMaxPlanDepth) +
                        " deep");
  }
  return arrow::Status::OK();
}

arrow::Result<Translated> Translator::Rel(const pb::Rel& rel) {
  ++depth_;
  ARROW_RETURN_NOT_OK(CountRelation());
  ARROW_ASSIGN_OR_RAISE(auto translated, RelWithoutEmit(rel));
  ARROW_RETURN_NOT_OK(Emit(CommonOf(rel), &translated.columns));
  --depth_;
  return translated;
}

arrow::Result<Translated> Translator::RelWithoutEmit(const pb::Rel& rel) {
  switch (rel.rel_type_case()) {
    case pb::Rel::kRead:
      return Read(rel.read());
    case pb::Rel::kFilter:
      return Filter(rel.filter());
    case pb::Rel::kFetch:
      return Fetch(rel.fetch());
    case pb::Rel::kAggregate:
      return Aggregate(rel.aggregate());
    case pb::Rel::kSort:
      return Sort(rel.sort());
    case pb::Rel::kJoin:
      return Join(rel.join());
    case pb::Rel::kProject:
      return Project(rel.project());
    case pb::Rel::kSet:
      return Set(rel.set());
    case pb::Rel::kCross: {
      ARROW_ASSIGN_OR_RAISE(auto left, Rel(rel.cross().left()));
      ARROW_ASSIGN_OR_RAISE(auto right, Rel(rel.cross().right()));
      return JoinOf(std::move(left), std::move(right), plan::Join::INNER, nullptr);
    }
    case pb::Rel::kReference:
      return Reference(rel.reference());
    default:
      return NotSupported("the relation " +
                          KindOf(pb::Rel::descriptor(), rel.rel_type_case()));
  }
}

arrow::Result<Translated> Translator::FilterOver(Translated input,
                                                 const pb::Expression& condition) {
  Translated filtered;
  filtered.relation = Over(std::move(input.relation));
  filtered.width = input.width;
  auto scope = ScopeOf(input);
  scope.subqueries = filtered.relation.mutable_subqueries();
  ARROW_ASSIGN_OR_RAISE(auto predicate, Expr(condition, scope));
  *filtered.relation.mutable_filter()->add_predicates() = std::move(predicate.expression);
  filtered.columns = std::move(input.columns);
  return filtered;
}

arrow::Result<Translated> Translator::Filter(const pb::FilterRel& filter) {
  ARROW_ASSIGN_OR_RAISE(auto input, Rel(filter.input()));
  return FilterOver(std::move(input), filter.condition());
}

// What only passes columns on makes no relation.
arrow::Result<Translated> Translator::Project(const pb::ProjectRel& project) {
  ARROW_ASSIGN_OR_RAISE(auto input, Rel(project.input()));
  ARROW_ASSIGN_OR_RAISE(auto windows, Windows(project, &input));
  size_t next_window = 0;
  Translated projected;
  auto& expressions = *projected.relation.mutable_project();
  auto scope = ScopeOf(input);
  scope.subqueries = projected.relation.mutable_subqueries();
  std::vector<Column> columns = input.columns;
  for (const auto& expression : project.expressions()) {
    if (expression.has_window_function()) {
      columns.push_back(std::move(windows[next_window++]));
      continue;
    }
    ARROW_ASSIGN_OR_RAISE(auto computed, Expr(expression, scope));
    if (const auto* column = InputColumn(expression, input)) {
      columns.push_back(*column);
      continue;
    }
    columns.push_back(
        Computed(std::move(computed.type),
                 input.width + static_cast<uint32_t>(expressions.expressions_size())));
    *expressions.add_expressions() = std::move(computed.expression);
  }
  if (expressions.expressions().empty()) {
    input.columns = std::move(columns);
    return input;
  }
  // The input's columns come first.
  plan::Project computed;
  computed.Swap(&expressions);
  PassAll(input.width, &projected.relation);
  for (auto& expression : *computed.mutable_expressions()) {
    *projected.relation.mutable_project()->add_expressions() = std::move(expression);
  }
  projected.width = input.width + static_cast<uint32_t>(computed.expressions_size());
  *projected.relation.add_inputs() = std::move(input.relation);
  projected.columns = std::move(columns);
  return projected;
}

// The groups as plain columns of `input`, to which they are added where they are not.
arrow::Result<std::vector<Column>> Translator::Groups(const pb::AggregateRel& aggregate,
                                                      Translated* input) {
  if (aggregate.groupings_size() > 1) {
    return NotSupported("an aggregate with several grouping sets");
  }
  std::vector<const pb::Expression*> expressions;
  // Some write them as earlier versions have them, too.
  const bool older = aggregate.grouping_expressions().empty();
  for (const auto& grouping : aggregate.groupings()) {
    for (const auto& expression : grouping.grouping_expressions()) {
      if (older) expressions.push_back(&expression);
    }
    for (const uint32_t reference : grouping.expression_references()) {
      if (reference >= static_cast<uint32_t>(aggregate.grouping_expressions_size())) {
        return BadPlan("a grouping set refers to an expression that is not there");
      }
      expressions.push_back(&aggregate.grouping_expressions(static_cast<int>(reference)));
    }
  }
  const auto scope = ScopeOf(*input);
  std::vector<Column> groups;
  Relation project;
  PassAll(input->width, &project);
  uint32_t width = input->width;
  for (const auto* expression : expressions) {
    ARROW_ASSIGN_OR_RAISE(auto group, Expr(*expression, scope));
    const auto* column = InputColumn(*expression, *input);
    if (column != nullptr && !column->cast) {
      groups.push_back(*column);
      continue;
    }
    groups.push_back(Computed(std::move(group.type), width++));
    *project.mutable_project()->add_expressions() = std::move(group.expression);
  }
  if (width > input->width) {
    *project.add_inputs() = std::move(input->relation);
    input->relation = std::move(project);
    input->width = width;
  }
  return groups;
}

arrow::Result<Translated> Translator::Aggregate(const pb::AggregateRel& aggregate) {
  ARROW_ASSIGN_OR_RAISE(auto input, Rel(aggregate.input()));
  ARROW_ASSIGN_OR_RAISE(auto groups, Groups(aggregate, &input));
  Translated result;
  auto& made = *result.relation.mutable_aggregate();
  for (auto& group : groups) {
    made.add_groups()->set_column(group.position);
    group.position = result.width++;
    result.columns.push_back(std::move(group));
  }
  const auto scope = ScopeOf(input);
  for (const auto& measure : aggregate.measures()) {
    ARROW_ASSIGN_OR_RAISE(auto aggregated, Measure(measure, scope));
    aggregated.column.position = result.width++;
    result.columns.push_back(std::move(aggregated.column));
    *made.add_aggregates() = std::move(aggregated.call);
  }
  if (result.width == 0) return NotSupported("an aggregate without groups and measures");
  *result.relation.add_inputs() = std::move(input.relation);
  return result;
}

arrow::Result<Translated> Translator::Sort(const pb::SortRel& sort) {
  ARROW_ASSIGN_OR_RAISE(auto input, Rel(sort.input()));
  const auto scope = ScopeOf(input);
  Relation relation;
  ARROW_RETURN_NOT_OK(
      SortKeys(sort.sorts(), scope, relation.mutable_sort()->mutable_keys()));
  *relation.add_inputs() = std::move(input.relation);
  input.relation = std::move(relation);
  return input;
}

arrow::Result<Translated> Translator::Fetch(const pb::FetchRel& fetch) {
  ARROW_ASSIGN_OR_RAISE(auto input, Rel(fetch.input()));
  int64_t offset = fetch.has_offset_expr() ? 0 : fetch.offset();
  int64_t count = -1;
  if (fetch.has_offset_expr()) {
    ARROW_ASSIGN_OR_RAISE(offset, Rows(fetch.offset_expr()));
  }
  if (fetch.has_count_expr()) {
    ARROW_ASSIGN_OR_RAISE(count, Rows(fetch.count_expr()));
  } else if (fetch.count_mode_case() == pb::FetchRel::kCount) {
    count = fetch.count();
  }
  offset = std::max<int64_t>(offset, 0);
  // The first rows of an order are one step.
  auto& sorted = input.relation;
  if (sorted.has_sort() && !sorted.sort().has_limit() && sorted.sort().offset() == 0) {
    if (count >= 0) sorted.mutable_sort()->set_limit(static_cast<uint64_t>(count));
    sorted.mutable_sort()->set_offset(static_cast<uint64_t>(offset));
    return input;
  }
  auto relation = Over(std::move(input.relation));
  auto& limit = *relation.mutable_limit();
  if (count >= 0) *limit.mutable_limit() = plan::BigintLiteral(count);
  *limit.mutable_offset() = plan::BigintLiteral(offset);
  input.relation = std::move(relation);
  return input;
}

arrow::Result<Translated> Translator::Join(const pb::JoinRel& join) {
  ARROW_ASSIGN_OR_RAISE(auto left, Rel(join.left()));
  ARROW_ASSIGN_OR_RAISE(auto right, Rel(join.right()));
  const auto* condition = join.has_expression() ? &join.expression() : nullptr;
  plan::Join::Type type = plan::Join::INNER;
  switch (join.type()) {
    case pb::JoinRel::JOIN_TYPE_INNER:
      break;
    case pb::JoinRel::JOIN_TYPE_OUTER:
      type = plan::Join::FULL;
      break;
    case pb::JoinRel::JOIN_TYPE_LEFT:
      type = plan::Join::LEFT;
      break;
    case pb::JoinRel::JOIN_TYPE_RIGHT:
      type = plan::Join::RIGHT;
      break;
    case pb::JoinRel::JOIN_TYPE_LEFT_SEMI:
    case pb::JoinRel::JOIN_TYPE_RIGHT_SEMI:
      type = plan::Join::SEMI;
      break;
    case pb::JoinRel::JOIN_TYPE_LEFT_ANTI:
    case pb::JoinRel::JOIN_TYPE_RIGHT_ANTI:
      type = plan::Join::ANTI;
      break;
    case pb::JoinRel::JOIN_TYPE_LEFT_MARK:
    case pb::JoinRel::JOIN_TYPE_RIGHT_MARK: {
      const bool left_first = join.type() == pb::JoinRel::JOIN_TYPE_LEFT_MARK;
      return MarkJoin(std::move(left), std::move(right), join.expression(), left_first);
    }
    default:
      return NotSupported(pb::JoinRel::JoinType_IsValid(join.type())
                              ? "a join of the type " +
                                    pb::JoinRel::JoinType_Name(join.type())
                              : "a join of an unknown type");
  }
  ARROW_ASSIGN_OR_RAISE(auto joined,
                        JoinOf(std::move(left), std::move(right), type, condition,
                               join.type() == pb::JoinRel::JOIN_TYPE_RIGHT_SEMI ||
                                   join.type() == pb::JoinRel::JOIN_TYPE_RIGHT_ANTI));
  if (!join.has_post_join_filter()) return joined;
  return FilterOver(std::move(joined), join.post_join_filter());
}

// The columns of two relations as a condition sees them, if the left one's are before the
// right one's in its own input.
std::vector<Column> Translator::Both(const Translated& left, const Translated& right,
                                     uint32_t left_at, uint32_t right_at) {
  auto columns = left.columns;
  columns.insert(columns.end(), right.columns.begin(), right.columns.end());
  for (size_t i = 0; i < columns.size(); ++i) {
    columns[i].position += i < left.columns.size() ? left_at : right_at;
  }
  return columns;
}

// `swapped`: the right side's rows are what remains.
arrow::Result<Translated> Translator::JoinOf(Translated left, Translated right,
                                             plan::Join::Type type,
                                             const pb::Expression* condition,
                                             bool swapped) {
  const bool one_side = type == plan::Join::SEMI || type == plan::Join::ANTI;
  Translated joined;
  Scope scope{
      swapped ? Both(left, right, right.width, 0) : Both(left, right, 0, left.width),
      left.width + right.width, outer_, nullptr};
  auto& join = *joined.relation.mutable_join();
  join.set_type(type);
  google::protobuf::RepeatedPtrField<dataframe::Subquery> subqueries;
  scope.subqueries = &subqueries;
  Typed predicate;
  if (condition != nullptr) {
    ARROW_ASSIGN_OR_RAISE(predicate, Expr(*condition, scope));
    if (!subqueries.empty() && type != plan::Join::INNER) {
      return NotSupported("a sub-query in the condition of an outer join");
    }
  }
  if (condition != nullptr && subqueries.empty()) {
    *join.mutable_predicate() = std::move(predicate.expression);
  }
  auto& kept = swapped ? right : left;
  joined.width = one_side ? kept.width : left.width + right.width;
  joined.columns = one_side ? std::move(kept.columns) : std::move(scope.columns);
  for (uint32_t i = 0; i < joined.width; ++i) join.add_output(i);
  *joined.relation.add_inputs() = std::move((swapped ? right : left).relation);
  *joined.relation.add_inputs() = std::move((swapped ? left : right).relation);
  if (subqueries.empty()) return joined;
  joined.relation = Over(std::move(joined.relation));
  *joined.relation.mutable_filter()->add_predicates() = std::move(predicate.expression);
  joined.relation.mutable_subqueries()->Swap(&subqueries);
  return joined;
}

// One side's rows, and whether there is a match for each on the other one: an EXISTS.
arrow::Result<Translated> Translator::MarkJoin(Translated left, Translated right,
                                               const pb::Expression& condition,
                                               bool left_first) {
  auto& kept = left_first ? left : right;
  auto& other = left_first ? right : left;
  Scope owner{kept.columns, kept.width, outer_, nullptr, /*implied=*/true};
  Scope scope{
      left_first ? Both(left, right, other.width, 0) : Both(left, right, 0, other.width),
      other.width, &owner, nullptr};
  dataframe::Subquery exists;
  exists.set_kind(dataframe::Subquery::EXISTS);
  *exists.mutable_relation() = Over(std::move(other.relation));
  scope.subqueries = exists.mutable_relation()->mutable_subqueries();
  ARROW_ASSIGN_OR_RAISE(auto predicate, Expr(condition, scope));
  *exists.mutable_relation()->mutable_filter()->add_predicates() =
      std::move(predicate.expression);

  Translated marked;
  marked.relation = Over(std::move(kept.relation));
  PassAll(kept.width, &marked.relation);
  const uint32_t mark = kept.width + owner.outer_width();
  marked.relation.mutable_project()->add_expressions()->set_column(mark);
  *marked.relation.add_subqueries() = std::move(exists);
  marked.columns = std::move(kept.columns);
  marked.columns.push_back({kept.width, plan::MakeType(plan::Type::BOOLEAN)});
  marked.width = kept.width + 1;
  return marked;
}

arrow::Result<Translated> Translator::Set(const pb::SetRel& set) {
  plan::SetOperation operation;
  const int inputs = set.inputs_size();
  switch (set.op()) {
    case pb::SetRel::SET_OP_UNION_ALL:
      operation.set_all(true);
      [[fallthrough]];
    case pb::SetRel::SET_OP_UNION_DISTINCT:
      operation.set_op(plan::SetOperation::UNION);
      break;
    case pb::SetRel::SET_OP_MINUS_PRIMARY_ALL:
      operation.set_all(true);
      [[fallthrough]];
    case pb::SetRel::SET_OP_MINUS_PRIMARY:
      operation.set_op(plan::SetOperation::EXCEPT);
      break;
    case pb::SetRel::SET_OP_INTERSECTION_MULTISET_ALL:
      operation.set_all(true);
      [[fallthrough]];
    case pb::SetRel::SET_OP_INTERSECTION_MULTISET:
      operation.set_op(plan::SetOperation::INTERSECT);
      break;
    case pb::SetRel::SET_OP_INTERSECTION_PRIMARY:
      // Of the first with any of the others.
      if (inputs == 2) {
        operation.set_op(plan::SetOperation::INTERSECT);
        break;
      }
      [[fallthrough]];
    default:
      return NotSupported(pb::SetRel::SetOp_IsValid(set.op())
                              ? "a set operation " + pb::SetRel::SetOp_Name(set.op()) +
                                    " of " + std::to_string(inputs) + " inputs"
                              : "an unknown set operation");
  }
  if (inputs < 2) return BadPlan("a set operation of less than two inputs");
  Translated result;
  for (int i = 0; i < inputs; ++i) {
    ARROW_ASSIGN_OR_RAISE(auto input, Rel(set.inputs(i)));
    ARROW_ASSIGN_OR_RAISE(input, Exactly(std::move(input)));
    if (i == 0) {
      result = std::move(input);
      continue;
    }
    if (input.width != result.width) {
      return BadPlan("a set operation of " + std::to_string(result.width) + " and " +
                     std::to_string(input.width) + " columns");
    }
    // The rows of each that follows are added to, or taken from, what is there.
    result.relation = Over(std::move(result.relation));
    *result.relation.mutable_set_operation() = operation;
    *result.relation.add_inputs() = std::move(input.relation);
  }
  return result;
}

arrow::Result<Translated> Translator::Reference(const pb::ReferenceRel& reference) {
  const int32_t ordinal = reference.subtree_ordinal();
  if (ordinal < 0 || ordinal >= plan_.relations_size()) {
    return BadPlan("a reference to relation " + std::to_string(ordinal) + " of " +
                   std::to_string(plan_.relations_size()));
  }
  const auto& relation = plan_.relations(ordinal);
  return Rel(relation.has_root() ? relation.root().input() : relation.rel());
}

arrow::Result<dataframe::CommandDataFrame> Translator::Run() {
  for (const auto& extension : plan_.extensions()) {
    if (!extension.has_extension_function()) continue;
    const auto& function = extension.extension_function();
    // "add:i64_i64" is one of the functions called "add".
    const std::string& name = function.name();
    functions_[function.function_anchor()] = name.substr(0, name.find(':'));
  }
  const pb::PlanRel* root = nullptr;
  for (const auto& relation : plan_.relations()) {
    if (!relation.has_root() && plan_.relations_size() > 1) continue;
    if (root != nullptr) return NotSupported("more than one root relation");
    root = &relation;
  }
  if (root == nullptr) return BadPlan("it has no root relation");
  ARROW_ASSIGN_OR_RAISE(auto result,
                        Rel(root->has_root() ? root->root().input() : root->rel()));
  ARROW_ASSIGN_OR_RAISE(result, Exactly(std::move(result)));
  dataframe::CommandDataFrame frame;
  frame.set_version(plan::kDataFrameVersion);
  *frame.mutable_root() = std::move(result.relation);
  const auto& names = root->root().names();
  if (root->has_root() && names.size() != static_cast<int>(result.width)) {
    return BadPlan(std::to_string(names.size()) + " names for a result of " +
                   std::to_string(result.width) +
                   " columns (names within structs are "
                   "not supported)");
  }
  for (uint32_t i = 0; i < result.width; ++i) {
    frame.add_names(root->has_root() ? names[static_cast<int>(i)]
                                     : "column" + std::to_string(i));
  }
  return frame;
}

arrow::Result<dataframe::CommandDataFrame> Translate(std::string_view bytes) {
  pb::Plan plan;
  const auto parsed = plan::ParseMessage(bytes, &plan);
  if (!parsed.ok()) {
    return BadPlan("its " + std::to_string(bytes.size()) +
                   " bytes are no serialized substrait.Plan");
  }
  return Translator(plan).Run();
}

}  // namespace ballista::substrait
