#include <algorithm>
#include <set>
#include <string>

#include "ballista/base/status.h"
#include "ballista/base/version.h"
#include "ballista/plan/data_frame.h"
#include "ballista/plan/plan.h"

namespace ballista::plan {
namespace {

constexpr uint64_t kMaxColumns = 1 << 20;

arrow::Status Bad(const std::string& what) {
  return InternalStatus("the plan is not valid: " + what);
}

class Validator {
 public:
  // `num_inputs` < 0: a logical plan, which has no exchange reads.
  // `typed`: each expression has its type.
  explicit Validator(int num_inputs, bool typed = true)
      : num_inputs_(num_inputs), typed_(typed) {}

  arrow::Status CheckNode(const Node& node, int depth) {
    if (depth > kMaxDepth) return Bad("it is nested too deeply");
    if (static_cast<uint64_t>(node.types_size()) > kMaxColumns) {
      return Bad("a node has more than " + std::to_string(kMaxColumns) + " columns");
    }
    for (const auto& type : node.types()) ARROW_RETURN_NOT_OK(CheckType(type, depth));
    ARROW_RETURN_NOT_OK(CheckInputCount(node));
    const bool scoped =
        node.kind_case() == Node::kShared || node.kind_case() == Node::kRecursiveCte;
    if (!scoped) {
      for (const auto& input : node.inputs()) {
        ARROW_RETURN_NOT_OK(CheckNode(input, depth + 1));
      }
    } else {
      ARROW_RETURN_NOT_OK(CheckScoped(node, depth));
    }
    ARROW_RETURN_NOT_OK(CheckShape(node));
    arrow::Status status;
    const int64_t columns = InputColumns(node);
    if (node.kind_case() != Node::kJoin) {
      ForEachExpression(node, [&](const Expression& e) {
        if (status.ok()) status = CheckExpression(e, columns, depth + 1, {});
      });
    } else {
      status = CheckJoin(node, depth);
    }
    return status;
  }

  arrow::Status CheckExpression(const Expression& expression, int64_t columns) {
    return CheckExpression(expression, columns, 0, {});
  }

 private:
  arrow::Status CheckType(const Type& type, int depth) {
    if (depth > kMaxDepth) return Bad("a type is nested too deeply");
    if (type.id() == Type::INVALID || !Type::Id_IsValid(type.id())) {
      return Bad("a type is missing or unknown (" + std::to_string(type.id()) + ")");
    }
    int children = 0;
    switch (type.id()) {
      case Type::DECIMAL:
        if (type.precision() < 1 || type.precision() > 38 ||
            type.scale() > type.precision()) {
          return Bad("a decimal of precision " + std::to_string(type.precision()) +
                     " and scale " + std::to_string(type.scale()));
        }
        break;
      case Type::LIST:
      case Type::ARRAY:
        children = 1;
        break;
      case Type::MAP:
        children = 2;
        break;
      case Type::STRUCT:
      case Type::UNION:
        children = type.children_size();
        if (children == 0 || type.names_size() != children) {
          return Bad("a struct or union with " + std::to_string(children) +
                     " members and " + std::to_string(type.names_size()) + " names");
        }
        break;
      default:
        break;
    }
    if (type.children_size() != children) {
      return Bad("type " + std::to_string(type.id()) + " with " +
                 std::to_string(type.children_size()) + " children");
    }
    for (const auto& child : type.children()) {
      ARROW_RETURN_NOT_OK(CheckType(child, depth + 1));
    }
    return arrow::Status::OK();
  }

  arrow::Status CheckInputCount(const Node& node) const {
    int low = 1;
    int high = 1;
    switch (node.kind_case()) {
      case Node::KIND_NOT_SET:
        return Bad("a node of unknown kind");
      case Node::kScan:
      case Node::kValues:
      case Node::kEmpty:
      case Node::kLocalTable:
      case Node::kSharedRef:
      case Node::kExchangeRead:
      case Node::kStatement:
        low = high = 0;
        break;
      case Node::kTableFunction:
        low = 0;
        break;
      case Node::kJoin:
      case Node::kShared:
      case Node::kRecursiveCte:
        low = high = 2;
        break;
      case Node::kSetOperation:
        low = 2;
        high = 1 << 20;
        break;
      default:
        break;
    }
    if (node.inputs_size() < low || node.inputs_size() > high) {
      return Bad("node kind " + std::to_string(node.kind_case()) + " with " +
                 std::to_string(node.inputs_size()) + " inputs");
    }
    return arrow::Status::OK();
  }

