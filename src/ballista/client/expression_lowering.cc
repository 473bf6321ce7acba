// Expressions with names to those of the plan IR, which have positions.
#include <algorithm>
#include <cctype>

#include "ballista/base/nearest_name.h"
#include "ballista/base/status.h"
#include "ballista/client/expression_internal.h"
#include "ballista/plan/plan.h"

namespace ballista::internal {
namespace {

arrow::Status Wrong(std::string sentence) {
  return UserErrorStatus(UserError::BINDER, std::move(sentence));
}

bool SameName(const std::string& a, const std::string& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) {
                      return std::tolower(x) == std::tolower(y);
                    });
}

std::string List(const std::vector<std::string>& names) {
  constexpr size_t kShown = 20;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) {
    text += (i > 0 ? ", " : "") + names[i];
  }
  if (names.size() > kShown) text += ", ...";
  return text;
}

}  // namespace

arrow::Result<uint32_t> Scope::Find(const std::string& name, ExprNode::Side side) const {
  using Side = ExprNode::Side;
  if (side != Side::kAny && !left) {
    return Wrong("Left(\"" + name + "\") and Right(...) belong into a join's condition");
  }
  const size_t first = side == Side::kRight ? *left : 0;
  const size_t last = side == Side::kLeft ? *left : names.size();
  // The very name before one that differs in case, as SQL has no case in names.
  for (const bool exact : {true, false}) {
    std::vector<size_t> found;
    for (size_t i = first; i < last; ++i) {
      if (exact ? names[i] == name : SameName(names[i], name)) found.push_back(i);
    }
    if (found.size() == 1) return static_cast<uint32_t>(found[0]);
    if (found.empty()) continue;
    const bool both = left && found.front() < *left && found.back() >= *left;
    return Wrong("there is more than one column \"" + name + "\": " +
                 (both ? "say Left(\"" + name + "\") or Right(\"" + name + "\")"
                       : "rename one of them before they come together"));
  }
  const std::vector<std::string> known(names.begin() + static_cast<ptrdiff_t>(first),
                                       names.begin() + static_cast<ptrdiff_t>(last));
  const auto nearest = NearestName(name, known);
  return Wrong("there is no column \"" + name + "\"; did you mean \"" + nearest +
               "\"? The columns are " + List(known));
}

namespace {

class Lowerer {
 public:
  enum class Mode { kScalar, kWindows, kAggregates };

  Lowerer(const Scope& scope, Mode mode, const Scope* groups = nullptr,
          std::vector<plan::Expression>* calls = nullptr)
      : scope_(scope), mode_(mode), groups_(groups), calls_(calls) {}

  arrow::Result<plan::Expression> Run(const Expr& expression) {
    const ExprNode& node = *expression.node();
    ARROW_RETURN_NOT_OK(node.error);
    if (node.is_column()) return Column(node);
    if (node.shape.has_aggregate()) return Aggregate(expression);
    if (node.shape.has_window()) return Window(expression);
    auto lowered = node.shape;
    ARROW_RETURN_NOT_OK(Args(node, this, &lowered));
    return lowered;
  }

  arrow::Result<plan::SortKey> Run(const SortKey& key) {
    plan::SortKey lowered;
    ARROW_ASSIGN_OR_RAISE(*lowered.mutable_expression(), Run(key.expression));
    lowered.set_descending(key.descending);
    lowered.set_nulls_first(key.nulls_first);
    return lowered;
  }

 private:
  static arrow::Status Args(const ExprNode& node, Lowerer* with,
                            plan::Expression* lowered) {
    for (const auto& arg : node.args) {
      ARROW_ASSIGN_OR_RAISE(*lowered->add_args(), with->Run(arg));
    }
    return arrow::Status::OK();
  }

