#include "ballista/duckdb_terms/terms.h"

namespace ballista::duckdb_terms {

using duckdb::ExpressionType;

std::optional<ExpressionType> ComparisonType(plan::Comparison::Op op) {
  switch (op) {
    case plan::Comparison::EQUAL:
      return ExpressionType::COMPARE_EQUAL;
    case plan::Comparison::NOT_EQUAL:
      return ExpressionType::COMPARE_NOTEQUAL;
    case plan::Comparison::LESS:
      return ExpressionType::COMPARE_LESSTHAN;
    case plan::Comparison::LESS_EQUAL:
      return ExpressionType::COMPARE_LESSTHANOREQUALTO;
    case plan::Comparison::GREATER:
      return ExpressionType::COMPARE_GREATERTHAN;
    case plan::Comparison::GREATER_EQUAL:
      return ExpressionType::COMPARE_GREATERTHANOREQUALTO;
    case plan::Comparison::DISTINCT_FROM:
      return ExpressionType::COMPARE_DISTINCT_FROM;
    case plan::Comparison::NOT_DISTINCT_FROM:
      return ExpressionType::COMPARE_NOT_DISTINCT_FROM;
    default:
      return std::nullopt;
  }
}

std::optional<ExpressionType> OperatorType(plan::Operator::Op op) {
  switch (op) {
    case plan::Operator::NOT:
      return ExpressionType::OPERATOR_NOT;
    case plan::Operator::IS_NULL:
      return ExpressionType::OPERATOR_IS_NULL;
    case plan::Operator::IS_NOT_NULL:
      return ExpressionType::OPERATOR_IS_NOT_NULL;
    case plan::Operator::IN:
      return ExpressionType::COMPARE_IN;
    case plan::Operator::NOT_IN:
      return ExpressionType::COMPARE_NOT_IN;
    case plan::Operator::COALESCE:
      return ExpressionType::OPERATOR_COALESCE;
    case plan::Operator::TRY:
      return ExpressionType::OPERATOR_TRY;
    default:
      return std::nullopt;
  }
}

std::optional<duckdb::JoinType> JoinType(plan::Join::Type type) {
  switch (type) {
    case plan::Join::INNER:
      return duckdb::JoinType::INNER;
    case plan::Join::LEFT:
      return duckdb::JoinType::LEFT;
    case plan::Join::RIGHT:
      return duckdb::JoinType::RIGHT;
    case plan::Join::FULL:
      return duckdb::JoinType::OUTER;
    case plan::Join::SEMI:
      return duckdb::JoinType::SEMI;
    case plan::Join::ANTI:
      return duckdb::JoinType::ANTI;
    case plan::Join::MARK:
      return duckdb::JoinType::MARK;
    case plan::Join::SINGLE:
      return duckdb::JoinType::SINGLE;
    default:
      return std::nullopt;
  }
}

std::optional<duckdb::WindowBoundary> Boundary(plan::WindowCall::Bound bound) {
  using duckdb::WindowBoundary;
  switch (bound) {
    case plan::WindowCall::UNBOUNDED_PRECEDING:
      return WindowBoundary::UNBOUNDED_PRECEDING;
    case plan::WindowCall::UNBOUNDED_FOLLOWING:
      return WindowBoundary::UNBOUNDED_FOLLOWING;
    case plan::WindowCall::CURRENT_ROW_RANGE:
      return WindowBoundary::CURRENT_ROW_RANGE;
    case plan::WindowCall::CURRENT_ROW_ROWS:
      return WindowBoundary::CURRENT_ROW_ROWS;
    case plan::WindowCall::CURRENT_ROW_GROUPS:
      return WindowBoundary::CURRENT_ROW_GROUPS;
    case plan::WindowCall::PRECEDING_ROWS:
      return WindowBoundary::EXPR_PRECEDING_ROWS;
    case plan::WindowCall::FOLLOWING_ROWS:
      return WindowBoundary::EXPR_FOLLOWING_ROWS;
    case plan::WindowCall::PRECEDING_RANGE:
      return WindowBoundary::EXPR_PRECEDING_RANGE;
    case plan::WindowCall::FOLLOWING_RANGE:
      return WindowBoundary::EXPR_FOLLOWING_RANGE;
    case plan::WindowCall::PRECEDING_GROUPS:
      return WindowBoundary::EXPR_PRECEDING_GROUPS;
    case plan::WindowCall::FOLLOWING_GROUPS:
      return WindowBoundary::EXPR_FOLLOWING_GROUPS;
    default:
      return std::nullopt;
  }
}

duckdb::WindowExcludeMode ExcludeMode(plan::WindowCall::Exclude exclude) {
  using duckdb::WindowExcludeMode;
  switch (exclude) {
    case plan::WindowCall::CURRENT_ROW:
      return WindowExcludeMode::CURRENT_ROW;
    case plan::WindowCall::GROUP:
      return WindowExcludeMode::GROUP;
    case plan::WindowCall::TIES:
      return WindowExcludeMode::TIES;
    default:
      return WindowExcludeMode::NO_OTHER;
  }
}

}  // namespace ballista::duckdb_terms
