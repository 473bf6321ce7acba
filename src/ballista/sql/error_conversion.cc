#include "ballista/sql/error_conversion.h"

#include "ballista/base/status.h"
#include "ballista/sql/unsupported_internal.h"

namespace ballista::sql {
namespace {

using duckdb::ExceptionType;

UserError::Kind KindOf(ExceptionType type) {
  switch (type) {
    case ExceptionType::PARSER:
    case ExceptionType::SYNTAX:
      return UserError::SYNTAX;
    case ExceptionType::BINDER:
    case ExceptionType::PLANNER:
    case ExceptionType::PARAMETER_NOT_RESOLVED:
    case ExceptionType::PARAMETER_NOT_ALLOWED:
    case ExceptionType::UNKNOWN_TYPE:
      return UserError::BINDER;
    case ExceptionType::CATALOG:
    case ExceptionType::DEPENDENCY:
    case ExceptionType::MISSING_EXTENSION:
    case ExceptionType::AUTOLOAD:
      return UserError::CATALOG;
    case ExceptionType::OUT_OF_RANGE:
    case ExceptionType::CONVERSION:
    case ExceptionType::MISMATCH_TYPE:
    case ExceptionType::DIVIDE_BY_ZERO:
    case ExceptionType::INVALID_TYPE:
    case ExceptionType::DECIMAL:
    case ExceptionType::CONSTRAINT:
    case ExceptionType::SEQUENCE:
    case ExceptionType::INVALID_INPUT:
      return UserError::RUNTIME;
    case ExceptionType::NOT_IMPLEMENTED:
    case ExceptionType::PERMISSION:
      return UserError::NOT_SUPPORTED;
    case ExceptionType::IO:
      return UserError::NOT_FOUND;
    default:
      return UserError::OTHER;
  }
}

int PositionOf(const duckdb::ErrorData& error) {
  const auto found = error.ExtraInfo().find("position");
  if (found == error.ExtraInfo().end()) return -1;
  try {
    return std::stoi(found->second);
  } catch (const std::exception&) {
    return -1;
  }
}

// Cuts "\n\nLINE 1: ..." with its arrow: the client draws the position itself.
std::string WithoutDrawing(std::string message) {
  const auto drawing = message.find("\n\nLINE ");
  if (drawing != std::string::npos) message.resize(drawing);
  while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) {
    message.pop_back();
  }
  return message;
}

}  // namespace

arrow::Status ToStatus(const duckdb::ErrorData& error) {
  const std::string message = WithoutDrawing(error.Message());
  if (error.Type() == ExceptionType::INTERNAL || error.Type() == ExceptionType::FATAL) {
    return InternalStatus("the planning engine failed: " + message);
  }
  if (error.Type() == ExceptionType::OUT_OF_MEMORY) {
    // What follows in the message is advice for those who have DuckDB to themselves.
    return ResourcesExhaustedStatus(
        "the scheduler's memory for planning and for tables made by CREATE TABLE is used "
        "up (--memory-limit): drop tables, or write large ones to files with COPY: " +
            message.substr(0, message.find('\n')),
        ResourcesExhausted::MEMORY, 0);
  }
  return UserErrorStatus(KindOf(error.Type()), message, PositionOf(error));
}

arrow::Status ToStatus(const std::exception& error) {
  if (dynamic_cast<const Unsupported*>(&error) ||
      dynamic_cast<const PlannerOnly*>(&error)) {
    return UserErrorStatus(UserError::NOT_SUPPORTED, error.what());
  }
  return ToStatus(duckdb::ErrorData(error));
}

}  // namespace ballista::sql