  arrow::Result<plan::Expression> Column(const ExprNode& node) {
    plan::Expression lowered;
    if (mode_ != Mode::kAggregates) {
      ARROW_ASSIGN_OR_RAISE(const uint32_t position, scope_.Find(node.column, node.side));
      lowered.set_column(position);
      return lowered;
    }
    const auto group = groups_->Find(node.column, node.side);
    if (group.ok()) {
      lowered.set_column(*group);
      return lowered;
    }
    ARROW_RETURN_NOT_OK(scope_.Find(node.column, node.side).status());
    return Wrong("the column \"" + node.column +
                 "\" is neither a group nor within an aggregate function");
  }

  arrow::Result<plan::Expression> Call(plan::Expression call, size_t columns) {
    plan::Expression reference;
    reference.set_column(static_cast<uint32_t>(columns + calls_->size()));
    calls_->push_back(std::move(call));
    return reference;
  }

  arrow::Result<plan::Expression> Aggregate(const Expr& expression) {
    const ExprNode& node = *expression.node();
    if (mode_ != Mode::kAggregates) {
      return Wrong(expression.ToString() +
                   " is an aggregate function: it belongs into Aggregate, or needs Over");
    }
    Lowerer inner(scope_, Mode::kScalar);
    auto lowered = node.shape;
    ARROW_RETURN_NOT_OK(Args(node, &inner, &lowered));
    auto* call = lowered.mutable_aggregate();
    if (node.filter) {
      ARROW_ASSIGN_OR_RAISE(*call->mutable_filter(), inner.Run(*node.filter));
    }
    for (const auto& key : node.order_by) {
      ARROW_ASSIGN_OR_RAISE(*call->add_order_by(), inner.Run(key));
    }
    return Call(std::move(lowered), groups_->names.size());
  }

  arrow::Result<plan::Expression> Window(const Expr& expression) {
    const ExprNode& node = *expression.node();
    if (node.shape.window().start() == plan::WindowCall::INVALID) {
      return Wrong(expression.ToString() + " is a window function: it needs Over");
    }
    if (mode_ != Mode::kWindows) {
      return Wrong(expression.ToString() +
                   " is over a window: it belongs into Select, WithColumn or Window");
    }
    Lowerer inner(scope_, Mode::kScalar);
    auto lowered = node.shape;
    ARROW_RETURN_NOT_OK(Args(node, &inner, &lowered));
    auto* call = lowered.mutable_window();
    if (node.filter) {
      ARROW_ASSIGN_OR_RAISE(*call->mutable_filter(), inner.Run(*node.filter));
    }
    for (const auto& key : node.partition_by) {
      ARROW_ASSIGN_OR_RAISE(*call->add_partition_by(), inner.Run(key));
    }
    for (const auto& key : node.order_by) {
      ARROW_ASSIGN_OR_RAISE(*call->add_order_by(), inner.Run(key));
    }
    if (node.offset) {
      ARROW_ASSIGN_OR_RAISE(*call->mutable_offset(), inner.Run(*node.offset));
    }
    if (node.default_value) {
      ARROW_ASSIGN_OR_RAISE(*call->mutable_default_value(),
                            inner.Run(*node.default_value));
    }
    return Call(std::move(lowered), scope_.names.size());
  }

  const Scope& scope_;
  const Mode mode_;
  const Scope* const groups_;
  std::vector<plan::Expression>* const calls_;
};

}  // namespace

arrow::Result<plan::Expression> Lower(const Expr& expression, const Scope& scope) {
  return Lowerer(scope, Lowerer::Mode::kScalar).Run(expression);
}

arrow::Result<plan::SortKey> Lower(const SortKey& key, const Scope& scope) {
  return Lowerer(scope, Lowerer::Mode::kScalar).Run(key);
}

arrow::Result<plan::Expression> LowerWithWindows(const Expr& expression,
                                                 const Scope& scope,
                                                 std::vector<plan::Expression>* calls) {
  return Lowerer(scope, Lowerer::Mode::kWindows, nullptr, calls).Run(expression);
}

