#include <utility>

#include "ballista/plan/plan.h"

namespace ballista::plan {

Type MakeType(Type::Id id) {
  Type type;
  type.set_id(id);
  return type;
}

Type DecimalType(uint32_t precision, uint32_t scale) {
  Type type = MakeType(Type::DECIMAL);
  type.set_precision(precision);
  type.set_scale(scale);
  return type;
}

Type ListType(Type element) {
  Type type = MakeType(Type::LIST);
  *type.add_children() = std::move(element);
  return type;
}

Expression ColumnRef(uint32_t column, const Type& type) {
  Expression expression;
  expression.set_column(column);
  *expression.mutable_type() = type;
  return expression;
}

Expression BigintLiteral(int64_t value) {
  Expression expression;
  *expression.mutable_type() = MakeType(Type::BIGINT);
  auto* literal = expression.mutable_literal();
  *literal->mutable_type() = expression.type();
  literal->set_int_(value);
  return expression;
}

Expression CastTo(Expression value, const Type& type) {
  if (TypesEqual(value.type(), type)) return value;
  Expression cast;
  *cast.mutable_type() = type;
  cast.mutable_cast();
  *cast.add_args() = std::move(value);
  return cast;
}

Expression MakeCall(std::string name, const Type& type, std::vector<Expression> args) {
  Expression call;
  *call.mutable_type() = type;
  call.mutable_call()->set_name(std::move(name));
  for (auto& arg : args) *call.add_args() = std::move(arg);
  return call;
}

Node WithInput(Node input) {
  Node node;
  *node.mutable_types() = input.types();
  node.set_estimated_rows(input.estimated_rows());
  *node.add_inputs() = std::move(input);
  return node;
}

namespace {

bool BytesEqual(const google::protobuf::MessageLite& a,
                const google::protobuf::MessageLite& b) {
  // None of these messages has a map, so equal messages serialise to equal bytes.
  return a.ByteSizeLong() == b.ByteSizeLong() &&
         a.SerializeAsString() == b.SerializeAsString();
}

}  // namespace

bool TypesEqual(const Type& a, const Type& b) {
  if (a.id() != b.id() || a.precision() != b.precision() || a.scale() != b.scale()) {
    return false;
  }
  if (a.children_size() == 0 && b.children_size() == 0 && a.names_size() == 0 &&
      b.names_size() == 0 && a.array_size() == b.array_size()) {
    return a.alias() == b.alias();
  }
  return BytesEqual(a, b);
}

bool ExpressionsEqual(const Expression& a, const Expression& b) {
  return a.kind_case() == b.kind_case() && BytesEqual(a, b);
}

}  // namespace ballista::plan
