// Translated plans against DuckDB: each statement is compiled, its plan is run whole by
// the execution engine, and the rows must be those that DuckDB gives for the text.
//
//   BALLISTA_SQL_SETUP=setup.sql BALLISTA_SQL_FILE=statements.sql sql_test
//       --gtest_filter=Oracle.File       does so for the statements of a file
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include "ballista/engine/duckdb/duckdb_engine.h"
#include "ballista/sql/result_conversion.h"
#include "ballista/sql/sql_test_internal.h"

namespace ballista::sql {
namespace {

class CollectingSink : public shuffle::OutputSink {
 public:
  arrow::Status SetSchema(std::shared_ptr<arrow::Schema> schema) override {
    std::lock_guard lock(mutex_);
    schema_ = std::move(schema);
    return arrow::Status::OK();
  }
  arrow::Status Write(shuffle::PartitionedBatch batch) override {
    std::lock_guard lock(mutex_);
    batches_.push_back(std::move(batch.batch));
    return arrow::Status::OK();
  }
  arrow::Result<std::shared_ptr<arrow::Table>> Table() const {
    return arrow::Table::FromRecordBatches(schema_, batches_);
  }

 private:
  std::mutex mutex_;
  std::shared_ptr<arrow::Schema> schema_;
  arrow::RecordBatchVector batches_;
};

// Doubles to 6 digits: sums in another order differ behind them.
std::string Cell(const arrow::ChunkedArray& column, int64_t row) {
  const auto scalar = column.GetScalar(row).ValueOrDie();
  if (!scalar->is_valid) return "NULL";
  double number;
  if (scalar->type->id() == arrow::Type::DOUBLE) {
    number = static_cast<const arrow::DoubleScalar&>(*scalar).value;
  } else if (scalar->type->id() == arrow::Type::FLOAT) {
    number = static_cast<const arrow::FloatScalar&>(*scalar).value;
  } else {
    return scalar->ToString();
  }
  char text[64];
  std::snprintf(text, sizeof(text), "%.6g", number == 0 ? 0.0 : number);
  return text;
}

std::vector<std::string> RowsOf(const arrow::Table& table, bool ordered) {
  std::vector<std::string> rows;
  for (int64_t r = 0; r < table.num_rows(); ++r) {
    std::string row;
    for (const auto& column : table.columns()) row += Cell(*column, r) + "|";
    rows.push_back(std::move(row));
  }
  if (!ordered) std::sort(rows.begin(), rows.end());
  return rows;
}

class Oracle : public SqlTest {
 protected:
  static engine::DuckDbEngine& Engine() {
    static auto instance = [] {
      engine::DuckDbEngineOptions options;
      options.threads = 2;
      options.memory_limit = 2ULL << 30;
      return engine::DuckDbEngine::Make(options).ValueOrDie();
    }();
    return *instance;
  }

  static arrow::Result<std::shared_ptr<arrow::Table>> Run(plan::Plan plan) {
    CollectingSink sink;
    engine::FragmentTask task;
    std::vector<job::ScanSplits> scans;
    plan::VisitNodes(plan.mutable_root(), [&](plan::Node* node) {
      if (!node->has_scan()) return;
      node->mutable_scan()->set_scan_index(scans.size());
      scans.emplace_back();
      for (const auto& file : node->scan().files()) {
        *scans.back().add_splits() = file;
        scans.back().mutable_splits()->rbegin()->clear_row_group_ends();
      }
    });
    task.fragment = &plan.root();
    task.settings.assign(plan.settings().begin(), plan.settings().end());
    task.scans = std::move(scans);
    task.names.assign(plan.names().begin(), plan.names().end());
    task.output.set_kind(job::Output::UNPARTITIONED);
    task.output.set_is_result(true);
    task.output.set_ordered(true);
    task.sink = &sink;
    ARROW_RETURN_NOT_OK(Engine().Run(task, Engine().MakeInterrupt()).status());
    return sink.Table();
  }

  // What a client would get.
  arrow::Result<std::shared_ptr<arrow::Table>> Execute(const std::string& sql,
                                                       bool* whole = nullptr) {
    ARROW_ASSIGN_OR_RAISE(auto statement, session_->Compile(sql));
    if (statement.kind == Statement::Kind::kRows) return statement.rows;
    if (whole) *whole = Count(statement.plan, plan::Node::kStatement) > 0;
    ARROW_ASSIGN_OR_RAISE(auto table, Run(statement.plan));
    if (statement.kind == Statement::Kind::kInsertRows) return statement.consume(table);
    return table;
  }

  std::shared_ptr<arrow::Table> Reference(const std::string& sql) {
    const auto result = writer_.Query(sql);
    if (result->HasError()) return nullptr;
    auto table = ToArrowTable(*writer_.context, *result);
    EXPECT_TRUE(table.ok()) << table.status().ToString();
    return table.ok() ? *table : nullptr;
  }

  // Runs a statement of the setup in both.
  void Both(const std::string& sql) {
    Make(sql);
    const auto done = Execute(sql);
    ASSERT_TRUE(done.ok()) << sql << "\n" << done.status().ToString();
  }

  // Empty: the same rows. ORDER BY at the end is respected.
  std::string Difference(const std::string& sql, bool ordered) {
    const auto wanted = Reference(sql);
    if (!wanted) return "";
    bool whole = false;
    const auto got = Execute(sql, &whole);
    if (whole) ++whole_;
    ++checked_;
    if (!got.ok()) return got.status().ToString();
    if (!(*got)->schema()->Equals(*wanted->schema())) {
      return "schema " + (*got)->schema()->ToString() + "\n  wanted " +
             wanted->schema()->ToString();
    }
    const auto got_rows = RowsOf(**got, ordered);
    const auto wanted_rows = RowsOf(*wanted, ordered);
    if (got_rows == wanted_rows) return "";
    std::string text = std::to_string(got_rows.size()) + " rows, wanted " +
                       std::to_string(wanted_rows.size());
    for (size_t i = 0; i < got_rows.size() && i < wanted_rows.size(); ++i) {
      if (got_rows[i] == wanted_rows[i]) continue;
      return text + "; row " + std::to_string(i) + "\n  got    " + got_rows[i] +
             "\n  wanted " + wanted_rows[i];
    }
    return text;
  }

  void Check(const std::string& sql, bool ordered = false) {
    EXPECT_EQ(Difference(sql, ordered), "") << sql;
  }

  int checked_ = 0;
  int whole_ = 0;
};

std::string ReadFile(const char* path) {
  std::ifstream file(path ? path : "");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_F(Oracle, File) {
  if (!std::getenv("BALLISTA_SQL_FILE")) GTEST_SKIP() << "BALLISTA_SQL_FILE is not set";
  const auto setup = ReadFile(std::getenv("BALLISTA_SQL_SETUP"));
  for (const auto& sql : engine_->SplitStatements(setup).ValueOrDie()) {
    if (sql.rfind("copy", 0) == 0) {
      Make(sql);
    } else {
      Both(sql);
    }
  }
  const auto text = ReadFile(std::getenv("BALLISTA_SQL_FILE"));
  for (const auto& sql : engine_->SplitStatements(text).ValueOrDie()) {
    const auto difference = Difference(sql, false);
    if (!difference.empty()) {
      std::cout << "DIFFERS " << sql.substr(0, 400) << "\n  " << difference << "\n";
    }
  }
  std::cout << checked_ << " statements, " << whole_ << " of them whole\n";
}

}  // namespace
}  // namespace ballista::sql
