#include "ballista/engine/duckdb/compiler_internal.h"

namespace ballista::engine::compile {

using duckdb::make_uniq;

void NameColumns(duckdb::SelectNode* select) {
  for (size_t i = 0; i < select->select_list.size(); ++i) {
    select->select_list[i]->SetAlias(ColumnName(i));
  }
}

duckdb::unique_ptr<duckdb::SelectStatement> AsStatement(QueryPtr query) {
  auto statement = make_uniq<duckdb::SelectStatement>();
  statement->node = std::move(query);
  return statement;
}

void SelectAll(duckdb::SelectNode* select, const std::string& table, int columns) {
  for (int i = 0; i < columns; ++i) select->select_list.push_back(Column(table, i));
}

namespace {

std::string SharedName(uint32_t id) {
  return "s" + std::to_string(id);
}

const plan::Node& Input(const plan::Node& node, int i) {
  if (i >= node.inputs_size()) Fail("a node lacks an input");
  return node.inputs(i);
}

ExprPtr Count(uint64_t rows) {
  if (rows > static_cast<uint64_t>(INT64_MAX)) rows = INT64_MAX;
  return Constant(duckdb::Value::BIGINT(static_cast<int64_t>(rows)));
}

// The grouping functions come last.
ExprPtr GroupingCall(const plan::Aggregate& aggregate, const plan::GroupingSet& call) {
  duckdb::vector<ExprPtr> args;
  for (uint32_t group : call.groups()) {
    if (group >= static_cast<uint32_t>(aggregate.groups_size())) {
      Fail("GROUPING() of an unknown group");
    }
    args.push_back(CompileExpression(aggregate.groups(group), ColumnsOf("t")));
  }
  return CastTo(make_uniq<duckdb::OperatorExpression>(
                    duckdb::ExpressionType::GROUPING_FUNCTION, std::move(args)),
                plan::MakeType(plan::Type::BIGINT));
}

}  // namespace

TablePtr NodeCompiler::Reference(const plan::Node& node, const std::string& alias) {
  if (node.kind_case() == plan::Node::kSharedRef) {
    auto table = make_uniq<duckdb::BaseTableRef>();
    table->table_name = SharedName(node.shared_ref().id());
    table->alias = alias;
    return table;
  }
  return make_uniq<duckdb::SubqueryRef>(AsStatement(Compile(node)), alias);
}

NodeCompiler::Select NodeCompiler::SelectFromInput(const plan::Node& node) {
  auto select = make_uniq<duckdb::SelectNode>();
  select->from_table = Reference(Input(node, 0), "t");
  return select;
}

NodeCompiler::Select NodeCompiler::PassInput(const plan::Node& node) {
  auto select = SelectFromInput(node);
  SelectAll(select.get(), "t", Input(node, 0).types_size());
  NameColumns(select.get());
  return select;
}

QueryPtr NodeCompiler::CompileFilter(const plan::Node& node) {
  auto select = PassInput(node);
  duckdb::vector<ExprPtr> parts;
  for (const auto& predicate : node.filter().predicates()) {
    parts.push_back(CompileExpression(predicate, ColumnsOf("t")));
  }
  select->where_clause = And(std::move(parts));
  return select;
}

QueryPtr NodeCompiler::CompileProject(const plan::Node& node) {
  const auto& project = node.project();
  if (project.expressions_size() == 0 ||
      project.expressions_size() != node.types_size()) {
    Fail("a projection's columns do not match its types");
  }
  auto select = SelectFromInput(node);
  for (int i = 0; i < project.expressions_size(); ++i) {
    auto column = CompileExpression(project.expressions(i), ColumnsOf("t"));
    const bool plain = project.expressions(i).has_column();
    select->select_list.push_back(plain ? std::move(column)
                                        : CastTo(std::move(column), node.types(i)));
  }
  NameColumns(select.get());
  return select;
}

QueryPtr NodeCompiler::CompileAggregate(const plan::Node& node) {
  const auto& aggregate = node.aggregate();
  const Columns columns = ColumnsOf("t");
  auto select = SelectFromInput(node);
  for (const auto& group : aggregate.groups()) {
    select->groups.group_expressions.push_back(CompileExpression(group, columns));
    select->select_list.push_back(CompileExpression(group, columns));
  }
  if (aggregate.groups_size() > 0) {
    for (const auto& set : aggregate.grouping_sets()) {
      select->groups.grouping_sets.emplace_back(set.groups().begin(), set.groups().end());
    }
    if (aggregate.grouping_sets_size() == 0) {
      duckdb::GroupingSet all;
      for (int i = 0; i < aggregate.groups_size(); ++i) all.insert(i);
      select->groups.grouping_sets.push_back(std::move(all));
    }
  } else if (aggregate.grouping_sets_size() > 1) {
    Fail("several empty grouping sets");
  }
  for (const auto& call : aggregate.aggregates()) {
    select->select_list.push_back(CompileExpression(call, columns));
  }
  for (const auto& call : aggregate.grouping_calls()) {
    select->select_list.push_back(GroupingCall(aggregate, call));
  }
  if (select->select_list.empty()) Fail("an aggregate without output");
  select->aggregate_handling = duckdb::AggregateHandling::STANDARD_HANDLING;
  NameColumns(select.get());
  return select;
}

QueryPtr NodeCompiler::CompileSort(const plan::Node& node) {
  const auto& sort = node.sort();
  auto select = PassInput(node);
  // A constant orders nothing, and an integer would be read as a column's position.
  google::protobuf::RepeatedPtrField<plan::SortKey> keys;
  for (const auto& key : sort.keys()) {
    if (!key.expression().has_literal()) *keys.Add() = key;
  }
  if (!keys.empty()) {
    auto order = make_uniq<duckdb::OrderModifier>();
    order->orders = CompileSortKeys(keys, ColumnsOf("t"));
    select->modifiers.push_back(std::move(order));
  }
  if (sort.has_limit() || sort.offset() > 0) {
    auto limit = make_uniq<duckdb::LimitModifier>();
    if (sort.has_limit()) limit->limit = Count(sort.limit());
    if (sort.offset() > 0) limit->offset = Count(sort.offset());
    select->modifiers.push_back(std::move(limit));
  }
  return select;
}

namespace {

template <typename Modifier>
duckdb::unique_ptr<duckdb::ResultModifier> MakeLimit(const plan::Limit& limit) {
  auto modifier = make_uniq<Modifier>();
  if (limit.has_limit()) modifier->limit = CompileExpression(limit.limit(), NoColumns());
  if (limit.has_offset()) {
    modifier->offset = CompileExpression(limit.offset(), NoColumns());
  }
  return modifier;
}

}  // namespace

QueryPtr NodeCompiler::CompileLimit(const plan::Node& node) {
  auto select = PassInput(node);
  const auto& limit = node.limit();
  select->modifiers.push_back(limit.is_percent()
                                  ? MakeLimit<duckdb::LimitPercentModifier>(limit)
                                  : MakeLimit<duckdb::LimitModifier>(limit));
  return select;
}

QueryPtr NodeCompiler::CompileDistinct(const plan::Node& node) {
  const auto& distinct = node.distinct();
  auto select = PassInput(node);
  auto modifier = make_uniq<duckdb::DistinctModifier>();
  for (const auto& target : distinct.on()) {
    modifier->distinct_on_targets.push_back(CompileExpression(target, ColumnsOf("t")));
  }
  select->modifiers.push_back(std::move(modifier));
  if (distinct.order_by_size() > 0) {
    auto order = make_uniq<duckdb::OrderModifier>();
    order->orders = CompileSortKeys(distinct.order_by(), ColumnsOf("t"));
    select->modifiers.push_back(std::move(order));
  }
  return select;
}

QueryPtr NodeCompiler::CompileWindow(const plan::Node& node) {
  auto select = PassInput(node);
  for (const auto& call : node.window().calls()) {
    select->select_list.push_back(CompileExpression(call, ColumnsOf("t")));
  }
  NameColumns(select.get());
  return select;
}

QueryPtr NodeCompiler::CompileUnnest(const plan::Node& node) {
  auto select = PassInput(node);
  for (const auto& unnest : node.unnest().unnests()) {
    select->select_list.push_back(CompileExpression(unnest, ColumnsOf("t")));
  }
  NameColumns(select.get());
  return select;
}

QueryPtr NodeCompiler::CompileSample(const plan::Node& node) {
  const auto& sample = node.sample();
  auto select = PassInput(node);
  auto options = make_uniq<duckdb::SampleOptions>(sample.has_seed() ? sample.seed() : -1);
  options->sample_size = OrThrow(ToDuckDbValue(sample.size()));
  options->is_percentage = sample.is_percentage();
  if (sample.method() == "system") {
    options->method = duckdb::SampleMethod::SYSTEM_SAMPLE;
  } else if (sample.method() == "bernoulli") {
    options->method = duckdb::SampleMethod::BERNOULLI_SAMPLE;
  } else if (sample.method() == "reservoir") {
    options->method = duckdb::SampleMethod::RESERVOIR_SAMPLE;
  } else {
    Fail("the sample method '" + sample.method() + "'");
  }
  select->sample = std::move(options);
  return select;
}

QueryPtr NodeCompiler::CompileSetOperation(const plan::Node& node) {
  auto result = make_uniq<duckdb::SetOperationNode>();
  switch (node.set_operation().op()) {
    case plan::SetOperation::UNION:
      result->setop_type = duckdb::SetOperationType::UNION;
      break;
    case plan::SetOperation::EXCEPT:
      result->setop_type = duckdb::SetOperationType::EXCEPT;
      break;
    case plan::SetOperation::INTERSECT:
      result->setop_type = duckdb::SetOperationType::INTERSECT;
      break;
    default:
      Fail("an unknown set operation");
  }
  result->setop_all = node.set_operation().all();
  for (const auto& input : node.inputs()) result->children.push_back(Compile(input));
  return result;
}

QueryPtr NodeCompiler::CompileShared(const plan::Node& node) {
  const auto& definition = Input(node, 0);
  auto cte = make_uniq<duckdb::CommonTableExpressionInfo>();
  cte->query = AsStatement(Compile(definition));
  cte->materialized = duckdb::CTEMaterialize::CTE_MATERIALIZE_ALWAYS;
  for (int i = 0; i < definition.types_size(); ++i) {
    cte->aliases.push_back(ColumnName(i));
  }
  auto select = make_uniq<duckdb::SelectNode>();
  select->from_table = Reference(Input(node, 1), "t");
  SelectAll(select.get(), "t", node.types_size());
  NameColumns(select.get());
  select->cte_map.map.insert(SharedName(node.shared().id()), std::move(cte));
  return select;
}

namespace {

bool IsInput(const plan::Node& node) {
  return node.has_exchange_read() || node.has_local_table();
}

bool HasInput(const plan::Node& node) {
  bool found = false;
  plan::VisitNodes(node, [&](const plan::Node& n) { found |= IsInput(n); });
  return found;
}

}  // namespace

// Each iteration reads the step's leaves again, but an input can be read only once: the
// inputs of the step are shared from outside of the recursion.
plan::Node NodeCompiler::ShareInputsOfStep(const plan::Node& node) {
  plan::Node body = node;
  std::vector<plan::Node> shares;
  plan::VisitNodes(body.mutable_inputs(1), [&](plan::Node* n) {
    if (!IsInput(*n)) return;
    plan::Node share;
    share.mutable_shared()->set_id(next_shared_id_++);
    *share.mutable_types() = node.types();
    *share.add_inputs() = *n;
    n->mutable_shared_ref()->set_id(share.shared().id());
    shares.push_back(std::move(share));
  });
  for (auto& share : shares) {
    *share.add_inputs() = std::move(body);
    body = std::move(share);
  }
  return body;
}

QueryPtr NodeCompiler::CompileRecursiveCte(const plan::Node& node) {
  if (HasInput(Input(node, 1))) return Compile(ShareInputsOfStep(node));
  const std::string name = SharedName(node.recursive_cte().id());
  auto recursive = make_uniq<duckdb::RecursiveCTENode>();
  recursive->ctename = name;
  recursive->union_all = node.recursive_cte().union_all();
  recursive->left = Compile(Input(node, 0));
  recursive->right = Compile(Input(node, 1));
  auto cte = make_uniq<duckdb::CommonTableExpressionInfo>();
  for (int i = 0; i < node.types_size(); ++i) {
    recursive->aliases.push_back(ColumnName(i));
    cte->aliases.push_back(ColumnName(i));
  }
  cte->query = AsStatement(std::move(recursive));
  auto select = make_uniq<duckdb::SelectNode>();
  auto table = make_uniq<duckdb::BaseTableRef>();
  table->table_name = name;
  table->alias = "t";
  select->from_table = std::move(table);
  SelectAll(select.get(), "t", node.types_size());
  NameColumns(select.get());
  select->cte_map.map.insert(name, std::move(cte));
  return select;
}

QueryPtr NodeCompiler::Compile(const plan::Node& node) {
  switch (node.kind_case()) {
    case plan::Node::kScan:
      return CompileScan(node);
    case plan::Node::kValues:
      return CompileValues(node);
    case plan::Node::kEmpty:
      return CompileEmpty(node);
    case plan::Node::kLocalTable:
    case plan::Node::kExchangeRead:
      return CompileInput(node);
    case plan::Node::kFilter:
      return CompileFilter(node);
    case plan::Node::kProject:
      return CompileProject(node);
    case plan::Node::kAggregate:
      return CompileAggregate(node);
    case plan::Node::kJoin:
      return CompileJoin(node);
    case plan::Node::kSort:
      return CompileSort(node);
    case plan::Node::kLimit:
      return CompileLimit(node);
    case plan::Node::kDistinct:
      return CompileDistinct(node);
    case plan::Node::kWindow:
      return CompileWindow(node);
    case plan::Node::kSetOperation:
      return CompileSetOperation(node);
    case plan::Node::kShared:
      return CompileShared(node);
    case plan::Node::kSharedRef: {
      auto select = make_uniq<duckdb::SelectNode>();
      select->from_table = Reference(node, "t");
      SelectAll(select.get(), "t", node.types_size());
      NameColumns(select.get());
      return select;
    }
    case plan::Node::kRecursiveCte:
      return CompileRecursiveCte(node);
    case plan::Node::kUnnest:
      return CompileUnnest(node);
    case plan::Node::kSample:
      return CompileSample(node);
    case plan::Node::kTableFunction:
      return CompileTableFunction(node);
    case plan::Node::kWrite:
    case plan::Node::kStatement:
      Fail("a write or a whole statement can only be a fragment's root");
    default:
      Fail("a node without kind");
  }
}

}  // namespace ballista::engine::compile

