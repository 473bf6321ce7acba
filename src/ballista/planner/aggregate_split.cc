#include "ballista/planner/aggregate_split.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "ballista/plan/plan.h"

namespace ballista::planner {
namespace {

using plan::Expression;
using plan::Type;

// Rows that a sum may have before its exact rewriting could overflow: 10^12.
constexpr uint32_t kRowDigits = 12;
constexpr uint32_t kMaxPrecision = 38;

bool IsInteger(const Type& type) {
  return type.id() >= Type::TINYINT && type.id() <= Type::UHUGEINT;
}

bool IsFloating(const Type& type) {
  return type.id() == Type::FLOAT || type.id() == Type::DOUBLE;
}

// Types whose sums are again sums of the same type.
bool IsSummable(const Type& type) {
  return IsInteger(type) || IsFloating(type) || type.id() == Type::DECIMAL;
}

Expression DoubleLiteral(double value) {
  Expression expression;
  *expression.mutable_type() = plan::MakeType(Type::DOUBLE);
  *expression.mutable_literal()->mutable_type() = expression.type();
  expression.mutable_literal()->set_double_(value);
  return expression;
}

Expression DecimalLiteral(int64_t value, uint32_t precision) {
  Expression expression;
  *expression.mutable_type() = plan::DecimalType(precision, 0);
  *expression.mutable_literal()->mutable_type() = expression.type();
  expression.mutable_literal()->set_int_(value);
  return expression;
}

int64_t PowerOfTen(uint32_t exponent) {
  int64_t power = 1;
  for (uint32_t i = 0; i < exponent; ++i) power *= 10;
  return power;
}

// sum / count as the engine's avg computes it: the unscaled sum divided by count * 10^s,
// each as a double, so that one rounding happens. Where the sum times 10^s could leave
// the widest decimal, the sum is divided as it is: the last bit may differ.
Expression Average(Expression sum, Expression count, const Type& argument) {
  const Type type = plan::MakeType(Type::DOUBLE);
  Expression divisor = plan::CastTo(std::move(count), type);
  const uint32_t scale = argument.id() == Type::DECIMAL ? argument.scale() : 0;
  if (scale > 0 && argument.precision() + scale + kRowDigits <= kMaxPrecision) {
    const int64_t power = PowerOfTen(scale);
    const Type sum_type = sum.type();
    Expression unscaled =
        plan::MakeCall("*", sum_type, {std::move(sum), DecimalLiteral(power, scale + 1)});
    sum = plan::CastTo(std::move(unscaled), plan::MakeType(Type::HUGEINT));
    divisor = plan::MakeCall(
        "*", type, {std::move(divisor), DoubleLiteral(static_cast<double>(power))});
  }
  return plan::MakeCall("/", type,
                        {plan::CastTo(std::move(sum), type), std::move(divisor)});
}

class Splitter {
 public:
  explicit Splitter(const AggregateSplitLayout& layout) : layout_(layout) {}

  bool Add(const Expression& aggregate) {
    const auto& call = aggregate.aggregate();
    if (call.order_by_size() > 0) return false;
    if (call.distinct() && !layout_.distinct_together) return false;
    const std::string& name = call.name();
    if (name == "count" || name == "count_star" || name == "count_if" ||
        name == "countif") {
      return AddCount(aggregate);
    }
    if (aggregate.args_size() == 2) return AddArgMinMax(aggregate);
    if (aggregate.args_size() != 1) return false;
    if (name == "sum") return AddSum(aggregate);
    if (name == "avg" || name == "mean") return AddAverage(aggregate);
    if (name == "first" || name == "last" || name == "arbitrary") {
      return AddFirst(aggregate);
    }
    static const std::set<std::string> kIdempotent = {
        "min", "max", "bool_and", "bool_or", "any_value", "bit_or", "bit_and", "bit_xor"};
    if (!kIdempotent.contains(name)) return false;
    return AddResult(Step(aggregate, name));
  }

  AggregateSplit Take() && { return std::move(split_); }

 private:
  // Adds a partial aggregate and the one that combines it, or finds them again; gives the
  // column of the combined value.
  Expression Step(Expression partial, const std::string& combine_name) {
    const Type type = partial.type();
    Expression combine;
    *combine.mutable_type() = type;
    combine.mutable_aggregate()->set_name(combine_name);
    const auto find = std::find_if(
        split_.partial.begin(), split_.partial.end(),
        [&](const Expression& e) { return plan::ExpressionsEqual(e, partial); });
    size_t index = static_cast<size_t>(find - split_.partial.begin());
    // A volatile argument is drawn anew for each aggregate over it.
    const bool known = find != split_.partial.end() &&
                       split_.combine[index].aggregate().name() == combine_name &&
                       !plan::IsVolatile(partial);
    if (!known) {
      index = split_.partial.size();
      *combine.add_args() =
          plan::ColumnRef(layout_.partial_base + static_cast<uint32_t>(index), type);
      split_.partial.push_back(std::move(partial));
      split_.combine.push_back(std::move(combine));
    }
    return plan::ColumnRef(layout_.combine_base + static_cast<uint32_t>(index), type);
  }

  // The partial column that a combined column is made of.
  Expression PartialOf(const Expression& combined) const {
    return plan::ColumnRef(
        combined.column() - layout_.combine_base + layout_.partial_base, combined.type());
  }

  bool AddResult(Expression result) {
    split_.results.push_back(std::move(result));
    return true;
  }

  // Same arguments, FILTER and DISTINCT under another name and type.
  static Expression Like(const Expression& aggregate, const std::string& name,
                         const Type& type) {
    Expression other = aggregate;
    other.mutable_aggregate()->set_name(name);
    *other.mutable_type() = type;
    return other;
  }

