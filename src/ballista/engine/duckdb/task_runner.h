// Runs one task on one connection. Private to the engine. Not thread-safe: made for one
// Run and dropped.
#pragma once

#include <arrow/result.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "ballista/engine/duckdb/compiler.h"
#include "ballista/engine/duckdb/connection_pool.h"
#include "ballista/engine/duckdb/errors.h"
#include "ballista/engine/duckdb/input_registry.h"
#include "ballista/engine/duckdb/interrupt.h"
#include "ballista/engine/duckdb/output_collector.h"
#include "ballista/engine/execution_engine.h"
#include "ballista/security/path_guard.h"

namespace ballista::engine {

// What all tasks of an engine share.
struct EngineState {
  std::unique_ptr<duckdb::DuckDB> database;
  duckdb::shared_ptr<InputRegistry> inputs;
  std::unique_ptr<ConnectionPool> connections;
  std::atomic<uint64_t> memory_limit{0};
  std::shared_ptr<const security::PathGuard> guard;  // null: every path is allowed
  // DuckDB refuses all further work after a bug of its own (an internal or fatal error).
  std::atomic<bool> broken{false};
};

class TaskRunner {
 public:
  TaskRunner(EngineState* engine, const FragmentTask& task, TaskInterrupt* interrupt)
      : engine_(*engine), task_(task), interrupt_(interrupt) {}
  ~TaskRunner();

  arrow::Result<job::TaskMetrics> Run();

 private:
  arrow::Status RunFragment(const plan::Node& node);
  // write_task.cc
  arrow::Status RunWrite(const plan::Node& node);
  // statement_task.cc
  arrow::Status RunWholeStatement(const plan::Node& node);
  arrow::Status RunInOwnDatabase(const plan::Statement& statement);

  // Of the operators of the statement that ran last; the first call counts.
  void KeepOperatorMetrics();
  arrow::Status CheckOutput() const;
  FragmentSources Sources();
  arrow::Result<uint64_t> RegisterInput(const plan::Node& node);
  arrow::Result<uint64_t> RegisterLocalTable(const plan::LocalTable& table);
  uint64_t Register(RegisteredInput input);

  // Runs a statement whose rows go to the sink.
  arrow::Status ExecuteIntoSink(duckdb::unique_ptr<duckdb::SQLStatement> statement);
  // Runs one whose rows come back.
  arrow::Result<duckdb::unique_ptr<duckdb::QueryResult>> Execute(
      duckdb::unique_ptr<duckdb::SQLStatement> statement);
  // Runs all statements of a text but the last; gives that one.
  arrow::Result<duckdb::unique_ptr<duckdb::SQLStatement>> ExecuteAllButLast(
      const std::string& sql);
  arrow::Status ExecuteText(const std::string& sql);
  // The failure of the task, where one was kept, else DuckDB's.
  arrow::Status ToStatus(const duckdb::ErrorData& error) const;

  EngineState& engine_;
  const FragmentTask& task_;
  TaskInterrupt* const interrupt_;
  TaskState state_;
  job::TaskMetrics metrics_;
  OutputTarget target_;
  ErrorContext errors_;
  std::unique_ptr<duckdb::Connection> connection_;
  bool reusable_ = true;  // nothing of the task will stick to the connection
  std::vector<uint64_t> registered_;
};

// Quoted as an identifier of SQL.
std::string QuoteIdentifier(const std::string& name);

}  // namespace ballista::engine
