// The parts of the translation of one plan.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "ballista/dataframe.pb.h"
#include "ballista/plan/plan.h"
#include "substrait/plan.pb.h"

namespace ballista::substrait {

namespace pb = ::substrait;

arrow::Status NotSupported(const std::string& what);
arrow::Status BadPlan(const std::string& what);

// ---- types.cc
// INVALID for a type that is not given.
arrow::Result<plan::Type> TypeOf(const pb::Type& type);
arrow::Result<plan::Expression> LiteralOf(const pb::Expression::Literal& literal);
plan::Expression LiteralOf(plan::Value value);
// NULL; of the type that NULL has by itself where that is INVALID.
plan::Value NullOf(const plan::Type& type);
plan::Value TextOf(const std::string& text);
plan::Value IntegerOf(const plan::Type& type, int64_t number);
plan::Value TruthOf(bool value);
// What a oneof holds, for people.
std::string KindOf(const google::protobuf::Descriptor* message, int field_number);

// An expression and its type; INVALID where that is for the planner to find.
struct Typed {
  plan::Expression expression;
  plan::Type type;
};

// A column as the plan sees it.
struct Column {
  uint32_t position = 0;  // in the relation's own columns
  plan::Type type;        // as in Typed
  // The relation's own column is of SQL's type, which differs: cast where it is used.
  bool cast = false;
  // The same, but as near that only a result's type shows it (a decimal's digits).
  bool loose = false;
};

struct Translated {
  dataframe::Relation relation;
  uint32_t width = 0;  // columns of `relation`
  std::vector<Column> columns;
};

// What an expression can refer to. In the relation that has it, the positions are: those
// of its inputs, the outer rows' from the innermost on, sub-queries.
struct Scope {
  std::vector<Column> columns;
  uint32_t width = 0;  // columns of its inputs
  const Scope* outer = nullptr;
  google::protobuf::RepeatedPtrField<dataframe::Subquery>* subqueries = nullptr;
  bool implied = false;  // the plan does not count it as a sub-query's

  uint32_t outer_width() const {
    return outer == nullptr ? 0 : outer->width + outer->outer_width();
  }
};

// The relation's columns become what the plan sees, in its order and of its types.
arrow::Result<Translated> Exactly(Translated input);

// That of an expression of the type.
Column Computed(plan::Type type, uint32_t position);
plan::Expression Use(const Column& column, uint32_t position);
inline plan::Expression Use(const Column& column) {
  return Use(column, column.position);
}
plan::Expression Compare(plan::Comparison::Op op, plan::Expression left,
                         plan::Expression right);
plan::Expression Operation(plan::Operator::Op op, std::vector<plan::Expression> args);
// Of one or more.
plan::Expression Conjunction(bool is_or, std::vector<plan::Expression> args);
plan::Expression Cast(plan::Expression value, const plan::Type& type);

// ---- functions.cc
struct Call {
  std::string name;  // without the signature
  std::vector<Typed> args;
  // Of arguments that are names from a list ("YEAR"), before the others.
  std::vector<std::string> enums;
  std::map<std::string, std::string> options;
  plan::Type declared;
  bool datafusion = false;  // its functions are its SQL's where no extension is named
};
arrow::Result<Typed> ScalarFunction(Call call);
// An aggregate call by the engine's name; `cast` and `loose` as in Column.
struct AggregateResult {
  plan::Expression call;
  Column column;
};
arrow::Result<AggregateResult> AggregateFunction(Call call);
// One that windows alone have, or an aggregate function, by the engine's name.
arrow::Result<AggregateResult> WindowFunction(Call call);

// ---- the rest: relations.cc, sources.cc, windows.cc, expressions.cc
class Translator {
 public:
  explicit Translator(const pb::Plan& plan) : plan_(plan) {}
  arrow::Result<dataframe::CommandDataFrame> Run();

 private:
  // ---- relations.cc
  arrow::Result<Translated> Rel(const pb::Rel& rel);
  arrow::Result<Translated> RelWithoutEmit(const pb::Rel& rel);
  arrow::Result<Translated> Filter(const pb::FilterRel& filter);
  arrow::Result<Translated> Project(const pb::ProjectRel& project);
  arrow::Result<Translated> Aggregate(const pb::AggregateRel& aggregate);
  arrow::Result<std::vector<Column>> Groups(const pb::AggregateRel& aggregate,
                                            Translated* input);
  arrow::Result<Translated> Sort(const pb::SortRel& sort);
  arrow::Result<Translated> Fetch(const pb::FetchRel& fetch);
  arrow::Result<Translated> Join(const pb::JoinRel& join);
  arrow::Result<Translated> MarkJoin(Translated left, Translated right,
                                     const pb::Expression& condition, bool left_first);
  arrow::Result<Translated> Set(const pb::SetRel& set);
  arrow::Result<Translated> Reference(const pb::ReferenceRel& reference);
  arrow::Result<Translated> JoinOf(Translated left, Translated right,
                                   plan::Join::Type type, const pb::Expression* condition,
                                   bool swapped = false);
  static std::vector<Column> Both(const Translated& left, const Translated& right,
                                  uint32_t left_at, uint32_t right_at);
  arrow::Result<Translated> FilterOver(Translated input, const pb::Expression& condition);