  // A definition is checked without its own id in scope (a recursive step: with it), the
  // body with it.
  arrow::Status CheckScoped(const Node& node, int depth) {
    const uint32_t id =
        node.has_shared() ? node.shared().id() : node.recursive_cte().id();
    ARROW_RETURN_NOT_OK(CheckNode(node.inputs(0), depth + 1));
    if (!shared_.insert(id).second) {
      return Bad("two shared nodes of id " + std::to_string(id));
    }
    ARROW_RETURN_NOT_OK(CheckNode(node.inputs(1), depth + 1));
    if (node.has_recursive_cte()) shared_.erase(id);
    return arrow::Status::OK();
  }

  static int64_t InputColumns(const Node& node) {
    int64_t columns = 0;
    for (const auto& input : node.inputs()) columns += input.types_size();
    return columns;
  }

  arrow::Status CheckWidth(const Node& node, int64_t expected) const {
    if (node.types_size() != expected) {
      return Bad("node kind " + std::to_string(node.kind_case()) + " has " +
                 std::to_string(node.types_size()) + " output types where " +
                 std::to_string(expected) + " are due");
    }
    return arrow::Status::OK();
  }

  arrow::Status CheckShape(const Node& node) {
    const int64_t in = InputColumns(node);
    switch (node.kind_case()) {
      case Node::kScan:
        return CheckWidth(node, node.scan().columns_size());
      case Node::kValues: {
        if (node.values().rows_size() == 0) return Bad("values without a row");
        for (const auto& row : node.values().rows()) {
          if (row.cells_size() != node.types_size()) return Bad("a ragged row of values");
        }
        return arrow::Status::OK();
      }
      case Node::kFilter:
      case Node::kSort:
      case Node::kLimit:
      case Node::kDistinct:
      case Node::kSample:
        return CheckWidth(node, in);
      case Node::kProject:
        if (node.project().expressions_size() == 0) return Bad("an empty projection");
        return CheckWidth(node, node.project().expressions_size());
      case Node::kWindow:
        return CheckWidth(node, in + node.window().calls_size());
      case Node::kUnnest:
        return CheckWidth(node, in + node.unnest().unnests_size());
      case Node::kAggregate:
        return CheckAggregate(node);
      case Node::kSetOperation: {
        const auto op = node.set_operation().op();
        if (op == SetOperation::INVALID || !SetOperation::Op_IsValid(op)) {
          return Bad("an unknown set operation");
        }
        for (const auto& input : node.inputs()) {
          ARROW_RETURN_NOT_OK(CheckWidth(node, input.types_size()));
        }
        return arrow::Status::OK();
      }
      case Node::kShared:
        return CheckWidth(node, node.inputs(1).types_size());
      case Node::kRecursiveCte:
        return CheckWidth(node, node.inputs(0).types_size());
      case Node::kSharedRef:
        if (!shared_.contains(node.shared_ref().id())) {
          return Bad("a reference to shared node " +
                     std::to_string(node.shared_ref().id()) + ", which is not in scope");
        }
        return arrow::Status::OK();
      case Node::kExchangeRead:
        if (num_inputs_ < 0 ||
            node.exchange_read().input() >= static_cast<uint32_t>(num_inputs_)) {
          return Bad("an exchange read of input " +
                     std::to_string(node.exchange_read().input()) + " of " +
                     std::to_string(num_inputs_));
        }
        return arrow::Status::OK();
      case Node::kTableFunction: {
        const auto& function = node.table_function();
        if (function.argument_columns() > static_cast<uint64_t>(in)) {
          return Bad("a table function takes more columns than its input has");
        }
        for (const uint32_t column : function.columns()) {
          if (column != kRowMarker && column >= function.function_columns()) {
            return Bad("a table function's column is out of range");
          }
        }
        for (const uint32_t column : function.passthrough()) {
          if (column >= in) return Bad("a passed-through column is out of range");
        }
        return CheckWidth(node, function.columns_size() + function.passthrough_size());
      }
      case Node::kWrite:
        for (const uint32_t column : node.write().partition_by()) {
          if (column >= in) return Bad("a partition column is out of range");
        }
        if (node.write().names_size() != in) return Bad("a write without column names");
        return arrow::Status::OK();
      default:
        return arrow::Status::OK();
    }
  }