namespace ballista::engine {

namespace {

using StatementResult = arrow::Result<duckdb::unique_ptr<duckdb::SelectStatement>>;

StatementResult CatchErrors(const std::function<compile::QueryPtr()>& compile) {
  try {
    return compile::AsStatement(compile());
  } catch (const compile::CompileError& error) {
    return error.status();
  } catch (const std::exception& error) {
    return InternalStatus(std::string("the plan cannot be compiled: ") + error.what());
  }
}

}  // namespace

StatementResult CompileFragment(const plan::Node& root, const FragmentSources& sources) {
  return CatchErrors([&] { return compile::NodeCompiler(sources).Compile(root); });
}

StatementResult CompileWriteInput(const plan::Node& root,
                                  const FragmentSources& sources) {
  return CatchErrors([&]() -> compile::QueryPtr {
    auto select = duckdb::make_uniq<duckdb::SelectNode>();
    select->from_table = compile::NodeCompiler(sources).Reference(root, "t");
    compile::SelectAll(select.get(), "t", root.types_size());
    return select;
  });
}

StatementResult CompileReadAll(const plan::Scan& scan,
                               const std::vector<std::string>& files) {
  return CatchErrors([&]() -> compile::QueryPtr {
    auto select = duckdb::make_uniq<duckdb::SelectNode>();
    select->from_table = compile::ReadFiles(scan, files);
    select->select_list.push_back(duckdb::make_uniq<duckdb::StarExpression>());
    return select;
  });
}

}  // namespace ballista::engine
