#include <type_traits>

#include "ballista/base/status.h"
#include "ballista/plan/plan.h"

namespace ballista::plan {
namespace {

// The walkers below are written once for const and mutable messages: `Access` picks `x()`
// or `*mutable_x()`.
template <typename Message>
constexpr bool kMutable = !std::is_const_v<std::remove_reference_t<Message>>;

#define BALLISTA_FIELD(message, field)           \
  [&]() -> decltype(auto) {                      \
    if constexpr (kMutable<decltype(message)>) { \
      return *(message).mutable_##field();       \
    } else {                                     \
      return (message).field();                  \
    }                                            \
  }()

template <typename SortKeys, typename Visit>
void VisitKeys(SortKeys& keys, const Visit& visit) {
  for (auto& key : keys) visit(BALLISTA_FIELD(key, expression));
}

template <typename Expressions, typename Visit>
void VisitAll(Expressions& expressions, const Visit& visit) {
  for (auto& expression : expressions) visit(expression);
}

template <typename E, typename Visit>
void VisitChildren(E& expression, const Visit& visit) {
  VisitAll(BALLISTA_FIELD(expression, args), visit);
  if (expression.has_aggregate()) {
    auto& call = BALLISTA_FIELD(expression, aggregate);
    if (call.has_filter()) visit(BALLISTA_FIELD(call, filter));
    VisitKeys(BALLISTA_FIELD(call, order_by), visit);
  } else if (expression.has_window()) {
    auto& call = BALLISTA_FIELD(expression, window);
    if (call.has_filter()) visit(BALLISTA_FIELD(call, filter));
    VisitAll(BALLISTA_FIELD(call, partition_by), visit);
    VisitKeys(BALLISTA_FIELD(call, order_by), visit);
    VisitKeys(BALLISTA_FIELD(call, argument_order_by), visit);
    if (call.has_start_offset()) visit(BALLISTA_FIELD(call, start_offset));
    if (call.has_end_offset()) visit(BALLISTA_FIELD(call, end_offset));
    if (call.has_offset()) visit(BALLISTA_FIELD(call, offset));
    if (call.has_default_value()) visit(BALLISTA_FIELD(call, default_value));
  }
}

template <typename N, typename Visit>
void VisitNodeExpressions(N& node, const Visit& visit) {
  switch (node.kind_case()) {
    case Node::kValues: {
      auto& values = BALLISTA_FIELD(node, values);
      for (auto& row : BALLISTA_FIELD(values, rows)) {
        VisitAll(BALLISTA_FIELD(row, cells), visit);
      }
      break;
    }
    case Node::kFilter: {
      auto& filter = BALLISTA_FIELD(node, filter);
      VisitAll(BALLISTA_FIELD(filter, predicates), visit);
      break;
    }
    case Node::kProject: {
      auto& project = BALLISTA_FIELD(node, project);
      VisitAll(BALLISTA_FIELD(project, expressions), visit);
      break;
    }
    case Node::kAggregate: {
      auto& aggregate = BALLISTA_FIELD(node, aggregate);
      VisitAll(BALLISTA_FIELD(aggregate, groups), visit);
      VisitAll(BALLISTA_FIELD(aggregate, aggregates), visit);
      break;
    }
    case Node::kJoin: {
      auto& join = BALLISTA_FIELD(node, join);
      for (auto& condition : BALLISTA_FIELD(join, conditions)) {
        visit(BALLISTA_FIELD(condition, left));
        visit(BALLISTA_FIELD(condition, right));
      }
      if (join.has_predicate()) visit(BALLISTA_FIELD(join, predicate));
      break;
    }
    case Node::kSort: {
      auto& sort = BALLISTA_FIELD(node, sort);
      VisitKeys(BALLISTA_FIELD(sort, keys), visit);
      break;
    }
    case Node::kLimit: {
      auto& limit = BALLISTA_FIELD(node, limit);
      if (limit.has_limit()) visit(BALLISTA_FIELD(limit, limit));
      if (limit.has_offset()) visit(BALLISTA_FIELD(limit, offset));
      break;
    }
    case Node::kDistinct: {
      auto& distinct = BALLISTA_FIELD(node, distinct);
      VisitAll(BALLISTA_FIELD(distinct, on), visit);
      VisitKeys(BALLISTA_FIELD(distinct, order_by), visit);
      break;
    }
    case Node::kWindow: {
      auto& window = BALLISTA_FIELD(node, window);
      VisitAll(BALLISTA_FIELD(window, calls), visit);
      break;
    }
    case Node::kUnnest: {
      auto& unnest = BALLISTA_FIELD(node, unnest);
      VisitAll(BALLISTA_FIELD(unnest, unnests), visit);
      break;
    }
    default:
      break;
  }
}

#undef BALLISTA_FIELD

}  // namespace

void ForEachExpression(const Node& node,
                       const std::function<void(const Expression&)>& visit) {
  VisitNodeExpressions(node, [&](const Expression& e) { visit(e); });
}

void ForEachExpression(Node* node, const std::function<void(Expression*)>& visit) {
  VisitNodeExpressions(*node, [&](Expression& e) { visit(&e); });
}

void ForEachChild(const Expression& expression,
                  const std::function<void(const Expression&)>& visit) {
  VisitChildren(expression, [&](const Expression& e) { visit(e); });
}

void ForEachChild(Expression* expression, const std::function<void(Expression*)>& visit) {
  VisitChildren(*expression, [&](Expression& e) { visit(&e); });
}

void VisitExpression(const Expression& expression,
                     const std::function<void(const Expression&)>& visit) {
  visit(expression);
  VisitChildren(expression, [&](const Expression& e) { VisitExpression(e, visit); });
}

void VisitNodes(const Node& node, const std::function<void(const Node&)>& visit) {
  visit(node);
  for (const auto& input : node.inputs()) VisitNodes(input, visit);
}

void VisitNodes(Node* node, const std::function<void(Node*)>& visit) {
  visit(node);
  for (auto& input : *node->mutable_inputs()) VisitNodes(&input, visit);
}

arrow::Status RemapColumns(Expression* expression, const std::vector<int>& mapping) {
  if (expression->kind_case() == Expression::kColumn) {
    const uint32_t column = expression->column();
    if (column >= mapping.size() || mapping[column] < 0) {
      return InternalStatus("an expression refers to column " + std::to_string(column) +
                            ", which its new input does not have");
    }
    expression->set_column(static_cast<uint32_t>(mapping[column]));
    return arrow::Status::OK();
  }
  arrow::Status status;
  VisitChildren(*expression, [&](Expression& child) {
    if (status.ok()) status = RemapColumns(&child, mapping);
  });
  return status;
}

bool IsVolatile(const Expression& expression) {
  bool found = false;
  VisitExpression(expression, [&](const Expression& e) {
    found = found || (e.has_call() && e.call().is_volatile());
  });
  return found;
}

}  // namespace ballista::plan
