#include "ballista/engine/duckdb/task_runner.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "ballista/base/status.h"
#include "ballista/engine/duckdb/metrics.h"
#include "ballista/engine/duckdb/types.h"

namespace ballista::engine {
namespace {

// CPU time of the whole process: DuckDB's threads serve all tasks alike.
uint64_t ProcessCpuMicros() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto micros = [](const timeval& time) {
    return static_cast<uint64_t>(time.tv_sec) * 1000000 +
           static_cast<uint64_t>(time.tv_usec);
  };
  return micros(usage.ru_utime) + micros(usage.ru_stime);
}

template <typename Splits>
uint64_t SplitRows(const Splits& splits) {
  uint64_t rows = 0;
  for (const auto& split : splits) {
    rows += split.row_count() > 0 ? split.row_count() : split.total_rows();
  }
  return rows;
}

// Of the task's splits, and of the files that every task of the stage reads.
uint64_t ScanRows(const FragmentTask& task) {
  uint64_t rows = 0;
  for (const auto& scan : task.scans) rows += SplitRows(scan.splits());
  plan::VisitNodes(*task.fragment, [&](const plan::Node& node) {
    if (node.has_scan()) rows += SplitRows(node.scan().files());
  });
  return rows;
}

bool HasExchangeLayout(const arrow::Schema& schema,
                       const duckdb::vector<duckdb::LogicalType>& types) {
  if (schema.num_fields() != static_cast<int>(types.size())) return false;
  for (size_t i = 0; i < types.size(); ++i) {
    if (!schema.field(static_cast<int>(i))->type()->Equals(*ExchangeType(types[i]))) {
      return false;
    }
  }
  return true;
}

bool EndsInPartialAggregate(const plan::Node& fragment) {
  const plan::Node* node = &fragment;
  while (node->has_project() && node->inputs_size() == 1) node = &node->inputs(0);
  return node->has_aggregate() && node->aggregate().partial();
}

// Runs the query to its end, or its error. DuckDB's own loop spins while other threads
// have all of the work; here they, and those of the network, get this thread's core.
void Drive(duckdb::PendingQueryResult* pending) {
  constexpr int kYields = 100;
  constexpr auto kNap = std::chrono::microseconds(20);
  int idle = 0;
  while (true) {
    const auto state = pending->ExecuteTask();
    if (duckdb::PendingQueryResult::IsExecutionFinished(state)) return;
    if (state == duckdb::PendingExecutionResult::RESULT_NOT_READY) {
      idle = 0;
    } else if (++idle < kYields) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(kNap);
    }
  }
}

}  // namespace

std::string QuoteIdentifier(const std::string& name) {
  return duckdb::KeywordHelper::WriteOptionallyQuoted(name);
}

TaskRunner::~TaskRunner() {
  for (uint64_t id : registered_) engine_.inputs->Remove(id);
}

arrow::Result<job::TaskMetrics> TaskRunner::Run() {
  const auto start = std::chrono::steady_clock::now();
  const uint64_t cpu_start = ProcessCpuMicros();
  ARROW_RETURN_NOT_OK(CheckOutput());
  const plan::Node& node = *task_.fragment;
  ARROW_ASSIGN_OR_RAISE(target_.types, ToLogicalTypes(node.types()));
  target_.sink = task_.sink;
  target_.output = task_.output;
  target_.names = task_.names;
  target_.task = &state_;
  target_.partial_aggregate = EndsInPartialAggregate(node);
  if (task_.batch_rows > 0) {
    target_.batch_rows = std::min<uint64_t>(target_.batch_rows, task_.batch_rows);
  }
  errors_.memory_limit = engine_.memory_limit;
  ARROW_ASSIGN_OR_RAISE(connection_, engine_.connections->Take(task_.settings));
  {
    TaskInterrupt::Scope scope(interrupt_, &state_, task_.inputs, connection_.get());
    SetProfiling(connection_.get(), task_.collect_metrics);
    if (node.has_statement()) {
      ARROW_RETURN_NOT_OK(RunWholeStatement(node));
    } else if (node.has_write()) {
      ARROW_RETURN_NOT_OK(RunWrite(node));
    } else {
      ARROW_RETURN_NOT_OK(RunFragment(node));
    }
    KeepOperatorMetrics();
  }
  if (reusable_) engine_.connections->Give(task_.settings, std::move(connection_));
  auto metrics = std::move(metrics_);
  metrics.set_elapsed_us(
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                std::chrono::steady_clock::now() - start)
                                .count()));
  metrics.set_cpu_us(ProcessCpuMicros() - cpu_start);
  metrics.set_input_rows(state_.input_rows);
  metrics.set_output_rows(state_.output_rows);
  metrics.set_output_bytes(state_.output_bytes);
  metrics.set_scan_rows(ScanRows(task_));
  return metrics;
}