arrow::Result<plan::Expression> LowerWithAggregates(
    const Expr& expression, const Scope& scope, const Scope& groups,
    std::vector<plan::Expression>* calls) {
  return Lowerer(scope, Lowerer::Mode::kAggregates, &groups, calls).Run(expression);
}

std::string OutputName(const Expr& expression) {
  const auto& node = *expression.node();
  if (!node.name.empty()) return node.name;
  return node.is_column() ? node.column : expression.ToString();
}

namespace {

arrow::Result<plan::Type> Nested(plan::Type::Id id, const arrow::DataType& type) {
  plan::Type result;
  result.set_id(id);
  for (const auto& field : type.fields()) {
    ARROW_ASSIGN_OR_RAISE(*result.add_children(), FromArrowType(*field->type()));
    if (id == plan::Type::STRUCT) result.add_names(field->name());
  }
  return result;
}

plan::Type::Id TimestampId(const arrow::TimestampType& type) {
  if (!type.timezone().empty()) return plan::Type::TIMESTAMP_TZ;
  switch (type.unit()) {
    case arrow::TimeUnit::SECOND:
      return plan::Type::TIMESTAMP_S;
    case arrow::TimeUnit::MILLI:
      return plan::Type::TIMESTAMP_MS;
    case arrow::TimeUnit::MICRO:
      return plan::Type::TIMESTAMP;
    default:
      return plan::Type::TIMESTAMP_NS;
  }
}

plan::Type::Id PlainId(arrow::Type::type id) {
  switch (id) {
    case arrow::Type::NA:
      return plan::Type::NULL_TYPE;
    case arrow::Type::BOOL:
      return plan::Type::BOOLEAN;
    case arrow::Type::INT8:
      return plan::Type::TINYINT;
    case arrow::Type::INT16:
      return plan::Type::SMALLINT;
    case arrow::Type::INT32:
      return plan::Type::INTEGER;
    case arrow::Type::INT64:
      return plan::Type::BIGINT;
    case arrow::Type::UINT8:
      return plan::Type::UTINYINT;
    case arrow::Type::UINT16:
      return plan::Type::USMALLINT;
    case arrow::Type::UINT32:
      return plan::Type::UINTEGER;
    case arrow::Type::UINT64:
      return plan::Type::UBIGINT;
    case arrow::Type::FLOAT:
      return plan::Type::FLOAT;
    case arrow::Type::DOUBLE:
      return plan::Type::DOUBLE;
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
    case arrow::Type::STRING_VIEW:
      return plan::Type::VARCHAR;
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_BINARY:
      return plan::Type::BLOB;
    case arrow::Type::DATE32:
      return plan::Type::DATE;
    case arrow::Type::TIME64:
      return plan::Type::TIME;
    case arrow::Type::INTERVAL_MONTH_DAY_NANO:
      return plan::Type::INTERVAL;
    default:
      return plan::Type::INVALID;
  }
}

}  // namespace

arrow::Result<plan::Type> FromArrowType(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::DECIMAL32:
    case arrow::Type::DECIMAL64:
    case arrow::Type::DECIMAL128: {
      const auto& decimal = static_cast<const arrow::DecimalType&>(type);
      if (decimal.scale() < 0) break;
      return plan::DecimalType(static_cast<uint32_t>(decimal.precision()),
                               static_cast<uint32_t>(decimal.scale()));
    }
    case arrow::Type::TIMESTAMP:
      return plan::MakeType(TimestampId(static_cast<const arrow::TimestampType&>(type)));
    case arrow::Type::LIST:
    case arrow::Type::LARGE_LIST:
      return Nested(plan::Type::LIST, type);
    case arrow::Type::STRUCT:
      if (type.num_fields() == 0) break;
      return Nested(plan::Type::STRUCT, type);
    default: {
      const auto id = PlainId(type.id());
      if (id == plan::Type::INVALID) break;
      return plan::MakeType(id);
    }
  }
  return arrow::Status::Invalid("there is no SQL type here for Arrow's ",
                                type.ToString());
}

}  // namespace ballista::internal

