#include "ballista/client/data_frame.h"

#include <algorithm>
#include <iostream>
#include <set>
#include <utility>

#include "ballista/base/status.h"
#include "ballista/client/expression_internal.h"
#include "ballista/client/session_internal.h"
#include "ballista/plan/data_frame.h"
#include "ballista/plan/plan.h"

namespace ballista {

using internal::ExprNode;
using internal::FrameAccess;
using internal::FrameNode;
using internal::Scope;

namespace internal {

DataFrame FrameAccess::Make(FrameNode node) {
  return DataFrame(std::make_shared<const FrameNode>(std::move(node)));
}

DataFrame FrameAccess::Failed(std::shared_ptr<Connection> connection,
                              arrow::Status error) {
  FrameNode node;
  node.connection = std::move(connection);
  node.error = std::move(error);
  return Make(std::move(node));
}

dataframe::CommandDataFrame CommandOf(const FrameNode& frame) {
  dataframe::CommandDataFrame command;
  command.set_version(plan::kDataFrameVersion);
  *command.mutable_root() = frame.relation;
  for (const auto& name : frame.names) command.add_names(name);
  return command;
}

arrow::Status FillOptions(const Options& options,
                          google::protobuf::RepeatedPtrField<plan::NamedValue>* named) {
  for (const auto& [name, value] : options) {
    ARROW_ASSIGN_OR_RAISE(auto lowered, Lower(value.expr, Scope()));
    if (!lowered.has_literal()) {
      return UserErrorStatus(UserError::BINDER,
                             "the option " + name + " takes a constant");
    }
    auto* option = named->Add();
    option->set_name(name);
    *option->mutable_value() = std::move(*lowered.mutable_literal());
  }
  return arrow::Status::OK();
}

}  // namespace internal

namespace {

arrow::Status Wrong(std::string sentence) {
  return UserErrorStatus(UserError::BINDER, std::move(sentence));
}

plan::Expression ColumnRef(size_t position) {
  plan::Expression column;
  column.set_column(static_cast<uint32_t>(position));
  return column;
}

Scope ScopeOf(const FrameNode& frame) {
  return Scope{frame.names, std::nullopt};
}

// A node over `input`, with its columns.
FrameNode Over(const FrameNode& input) {
  FrameNode node;
  node.connection = input.connection;
  node.names = input.names;
  node.tables = input.tables;
  *node.relation.add_inputs() = input.relation;
  return node;
}

// What a step gives, or its error, which names it. `step` is not asked where the input is
// an error already.
template <typename Step>
DataFrame Apply(const char* name, const DataFrame& input, Step&& step) {
  const auto& frame = FrameAccess::Look(input);
  if (!frame.error.ok()) return input;
  arrow::Result<FrameNode> result = step(frame);
  if (!result.ok()) {
    const auto& error = result.status();
    return FrameAccess::Failed(frame.connection,
                               error.WithMessage(name, ": ", error.message()));
  }
  return FrameAccess::Make(*std::move(result));
}

template <typename Step>
DataFrame Apply(const char* name, const DataFrame& left, const DataFrame& right,
                Step&& step) {
  const auto& other = FrameAccess::Look(right);
  if (!other.error.ok() && left.status().ok()) return right;
  return Apply(name, left, [&](const FrameNode& frame) -> arrow::Result<FrameNode> {
    if (other.connection != frame.connection) {
      return Wrong("the two data frames belong to different sessions");
    }
    auto result = step(frame, other);
    if (result.ok()) {
      result->tables.insert(result->tables.end(), other.tables.begin(),
                            other.tables.end());
    }
    return result;
  });
}

// A column of the input as it is, or an expression.
struct Output {
  size_t column = 0;
  const Expr* expression = nullptr;
};

// Windows within the expressions are computed below.
arrow::Result<FrameNode> Project(const FrameNode& frame,
                                 const std::vector<Output>& outputs) {
  std::vector<plan::Expression> calls;
  plan::Project project;
  std::vector<std::string> names;
  const auto scope = ScopeOf(frame);
  for (const auto& output : outputs) {
    if (output.expression == nullptr) {
      *project.add_expressions() = ColumnRef(output.column);
      names.push_back(frame.names[output.column]);
      continue;
    }
    ARROW_ASSIGN_OR_RAISE(*project.add_expressions(),
                          internal::LowerWithWindows(*output.expression, scope, &calls));
    names.push_back(internal::OutputName(*output.expression));
  }
  FrameNode below = frame;
  if (!calls.empty()) {
    below = Over(frame);
    for (auto& call : calls) {
      *below.relation.mutable_window()->add_calls() = std::move(call);
    }
  }
  auto node = Over(below);
  *node.relation.mutable_project() = std::move(project);
  node.names = std::move(names);
  return node;
}

std::vector<Output> AllColumns(const FrameNode& frame) {
  std::vector<Output> outputs;
  for (size_t i = 0; i < frame.names.size(); ++i) outputs.push_back({i, nullptr});
  return outputs;
}

// Positions where there is no other way to say which of two columns of one name.
arrow::Result<FrameNode> PickColumns(const FrameNode& frame,
                                     const std::vector<size_t>& positions) {
  if (positions.empty()) return Wrong("no column would be left");
  auto node = Over(frame);
  node.names.clear();
  for (const size_t position : positions) {
    *node.relation.mutable_project()->add_expressions() = ColumnRef(position);
    node.names.push_back(frame.names[position]);
  }
  return node;
}

}  // namespace

DataFrame::DataFrame(std::shared_ptr<const FrameNode> node) : node_(std::move(node)) {}

const std::vector<std::string>& DataFrame::columns() const {
  return node_->names;
}
arrow::Status DataFrame::status() const {
  return node_->error;
}

arrow::Result<std::shared_ptr<arrow::Schema>> DataFrame::Schema() const {
  ARROW_RETURN_NOT_OK(status());
  return node_->connection->Describe(internal::CommandOf(*node_));
}

// ------------------------------------------------------------------------- steps

DataFrame DataFrame::Select(const std::vector<Expr>& expressions) const {
  return Apply("Select", *this, [&](const FrameNode& frame) -> arrow::Result<FrameNode> {
    if (expressions.empty()) return Wrong("Select needs an expression");
    std::vector<Output> outputs;
    for (const auto& expression : expressions) outputs.push_back({0, &expression});
    return Project(frame, outputs);
  });
}

DataFrame DataFrame::Filter(const Expr& condition) const {
  return Apply("Filter", *this, [&](const FrameNode& frame) -> arrow::Result<FrameNode> {
    ARROW_ASSIGN_OR_RAISE(auto lowered, internal::Lower(condition, ScopeOf(frame)));
    auto node = Over(frame);
    *node.relation.mutable_filter()->add_predicates() = std::move(lowered);
    return node;
  });
}

DataFrame DataFrame::WithColumn(const std::string& name, const Expr& expression) const {
  return Apply(
      "WithColumn", *this, [&](const FrameNode& frame) -> arrow::Result<FrameNode> {
        const auto named = expression.As(name);
        auto outputs = AllColumns(frame);
        const auto known = std::find(frame.names.begin(), frame.names.end(), name);
        if (known == frame.names.end()) {
          outputs.push_back({0, &named});
        } else {
          outputs[static_cast<size_t>(known - frame.names.begin())] = {0, &named};
        }
        return Project(frame, outputs);
      });
}

DataFrame DataFrame::Window(const std::vector<Expr>& calls) const {
  return Apply("Window", *this, [&](const FrameNode& frame) {
    auto outputs = AllColumns(frame);
    for (const auto& call : calls) outputs.push_back({0, &call});
    return Project(frame, outputs);
  });
}

DataFrame DataFrame::Rename(const std::string& from, const std::string& to) const {
  return Apply("Rename", *this, [&](const FrameNode& frame) -> arrow::Result<FrameNode> {
    ARROW_ASSIGN_OR_RAISE(const uint32_t column, ScopeOf(frame).Find(from));
    FrameNode node = frame;
    node.names[column] = to;
    return node;
  });
}

DataFrame DataFrame::Drop(const std::vector<std::string>& columns) const {
  return Apply("Drop", *this, [&](const FrameNode& frame) -> arrow::Result<FrameNode> {
    std::set<size_t> dropped;
    for (const auto& name : columns) {
      ARROW_ASSIGN_OR_RAISE(const uint32_t column, ScopeOf(frame).Find(name));
      dropped.insert(column);
    }
    std::vector<size_t> kept;
    for (size_t i = 0; i < frame.names.size(); ++i) {
      if (!dropped.contains(i)) kept.push_back(i);
    }
    return PickColumns(frame, kept);
  });
}

namespace {

// `frame` with the groups as columns: those that are none yet are computed.
arrow::Result<FrameNode> WithGroups(const FrameNode& frame,
                                    const std::vector<Expr>& groups,
                                    std::vector<uint32_t>* positions) {
  const auto scope = ScopeOf(frame);
  auto node = Over(frame);
  auto* project = node.relation.mutable_project();
  for (size_t i = 0; i < frame.names.size(); ++i) {
    *project->add_expressions() = ColumnRef(i);
  }
  bool computed = false;
  for (const auto& group : groups) {
    ARROW_ASSIGN_OR_RAISE(auto lowered, internal::Lower(group, scope));
    // A column twice would be one group.
    if (lowered.has_column() && std::find(positions->begin(), positions->end(),
                                          lowered.column()) == positions->end()) {
      positions->push_back(lowered.column());
      continue;
    }
    computed = true;
    positions->push_back(static_cast<uint32_t>(project->expressions_size()));
    *project->add_expressions() = std::move(lowered);
    node.names.push_back(internal::OutputName(group));
  }
  if (!computed) return frame;
  return node;
}

arrow::Result<FrameNode> AggregateFrame(const FrameNode& frame,
                                        const std::vector<Expr>& groups,
                                        const std::vector<Expr>& aggregates) {
  if (groups.empty() && aggregates.empty()) {
    return Wrong("Aggregate needs a group or an aggregate function");
  }
  std::vector<uint32_t> positions;
  ARROW_ASSIGN_OR_RAISE(const auto input, WithGroups(frame, groups, &positions));
  auto node = Over(input);
  node.names.clear();
  auto* aggregate = node.relation.mutable_aggregate();
  for (size_t i = 0; i < groups.size(); ++i) {
    *aggregate->add_groups() = ColumnRef(positions[i]);
    node.names.push_back(internal::OutputName(groups[i]));
  }
  const Scope group_scope{node.names, std::nullopt};
  std::vector<plan::Expression> calls;
  std::vector<plan::Expression> outputs;
  for (const auto& expression : aggregates) {
    ARROW_ASSIGN_OR_RAISE(
        auto output,
        internal::LowerWithAggregates(expression, ScopeOf(frame), group_scope, &calls));
    outputs.push_back(std::move(output));
  }
  // As they come out, unless an expression computes with them.
  bool plain = true;
  for (size_t i = 0; i < outputs.size(); ++i) {
    plain = plain && outputs[i].has_column() && outputs[i].column() == groups.size() + i;
  }
  for (auto& call : calls) *aggregate->add_aggregates() = std::move(call);
  if (!plain) {
    auto above = Over(node);
    auto* project = above.relation.mutable_project();
    for (size_t i = 0; i < groups.size(); ++i) *project->add_expressions() = ColumnRef(i);
    for (auto& output : outputs) *project->add_expressions() = std::move(output);
    node = std::move(above);
  }
  for (const auto& expression : aggregates) {
    node.names.push_back(internal::OutputName(expression));
  }
  return node;
}

}  // namespace

DataFrame DataFrame::Aggregate(const std::vector<Expr>& groups,
                               const std::vector<Expr>& aggregates) const {
  return Apply("Aggregate", *this, [&](const FrameNode& frame) {
    return AggregateFrame(frame, groups, aggregates);
  });
}

// ------------------------------------------------------------------------- joins

namespace {

plan::Join::Type TypeOf(JoinType type) {
  switch (type) {
    case JoinType::kInner:
      return plan::Join::INNER;
    case JoinType::kLeft:
      return plan::Join::LEFT;
    case JoinType::kRight:
      return plan::Join::RIGHT;
    case JoinType::kFull:
      return plan::Join::FULL;
    case JoinType::kSemi:
      return plan::Join::SEMI;
    default:
      return plan::Join::ANTI;
  }
}

// All columns of both, or of the left one.
FrameNode JoinOf(const FrameNode& left, const FrameNode& right, JoinType type) {
  auto node = Over(left);
  *node.relation.add_inputs() = right.relation;
  auto* join = node.relation.mutable_join();
  join->set_type(TypeOf(type));
  if (type != JoinType::kSemi && type != JoinType::kAnti) {
    node.names.insert(node.names.end(), right.names.begin(), right.names.end());
  }
  for (size_t i = 0; i < node.names.size(); ++i) {
    join->add_output(static_cast<uint32_t>(i));
  }
  return node;
}

struct KeyPair {
  uint32_t left;
  uint32_t right;
};

// Each key once: the side's that always has it, of a full join whichever has it.
arrow::Result<FrameNode> MergeKeys(const FrameNode& joined, size_t left_columns,
                                   const std::vector<KeyPair>& keys, JoinType type) {
  auto node = Over(joined);
  node.names.clear();
  auto* project = node.relation.mutable_project();
  const auto key_of = [&](size_t column) {
    return std::find_if(keys.begin(), keys.end(),
                        [&](const KeyPair& key) { return key.left == column; });
  };
  for (size_t i = 0; i < joined.names.size(); ++i) {
    const bool is_right = i >= left_columns;
    const bool right_key =
        is_right && std::any_of(keys.begin(), keys.end(), [&](const KeyPair& key) {
          return left_columns + key.right == i;
        });
    if (right_key) continue;
    auto value = ColumnRef(i);
    const auto key = is_right ? keys.end() : key_of(i);
    if (key != keys.end() && type == JoinType::kRight) {
      value = ColumnRef(left_columns + key->right);
    } else if (key != keys.end() && type == JoinType::kFull) {
      plan::Expression either;
      either.mutable_operator_()->set_op(plan::Operator::COALESCE);
      *either.add_args() = value;
      *either.add_args() = ColumnRef(left_columns + key->right);
      value = std::move(either);
    }
    *project->add_expressions() = std::move(value);
    node.names.push_back(joined.names[i]);
  }
  return node;
}

arrow::Result<FrameNode> JoinOnKeys(const FrameNode& left, const FrameNode& right,
                                    const std::vector<std::string>& names,
                                    JoinType type) {
  if (names.empty()) return Wrong("Join needs a key; CrossJoin has none");
  auto joined = JoinOf(left, right, type);
  std::vector<KeyPair> keys;
  for (const auto& name : names) {
    KeyPair key{};
    ARROW_ASSIGN_OR_RAISE(key.left, ScopeOf(left).Find(name));
    ARROW_ASSIGN_OR_RAISE(key.right, ScopeOf(right).Find(name));
    auto* condition = joined.relation.mutable_join()->add_conditions();
    condition->set_op(plan::Comparison::EQUAL);
    *condition->mutable_left() = ColumnRef(key.left);
    *condition->mutable_right() = ColumnRef(key.right);
    keys.push_back(key);
  }
  if (type == JoinType::kSemi || type == JoinType::kAnti) return joined;
  return MergeKeys(joined, left.names.size(), keys, type);
}

}  // namespace

DataFrame DataFrame::Join(const DataFrame& right, const std::vector<std::string>& keys,
                          JoinType type) const {
  return Apply("Join", *this, right, [&](const FrameNode& a, const FrameNode& b) {
    return JoinOnKeys(a, b, keys, type);
  });
}

DataFrame DataFrame::JoinOn(const DataFrame& right, const Expr& condition,
                            JoinType type) const {
  return Apply("JoinOn", *this, right,
               [&](const FrameNode& a, const FrameNode& b) -> arrow::Result<FrameNode> {
                 Scope both{a.names, a.names.size()};
                 both.names.insert(both.names.end(), b.names.begin(), b.names.end());
                 ARROW_ASSIGN_OR_RAISE(auto predicate, internal::Lower(condition, both));
                 auto node = JoinOf(a, b, type);
                 *node.relation.mutable_join()->mutable_predicate() =
                     std::move(predicate);
                 return node;
               });
}

DataFrame DataFrame::CrossJoin(const DataFrame& right) const {
  return Apply("CrossJoin", *this, right,
               [&](const FrameNode& a, const FrameNode& b) -> arrow::Result<FrameNode> {
                 return JoinOf(a, b, JoinType::kInner);
               });
}

// ------------------------------------------------------------------------- sets

namespace {

DataFrame SetOperation(const char* name, const DataFrame& left, const DataFrame& right,
                       plan::SetOperation::Op op, bool all) {
  return Apply(name, left, right,
               [&](const FrameNode& a, const FrameNode& b) -> arrow::Result<FrameNode> {
                 if (a.names.size() != b.names.size()) {
                   return Wrong("the two data frames have " +
                                std::to_string(a.names.size()) + " and " +
                                std::to_string(b.names.size()) +
                                " columns; they are matched by position");
                 }
                 auto node = Over(a);
                 *node.relation.add_inputs() = b.relation;
                 node.relation.mutable_set_operation()->set_op(op);
                 node.relation.mutable_set_operation()->set_all(all);
                 return node;
               });
}

}  // namespace

DataFrame DataFrame::Union(const DataFrame& other) const {
  return SetOperation("Union", *this, other, plan::SetOperation::UNION, true);
}
DataFrame DataFrame::UnionDistinct(const DataFrame& other) const {
  return SetOperation("UnionDistinct", *this, other, plan::SetOperation::UNION, false);
}
DataFrame DataFrame::Except(const DataFrame& other) const {
  return SetOperation("Except", *this, other, plan::SetOperation::EXCEPT, false);
}
DataFrame DataFrame::ExceptAll(const DataFrame& other) const {
  return SetOperation("ExceptAll", *this, other, plan::SetOperation::EXCEPT, true);
}
DataFrame DataFrame::Intersect(const DataFrame& other) const {
  return SetOperation("Intersect", *this, other, plan::SetOperation::INTERSECT, false);
}
DataFrame DataFrame::IntersectAll(const DataFrame& other) const {
  return SetOperation("IntersectAll", *this, other, plan::SetOperation::INTERSECT, true);
}

DataFrame DataFrame::Distinct() const {
  return Apply("Distinct", *this,
               [&](const FrameNode& frame) -> arrow::Result<FrameNode> {
                 auto node = Over(frame);
                 node.relation.mutable_distinct();
                 return node;
               });
}

DataFrame DataFrame::Sort(const std::vector<SortKey>& keys) const {
  return Apply("Sort", *this, [&](const FrameNode& frame) -> arrow::Result<FrameNode> {
    if (keys.empty()) return Wrong("Sort needs a key");
    auto node = Over(frame);
    for (const auto& key : keys) {
      ARROW_ASSIGN_OR_RAISE(*node.relation.mutable_sort()->add_keys(),
                            internal::Lower(key, ScopeOf(frame)));
    }
    return node;
  });
}

DataFrame DataFrame::Limit(int64_t rows, int64_t offset) const {
  return Apply("Limit", *this, [&](const FrameNode& frame) -> arrow::Result<FrameNode> {
    if (rows < 0 || offset < 0) return Wrong("Limit takes numbers from 0");
    // The first rows of an order are one step.
    if (frame.relation.has_sort() && !frame.relation.sort().has_limit()) {
      FrameNode node = frame;
      node.relation.mutable_sort()->set_limit(static_cast<uint64_t>(rows));
      node.relation.mutable_sort()->set_offset(static_cast<uint64_t>(offset));
      return node;
    }
    auto node = Over(frame);
    *node.relation.mutable_limit()->mutable_limit() = plan::BigintLiteral(rows);
    if (offset > 0) {
      *node.relation.mutable_limit()->mutable_offset() = plan::BigintLiteral(offset);
    }
    return node;
  });
}

// ------------------------------------------------------------------------- runs

arrow::Result<Query> DataFrame::Submit() const {
  ARROW_RETURN_NOT_OK(status());
  return node_->connection->Start(internal::CommandOf(*node_), node_->tables);
}

arrow::Result<std::shared_ptr<arrow::Table>> DataFrame::Collect() const {
  ARROW_ASSIGN_OR_RAISE(auto query, Submit());
  return query.ToTable();
}

arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> DataFrame::ToReader() const {
  ARROW_ASSIGN_OR_RAISE(auto query, Submit());
  return query.ToReader();
}

namespace {

// The one number of a result.
arrow::Result<int64_t> OneNumber(const arrow::Table& table) {
  if (table.num_rows() != 1 || table.num_columns() != 1 ||
      table.column(0)->type()->id() != arrow::Type::INT64) {
    return InternalStatus("the scheduler's answer is no number: " +
                          table.schema()->ToString());
  }
  ARROW_ASSIGN_OR_RAISE(const auto value, table.column(0)->GetScalar(0));
  return static_cast<const arrow::Int64Scalar&>(*value).value;
}

}  // namespace

arrow::Result<int64_t> DataFrame::Count() const {
  ARROW_ASSIGN_OR_RAISE(const auto table,
                        Aggregate({}, {CountRows().As("rows")}).Collect());
  return OneNumber(*table);
}

arrow::Status DataFrame::Show(int64_t rows) const {
  return Show(std::cout, rows);
}

arrow::Status DataFrame::Show(std::ostream& out, int64_t rows) const {
  ARROW_ASSIGN_OR_RAISE(const auto table, Limit(rows).Collect());
  out << internal::TextTable(*table);
  return arrow::Status::OK();
}

arrow::Result<std::string> DataFrame::Explain(bool analyze) const {
  ARROW_RETURN_NOT_OK(status());
  auto command = internal::CommandOf(*node_);
  command.set_mode(analyze ? dataframe::CommandDataFrame::EXPLAIN_ANALYZE
                           : dataframe::CommandDataFrame::EXPLAIN);
  ARROW_ASSIGN_OR_RAISE(const auto table,
                        node_->connection->Start(command, node_->tables).ToTable());
  std::string text;
  for (int64_t row = 0; row < table->num_rows() && table->num_columns() > 0; ++row) {
    const auto column = table->column(table->num_columns() - 1);
    ARROW_ASSIGN_OR_RAISE(const auto value, column->GetScalar(row));
    text += value->ToString() + "\n";
  }
  return text;
}

namespace {

arrow::Result<int64_t> WriteFrame(const DataFrame& frame, const char* format,
                                  const std::string& path, const Options& options,
                                  const std::vector<std::string>& partition_by) {
  ARROW_RETURN_NOT_OK(frame.status());
  const auto& node = FrameAccess::Look(frame);
  auto command = internal::CommandOf(node);
  auto* write = command.mutable_write();
  write->set_format(format);
  write->set_path(path);
  ARROW_RETURN_NOT_OK(internal::FillOptions(options, write->mutable_options()));
  for (const auto& name : partition_by) {
    ARROW_ASSIGN_OR_RAISE(const uint32_t column, ScopeOf(node).Find(name));
    write->add_partition_by(node.names[column]);
  }
  ARROW_ASSIGN_OR_RAISE(const auto table,
                        node.connection->Start(command, node.tables).ToTable());
  return OneNumber(*table);
}

}  // namespace

arrow::Result<int64_t> DataFrame::WriteParquet(
    const std::string& path, const Options& options,
    const std::vector<std::string>& partition_by) const {
  return WriteFrame(*this, "parquet", path, options, partition_by);
}

arrow::Result<int64_t> DataFrame::WriteCsv(
    const std::string& path, const Options& options,
    const std::vector<std::string>& partition_by) const {
  return WriteFrame(*this, "csv", path, options, partition_by);
}

arrow::Result<int64_t> DataFrame::WriteJson(
    const std::string& path, const Options& options,
    const std::vector<std::string>& partition_by) const {
  return WriteFrame(*this, "json", path, options, partition_by);
}

}  // namespace ballista