  arrow::Status CheckAggregate(const Node& node) const {
    const auto& aggregate = node.aggregate();
    for (const auto& group : aggregate.groups()) {
      if (group.kind_case() != Expression::kColumn) return Bad("a group is no column");
    }
    for (const auto& call : aggregate.aggregates()) {
      if (call.kind_case() != Expression::kAggregate) {
        return Bad("an aggregate's expression is no aggregate call");
      }
    }
    for (const auto* sets : {&aggregate.grouping_sets(), &aggregate.grouping_calls()}) {
      for (const auto& set : *sets) {
        for (const uint32_t group : set.groups()) {
          if (group >= static_cast<uint32_t>(aggregate.groups_size())) {
            return Bad("a grouping set refers to a group that is not there");
          }
        }
      }
    }
    return CheckWidth(node, static_cast<int64_t>(aggregate.groups_size()) +
                                aggregate.aggregates_size() +
                                aggregate.grouping_calls_size());
  }

  arrow::Status CheckJoin(const Node& node, int depth) {
    const auto& join = node.join();
    const int64_t left = node.inputs(0).types_size();
    const int64_t right = node.inputs(1).types_size();
    if (join.type() == Join::INVALID || !Join::Type_IsValid(join.type())) {
      return Bad("an unknown join type");
    }
    for (const auto& condition : join.conditions()) {
      if (condition.op() == Comparison::INVALID ||
          !Comparison::Op_IsValid(condition.op())) {
        return Bad("a join condition without comparison");
      }
      ARROW_RETURN_NOT_OK(CheckExpression(condition.left(), left, depth + 1, {}));
      ARROW_RETURN_NOT_OK(CheckExpression(condition.right(), right, depth + 1, {}));
    }
    if (join.has_predicate()) {
      ARROW_RETURN_NOT_OK(CheckExpression(join.predicate(), left + right, depth + 1, {}));
    }
    if (join.group_conditions() > static_cast<uint32_t>(join.conditions_size())) {
      return Bad("a mark join has more group conditions than conditions");
    }
    const int64_t limit = left + right + (join.type() == Join::MARK ? 1 : 0);
    for (const uint32_t column : join.output()) {
      if (column >= limit) return Bad("a join's output column is out of range");
    }
    return CheckWidth(node, join.output_size());
  }

  arrow::Status CheckExpression(const Expression& expression, int64_t columns, int depth,
                                std::set<uint32_t> lambda_parameters) {
    if (depth > kMaxDepth) return Bad("an expression is nested too deeply");
    if (typed_ || expression.type().id() != Type::INVALID) {
      ARROW_RETURN_NOT_OK(CheckType(expression.type(), 0));
    }
    int args = -1;
    switch (expression.kind_case()) {
      case Expression::KIND_NOT_SET:
        return Bad("an expression of unknown kind");
      case Expression::kColumn:
        if (expression.column() >= columns) {
          return Bad("column " + std::to_string(expression.column()) + " of " +
                     std::to_string(columns));
        }
        args = 0;
        break;
      case Expression::kLiteral:
        ARROW_RETURN_NOT_OK(CheckValue(expression.literal(), 0));
        args = 0;
        break;
      case Expression::kLambdaParameter:
        if (!lambda_parameters.contains(expression.lambda_parameter())) {
          return Bad("a lambda parameter outside of its lambda");
        }
        args = 0;
        break;
      case Expression::kCall:
        if (expression.call().name().empty()) return Bad("a call without a name");
        if (expression.call().arg_names_size() > expression.args_size()) {
          return Bad("a call with more names than arguments");
        }
        break;
      case Expression::kCast:
      case Expression::kUnnest:
        args = 1;
        break;
      case Expression::kLambda:
        args = 1;
        for (const uint32_t parameter : expression.lambda().parameters()) {
          lambda_parameters.insert(parameter);
        }
        break;
      case Expression::kComparison:
        if (expression.comparison().op() == Comparison::INVALID ||
            !Comparison::Op_IsValid(expression.comparison().op())) {
          return Bad("an unknown comparison");
        }
        args = 2;
        break;
      case Expression::kBetween:
        args = 3;
        break;
      case Expression::kCase:
        if (expression.args_size() % 2 == 0 || expression.args_size() < 3) {
          return Bad("a CASE with " + std::to_string(expression.args_size()) + " parts");
        }
        break;
      case Expression::kOperator:
        if (expression.operator_().op() == Operator::INVALID ||
            !Operator::Op_IsValid(expression.operator_().op()) ||
            expression.args_size() == 0) {
          return Bad("an unknown operator, or one without arguments");
        }
        break;
      default:
        break;
    }
    if (args >= 0 && expression.args_size() != args) {
      return Bad("expression kind " + std::to_string(expression.kind_case()) + " with " +
                 std::to_string(expression.args_size()) + " arguments");
    }
    arrow::Status status;
    ForEachChild(expression, [&](const Expression& child) {
      if (status.ok()) {
        status = CheckExpression(child, columns, depth + 1, lambda_parameters);
      }
    });
    return status;
  }

