#include "ballista/plan/data_frame.h"

#include <algorithm>

#include "ballista/base/status.h"
#include "ballista/plan/plan.h"

namespace ballista::plan {
namespace {

using dataframe::CommandDataFrame;
using dataframe::Relation;

constexpr int kMaxColumns = 1 << 16;
constexpr size_t kMaxSummary = 4096;

arrow::Status Bad(const std::string& what) {
  return UserErrorStatus(UserError::BINDER, "the data frame is not valid: " + what);
}

bool IsFormat(const std::string& format) {
  return format == "parquet" || format == "csv" || format == "json";
}

int DepthOf(const Expression& expression) {
  int below = 0;
  ForEachChild(expression,
               [&](const Expression& part) { below = std::max(below, DepthOf(part)); });
  return below + 1;
}

// What a parse tree of the engine's has no form for, or what would make one grow beyond
// the message.
arrow::Status CheckKinds(const Expression& expression) {
  switch (expression.kind_case()) {
    case Expression::kAggregate:
      return Bad("an aggregate function outside of an aggregate");
    case Expression::kWindow:
      return Bad("a window function outside of a window");
    case Expression::kUnnest:
    case Expression::kLambda:
    case Expression::kLambdaParameter:
      return Bad("lambdas and unnest have no form in a data frame");
    case Expression::kBetween:
      if (!expression.between().lower_inclusive() ||
          !expression.between().upper_inclusive()) {
        return Bad("a range without its bounds; compare twice");
      }
      break;
    case Expression::kConjunction:
      if (expression.args_size() < 2) return Bad("AND or OR of less than two");
      break;
    case Expression::kOperator: {
      const auto op = expression.operator_().op();
      if (op == Operator::GROUPING) return Bad("GROUPING has no form in a data frame");
      const bool list = op == Operator::IN || op == Operator::NOT_IN;
      if (list ? expression.args_size() < 2
               : op != Operator::COALESCE && expression.args_size() != 1) {
        return Bad("an operator with a wrong number of arguments");
      }
      break;
    }
    case Expression::kCast:
      if (expression.type().id() == Type::INVALID) return Bad("a cast without a type");
      break;
    case Expression::kCall:
      if (expression.call().arg_names_size() > 0 &&
          expression.call().arg_names_size() != expression.args_size()) {
        return Bad("a call with names for some of its arguments");
      }
      break;
    default:
      break;
  }
  return arrow::Status::OK();
}

arrow::Status CheckParts(const Expression& expression) {
  arrow::Status status;
  ForEachChild(expression, [&](const Expression& child) {
    if (status.ok()) status = CheckKinds(child);
    if (status.ok()) status = CheckParts(child);
  });
  return status;
}

// `expression` itself may be of any kind; what is below it may be no aggregate or window.
arrow::Status CheckCall(const Expression& expression, int columns) {
  // The depth first: what comes next takes more of the stack for each level.
  if (DepthOf(expression) > kMaxFrameExpressionDepth) {
    return Bad("an expression is nested more than " +
               std::to_string(kMaxFrameExpressionDepth) + " deep");
  }
  const auto valid = ValidateUntyped(expression, columns);
  if (!valid.ok()) return Bad(valid.message());
  return CheckParts(expression);
}

arrow::Status CheckScalar(const Expression& expression, int columns) {
  ARROW_RETURN_NOT_OK(CheckCall(expression, columns));
  return CheckKinds(expression);
}

template <typename Keys>
arrow::Status CheckKeys(const Keys& keys, int columns) {
  for (const auto& key : keys) {
    ARROW_RETURN_NOT_OK(CheckScalar(key.expression(), columns));
  }
  return arrow::Status::OK();
}

bool TakesOffset(WindowCall::Bound bound) {
  return bound >= WindowCall::PRECEDING_ROWS && bound <= WindowCall::FOLLOWING_GROUPS;
}

arrow::Status CheckWindowCall(const Expression& expression, int columns) {
  if (!expression.has_window()) return Bad("a window's expression is no window call");
  ARROW_RETURN_NOT_OK(CheckCall(expression, columns));
  const auto& call = expression.window();
  if (call.name().empty()) return Bad("a window call without a name");
  if (call.start() == WindowCall::INVALID || call.end() == WindowCall::INVALID ||
      !WindowCall::Bound_IsValid(call.start()) ||
      !WindowCall::Bound_IsValid(call.end()) ||
      !WindowCall::Exclude_IsValid(call.exclude())) {
    return Bad("a window without a frame");
  }
  if (TakesOffset(call.start()) != call.has_start_offset() ||
      TakesOffset(call.end()) != call.has_end_offset()) {
    return Bad("a window's bound without its offset, or the other way round");
  }
  const bool shifts = call.name() == "lead" || call.name() == "lag";
  if (!shifts && (call.has_offset() || call.has_default_value())) {
    return Bad("an offset or a default of a window function that takes none");
  }
  return arrow::Status::OK();
}

arrow::Result<int> CheckJoin(const Join& join, int left, int right, int outer) {
  switch (join.type()) {
    case Join::INNER:
    case Join::LEFT:
    case Join::RIGHT:
    case Join::FULL:
    case Join::SEMI:
    case Join::ANTI:
      break;
    default:
      return Bad("a join of a type that has no form in a data frame");
  }
  if (join.asof() || join.positional() || join.mark_kind() != Join::MARK_NONE ||
      join.group_conditions() != 0) {
    return Bad("asof, positional and mark joins have no form in a data frame");
  }
  for (const auto& condition : join.conditions()) {
    if (condition.op() == Comparison::INVALID ||
        !Comparison::Op_IsValid(condition.op())) {
      return Bad("a join condition without comparison");
    }
    ARROW_RETURN_NOT_OK(CheckScalar(condition.left(), left));
    ARROW_RETURN_NOT_OK(CheckScalar(condition.right(), right));
  }
  if (join.has_predicate()) {
    ARROW_RETURN_NOT_OK(CheckScalar(join.predicate(), left + right + outer));
  }
  const bool left_only = join.type() == Join::SEMI || join.type() == Join::ANTI;
  const auto limit = static_cast<uint32_t>(left_only ? left : left + right);
  for (const uint32_t column : join.output()) {
    if (column >= limit) return Bad("a join's output column is out of range");
  }
  if (join.output().empty()) return Bad("a join without output columns");
  return join.output_size();
}

arrow::Result<int> CheckAggregate(const Aggregate& aggregate, int columns, int seen) {
  if (aggregate.grouping_sets_size() > 0 || aggregate.grouping_calls_size() > 0 ||
      aggregate.partial()) {
    return Bad("grouping sets and partial aggregates have no form in a data frame");
  }
  for (const auto& group : aggregate.groups()) {
    if (!group.has_column()) return Bad("a group is no column");
    ARROW_RETURN_NOT_OK(CheckScalar(group, columns));
  }
  for (const auto& call : aggregate.aggregates()) {
    if (!call.has_aggregate()) {
      return Bad("an aggregate's expression is no aggregate call");
    }
    if (call.aggregate().name().empty()) return Bad("an aggregate without a name");
    ARROW_RETURN_NOT_OK(CheckCall(call, seen));
  }
  const int outputs = aggregate.groups_size() + aggregate.aggregates_size();
  if (outputs == 0) return Bad("an aggregate without groups and aggregates");
  return outputs;
}

arrow::Result<int> CheckLimit(const Limit& limit, int columns) {
  if (limit.is_percent()) return Bad("a limit in percent has no form in a data frame");
  for (const auto* count : {&limit.limit(), &limit.offset()}) {
    const bool given = count == &limit.limit() ? limit.has_limit() : limit.has_offset();
    if (!given) continue;
    if (!count->has_literal() || count->literal().kind_case() != Value::kInt ||
        count->literal().type().id() != Type::BIGINT || count->literal().int_() < 0) {
      return Bad("a limit or offset that is no BIGINT from 0");
    }
  }
  return columns;
}

template <typename Options>
arrow::Status CheckOptions(const Options& options) {
  for (const auto& option : options) {
    if (option.name().empty()) return Bad("an option without a name");
    Expression literal;
    *literal.mutable_literal() = option.value();
    const auto valid = ValidateUntyped(literal, 0);
    if (!valid.ok()) return Bad("option " + option.name() + ": " + valid.message());
  }
  return arrow::Status::OK();
}

arrow::Result<int> CheckSource(const Relation& relation) {
  if (relation.has_read()) {
    const auto& read = relation.read();
    if (!IsFormat(read.format())) {
      return Bad("files of the format '" + read.format() +
                 "'; known are parquet, csv and json");
    }
    if (read.paths().empty()) return Bad("a source without a path");
    for (const auto& path : read.paths()) {
      if (path.empty()) return Bad("a source with an empty path");
    }
    ARROW_RETURN_NOT_OK(CheckOptions(read.options()));
    return read.columns().empty() ? -1 : read.columns_size();
  }
  const auto& table = relation.table();
  if (table.name_size() < 1 || table.name_size() > 3) {
    return Bad("a table's name of " + std::to_string(table.name_size()) + " parts");
  }
  for (const auto& part : table.name()) {
    if (part.empty()) return Bad("a table's name with an empty part");
  }
  return table.columns().empty() ? -1 : table.columns_size();
}

arrow::Result<int> CheckSetOperation(const SetOperation& operation,
                                     const std::vector<int>& inputs) {
  if (operation.op() == SetOperation::INVALID ||
      !SetOperation::Op_IsValid(operation.op())) {
    return Bad("an unknown set operation");
  }
  if (inputs.size() > 2 && operation.op() != SetOperation::UNION) {
    return Bad("a set operation of more than two inputs");
  }
  for (const int columns : inputs) {
    if (columns != inputs[0]) {
      return Bad("a set operation of " + std::to_string(inputs[0]) + " and " +
                 std::to_string(columns) + " columns");
    }
  }
  return inputs[0];
}

// `seen`: columns that its expressions may refer to; its own, the outer ones and the
// values of its sub-queries.
arrow::Result<int> CheckOneInput(const Relation& relation, int columns, int seen) {
  switch (relation.kind_case()) {
    case Relation::kFilter:
      if (relation.filter().predicates().empty()) return Bad("a filter of nothing");
      for (const auto& predicate : relation.filter().predicates()) {
        ARROW_RETURN_NOT_OK(CheckScalar(predicate, seen));
      }
      return columns;
    case Relation::kProject:
      if (relation.project().expressions().empty()) return Bad("an empty projection");
      for (const auto& expression : relation.project().expressions()) {
        ARROW_RETURN_NOT_OK(CheckScalar(expression, seen));
      }
      return relation.project().expressions_size();
    case Relation::kAggregate:
      return CheckAggregate(relation.aggregate(), columns, seen);
    case Relation::kSort:
      ARROW_RETURN_NOT_OK(CheckKeys(relation.sort().keys(), seen));
      return columns;
    case Relation::kLimit:
      return CheckLimit(relation.limit(), columns);
    case Relation::kDistinct:
      for (const auto& target : relation.distinct().on()) {
        ARROW_RETURN_NOT_OK(CheckScalar(target, columns));
      }
      ARROW_RETURN_NOT_OK(CheckKeys(relation.distinct().order_by(), columns));
      return columns;
    default:
      for (const auto& call : relation.window().calls()) {
        ARROW_RETURN_NOT_OK(CheckWindowCall(call, columns));
      }
      return columns + relation.window().calls_size();
  }
}

arrow::Result<int> CheckValues(const Values& values) {
  if (values.rows().empty()) return Bad("values without a row");
  const int columns = values.rows(0).cells_size();
  if (columns == 0) return Bad("values without a column");
  for (const auto& row : values.rows()) {
    if (row.cells_size() != columns) return Bad("values with rows of different lengths");
    for (const auto& cell : row.cells()) ARROW_RETURN_NOT_OK(CheckScalar(cell, 0));
  }
  return columns;
}

arrow::Result<int> CheckRelation(const Relation& relation, int depth, int outer);

// `seen`: what its owner's expressions see, without sub-queries.
arrow::Status CheckSubquery(const dataframe::Subquery& subquery, int depth, int seen) {
  ARROW_ASSIGN_OR_RAISE(const int columns,
                        CheckRelation(subquery.relation(), depth, seen));
  for (const auto& needle : subquery.needles()) {
    ARROW_RETURN_NOT_OK(CheckScalar(needle, seen));
  }
  switch (subquery.kind()) {
    case dataframe::Subquery::SCALAR:
      if (columns == 1) break;
      return Bad("a sub-query for a value that has " + std::to_string(columns) +
                 " columns");
    case dataframe::Subquery::EXISTS:
      break;
    case dataframe::Subquery::ANY:
      if (subquery.needles_size() != columns) {
        return Bad(std::to_string(subquery.needles_size()) +
                   " values are compared with the rows of a sub-query of " +
                   std::to_string(columns) + " columns");
      }
      if (subquery.op() == Comparison::INVALID ||
          !Comparison::Op_IsValid(subquery.op())) {
        return Bad("a sub-query without comparison");
      }
      return arrow::Status::OK();
    default:
      return Bad("a sub-query of unknown kind");
  }
  if (!subquery.needles().empty()) return Bad("a sub-query that compares nothing");
  return arrow::Status::OK();
}

arrow::Status CheckSubqueries(const Relation& relation, int depth, int seen) {
  if (relation.subqueries().empty()) return arrow::Status::OK();
  if (!relation.has_filter() && !relation.has_project()) {
    return Bad("a sub-query outside of a filter or a projection");
  }
  for (const auto& subquery : relation.subqueries()) {
    ARROW_RETURN_NOT_OK(CheckSubquery(subquery, depth + 1, seen));
  }
  return arrow::Status::OK();
}

// `outer`: columns of the row that a sub-query around it belongs to.
arrow::Result<int> CheckRelation(const Relation& relation, int depth, int outer) {
  if (depth > kMaxRelationDepth) {
    return Bad("more than " + std::to_string(kMaxRelationDepth) +
               " steps on top of each other; do several in one, or write what comes out "
               "in between");
  }
  std::vector<int> inputs;
  for (const auto& input : relation.inputs()) {
    ARROW_ASSIGN_OR_RAISE(const int columns, CheckRelation(input, depth + 1, outer));
    if (columns < 0) return Bad("a source below another relation names its columns");
    inputs.push_back(columns);
  }
  if (inputs.size() != 1 && !relation.subqueries().empty()) {
    return Bad("a sub-query outside of a filter or a projection");
  }
  const auto demand = [&](size_t low, size_t high) {
    if (inputs.size() >= low && inputs.size() <= high) return arrow::Status::OK();
    return Bad("a relation with " + std::to_string(inputs.size()) + " inputs");
  };
  int columns = 0;
  switch (relation.kind_case()) {
    case Relation::KIND_NOT_SET:
      return Bad("a relation of unknown kind");
    case Relation::kRead:
    case Relation::kTable: {
      ARROW_RETURN_NOT_OK(demand(0, 0));
      ARROW_ASSIGN_OR_RAISE(columns, CheckSource(relation));
      break;
    }
    case Relation::kJoin: {
      ARROW_RETURN_NOT_OK(demand(2, 2));
      ARROW_ASSIGN_OR_RAISE(columns,
                            CheckJoin(relation.join(), inputs[0], inputs[1], outer));
      break;
    }
    case Relation::kSetOperation: {
      ARROW_RETURN_NOT_OK(demand(2, kMaxRelationDepth));
      ARROW_ASSIGN_OR_RAISE(columns, CheckSetOperation(relation.set_operation(), inputs));
      break;
    }
    case Relation::kValues: {
      ARROW_RETURN_NOT_OK(demand(0, 0));
      ARROW_ASSIGN_OR_RAISE(columns, CheckValues(relation.values()));
      break;
    }
    default: {
      ARROW_RETURN_NOT_OK(demand(1, 1));
      const int seen = inputs[0] + outer;
      ARROW_RETURN_NOT_OK(CheckSubqueries(relation, depth, seen));
      ARROW_ASSIGN_OR_RAISE(
          columns, CheckOneInput(relation, inputs[0], seen + relation.subqueries_size()));
      break;
    }
  }
  if (columns > kMaxColumns) {
    return Bad("a relation with more than " + std::to_string(kMaxColumns) + " columns");
  }
  return columns;
}

void Describe(const Relation& relation, std::string* text) {
  if (text->size() > kMaxSummary) return;
  const auto list = [&](const auto& parts, const char* between) {
    for (int i = 0; i < parts.size(); ++i) *text += (i > 0 ? between : "") + parts[i];
  };
  switch (relation.kind_case()) {
    case Relation::kRead:
      *text += "read_" + relation.read().format() + " ";
      return list(relation.read().paths(), " ");
    case Relation::kTable:
      return list(relation.table().name(), ".");
    case Relation::kValues:
      *text += "values";
      return;
    case Relation::KIND_NOT_SET:
      return;
    default:
      break;
  }
  const auto* field = dataframe::Relation::descriptor()->FindFieldByNumber(
      static_cast<int>(relation.kind_case()));
  *text += field->name() + "(";
  for (int i = 0; i < relation.inputs_size(); ++i) {
    if (i > 0) *text += ", ";
    Describe(relation.inputs(i), text);
  }
  *text += ")";
}

}  // namespace

arrow::Result<int> RelationColumns(const Relation& relation) {
  return CheckRelation(relation, 1, 0);
}

arrow::Status Validate(const CommandDataFrame& frame) {
  if (frame.version() != kDataFrameVersion) {
    ErrorDetail detail;
    detail.mutable_version_mismatch()->set_ours(kDataFrameVersion);
    detail.mutable_version_mismatch()->set_theirs(frame.version());
    return WithDetail(arrow::StatusCode::Invalid,
                      "the data frame is of version " + std::to_string(frame.version()) +
                          " and this scheduler reads version " +
                          std::to_string(kDataFrameVersion) +
                          ": upgrade the older of the two",
                      std::move(detail));
  }
  if (!CommandDataFrame::Mode_IsValid(frame.mode())) return Bad("an unknown mode");
  ARROW_ASSIGN_OR_RAISE(const int columns, RelationColumns(frame.root()));
  if (frame.names_size() != std::max(columns, 0)) {
    return Bad(std::to_string(frame.names_size()) + " names for " +
               std::to_string(columns) + " columns");
  }
  if (!frame.has_write()) return arrow::Status::OK();
  if (frame.mode() == CommandDataFrame::EXPLAIN) {
    return Bad("a write is not explained; explain the rows that it writes");
  }
  if (frame.write().path().empty()) return Bad("a write without a path");
  if (!IsFormat(frame.write().format())) {
    return Bad("files of the format '" + frame.write().format() +
               "'; known are parquet, csv and json");
  }
  return CheckOptions(frame.write().options());
}

std::string Summary(const CommandDataFrame& frame) {
  std::string text = "DataFrame: ";
  Describe(frame.root(), &text);
  if (text.size() > kMaxSummary) {
    size_t end = kMaxSummary;
    while ((static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text = text.substr(0, end) + "...";
  }
  if (frame.has_write()) text += " -> " + frame.write().path();
  return text;
}

}  // namespace ballista::plan
