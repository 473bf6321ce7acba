// A whole statement as text: run by one task in a database of its own, which holds the
// views, macros and local tables that it names and goes away with it.
#include <atomic>

#include "ballista/base/status.h"
#include "ballista/engine/duckdb/task_runner.h"

namespace ballista::engine {
namespace {

std::string NewDatabaseName() {
  static std::atomic<uint64_t> next{0};
  return "ballista_task_" + std::to_string(next++);
}

// CREATE TABLE ... AS SELECT from the registered rows, with the columns' own names.
std::string CreateTableText(const std::string& table, uint64_t input,
                            const arrow::Schema& schema) {
  std::string columns;
  for (int i = 0; i < schema.num_fields(); ++i) {
    if (i > 0) columns += ", ";
    columns +=
        "c" + std::to_string(i) + " AS " + QuoteIdentifier(schema.field(i)->name());
  }
  return "CREATE TABLE " + QuoteIdentifier(table) + " AS SELECT " + columns + " FROM " +
         kInputFunction + "(" + std::to_string(input) + "::UBIGINT)";
}

}  // namespace

arrow::Status TaskRunner::RunWholeStatement(const plan::Node& node) {
  const std::string database = NewDatabaseName();
  // What a statement leaves behind (temporary objects, settings) ends with its
  // connection.
  reusable_ = false;
  ARROW_RETURN_NOT_OK(ExecuteText("ATTACH ':memory:' AS " + database));
  auto status = ExecuteText("USE " + database);
  if (status.ok()) status = RunInOwnDatabase(node.statement());
  duckdb::Connection other(*engine_.database);
  connection_->Query("USE memory");
  other.Query("DETACH DATABASE IF EXISTS " + database);
  return status;
}

arrow::Status TaskRunner::RunInOwnDatabase(const plan::Statement& statement) {
  errors_.user_statement = true;
  for (const auto& named : statement.tables()) {
    ARROW_ASSIGN_OR_RAISE(const uint64_t input, RegisterLocalTable(named.table()));
    const auto schema = engine_.inputs->Find(input)->schema;
    ARROW_RETURN_NOT_OK(ExecuteText(CreateTableText(named.name(), input, *schema)));
  }
  for (const auto& prelude : statement.prelude()) {
    ARROW_RETURN_NOT_OK(ExecuteText(prelude));
  }
  ARROW_ASSIGN_OR_RAISE(auto last, ExecuteAllButLast(statement.sql()));
  return ExecuteIntoSink(std::move(last));
}

}  // namespace ballista::engine