  bool AddCount(const Expression& aggregate) {
    Expression count = Step(aggregate, "sum");
    if (!layout_.empty_partials) return AddResult(std::move(count));
    // No partial at all sums up to NULL.
    Expression coalesce;
    *coalesce.mutable_type() = aggregate.type();
    coalesce.mutable_operator_()->set_op(plan::Operator::COALESCE);
    *coalesce.add_args() = std::move(count);
    *coalesce.add_args() = plan::CastTo(plan::BigintLiteral(0), aggregate.type());
    return AddResult(std::move(coalesce));
  }

  bool AddSum(const Expression& aggregate) {
    if (!IsSummable(aggregate.type())) return false;
    return AddResult(Step(aggregate, "sum"));
  }

  bool AddAverage(const Expression& aggregate) {
    const Type& argument = aggregate.args(0).type();
    if (aggregate.type().id() != Type::DOUBLE || !IsSummable(argument)) return false;
    if (plan::IsVolatile(aggregate)) return false;
    Type sum_type = plan::MakeType(IsFloating(argument) ? Type::DOUBLE : Type::HUGEINT);
    if (argument.id() == Type::UHUGEINT) return false;
    if (argument.id() == Type::HUGEINT) sum_type = plan::MakeType(Type::DOUBLE);
    if (argument.id() == Type::DECIMAL) {
      sum_type = plan::DecimalType(kMaxPrecision, argument.scale());
    }
    Expression sum = Like(aggregate, "sum", sum_type);
    if (argument.id() == Type::HUGEINT) {
      *sum.mutable_args(0) = plan::CastTo(aggregate.args(0), sum_type);
    }
    Expression count = Like(aggregate, "count", plan::MakeType(Type::BIGINT));
    Expression total = Step(std::move(sum), "sum");
    return AddResult(Average(std::move(total), Step(std::move(count), "sum"), argument));
  }

  // A task that saw no row must not give its NULL for a first value.
  bool AddFirst(const Expression& aggregate) {
    const std::string name = aggregate.aggregate().name();
    if (aggregate.aggregate().distinct()) return false;
    if (!layout_.empty_partials && !aggregate.aggregate().has_filter()) {
      return AddResult(Step(aggregate, name));
    }
    if (plan::IsVolatile(aggregate)) return false;
    Expression rows = Like(aggregate, "count_star", plan::MakeType(Type::BIGINT));
    rows.clear_args();
    const Expression count = Step(std::move(rows), "sum");
    Expression seen;
    *seen.mutable_type() = plan::MakeType(Type::BOOLEAN);
    seen.mutable_comparison()->set_op(plan::Comparison::GREATER);
    *seen.add_args() = PartialOf(count);
    *seen.add_args() = plan::BigintLiteral(0);
    const Expression value = Step(aggregate, name);
    auto& combine = split_.combine[value.column() - layout_.combine_base];
    *combine.mutable_aggregate()->mutable_filter() = std::move(seen);
    return AddResult(value);
  }

  // arg_min(x, key): the partial step keeps x and the key that it goes with.
  bool AddArgMinMax(const Expression& aggregate) {
    const std::string& name = aggregate.aggregate().name();
    const bool keeps_null = name == "arg_min_null" || name == "arg_max_null";
    const bool is_min = name == "arg_min" || name == "argmin" || name == "min_by" ||
                        name == "arg_min_null";
    const bool is_max = name == "arg_max" || name == "argmax" || name == "max_by" ||
                        name == "arg_max_null";
    if (!is_min && !is_max) return false;
    if (plan::IsVolatile(aggregate) || aggregate.aggregate().distinct()) return false;
    // With a third argument the result is a list; a second that is the count likewise.
    if (!plan::TypesEqual(aggregate.type(), aggregate.args(0).type())) return false;

    Expression key = Like(aggregate, is_min ? "min" : "max", aggregate.args(1).type());
    key.clear_args();
    *key.add_args() = aggregate.args(1);
    if (!keeps_null) AddNotNullFilter(aggregate.args(0), &key);
    const Expression best = Step(std::move(key), is_min ? "min" : "max");
    const Expression value = Step(aggregate, name);
    auto& combine = split_.combine[value.column() - layout_.combine_base];
    if (combine.args_size() == 1) *combine.add_args() = PartialOf(best);
    return AddResult(value);
  }

  // Rows whose value is NULL do not take part in arg_min, and so not in its key.
  static void AddNotNullFilter(const Expression& value, Expression* aggregate) {
    Expression not_null;
    *not_null.mutable_type() = plan::MakeType(Type::BOOLEAN);
    not_null.mutable_operator_()->set_op(plan::Operator::IS_NOT_NULL);
    *not_null.add_args() = value;
    auto* call = aggregate->mutable_aggregate();
    if (call->has_filter()) {
      Expression both;
      *both.mutable_type() = not_null.type();
      both.mutable_conjunction()->set_is_or(false);
      *both.add_args() = call->filter();
      *both.add_args() = std::move(not_null);
      not_null = std::move(both);
    }
    *call->mutable_filter() = std::move(not_null);
  }

  const AggregateSplitLayout layout_;
  AggregateSplit split_;
};

}  // namespace

std::optional<AggregateSplit> SplitAggregates(const plan::Aggregate& aggregate,
                                              const AggregateSplitLayout& layout) {
  Splitter splitter(layout);
  for (const auto& call : aggregate.aggregates()) {
    if (!splitter.Add(call)) return std::nullopt;
  }
  return std::move(splitter).Take();
}

}  // namespace ballista::planner
