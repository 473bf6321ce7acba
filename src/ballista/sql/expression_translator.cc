#include "ballista/sql/expression_translator.h"

#include "ballista/plan/plan.h"
#include "ballista/sql/rebind_check.h"
#include "ballista/sql/sort_defaults.h"
#include "ballista/sql/unsupported_internal.h"
#include "ballista/sql/value_conversion.h"

namespace ballista::sql {
namespace {

using duckdb::ExpressionClass;
using duckdb::ExpressionType;
using duckdb::LogicalTypeId;

plan::Expression OfType(const duckdb::LogicalType& type) {
  plan::Expression result;
  *result.mutable_type() = ToPlanType(type);
  return result;
}

bool ReadsColumns(const duckdb::Expression& expression) {
  if (expression.GetExpressionClass() == ExpressionClass::BOUND_COLUMN_REF ||
      expression.GetExpressionClass() == ExpressionClass::BOUND_REF) {
    return true;
  }
  bool found = false;
  duckdb::ExpressionIterator::EnumerateChildren(
      expression,
      [&](const duckdb::Expression& child) { found = found || ReadsColumns(child); });
  return found;
}

plan::Operator::Op OperatorOp(ExpressionType type) {
  switch (type) {
    case ExpressionType::OPERATOR_NOT:
      return plan::Operator::NOT;
    case ExpressionType::OPERATOR_IS_NULL:
      return plan::Operator::IS_NULL;
    case ExpressionType::OPERATOR_IS_NOT_NULL:
      return plan::Operator::IS_NOT_NULL;
    case ExpressionType::COMPARE_IN:
      return plan::Operator::IN;
    case ExpressionType::COMPARE_NOT_IN:
      return plan::Operator::NOT_IN;
    case ExpressionType::OPERATOR_COALESCE:
      return plan::Operator::COALESCE;
    case ExpressionType::OPERATOR_TRY:
      return plan::Operator::TRY;
    default:
      throw Unsupported("the operator " + duckdb::ExpressionTypeToString(type));
  }
}

// Names that are part of a call and that the binder keeps only in the types or aliases.
std::vector<std::string> ArgumentNames(const duckdb::BoundFunctionExpression& function) {
  const auto& name = function.function.name;
  const auto& children = function.children;
  std::vector<std::string> names(children.size());
  if (name == "struct_pack") {
    for (size_t i = 0; i < names.size(); ++i) {
      names[i] = duckdb::StructType::GetChildName(function.return_type, i);
    }
  } else if (name == "struct_insert") {
    const auto fields = duckdb::StructType::GetChildCount(function.return_type);
    const auto added = names.size() - 1;
    for (size_t i = 0; i < added; ++i) {
      names[1 + i] =
          duckdb::StructType::GetChildName(function.return_type, fields - added + i);
    }
  } else if (name == "struct_update" || name == "union_value") {
    for (size_t i = name == "struct_update" ? 1 : 0; i < names.size(); ++i) {
      names[i] = children[i]->GetAlias();
      if (names[i].empty()) throw Unsupported(name + " whose argument names are lost");
    }
  } else {
    names.clear();
  }
  return names;
}

}  // namespace

ColumnLookup LookupByBinding(const std::vector<duckdb::ColumnBinding>& bindings) {
  return [&bindings](const duckdb::Expression& expression) {
    if (expression.GetExpressionClass() != ExpressionClass::BOUND_COLUMN_REF) {
      throw Unsupported("a positional reference outside of a lambda");
    }
    const auto& column = expression.Cast<duckdb::BoundColumnRefExpression>();
    if (column.depth > 0) throw Unsupported("a correlated column that was left over");
    for (size_t i = 0; i < bindings.size(); ++i) {
      if (bindings[i] == column.binding) {
        return plan::ColumnRef(static_cast<uint32_t>(i), ToPlanType(column.return_type));
      }
    }
    throw Unsupported("a column that its input does not give: " + column.ToString());
  };
}

plan::Expression ExpressionTranslator::Literal(const duckdb::Value& value) {
  plan::Expression result;
  *result.mutable_literal() = ToPlanValue(value);
  *result.mutable_type() = result.literal().type();
  return result;
}

plan::Comparison::Op ExpressionTranslator::ComparisonOp(ExpressionType type) {
  switch (type) {
    case ExpressionType::COMPARE_EQUAL:
      return plan::Comparison::EQUAL;
    case ExpressionType::COMPARE_NOTEQUAL:
      return plan::Comparison::NOT_EQUAL;
    case ExpressionType::COMPARE_LESSTHAN:
      return plan::Comparison::LESS;
    case ExpressionType::COMPARE_LESSTHANOREQUALTO:
      return plan::Comparison::LESS_EQUAL;
    case ExpressionType::COMPARE_GREATERTHAN:
      return plan::Comparison::GREATER;
    case ExpressionType::COMPARE_GREATERTHANOREQUALTO:
      return plan::Comparison::GREATER_EQUAL;
    case ExpressionType::COMPARE_DISTINCT_FROM:
      return plan::Comparison::DISTINCT_FROM;
    case ExpressionType::COMPARE_NOT_DISTINCT_FROM:
      return plan::Comparison::NOT_DISTINCT_FROM;
    default:
      throw Unsupported("the comparison " + duckdb::ExpressionTypeToString(type));
  }
}

plan::SortKey ExpressionTranslator::TranslateOrder(const duckdb::BoundOrderByNode& order,
                                                   const ColumnLookup& lookup) {
  if (order.type == duckdb::OrderType::ORDER_DEFAULT ||
      order.null_order == duckdb::OrderByNullType::ORDER_DEFAULT) {
    throw Unsupported("an order that the binder left open");
  }
  plan::SortKey key;
  *key.mutable_expression() = Translate(*order.expression, lookup);
  key.set_descending(order.type == duckdb::OrderType::DESCENDING);
  key.set_nulls_first(order.null_order == duckdb::OrderByNullType::NULLS_FIRST);
  return key;
}

void ExpressionTranslator::AddArgs(
    const duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>& children,
    const ColumnLookup& lookup, plan::Expression* out) {
  for (const auto& child : children) *out->add_args() = Translate(*child, lookup);
}

plan::Expression ExpressionTranslator::TranslateOperator(
    const duckdb::BoundOperatorExpression& op, const ColumnLookup& lookup) {
  auto result = OfType(op.return_type);
  result.mutable_operator_()->set_op(OperatorOp(op.GetExpressionType()));
  AddArgs(op.children, lookup, &result);
  return result;
}

plan::Expression ExpressionTranslator::Translate(const duckdb::Expression& expression,
                                                 const ColumnLookup& lookup) {
  switch (expression.GetExpressionClass()) {
    case ExpressionClass::BOUND_COLUMN_REF:
    case ExpressionClass::BOUND_REF:
      return lookup(expression);
    case ExpressionClass::BOUND_CONSTANT:
      return Literal(expression.Cast<duckdb::BoundConstantExpression>().value);
    case ExpressionClass::BOUND_CAST: {
      const auto& cast = expression.Cast<duckdb::BoundCastExpression>();
      auto value = Translate(*cast.child, lookup);
      auto result = OfType(cast.return_type);
      if (plan::TypesEqual(value.type(), result.type())) return value;
      result.mutable_cast()->set_try_cast(cast.try_cast);
      *result.add_args() = std::move(value);
      return result;
    }
    case ExpressionClass::BOUND_CASE: {
      const auto& choice = expression.Cast<duckdb::BoundCaseExpression>();
      auto result = OfType(choice.return_type);
      result.mutable_case_();
      for (const auto& check : choice.case_checks) {
        *result.add_args() = Translate(*check.when_expr, lookup);
        *result.add_args() = Translate(*check.then_expr, lookup);
      }
      *result.add_args() = Translate(*choice.else_expr, lookup);
      return result;
    }
    case ExpressionClass::BOUND_COMPARISON: {
      const auto& comparison = expression.Cast<duckdb::BoundComparisonExpression>();
      auto result = OfType(comparison.return_type);
      result.mutable_comparison()->set_op(ComparisonOp(expression.GetExpressionType()));
      *result.add_args() = Translate(*comparison.left, lookup);
      *result.add_args() = Translate(*comparison.right, lookup);
      return result;
    }
    case ExpressionClass::BOUND_CONJUNCTION: {
      const auto& conjunction = expression.Cast<duckdb::BoundConjunctionExpression>();
      if (conjunction.children.size() == 1) {
        return Translate(*conjunction.children[0], lookup);
      }
      auto result = OfType(conjunction.return_type);
      result.mutable_conjunction()->set_is_or(expression.GetExpressionType() ==
                                              ExpressionType::CONJUNCTION_OR);
      AddArgs(conjunction.children, lookup, &result);
      return result;
    }
    case ExpressionClass::BOUND_BETWEEN: {
      const auto& between = expression.Cast<duckdb::BoundBetweenExpression>();
      auto result = OfType(between.return_type);
      result.mutable_between()->set_lower_inclusive(between.lower_inclusive);
      result.mutable_between()->set_upper_inclusive(between.upper_inclusive);
      *result.add_args() = Translate(*between.input, lookup);
      *result.add_args() = Translate(*between.lower, lookup);
      *result.add_args() = Translate(*between.upper, lookup);
      return result;
    }
    case ExpressionClass::BOUND_OPERATOR:
      return TranslateOperator(expression.Cast<duckdb::BoundOperatorExpression>(),
                               lookup);
    case ExpressionClass::BOUND_FUNCTION:
      return TranslateFunction(expression.Cast<duckdb::BoundFunctionExpression>(),
                               lookup);
    case ExpressionClass::BOUND_AGGREGATE:
      return TranslateAggregate(expression.Cast<duckdb::BoundAggregateExpression>(),
                                lookup);
    case ExpressionClass::BOUND_WINDOW:
      return TranslateWindow(expression.Cast<duckdb::BoundWindowExpression>(), lookup);
    case ExpressionClass::BOUND_UNNEST: {
      auto result = OfType(expression.return_type);
      result.mutable_unnest();
      *result.add_args() =
          Translate(*expression.Cast<duckdb::BoundUnnestExpression>().child, lookup);
      return result;
    }
    default:
      throw Unsupported("the expression " + expression.ToString());
  }
}

// ---------------------------------------------------------------------- functions

plan::Expression ExpressionTranslator::TranslateFunction(
    const duckdb::BoundFunctionExpression& function, const ColumnLookup& lookup) {
  const auto& name = function.function.name;
  const auto stability = function.function.GetStability();
  if (name == "nextval" || name == "currval") {
    throw PlannerOnly(name + "() reads a sequence, which lives in the scheduler");
  }
  if (name.rfind("__internal", 0) == 0) throw Unsupported("the function " + name);
  if (stability == duckdb::FunctionStability::CONSISTENT_WITHIN_QUERY) {
    // One value for the whole query: the one of planning.
    if (ReadsColumns(function)) {
      throw Unsupported(name + "() of a column has one meaning only within one process");
    }
    return Literal(duckdb::ExpressionExecutor::EvaluateScalar(context_, function, true));
  }
  if (function.bind_info &&
      dynamic_cast<const duckdb::ListLambdaBindData*>(function.bind_info.get())) {
    return TranslateLambdaCall(function, lookup);
  }

  auto result = OfType(function.return_type);
  auto* call = result.mutable_call();
  call->set_name(name);
  // error() comes from scalar sub-queries; it has no value, so evaluating it elsewhere
  // changes nothing.
  call->set_is_volatile(stability == duckdb::FunctionStability::VOLATILE &&
                        name != "error");
  const auto names = ArgumentNames(function);
  const auto rebound = RebindScalar(context_, function, names);
  for (const auto* argument : rebound.arguments) {
    *result.add_args() = Translate(*argument, lookup);
  }
  for (const auto& argument_name : names) call->add_arg_names(argument_name);
  MakeSortOrderExplicit(context_, &result);
  return result;
}

// In a lambda's body, BoundReference i means: below the number of parameters, parameter
// n - 1 - i; else a captured value, which is an argument of the call behind the list and
// the initial value.
plan::Expression ExpressionTranslator::TranslateLambdaCall(
    const duckdb::BoundFunctionExpression& function, const ColumnLookup& lookup) {
  const auto& data = function.bind_info->Cast<duckdb::ListLambdaBindData>();
  const auto& name = function.function.name;
  if (!data.lambda_expr) throw Unsupported(name + "() over an untyped list");
  std::vector<plan::Expression> arguments;
  for (const auto& child : function.children) {
    arguments.push_back(Translate(*child, lookup));
  }
  const size_t initial = data.has_initial ? 1 : 0;
  const bool reduces = name.find("reduce") != std::string::npos;
  const size_t parameters = (reduces ? 2 : 1) + (data.has_index ? 1 : 0);

  plan::Expression lambda;
  lambda.mutable_type()->set_id(plan::Type::LAMBDA);
  for (size_t i = 0; i < parameters; ++i) {
    lambda.mutable_lambda()->add_parameters(next_parameter_++);
  }
  const auto ids = lambda.lambda().parameters();
  const ColumnLookup in_body = [&](const duckdb::Expression& reference) {
    if (reference.GetExpressionClass() != ExpressionClass::BOUND_REF) {
      throw Unsupported("a column inside of a lambda");
    }
    const auto index = reference.Cast<duckdb::BoundReferenceExpression>().index;
    if (index < parameters) {
      auto parameter = OfType(reference.return_type);
      parameter.set_lambda_parameter(ids.Get(static_cast<int>(parameters - 1 - index)));
      return parameter;
    }
    const size_t captured = 1 + initial + (index - parameters);
    if (captured >= arguments.size()) {
      throw Unsupported("a lambda that captures more than it is given");
    }
    return arguments[captured];
  };
  *lambda.add_args() = Translate(*data.lambda_expr, in_body);

  auto result = OfType(function.return_type);
  result.mutable_call()->set_name(name);
  *result.add_args() = arguments.at(0);
  *result.add_args() = std::move(lambda);
  if (data.has_initial) *result.add_args() = arguments.at(1);
  return result;
}

plan::Expression ExpressionTranslator::TranslateAggregate(
    const duckdb::BoundAggregateExpression& aggregate, const ColumnLookup& lookup) {
  auto result = OfType(aggregate.return_type);
  auto* call = result.mutable_aggregate();
  call->set_distinct(aggregate.IsDistinct());
  AddArgs(aggregate.children, lookup, &result);
  const auto restored = RebindAggregate(context_, aggregate.function, aggregate.children,
                                        aggregate.return_type, aggregate.bind_info.get());
  call->set_name(restored.name);
  for (const auto& constant : restored.arguments) *result.add_args() = Literal(constant);
  if (aggregate.filter) {
    *call->mutable_filter() = Translate(*aggregate.filter, lookup);
  }
  if (aggregate.order_bys) {
    for (const auto& order : aggregate.order_bys->orders) {
      *call->add_order_by() = TranslateOrder(order, lookup);
    }
  }
  return result;
}

}  // namespace ballista::sql