void TaskRunner::KeepOperatorMetrics() {
  if (!task_.collect_metrics || metrics_.operators_size() > 0) return;
  AddOperatorMetrics(connection_.get(), &metrics_);
}

arrow::Status TaskRunner::CheckOutput() const {
  const auto& output = task_.output;
  if (task_.fragment == nullptr || task_.sink == nullptr) {
    return InternalStatus("a task without fragment or sink");
  }
  if (output.kind() != job::Output::HASH) {
    if (output.kind() == job::Output::UNPARTITIONED) return arrow::Status::OK();
    if (output.kind() == job::Output::RANGE && output.ordered()) {
      return arrow::Status::OK();
    }
    return InternalStatus("a task's output has no kind, or is a run without order");
  }
  if (output.partitions() < 1 || output.partitions() > 65535 || output.is_result()) {
    return InternalStatus("a task's output cannot have " +
                          std::to_string(output.partitions()) + " partitions");
  }
  for (uint32_t key : output.keys()) {
    if (key >= static_cast<uint32_t>(task_.fragment->types_size())) {
      return InternalStatus("a task's output is partitioned by a column that it lacks");
    }
  }
  return arrow::Status::OK();
}

arrow::Status TaskRunner::RunFragment(const plan::Node& node) {
  ARROW_ASSIGN_OR_RAISE(auto statement, CompileFragment(node, Sources()));
  return ExecuteIntoSink(std::move(statement));
}

FragmentSources TaskRunner::Sources() {
  FragmentSources sources;
  sources.scans = &task_.scans;
  sources.register_input = [this](const plan::Node& node) { return RegisterInput(node); };
  sources.file_columns = [this](const plan::Scan& scan,
                                const std::vector<std::string>& files)
      -> arrow::Result<std::vector<std::string>> {
    ARROW_ASSIGN_OR_RAISE(auto statement, CompileReadAll(scan, files));
    auto prepared = connection_->Prepare(std::move(statement));
    if (prepared->HasError()) return ToStatus(prepared->GetErrorObject());
    return std::vector<std::string>(prepared->GetNames().begin(),
                                    prepared->GetNames().end());
  };
  return sources;
}

uint64_t TaskRunner::Register(RegisteredInput input) {
  input.task = &state_;
  if (task_.batch_rows > 0) input.rows_at_once = task_.batch_rows;
  registered_.push_back(
      engine_.inputs->Add(std::make_shared<RegisteredInput>(std::move(input))));
  return registered_.back();
}

arrow::Result<uint64_t> TaskRunner::RegisterLocalTable(const plan::LocalTable& table) {
  RegisteredInput input;
  auto source = OpenIpcSource(table.arrow_ipc());
  if (!source.ok()) {
    return InternalStatus("the rows of the local table " + table.name() +
                          " cannot be read: " + source.status().message());
  }
  input.owned = std::move(source).ValueUnsafe();
  input.source = input.owned.get();
  input.schema = input.source->schema();
  input.exchange_layout = false;
  return Register(std::move(input));
}