  arrow::Status CheckValue(const Value& value, int depth) {
    if (depth > kMaxDepth) return Bad("a value is nested too deeply");
    ARROW_RETURN_NOT_OK(CheckType(value.type(), 0));
    if (value.kind_case() == Value::kWide && value.wide().size() != 16) {
      return Bad("a wide value of " + std::to_string(value.wide().size()) + " bytes");
    }
    if (value.kind_case() == Value::kNested) {
      for (const auto& child : value.nested().values()) {
        ARROW_RETURN_NOT_OK(CheckValue(child, depth + 1));
      }
      if (value.type().id() == Type::UNION &&
          (value.nested().values_size() != 1 ||
           value.nested().union_tag() >=
               static_cast<uint32_t>(value.type().children_size()))) {
        return Bad("a union value without its member");
      }
      if (value.type().id() == Type::MAP && value.nested().values_size() % 2 != 0) {
        return Bad("a map value with a key and no value");
      }
      if (value.type().id() == Type::STRUCT &&
          value.nested().values_size() != value.type().children_size()) {
        return Bad("a struct value with the wrong number of fields");
      }
    }
    return arrow::Status::OK();
  }

  const int num_inputs_;
  const bool typed_;
  std::set<uint32_t> shared_;
};

}  // namespace

arrow::Status Validate(const Plan& plan) {
  if (plan.version() != kPlanVersion) {
    ErrorDetail detail;
    detail.mutable_version_mismatch()->set_ours(kPlanVersion);
    detail.mutable_version_mismatch()->set_theirs(plan.version());
    return WithDetail(arrow::StatusCode::Invalid,
                      "the plan is of version " + std::to_string(plan.version()) +
                          " and this program reads version " +
                          std::to_string(kPlanVersion) + ": upgrade the older of the two",
                      std::move(detail));
  }
  if (plan.names_size() != plan.root().types_size()) {
    return Bad(std::to_string(plan.names_size()) + " names for " +
               std::to_string(plan.root().types_size()) + " columns");
  }
  return Validator(-1).CheckNode(plan.root(), 0);
}

arrow::Status ValidateFragment(const Node& root, int num_inputs) {
  return Validator(num_inputs).CheckNode(root, 0);
}

arrow::Status ValidateUntyped(const Expression& expression, int64_t columns) {
  return Validator(-1, /*typed=*/false).CheckExpression(expression, columns);
}

namespace {

// A sort key of an output: a column of it, with its type.
arrow::Status CheckSortColumn(const SortKey& key, const Node& node,
                              const std::string& name) {
  const Expression& e = key.expression();
  if (e.kind_case() != Expression::kColumn ||
      e.column() >= static_cast<uint32_t>(node.types_size()) ||
      !TypesEqual(e.type(), node.types(static_cast<int>(e.column())))) {
    return Bad(name + " has a sort key that is no column of its output");
  }
  return arrow::Status::OK();
}

// What is merged is sorted by the same keys.
arrow::Status CheckMergeKeys(const job::StageInput& input, const job::Stage& producer,
                             const std::string& name) {
  if (input.merge_keys().empty()) return arrow::Status::OK();
  const auto same = [](const SortKey& a, const SortKey& b) {
    return a.descending() == b.descending() && a.nulls_first() == b.nulls_first() &&
           ExpressionsEqual(a.expression(), b.expression());
  };
  const auto& sorted = producer.output().sort_keys();
  if (input.mode() != job::StageInput::MERGE ||
      producer.output().kind() != job::Output::RANGE ||
      !std::equal(sorted.begin(), sorted.end(), input.merge_keys().begin(),
                  input.merge_keys().end(), same)) {
    return Bad(name + " merges by other keys than its input is sorted by");
  }
  return arrow::Status::OK();
}

arrow::Status CheckStage(const job::JobGraph& graph, int position) {
  const auto& stage = graph.stages(position);
  const std::string name = "stage " + std::to_string(position);
  if (stage.id() != static_cast<uint32_t>(position)) {
    return Bad(name + " has id " + std::to_string(stage.id()));
  }
  ARROW_RETURN_NOT_OK(ValidateFragment(stage.fragment(), stage.inputs_size()));
  for (const auto& input : stage.inputs()) {
    if (input.mode() == job::StageInput::INVALID || input.stages_size() == 0) {
      return Bad(name + " has an input without producer or mode");
    }
    for (const uint32_t producer : input.stages()) {
      if (producer >= stage.id()) {
        return Bad(name + " reads stage " + std::to_string(producer));
      }
    }
    if (input.mode() == job::StageInput::MERGE && input.merge_keys().empty() &&
        stage.parallelism() != job::SINGLE_TASK) {
      return Bad(name + " puts outputs one after the other in more than one task");
    }
    for (const uint32_t producer : input.stages()) {
      ARROW_RETURN_NOT_OK(
          CheckMergeKeys(input, graph.stages(static_cast<int>(producer)), name));
    }
  }
  if (stage.parallelism() != job::SINGLE_TASK && stage.parallelism() != job::MANY_TASKS) {
    return Bad(name + " has no parallelism");
  }
  const auto& output = stage.output();
  const uint32_t columns = static_cast<uint32_t>(stage.fragment().types_size());
  if (output.kind() == job::Output::HASH) {
    if (output.partitions() < 1 || output.partitions() > 65535 ||
        output.keys_size() == 0) {
      return Bad(name + " has a hash output of " + std::to_string(output.partitions()) +
                 " partitions and " + std::to_string(output.keys_size()) + " keys");
    }
    for (const uint32_t key : output.keys()) {
      if (key >= columns) return Bad(name + " has a hash key that is no column");
    }
  } else if (output.kind() == job::Output::RANGE) {
    if (output.sort_keys().empty() || !output.ordered()) {
      return Bad(name + " has a sorted output without sort keys or order");
    }
    for (const auto& key : output.sort_keys()) {
      ARROW_RETURN_NOT_OK(CheckSortColumn(key, stage.fragment(), name));
    }
  } else if (output.kind() != job::Output::UNPARTITIONED) {
    return Bad(name + " has no output");
  }
  std::set<uint32_t> scans;
  arrow::Status status;
  VisitNodes(stage.fragment(), [&](const Node& node) {
    if (!node.has_scan() || node.scan().files_size() > 0) return;
    if (!scans.insert(node.scan().scan_index()).second) {
      status = Bad(name + " has two scans of one index");
    }
    if (node.scan().scan_index() >= static_cast<uint32_t>(stage.scans_size())) {
      status = Bad(name + " has a scan without splits");
    }
  });
  return status;
}

}  // namespace

arrow::Status ValidateGraph(const job::JobGraph& graph) {
  if (graph.stages_size() == 0 ||
      graph.result_stage() >= static_cast<uint32_t>(graph.stages_size())) {
    return Bad("a job of " + std::to_string(graph.stages_size()) +
               " stages whose result is stage " + std::to_string(graph.result_stage()));
  }
  for (int i = 0; i < graph.stages_size(); ++i) {
    ARROW_RETURN_NOT_OK(CheckStage(graph, i));
  }
  const auto& result = graph.stages(static_cast<int>(graph.result_stage()));
  if (result.fragment().types_size() != graph.names_size()) {
    return Bad("the result stage has " + std::to_string(result.fragment().types_size()) +
               " columns and the job " + std::to_string(graph.names_size()) + " names");
  }
  return arrow::Status::OK();
}

}  // namespace ballista::plan
