#include "ballista/engine/duckdb/errors.h"

#include "ballista/base/status.h"

namespace ballista::engine {
namespace {

using duckdb::ExceptionType;

constexpr size_t kMaxStatement = 4000;

// Byte offset in the statement, where the binder gives one.
int Position(const duckdb::ErrorData& error) {
  auto it = error.ExtraInfo().find("position");
  if (it == error.ExtraInfo().end()) return -1;
  try {
    return std::stoi(it->second);
  } catch (const std::exception&) {
    return -1;
  }
}

arrow::Status UserStatementError(const duckdb::ErrorData& error) {
  UserError::Kind kind = UserError::OTHER;
  switch (error.Type()) {
    case ExceptionType::PARSER:
    case ExceptionType::SYNTAX:
      kind = UserError::SYNTAX;
      break;
    case ExceptionType::CATALOG:
      kind = UserError::CATALOG;
      break;
    case ExceptionType::NOT_IMPLEMENTED:
      kind = UserError::NOT_SUPPORTED;
      break;
    default:
      kind = UserError::BINDER;
  }
  return UserErrorStatus(kind, error.RawMessage(), Position(error));
}

arrow::Status OurBug(const duckdb::ErrorData& error, const ErrorContext& context) {
  return InternalStatus(error.Message() +
                        "\nwhile running: " + context.statement.substr(0, kMaxStatement));
}

// DuckDB reports the limit of its temporary files as one of memory.
bool IsTemporaryFileLimit(const std::string& message) {
  return message.find("max_temp_directory_size") != std::string::npos;
}

arrow::Status DiskIsFull(const std::string& message) {
  return ResourcesExhaustedStatus(
      "spilled data does not fit on the executor's disk; free space there, give the "
      "executor another --work-dir, or raise --disk-quota: " +
          message,
      ResourcesExhausted::DISK, 0);
}

bool IsMissingFile(const std::string& message) {
  return message.find("No such file") != std::string::npos ||
         message.find("No files found") != std::string::npos;
}

}  // namespace

arrow::Status FromDuckDbError(const duckdb::ErrorData& error,
                              const ErrorContext& context) {
  const std::string& message = error.RawMessage();
  switch (error.Type()) {
    case ExceptionType::INTERRUPT:
      return CancelledStatus("the task was cancelled", Cancelled::UNKNOWN);
    case ExceptionType::OUT_OF_MEMORY:
      if (IsTemporaryFileLimit(message)) return DiskIsFull(message);
      return ResourcesExhaustedStatus(
          "the task needs more memory than the executor has, with all spilled that can "
          "be; raise --memory-limit: " +
              message,
          ResourcesExhausted::MEMORY, context.memory_limit);
    case ExceptionType::IO:
    case ExceptionType::HTTP:
    case ExceptionType::NETWORK:
      if (IsMissingFile(message)) return UserErrorStatus(UserError::NOT_FOUND, message);
      if (message.find("No space left") != std::string::npos) {
        return DiskIsFull(message);
      }
      return arrow::Status::IOError(message);
    case ExceptionType::PARSER:
    case ExceptionType::SYNTAX:
    case ExceptionType::BINDER:
    case ExceptionType::CATALOG:
    case ExceptionType::PLANNER:
    case ExceptionType::OPTIMIZER:
    case ExceptionType::NOT_IMPLEMENTED:
    case ExceptionType::EXPRESSION:
    case ExceptionType::PARAMETER_NOT_RESOLVED:
    case ExceptionType::PARAMETER_NOT_ALLOWED:
      return context.user_statement ? UserStatementError(error) : OurBug(error, context);
    case ExceptionType::INTERNAL:
    case ExceptionType::FATAL:
    case ExceptionType::INVALID:
    case ExceptionType::NULL_POINTER:
    case ExceptionType::SERIALIZATION:
    case ExceptionType::EXECUTOR:
    case ExceptionType::SCHEDULER:
      return OurBug(error, context);
    default:
      return UserErrorStatus(UserError::RUNTIME, message);
  }
}

}  // namespace ballista::engine