arrow::Result<uint64_t> TaskRunner::RegisterInput(const plan::Node& node) {
  if (node.has_local_table()) return RegisterLocalTable(node.local_table());
  RegisteredInput input;
  const uint32_t position = node.exchange_read().input();
  if (position >= task_.inputs.size() || task_.inputs[position] == nullptr) {
    return InternalStatus("the fragment reads input " + std::to_string(position) +
                          " of " + std::to_string(task_.inputs.size()));
  }
  input.source = task_.inputs[position];
  ARROW_ASSIGN_OR_RAISE(input.types, ToLogicalTypes(node.types()));
  input.schema = input.source->schema();
  // An input to which no producer gave a row, or one whose producers cannot be reached;
  // then Next fails.
  if (input.schema == nullptr) input.schema = ExchangeSchema(input.types);
  if (!HasExchangeLayout(*input.schema, input.types)) {
    return InternalStatus(
        "input " + std::to_string(position) +
        " has other columns than the plan says: " + input.schema->ToString());
  }
  return Register(std::move(input));
}

arrow::Status TaskRunner::ToStatus(const duckdb::ErrorData& error) const {
  const bool fatal = error.HasError() && error.Type() == duckdb::ExceptionType::FATAL;
  if (fatal || (error.HasError() && error.Type() == duckdb::ExceptionType::INTERNAL)) {
    engine_.broken = true;
  }
  if (state_.cancelled) {
    return CancelledStatus("the task was cancelled", Cancelled::UNKNOWN);
  }
  const auto kept = state_.status();
  if (!kept.ok()) return kept;
  if (fatal && error.RawMessage().find("previous fatal error") != std::string::npos) {
    return arrow::Status::IOError(
        "DuckDB was restarted because another task ran into a bug: ", error.RawMessage());
  }
  return FromDuckDbError(error, errors_);
}

arrow::Result<duckdb::unique_ptr<duckdb::QueryResult>> TaskRunner::Execute(
    duckdb::unique_ptr<duckdb::SQLStatement> statement) {
  try {
    auto copy_for_errors = [&](const duckdb::SQLStatement& s) {
      try {
        return s.ToString();
      } catch (const std::exception& e) {
        return std::string("(a statement without text: ") + e.what() + ")";
      }
    };
    auto again = statement->Copy();
    auto pending = connection_->PendingQuery(std::move(statement));
    auto fail = [&](const duckdb::ErrorData& error) {
      errors_.statement = copy_for_errors(*again);
      return ToStatus(error);
    };
    if (pending->HasError()) return fail(pending->GetErrorObject());
    // A Cancel before the query began is forgotten by DuckDB. It must run even so:
    // it waits for the threads that have begun.
    if (state_.cancelled) connection_->Interrupt();
    Drive(pending.get());
    if (pending->HasError()) return fail(pending->GetErrorObject());
    auto result = pending->Execute();
    if (result->HasError()) return fail(result->GetErrorObject());
    return result;
  } catch (const std::exception& e) {
    return ToStatus(duckdb::ErrorData(e));
  }
}

arrow::Status TaskRunner::ExecuteIntoSink(
    duckdb::unique_ptr<duckdb::SQLStatement> statement) {
  auto& config = duckdb::ClientConfig::GetConfig(*connection_->context);
  config.get_result_collector = MakeOutputCollector(&target_);
  auto result = Execute(std::move(statement));
  config.get_result_collector = nullptr;
  return result.status();
}

arrow::Result<duckdb::unique_ptr<duckdb::SQLStatement>> TaskRunner::ExecuteAllButLast(
    const std::string& sql) {
  duckdb::vector<duckdb::unique_ptr<duckdb::SQLStatement>> statements;
  try {
    statements = connection_->ExtractStatements(sql);
  } catch (const std::exception& e) {
    return ToStatus(duckdb::ErrorData(e));
  }
  if (statements.empty()) {
    return UserErrorStatus(UserError::SYNTAX, "there is no statement in the text");
  }
  for (size_t i = 0; i + 1 < statements.size(); ++i) {
    ARROW_RETURN_NOT_OK(Execute(std::move(statements[i])).status());
  }
  return std::move(statements.back());
}

arrow::Status TaskRunner::ExecuteText(const std::string& sql) {
  ARROW_ASSIGN_OR_RAISE(auto last, ExecuteAllButLast(sql));
  return Execute(std::move(last)).status();
}

}  // namespace ballista::engine
