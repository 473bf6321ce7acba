#include <fmt/format.h>

#include <iomanip>
#include <sstream>

#include "ballista/plan/plan.h"

namespace ballista::plan {
namespace {

template <typename List, typename Print>
std::string JoinText(const List& list, const char* separator, const Print& print) {
  std::string text;
  bool first = true;
  for (const auto& item : list) {
    if (!first) text += separator;
    first = false;
    text += print(item);
  }
  return text;
}

std::string Expressions(const google::protobuf::RepeatedPtrField<Expression>& list,
                        const char* separator = ", ") {
  return JoinText(list, separator, [](const Expression& e) { return ToString(e); });
}

std::string Key(const SortKey& key) {
  return ToString(key.expression()) + (key.descending() ? " DESC" : "") +
         (key.nulls_first() ? " NULLS FIRST" : "");
}

std::string Keys(const google::protobuf::RepeatedPtrField<SortKey>& keys) {
  return JoinText(keys, ", ", Key);
}

const char* Symbol(Comparison::Op op) {
  switch (op) {
    case Comparison::EQUAL:
      return "=";
    case Comparison::NOT_EQUAL:
      return "<>";
    case Comparison::LESS:
      return "<";
    case Comparison::LESS_EQUAL:
      return "<=";
    case Comparison::GREATER:
      return ">";
    case Comparison::GREATER_EQUAL:
      return ">=";
    case Comparison::DISTINCT_FROM:
      return "IS DISTINCT FROM";
    case Comparison::NOT_DISTINCT_FROM:
      return "IS NOT DISTINCT FROM";
    default:
      return "?";
  }
}

// Also of plans that were not validated: a missing argument prints as "?".
std::string Arg(const Expression& e, int i) {
  return i >= 0 && i < e.args_size() ? ToString(e.args(i)) : "?";
}

std::string OperatorText(const Expression& e) {
  const auto arg = [&](int i) { return Arg(e, i); };
  const auto rest = [&] {
    std::string text;
    for (int i = 1; i < e.args_size(); ++i) text += (i > 1 ? ", " : "") + arg(i);
    return text;
  };
  switch (e.operator_().op()) {
    case Operator::NOT:
      return "NOT " + arg(0);
    case Operator::IS_NULL:
      return "(" + arg(0) + " IS NULL)";
    case Operator::IS_NOT_NULL:
      return "(" + arg(0) + " IS NOT NULL)";
    case Operator::IN:
      return "(" + arg(0) + " IN (" + rest() + "))";
    case Operator::NOT_IN:
      return "(" + arg(0) + " NOT IN (" + rest() + "))";
    case Operator::COALESCE:
      return "coalesce(" + Expressions(e.args()) + ")";
    case Operator::TRY:
      return "try(" + arg(0) + ")";
    default:
      return "operator(" + Expressions(e.args()) + ")";
  }
}

std::string CaseText(const Expression& e) {
  std::string text = "CASE";
  for (int i = 0; i + 1 < e.args_size(); i += 2) {
    text += " WHEN " + Arg(e, i) + " THEN " + Arg(e, i + 1);
  }
  return text + " ELSE " + Arg(e, e.args_size() - 1) + " END";
}

std::string AggregateText(const Expression& e) {
  const auto& call = e.aggregate();
  std::string text =
      call.name() + "(" + (call.distinct() ? "DISTINCT " : "") + Expressions(e.args());
  if (call.order_by_size() > 0) text += " ORDER BY " + Keys(call.order_by());
  text += ")";
  if (call.has_filter()) text += " FILTER (" + ToString(call.filter()) + ")";
  return text;
}

std::string WindowText(const Expression& e) {
  const auto& call = e.window();
  std::string text = call.name() + "(" + Expressions(e.args()) + ") OVER (";
  if (call.partition_by_size() > 0) {
    text += "PARTITION BY " + Expressions(call.partition_by());
  }
  if (call.order_by_size() > 0) {
    text += (call.partition_by_size() > 0 ? " " : "");
    text += "ORDER BY " + Keys(call.order_by());
  }
  return text + ")";
}

std::string Hex(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return text;
}

std::string Positions(const google::protobuf::RepeatedField<uint32_t>& positions) {
  return JoinText(positions, ", ", [](uint32_t p) { return "#" + std::to_string(p); });
}

std::string JoinNodeText(const Join& join) {
  std::string text = Join::Type_Name(join.type());
  if (join.asof()) text += " ASOF";
  if (join.positional()) text += " POSITIONAL";
  if (join.mark_kind() != Join::MARK_NONE) {
    text += " " + Join::MarkKind_Name(join.mark_kind());
  }
  text += JoinText(join.conditions(), " AND", [](const JoinCondition& c) {
    return " L:" + ToString(c.left()) + " " + Symbol(c.op()) +
           " R:" + ToString(c.right());
  });
  if (join.has_predicate()) text += " WHERE " + ToString(join.predicate());
  return text + " -> " + Positions(join.output());
}

std::string ScanText(const Scan& scan) {
  std::string text = scan.table().empty() ? scan.format() : scan.table();
  text += " [" +
          JoinText(scan.columns(), ", ",
                   [](const ScanColumn& c) {
                     std::string name = c.name().empty() ? "*" : c.name();
                     for (const auto& field : c.path()) name += "." + field;
                     return name;
                   }) +
          "]";
  if (scan.files_size() > 0) text += " files=" + std::to_string(scan.files_size());
  return text;
}

std::string AggregateNodeText(const Aggregate& aggregate) {
  std::string text;
  if (aggregate.groups_size() > 0) {
    text = "by " + Expressions(aggregate.groups()) + ": ";
  }
  text += Expressions(aggregate.aggregates());
  if (aggregate.grouping_sets_size() > 1) {
    text += " sets=" + std::to_string(aggregate.grouping_sets_size());
  }
  return text;
}

// The node's name and what matters of it.
std::string Headline(const Node& node) {
  switch (node.kind_case()) {
    case Node::kScan:
      return "Scan " + ScanText(node.scan());
    case Node::kValues:
      return "Values rows=" + std::to_string(node.values().rows_size());
    case Node::kEmpty:
      return "Empty";
    case Node::kLocalTable:
      return "LocalTable " + node.local_table().name() +
             " rows=" + std::to_string(node.local_table().rows());
    case Node::kFilter:
      return "Filter " + Expressions(node.filter().predicates(), " AND ");
    case Node::kProject:
      return "Project " + Expressions(node.project().expressions());
    case Node::kAggregate:
      return "Aggregate " + AggregateNodeText(node.aggregate());
    case Node::kJoin:
      return "Join " + JoinNodeText(node.join());
    case Node::kSort: {
      std::string text = "Sort " + Keys(node.sort().keys());
      if (node.sort().has_limit()) {
        text += " limit " + std::to_string(node.sort().limit());
      }
      if (node.sort().offset() > 0) {
        text += " offset " + std::to_string(node.sort().offset());
      }
      return text;
    }
    case Node::kLimit: {
      std::string text = "Limit";
      if (node.limit().has_limit()) text += " " + ToString(node.limit().limit());
      if (node.limit().is_percent()) text += "%";
      if (node.limit().has_offset()) text += " offset " + ToString(node.limit().offset());
      return text;
    }
    case Node::kDistinct: {
      std::string text = "Distinct";
      if (node.distinct().on_size() > 0) {
        text += " on " + Expressions(node.distinct().on());
      }
      if (node.distinct().order_by_size() > 0) {
        text += " order by " + Keys(node.distinct().order_by());
      }
      return text;
    }
    case Node::kWindow:
      return "Window " + Expressions(node.window().calls());
    case Node::kSetOperation:
      return SetOperation::Op_Name(node.set_operation().op()) +
             (node.set_operation().all() ? " ALL" : "");
    case Node::kShared:
      return "Shared $" + std::to_string(node.shared().id());
    case Node::kSharedRef:
      return "SharedRef $" + std::to_string(node.shared_ref().id());
    case Node::kRecursiveCte:
      return "RecursiveCte $" + std::to_string(node.recursive_cte().id());
    case Node::kUnnest:
      return "Unnest " + Expressions(node.unnest().unnests());
    case Node::kSample:
      return "Sample " + node.sample().method() + " " + ToString(node.sample().size()) +
             (node.sample().is_percentage() ? "%" : " rows");
    case Node::kTableFunction:
      return "TableFunction " + node.table_function().name() + "(" +
             JoinText(node.table_function().args(), ", ",
                      [](const Value& v) { return ToString(v); }) +
             ")";
    case Node::kExchangeRead:
      return "ExchangeRead input " + std::to_string(node.exchange_read().input());
    case Node::kWrite:
      return "Write " + node.write().format() + " " + node.write().path();
    case Node::kStatement:
      return "Statement " + node.statement().sql();
    case Node::KIND_NOT_SET:
      break;
  }
  return "?";
}

void Print(const Node& node, int indent, std::string* out) {
  *out += std::string(static_cast<size_t>(indent) * 2, ' ') + Headline(node);
  if (node.estimated_rows() > 0) {
    *out += fmt::format("  ~{:.0f} rows", node.estimated_rows());
  }
  *out += "\n";
  for (const auto& input : node.inputs()) Print(input, indent + 1, out);
}

}  // namespace

std::string ToString(const Type& type) {
  const auto children = [&] {
    std::string text;
    for (int i = 0; i < type.children_size(); ++i) {
      if (i > 0) text += ", ";
      if (i < type.names_size() && !type.names(i).empty()) text += type.names(i) + " ";
      text += ToString(type.children(i));
    }
    return text;
  };
  if (!type.alias().empty()) return type.alias();
  switch (type.id()) {
    case Type::DECIMAL:
      return fmt::format("DECIMAL({},{})", type.precision(), type.scale());
    case Type::LIST:
      return children() + "[]";
    case Type::ARRAY:
      return children() + "[" + std::to_string(type.array_size()) + "]";
    case Type::STRUCT:
    case Type::MAP:
    case Type::UNION:
      return Type::Id_Name(type.id()) + "(" + children() + ")";
    default:
      return Type::Id_Name(type.id());
  }
}

std::string ToString(const Value& value) {
  switch (value.kind_case()) {
    case Value::kBoolean:
      return value.boolean() ? "true" : "false";
    case Value::kInt: {
      if (value.type().id() == Type::BIGINT || value.type().id() == Type::INTEGER) {
        return std::to_string(value.int_());
      }
      return std::to_string(value.int_()) + "::" + ToString(value.type());
    }
    case Value::kUint:
      return std::to_string(value.uint());
    case Value::kWide:
      return "0x" + Hex(value.wide()) + "::" + ToString(value.type());
    case Value::kFloat:
      return fmt::format("{}", value.float_());
    case Value::kDouble:
      return fmt::format("{}", value.double_());
    case Value::kVarchar: {
      std::string text = "'";
      for (const char c : value.varchar()) {
        if (c == '\'') text += '\'';
        text += c;
      }
      return text + "'";
    }
    case Value::kBlob:
      return "0x" + Hex(value.blob());
    case Value::kInterval:
      return fmt::format("INTERVAL({} months, {} days, {} us)", value.interval().months(),
                         value.interval().days(), value.interval().micros());
    case Value::kNested:
      return "[" +
             JoinText(value.nested().values(), ", ",
                      [](const Value& v) { return ToString(v); }) +
             "]";
    case Value::KIND_NOT_SET:
      break;
  }
  return "NULL";
}

std::string ToString(const Expression& e) {
  const auto arg = [&](int i) { return Arg(e, i); };
  switch (e.kind_case()) {
    case Expression::kColumn:
      return "#" + std::to_string(e.column());
    case Expression::kLiteral:
      return ToString(e.literal());
    case Expression::kCall:
      return e.call().name() + "(" + Expressions(e.args()) + ")";
    case Expression::kCast:
      return std::string(e.cast().try_cast() ? "try_cast(" : "cast(") + arg(0) + " AS " +
             ToString(e.type()) + ")";
    case Expression::kCase:
      return CaseText(e);
    case Expression::kComparison:
      return "(" + arg(0) + " " + Symbol(e.comparison().op()) + " " + arg(1) + ")";
    case Expression::kConjunction:
      return "(" + Expressions(e.args(), e.conjunction().is_or() ? " OR " : " AND ") +
             ")";
    case Expression::kOperator:
      return OperatorText(e);
    case Expression::kBetween:
      return "(" + arg(0) + " BETWEEN " + arg(1) + " AND " + arg(2) + ")";
    case Expression::kAggregate:
      return AggregateText(e);
    case Expression::kWindow:
      return WindowText(e);
    case Expression::kLambda:
      return "(" +
             JoinText(e.lambda().parameters(), ", ",
                      [](uint32_t p) { return "p" + std::to_string(p); }) +
             ") -> " + arg(0);
    case Expression::kLambdaParameter:
      return "p" + std::to_string(e.lambda_parameter());
    case Expression::kUnnest:
      return "unnest(" + arg(0) + ")";
    case Expression::KIND_NOT_SET:
      break;
  }
  return "?";
}

std::string ToString(const Node& node) {
  std::string text;
  Print(node, 0, &text);
  return text;
}

namespace {

std::string InputText(const job::StageInput& input, bool single_task) {
  const std::string stages = " stage " + JoinText(input.stages(), ", ", [](uint32_t s) {
                               return std::to_string(s);
                             });
  if (input.mode() == job::StageInput::PARTITIONED) return "partitions of" + stages;
  if (input.mode() == job::StageInput::ALL) return "all of" + stages;
  if (input.merge_keys().empty()) return "in order, all of" + stages;
  return (single_task ? "merge by " : "range exchange by ") + Keys(input.merge_keys()) +
         " of" + stages;
}

std::string OutputText(const job::Output& output) {
  if (output.is_result()) return output.ordered() ? "result, ordered" : "result";
  if (output.kind() == job::Output::HASH) {
    return "hash(" + Positions(output.keys()) + ") into " +
           std::to_string(output.partitions()) + " partitions";
  }
  if (output.kind() == job::Output::RANGE) {
    return "runs sorted by " + Keys(output.sort_keys());
  }
  return output.ordered() ? "unpartitioned, ordered" : "unpartitioned";
}

}  // namespace

std::string ToString(const job::JobGraph& graph) {
  std::string text;
  if (!graph.single_task_reason().empty()) {
    text += "Runs as one task: " + graph.single_task_reason() + "\n";
  }
  for (const auto& stage : graph.stages()) {
    text += "Stage " + std::to_string(stage.id()) + ": ";
    text += stage.parallelism() == job::SINGLE_TASK ? "one task" : "many tasks";
    text += ", output " + OutputText(stage.output()) + "\n";
    for (int i = 0; i < stage.inputs_size(); ++i) {
      text += "  input " + std::to_string(i) + ": " +
              InputText(stage.inputs(i), stage.parallelism() == job::SINGLE_TASK) + "\n";
    }
    Print(stage.fragment(), 1, &text);
  }
  return text;
}

}  // namespace ballista::plan