namespace ballista {
namespace {

std::string Join(const std::vector<Expr>& parts, const std::string& between) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    text += (i > 0 ? between : "") + parts[i].ToString();
  }
  return text;
}

bool IsOperator(const std::string& name) {
  return !name.empty() && std::isalpha(static_cast<unsigned char>(name[0])) == 0 &&
         name[0] != '_';
}

std::string ComparisonText(plan::Comparison::Op op) {
  switch (op) {
    case plan::Comparison::EQUAL:
      return " = ";
    case plan::Comparison::NOT_EQUAL:
      return " <> ";
    case plan::Comparison::LESS:
      return " < ";
    case plan::Comparison::LESS_EQUAL:
      return " <= ";
    case plan::Comparison::GREATER:
      return " > ";
    default:
      return " >= ";
  }
}

std::string OperatorText(plan::Operator::Op op, const std::vector<Expr>& args) {
  switch (op) {
    case plan::Operator::NOT:
      return "NOT " + args[0].ToString();
    case plan::Operator::IS_NULL:
      return args[0].ToString() + " IS NULL";
    case plan::Operator::IS_NOT_NULL:
      return args[0].ToString() + " IS NOT NULL";
    case plan::Operator::COALESCE:
      return "coalesce(" + Join(args, ", ") + ")";
    default: {
      const std::vector<Expr> values(args.begin() + 1, args.end());
      return args[0].ToString() + (op == plan::Operator::IN ? " IN (" : " NOT IN (") +
             Join(values, ", ") + ")";
    }
  }
}

std::string CaseText(const std::vector<Expr>& args) {
  std::string text = "CASE";
  for (size_t i = 0; i + 1 < args.size(); i += 2) {
    text += " WHEN " + args[i].ToString() + " THEN " + args[i + 1].ToString();
  }
  return text + " ELSE " + args.back().ToString() + " END";
}

}  // namespace

std::string Expr::ToString() const {
  const auto& node = *node_;
  const auto& args = node.args;
  switch (node.shape.kind_case()) {
    case plan::Expression::kColumn:
      return node.column;
    case plan::Expression::kLiteral:
      return plan::ToString(node.shape.literal());
    case plan::Expression::kCall: {
      const auto& name = node.shape.call().name();
      if (!IsOperator(name)) return name + "(" + Join(args, ", ") + ")";
      if (args.size() == 2) return "(" + Join(args, " " + name + " ") + ")";
      return name + Join(args, ", ");
    }
    case plan::Expression::kCast:
      return "CAST(" + Join(args, "") + " AS " + plan::ToString(node.shape.type()) + ")";
    case plan::Expression::kCase:
      return CaseText(args);
    case plan::Expression::kComparison:
      return "(" + Join(args, ComparisonText(node.shape.comparison().op())) + ")";
    case plan::Expression::kConjunction:
      return "(" + Join(args, node.shape.conjunction().is_or() ? " OR " : " AND ") + ")";
    case plan::Expression::kOperator:
      return "(" + OperatorText(node.shape.operator_().op(), args) + ")";
    case plan::Expression::kBetween:
      return "(" + args[0].ToString() + " BETWEEN " + args[1].ToString() + " AND " +
             args[2].ToString() + ")";
    case plan::Expression::kAggregate: {
      const auto& call = node.shape.aggregate();
      return call.name() + "(" + (call.distinct() ? "DISTINCT " : "") +
             (args.empty() && call.name() == "count" ? "*" : Join(args, ", ")) + ")";
    }
    case plan::Expression::kWindow:
      return node.shape.window().name() + "(" + Join(args, ", ") + ") OVER (...)";
    default:
      return "?";
  }
}

}  // namespace ballista
