// The expressions of a plan: part of Translator.
#include "ballista/substrait/translate.h"
#include "ballista/substrait/translator_internal.h"

namespace ballista::substrait {
namespace {

using plan::Expression;

plan::Comparison::Op ComparisonOf(
    pb::Expression::Subquery::SetComparison::ComparisonOp op, bool negated) {
  using Set = pb::Expression::Subquery::SetComparison;
  using plan::Comparison;
  switch (op) {
    case Set::COMPARISON_OP_EQ:
      return negated ? Comparison::NOT_EQUAL : Comparison::EQUAL;
    case Set::COMPARISON_OP_NE:
      return negated ? Comparison::EQUAL : Comparison::NOT_EQUAL;
    case Set::COMPARISON_OP_LT:
      return negated ? Comparison::GREATER_EQUAL : Comparison::LESS;
    case Set::COMPARISON_OP_GT:
      return negated ? Comparison::LESS_EQUAL : Comparison::GREATER;
    case Set::COMPARISON_OP_LE:
      return negated ? Comparison::GREATER : Comparison::LESS_EQUAL;
    case Set::COMPARISON_OP_GE:
      return negated ? Comparison::LESS : Comparison::GREATER_EQUAL;
    default:
      return Comparison::INVALID;
  }
}

}  // namespace

arrow::Result<Typed> Translator::Expr(const pb::Expression& expression,
                                      const Scope& scope) {
  if (++expression_depth_ > kMaxPlanExpressionDepth) {
    return NotSupported("expressions nested more than " +
                        std::to_string(kMaxPlanExpressionDepth) + " deep");
  }
  auto result = ExprWithin(expression, scope);
  --expression_depth_;
  return result;
}

arrow::Result<Typed> Translator::ExprWithin(const pb::Expression& expression,
                                            const Scope& scope) {
  switch (expression.rex_type_case()) {
    case pb::Expression::kLiteral: {
      ARROW_ASSIGN_OR_RAISE(auto literal, LiteralOf(expression.literal()));
      auto type = literal.literal().type();
      // However few digits it has.
      if (expression.literal().has_decimal()) {
        type.set_precision(
            static_cast<uint32_t>(expression.literal().decimal().precision()));
      }
      return Typed{std::move(literal), std::move(type)};
    }
    case pb::Expression::kSelection:
      return Reference(expression.selection(), scope);
    case pb::Expression::kScalarFunction:
      return Function(expression.scalar_function(), scope);
    case pb::Expression::kIfThen:
      return IfThen(expression.if_then(), scope);
    case pb::Expression::kSwitchExpression:
      return Switch(expression.switch_expression(), scope);
    case pb::Expression::kSingularOrList:
      return OrList(expression.singular_or_list(), scope);
    case pb::Expression::kMultiOrList:
      return OrRecords(expression.multi_or_list(), scope);
    case pb::Expression::kCast: {
      const auto& cast = expression.cast();
      ARROW_ASSIGN_OR_RAISE(auto input, Expr(cast.input(), scope));
      ARROW_ASSIGN_OR_RAISE(auto type, TypeOf(cast.type()));
      if (type.id() == plan::Type::INVALID) return NotSupported("a cast to a struct");
      auto made = Cast(std::move(input.expression), type);
      made.mutable_cast()->set_try_cast(
          cast.failure_behavior() == pb::Expression::Cast::FAILURE_BEHAVIOR_RETURN_NULL);
      return Typed{std::move(made), std::move(type)};
    }
    case pb::Expression::kSubquery:
      return Subquery(expression.subquery(), scope);
    case pb::Expression::kNested:
      return Nested(expression.nested(), scope);
    case pb::Expression::kDynamicParameter:
      return Parameter(expression.dynamic_parameter());
    default:
      return NotSupported("an expression " + KindOf(pb::Expression::descriptor(),
                                                    expression.rex_type_case()));
  }
}

arrow::Result<Typed> Translator::Reference(
    const pb::Expression::FieldReference& reference, const Scope& scope) {
  if (!reference.direct_reference().has_struct_field() || reference.has_expression() ||
      reference.direct_reference().struct_field().has_child()) {
    return NotSupported("a reference to a part of a column");
  }
  const Scope* owner = &scope;
  uint32_t before = 0;  // columns of rows further in
  if (reference.has_outer_reference()) {
    const uint32_t steps = reference.outer_reference().steps_out();
    for (uint32_t i = 0; i < steps && owner != nullptr; ++i) {
      do {
        before += owner->width;
        owner = owner->outer;
      } while (owner != nullptr && owner->implied);
    }
    if (owner == nullptr) {
      return BadPlan("a reference to a row " + std::to_string(steps) +
                     " sub-queries further out");
    }
  } else if (reference.has_lambda_parameter_reference()) {
    return NotSupported("a lambda's parameter");
  }
  const int32_t field = reference.direct_reference().struct_field().field();
  if (field < 0 || static_cast<size_t>(field) >= owner->columns.size()) {
    return BadPlan("a reference to column " + std::to_string(field) + " of " +
                   std::to_string(owner->columns.size()));
  }
  const auto& column = owner->columns[field];
  return Typed{Use(column, before + column.position), column.type};
}

arrow::Result<std::string> Translator::FunctionName(uint32_t reference) const {
  const auto found = functions_.find(reference);
  if (found != functions_.end()) return found->second;
  return BadPlan("it does not declare function " + std::to_string(reference));
}

arrow::Status Translator::Arguments(
    const google::protobuf::RepeatedPtrField<pb::FunctionArgument>& arguments,
    const Scope& scope, Call* call) {
  for (const auto& argument : arguments) {
    if (argument.has_value()) {
      ARROW_ASSIGN_OR_RAISE(auto value, Expr(argument.value(), scope));
      call->args.push_back(std::move(value));
    } else if (argument.arg_type_case() == pb::FunctionArgument::kEnum) {
      call->enums.push_back(argument.enum_());
    } else {
      return NotSupported("the function '" + call->name + "' with a type as argument");
    }
  }
  return arrow::Status::OK();
}

// The operands of a chain of one associative function, however long it is and whichever
// way it is nested.
arrow::Status Translator::ChainArguments(const pb::Expression::ScalarFunction& function,
                                         const Scope& scope, Call* call) {
  std::vector<const pb::Expression::ScalarFunction*> chain = {&function};
  std::vector<const pb::Expression*> operands;
  while (!chain.empty()) {
    const auto* next = chain.back();
    chain.pop_back();
    for (const auto& argument : next->arguments()) {
      const auto& value = argument.value();
      if (value.has_scalar_function() &&
          value.scalar_function().function_reference() == function.function_reference()) {
        chain.push_back(&value.scalar_function());
      } else {
        operands.push_back(&value);
      }
    }
  }
  for (const auto* operand : operands) {
    ARROW_ASSIGN_OR_RAISE(auto value, Expr(*operand, scope));
    call->args.push_back(std::move(value));
  }
  return arrow::Status::OK();
}

arrow::Result<Typed> Translator::Function(const pb::Expression::ScalarFunction& function,
                                          const Scope& scope) {
  ARROW_ASSIGN_OR_RAISE(auto call, CallOf(function, scope));
  return ScalarFunction(std::move(call));
}

namespace {

// Of a value that is one of several.
void MeetType(const plan::Type& other, bool first, plan::Type* type) {
  if (first) *type = other;
  if (!plan::TypesEqual(*type, other)) *type = plan::Type();
}

void AddCase(Expression condition, Typed value, Typed* cases) {
  MeetType(value.type, cases->expression.args().empty(), &cases->type);
  *cases->expression.add_args() = std::move(condition);
  *cases->expression.add_args() = std::move(value.expression);
}

}  // namespace

arrow::Result<Typed> Translator::IfThen(const pb::Expression::IfThen& cases,
                                        const Scope& scope) {
  if (cases.ifs().empty()) return BadPlan("an if-then without a case");
  Typed result;
  result.expression.mutable_case_();
  // DataFusion writes CASE x WHEN ... with x as a first case of which nothing comes.
  Typed match;
  const bool matches = !cases.ifs(0).has_then() && cases.ifs_size() > 1;
  if (matches) {
    ARROW_ASSIGN_OR_RAISE(match, Expr(cases.ifs(0).if_(), scope));
  }
  for (const auto& clause : cases.ifs()) {
    if (matches && &clause == &cases.ifs(0)) continue;
    ARROW_ASSIGN_OR_RAISE(auto condition, Expr(clause.if_(), scope));
    if (matches) {
      condition.expression = Compare(plan::Comparison::EQUAL, match.expression,
                                     std::move(condition.expression));
    }
    ARROW_ASSIGN_OR_RAISE(auto value, Expr(clause.then(), scope));
    AddCase(std::move(condition.expression), std::move(value), &result);
  }
  return EndCase(std::move(result), cases.has_else_() ? &cases.else_() : nullptr, scope);
}

arrow::Result<Typed> Translator::Switch(const pb::Expression::SwitchExpression& cases,
                                        const Scope& scope) {
  if (cases.ifs().empty()) return BadPlan("a switch without a case");
  ARROW_ASSIGN_OR_RAISE(const auto match, Expr(cases.match(), scope));
  Typed result;
  result.expression.mutable_case_();
  for (const auto& clause : cases.ifs()) {
    ARROW_ASSIGN_OR_RAISE(auto label, LiteralOf(clause.if_()));
    ARROW_ASSIGN_OR_RAISE(auto value, Expr(clause.then(), scope));
    AddCase(Compare(plan::Comparison::EQUAL, match.expression, std::move(label)),
            std::move(value), &result);
  }
  return EndCase(std::move(result), cases.has_else_() ? &cases.else_() : nullptr, scope);
}

// `otherwise`: null, and it is NULL.
arrow::Result<Typed> Translator::EndCase(Typed cases, const pb::Expression* otherwise,
                                         const Scope& scope) {
  if (otherwise == nullptr) {
    *cases.expression.add_args() = LiteralOf(NullOf(plan::Type()));
    return cases;
  }
  ARROW_ASSIGN_OR_RAISE(auto value, Expr(*otherwise, scope));
  MeetType(value.type, /*first=*/false, &cases.type);
  *cases.expression.add_args() = std::move(value.expression);
  return cases;
}

arrow::Result<Typed> Translator::OrList(const pb::Expression::SingularOrList& list,
                                        const Scope& scope) {
  if (list.options().empty()) return BadPlan("an or-list without options");
  std::vector<Expression> args;
  ARROW_ASSIGN_OR_RAISE(auto value, Expr(list.value(), scope));
  args.push_back(std::move(value.expression));
  for (const auto& option : list.options()) {
    ARROW_ASSIGN_OR_RAISE(auto candidate, Expr(option, scope));
    args.push_back(std::move(candidate.expression));
  }
  return Typed{Operation(plan::Operator::IN, std::move(args)),
               plan::MakeType(plan::Type::BOOLEAN)};
}

arrow::Result<Typed> Translator::OrRecords(const pb::Expression::MultiOrList& list,
                                           const Scope& scope) {
  if (list.options().empty() || list.value().empty()) {
    return BadPlan("an or-list without options");
  }
  std::vector<Expression> records;
  for (const auto& option : list.options()) {
    if (option.fields_size() != list.value_size()) {
      return BadPlan("an or-list with a record of another length");
    }
    std::vector<Expression> parts;
    for (int i = 0; i < option.fields_size(); ++i) {
      ARROW_ASSIGN_OR_RAISE(auto value, Expr(list.value(i), scope));
      ARROW_ASSIGN_OR_RAISE(auto field, Expr(option.fields(i), scope));
      parts.push_back(Compare(plan::Comparison::EQUAL, std::move(value.expression),
                              std::move(field.expression)));
    }
    records.push_back(Conjunction(/*is_or=*/false, std::move(parts)));
  }
  return Typed{Conjunction(/*is_or=*/true, std::move(records)),
               plan::MakeType(plan::Type::BOOLEAN)};
}

arrow::Result<Typed> Translator::Nested(const pb::Expression::Nested& nested,
                                        const Scope& scope) {
  if (!nested.has_list()) return NotSupported("a struct or a map that is made of values");
  std::vector<Expression> args;
  for (const auto& value : nested.list().values()) {
    ARROW_ASSIGN_OR_RAISE(auto element, Expr(value, scope));
    args.push_back(std::move(element.expression));
  }
  return Typed{plan::MakeCall("list_value", plan::Type(), std::move(args)), {}};
}

arrow::Result<Typed> Translator::Parameter(const pb::DynamicParameter& parameter) {
  for (const auto& binding : plan_.parameter_bindings()) {
    if (binding.parameter_anchor() != parameter.parameter_reference()) continue;
    ARROW_ASSIGN_OR_RAISE(auto literal, LiteralOf(binding.value()));
    auto type = literal.literal().type();
    return Typed{std::move(literal), std::move(type)};
  }
  return NotSupported("the parameter " + std::to_string(parameter.parameter_reference()) +
                      " without a value in the plan's parameter_bindings");
}

arrow::Result<Typed> Translator::AddSubquery(dataframe::Subquery::Kind kind,
                                             const pb::Rel& rel,
                                             std::vector<Expression> needles,
                                             plan::Comparison::Op op,
                                             const Scope& scope) {
  if (scope.subqueries == nullptr) {
    return NotSupported("a sub-query outside of a filter, a projection or a condition");
  }
  // Where this is itself within a sub-query that is being made, `outer` is what it sees.
  const auto* outer = outer_;
  outer_ = &scope;
  auto rows = Rel(rel);
  outer_ = outer;
  ARROW_RETURN_NOT_OK(rows.status());
  Typed result;
  if (kind == dataframe::Subquery::SCALAR) {
    if (rows->columns.size() != 1) {
      return BadPlan("a scalar sub-query of " + std::to_string(rows->columns.size()) +
                     " columns");
    }
    result.type = rows->columns[0].type;
  } else {
    result.type = plan::MakeType(plan::Type::BOOLEAN);
  }
  dataframe::Subquery made;
  made.set_kind(kind);
  if (kind != dataframe::Subquery::EXISTS) {
    ARROW_ASSIGN_OR_RAISE(rows, Exactly(*std::move(rows)));
  }
  *made.mutable_relation() = std::move(rows->relation);
  for (auto& needle : needles) *made.add_needles() = std::move(needle);
  if (kind == dataframe::Subquery::ANY) made.set_op(op);
  result.expression.set_column(scope.width + scope.outer_width() +
                               static_cast<uint32_t>(scope.subqueries->size()));
  *scope.subqueries->Add() = std::move(made);
  return result;
}

arrow::Result<Typed> Translator::Subquery(const pb::Expression::Subquery& subquery,
                                          const Scope& scope) {
  using Kind = pb::Expression::Subquery;
  using dataframe::Subquery;
  constexpr auto kNone = plan::Comparison::INVALID;
  switch (subquery.subquery_type_case()) {
    case Kind::kScalar:
      return AddSubquery(Subquery::SCALAR, subquery.scalar().input(), {}, kNone, scope);
    case Kind::kSetPredicate:
      if (subquery.set_predicate().predicate_op() !=
          Kind::SetPredicate::PREDICATE_OP_EXISTS) {
        return NotSupported("a set predicate other than EXISTS");
      }
      return AddSubquery(Subquery::EXISTS, subquery.set_predicate().tuples(), {}, kNone,
                         scope);
    case Kind::kInPredicate: {
      std::vector<Expression> needles;
      for (const auto& each : subquery.in_predicate().needles()) {
        ARROW_ASSIGN_OR_RAISE(auto needle, Expr(each, scope));
        needles.push_back(std::move(needle.expression));
      }
      return AddSubquery(Subquery::ANY, subquery.in_predicate().haystack(),
                         std::move(needles), plan::Comparison::EQUAL, scope);
    }
    case Kind::kSetComparison: {
      const auto& comparison = subquery.set_comparison();
      const bool all = comparison.reduction_op() == Kind::SetComparison::REDUCTION_OP_ALL;
      const auto op = ComparisonOf(comparison.comparison_op(), /*negated=*/all);
      if (op == kNone) return BadPlan("a set comparison without operator");
      ARROW_ASSIGN_OR_RAISE(auto needle, Expr(comparison.left(), scope));
      std::vector<Expression> needles;
      needles.push_back(std::move(needle.expression));
      ARROW_ASSIGN_OR_RAISE(auto any, AddSubquery(Subquery::ANY, comparison.right(),
                                                  std::move(needles), op, scope));
      // It holds for all where the opposite holds for none.
      if (all) {
        std::vector<Expression> args;
        args.push_back(std::move(any.expression));
        any.expression = Operation(plan::Operator::NOT, std::move(args));
      }
      return any;
    }
    default:
      return BadPlan("a sub-query of unknown kind");
  }
}

arrow::Result<AggregateResult> Translator::Measure(
    const pb::AggregateRel::Measure& measure, const Scope& scope) {
  const auto& function = measure.measure();
  ARROW_ASSIGN_OR_RAISE(auto call, CallOf(function, scope));
  ARROW_ASSIGN_OR_RAISE(auto result, AggregateFunction(std::move(call)));
  auto& aggregate = *result.call.mutable_aggregate();
  aggregate.set_distinct(function.invocation() ==
                         pb::AggregateFunction::AGGREGATION_INVOCATION_DISTINCT);
  if (measure.has_filter()) {
    ARROW_ASSIGN_OR_RAISE(auto filter, Expr(measure.filter(), scope));
    *aggregate.mutable_filter() = std::move(filter.expression);
  }
  ARROW_RETURN_NOT_OK(SortKeys(function.sorts(), scope, aggregate.mutable_order_by()));
  return result;
}

arrow::Status Translator::SortKeys(
    const google::protobuf::RepeatedPtrField<pb::SortField>& sorts, const Scope& scope,
    google::protobuf::RepeatedPtrField<plan::SortKey>* keys) {
  for (const auto& sort : sorts) {
    if (sort.sort_kind_case() == pb::SortField::kComparisonFunctionReference) {
      return NotSupported("a sort by a comparison function");
    }
    auto* key = keys->Add();
    ARROW_ASSIGN_OR_RAISE(auto expression, Expr(sort.expr(), scope));
    *key->mutable_expression() = std::move(expression.expression);
    const auto direction = sort.direction();
    key->set_descending(direction == pb::SortField::SORT_DIRECTION_DESC_NULLS_FIRST ||
                        direction == pb::SortField::SORT_DIRECTION_DESC_NULLS_LAST);
    key->set_nulls_first(direction == pb::SortField::SORT_DIRECTION_ASC_NULLS_FIRST ||
                         direction == pb::SortField::SORT_DIRECTION_DESC_NULLS_FIRST);
  }
  return arrow::Status::OK();
}

}  // namespace ballista::substrait