  // ---- sources.cc
  arrow::Result<Translated> Read(const pb::ReadRel& read);
  arrow::Result<Translated> ReadSource(const pb::ReadRel& read);
  arrow::Result<Translated> Values(const pb::ReadRel& read);

  // ---- windows.cc
  arrow::Result<std::vector<Column>> Windows(const pb::ProjectRel& project,
                                             Translated* input);
  arrow::Result<AggregateResult> Window(const pb::Expression::WindowFunction& function,
                                        const Scope& scope);

  // ---- expressions.cc
  arrow::Result<Typed> Expr(const pb::Expression& expression, const Scope& scope);
  arrow::Result<Typed> ExprWithin(const pb::Expression& expression, const Scope& scope);
  arrow::Result<Typed> Reference(const pb::Expression::FieldReference& reference,
                                 const Scope& scope);
  arrow::Result<Typed> Function(const pb::Expression::ScalarFunction& function,
                                const Scope& scope);
  arrow::Result<Typed> IfThen(const pb::Expression::IfThen& cases, const Scope& scope);
  arrow::Result<Typed> Switch(const pb::Expression::SwitchExpression& cases,
                              const Scope& scope);
  arrow::Result<Typed> EndCase(Typed cases, const pb::Expression* otherwise,
                               const Scope& scope);
  arrow::Result<Typed> OrList(const pb::Expression::SingularOrList& list,
                              const Scope& scope);
  arrow::Result<Typed> OrRecords(const pb::Expression::MultiOrList& list,
                                 const Scope& scope);
  arrow::Result<Typed> Nested(const pb::Expression::Nested& nested, const Scope& scope);
  arrow::Result<Typed> Parameter(const pb::DynamicParameter& parameter);
  arrow::Result<Typed> Subquery(const pb::Expression::Subquery& subquery,
                                const Scope& scope);
  arrow::Result<Typed> AddSubquery(dataframe::Subquery::Kind kind, const pb::Rel& rel,
                                   std::vector<plan::Expression> needles,
                                   plan::Comparison::Op op, const Scope& scope);
  arrow::Status Arguments(
      const google::protobuf::RepeatedPtrField<pb::FunctionArgument>& arguments,
      const Scope& scope, Call* call);
  arrow::Status ChainArguments(const pb::Expression::ScalarFunction& function,
                               const Scope& scope, Call* call);
  arrow::Result<std::string> FunctionName(uint32_t reference) const;
  // Of a scalar, aggregate or window function, whose messages are alike in this.
  template <typename Message>
  arrow::Result<Call> CallOf(const Message& function, const Scope& scope);
  arrow::Result<AggregateResult> Measure(const pb::AggregateRel::Measure& measure,
                                         const Scope& scope);
  arrow::Status SortKeys(const google::protobuf::RepeatedPtrField<pb::SortField>& sorts,
                         const Scope& scope,
                         google::protobuf::RepeatedPtrField<plan::SortKey>* keys);

  Scope ScopeOf(const Translated& input) const {
    return {input.columns, input.width, outer_, nullptr};
  }
  arrow::Status CountRelation();

  const pb::Plan& plan_;
  std::map<uint32_t, std::string> functions_;
  const Scope* outer_ = nullptr;  // of the relation that is being translated
  int depth_ = 0;
  int expression_depth_ = 0;
  int relations_ = 0;
};

template <typename Message>
arrow::Result<Call> Translator::CallOf(const Message& function, const Scope& scope) {
  Call call;
  ARROW_ASSIGN_OR_RAISE(call.name, FunctionName(function.function_reference()));
  bool chain = false;
  if constexpr (std::is_same_v<Message, pb::Expression::ScalarFunction>) {
    chain = call.name == "and" || call.name == "or";
    if (chain) ARROW_RETURN_NOT_OK(ChainArguments(function, scope, &call));
  } else if (function.phase() != pb::AGGREGATION_PHASE_UNSPECIFIED &&
             function.phase() != pb::AGGREGATION_PHASE_INITIAL_TO_RESULT) {
    return NotSupported("an aggregation in phases");
  }
  if (!chain) ARROW_RETURN_NOT_OK(Arguments(function.arguments(), scope, &call));
  // Where older versions have them.
  for (const auto& argument : function.args()) {
    ARROW_ASSIGN_OR_RAISE(auto value, Expr(argument, scope));
    call.args.push_back(std::move(value));
  }
  for (const auto& option : function.options()) {
    if (option.preference_size() > 0) call.options[option.name()] = option.preference(0);
  }
  ARROW_ASSIGN_OR_RAISE(call.declared, TypeOf(function.output_type()));
  call.datafusion = plan_.version().producer() == "datafusion";
  return call;
}

}  // namespace ballista::substrait
