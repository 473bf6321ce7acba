// What the engine's tests share: fragments by hand, sinks and sources in memory.
#pragma once

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ballista/base/status.h"
#include "ballista/engine/duckdb/duckdb_engine.h"
#include "ballista/plan/plan.h"

namespace ballista::engine::testing {

using plan::CastTo;
using plan::ColumnRef;
using plan::MakeType;
using plan::Node;
using plan::Type;

class MemorySink : public shuffle::OutputSink {
 public:
  arrow::Status SetSchema(std::shared_ptr<arrow::Schema> schema) override {
    std::lock_guard lock(mutex_);
    schema_ = std::move(schema);
    return arrow::Status::OK();
  }
  arrow::Status Write(shuffle::PartitionedBatch batch) override {
    if (!fail_with_.ok()) return fail_with_;
    std::lock_guard lock(mutex_);
    EXPECT_NE(schema_, nullptr);
    EXPECT_TRUE(batch.batch->schema()->Equals(*schema_));
    // HUGEINT takes all of decimal128's bits, which a full validation refuses.
    const auto& fields = schema_->fields();
    const bool huge = std::any_of(fields.begin(), fields.end(), [](const auto& field) {
      return field->type()->ToString().find("decimal128(38, 0)") != std::string::npos;
    });
    EXPECT_OK(huge ? batch.batch->Validate() : batch.batch->ValidateFull());
    batches_.push_back(std::move(batch));
    return arrow::Status::OK();
  }
  static void EXPECT_OK(const arrow::Status& status) {
    EXPECT_TRUE(status.ok()) << status.ToString();
  }

  arrow::RecordBatchVector batches() const {
    arrow::RecordBatchVector result;
    for (const auto& batch : batches_) result.push_back(batch.batch);
    return result;
  }

  std::shared_ptr<arrow::Schema> schema_;
  std::vector<shuffle::PartitionedBatch> batches_;
  arrow::Status fail_with_;

 private:
  std::mutex mutex_;
};

class MemorySource : public shuffle::ExchangeSource {
 public:
  MemorySource(std::shared_ptr<arrow::Schema> schema, arrow::RecordBatchVector batches)
      : schema_(std::move(schema)), batches_(std::move(batches)) {}
  explicit MemorySource(const MemorySink& sink)
      : MemorySource(sink.schema_, sink.batches()) {}

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  int64_t num_rows() const override {
    int64_t rows = 0;
    for (const auto& batch : batches_) rows += batch->num_rows();
    return rows;
  }
  int max_concurrency() const override { return 4; }
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    if (!fail_with_.ok()) return fail_with_;
    const size_t i = next_++;
    return i < batches_.size() ? batches_[i] : nullptr;
  }
  void Cancel() override { next_ = batches_.size(); }

  arrow::Status fail_with_;

 private:
  std::shared_ptr<arrow::Schema> schema_;
  arrow::RecordBatchVector batches_;
  std::atomic<size_t> next_{0};
};

inline const Type kBigint = MakeType(Type::BIGINT);
inline const Type kInteger = MakeType(Type::INTEGER);
inline const Type kVarchar = MakeType(Type::VARCHAR);
inline const Type kBoolean = MakeType(Type::BOOLEAN);
inline const Type kDouble = MakeType(Type::DOUBLE);

inline plan::Expression Int(int64_t v) {
  return plan::BigintLiteral(v);
}

inline plan::Expression Text(const std::string& v) {
  plan::Expression e;
  *e.mutable_type() = kVarchar;
  *e.mutable_literal()->mutable_type() = kVarchar;
  e.mutable_literal()->set_varchar(v);
  return e;
}

inline plan::Expression Null(const Type& type) {
  plan::Expression e;
  *e.mutable_type() = type;
  *e.mutable_literal()->mutable_type() = type;
  return e;
}

inline plan::Expression Compare(plan::Comparison::Op op, plan::Expression left,
                                plan::Expression right) {
  plan::Expression e;
  *e.mutable_type() = kBoolean;
  e.mutable_comparison()->set_op(op);
  *e.add_args() = std::move(left);
  *e.add_args() = std::move(right);
  return e;
}

inline plan::Expression AggregateOf(const std::string& name, const Type& type,
                                    std::vector<plan::Expression> args) {
  plan::Expression e;
  *e.mutable_type() = type;
  e.mutable_aggregate()->set_name(name);
  for (auto& arg : args) *e.add_args() = std::move(arg);
  return e;
}

// Rows of literals, each column with the type of its first row's cell.
inline Node ValuesNode(const std::vector<std::vector<plan::Expression>>& rows) {
  Node node;
  for (const auto& cell : rows[0]) *node.add_types() = cell.type();
  for (const auto& row : rows) {
    auto* cells = node.mutable_values()->add_rows();
    for (const auto& cell : row) *cells->add_cells() = cell;
  }
  return node;
}

inline Node ProjectNode(Node input, std::vector<plan::Expression> expressions) {
  Node node;
  for (auto& e : expressions) {
    *node.add_types() = e.type();
    *node.mutable_project()->add_expressions() = std::move(e);
  }
  *node.add_inputs() = std::move(input);
  return node;
}

inline Node FilterNode(Node input, plan::Expression predicate) {
  Node node = plan::WithInput(std::move(input));
  *node.mutable_filter()->add_predicates() = std::move(predicate);
  return node;
}

// The table function range(n): one BIGINT column 0 .. n - 1.
inline Node RangeNode(int64_t n) {
  Node node;
  *node.add_types() = kBigint;
  auto* function = node.mutable_table_function();
  function->set_name("range");
  *function->add_args() = Int(n).literal();
  function->add_columns(0);
  function->set_function_columns(1);
  return node;
}

inline Node ExchangeNode(const google::protobuf::RepeatedPtrField<Type>& types) {
  Node node;
  *node.mutable_types() = types;
  node.mutable_exchange_read()->set_input(0);
  return node;
}

// Each row as text, columns split by '|', sorted unless `keep_order`.
inline std::vector<std::string> Rows(const MemorySink& sink, bool keep_order = false) {
  std::vector<std::string> rows;
  for (const auto& batch : sink.batches()) {
    for (int64_t r = 0; r < batch->num_rows(); ++r) {
      std::string row;
      for (int c = 0; c < batch->num_columns(); ++c) {
        if (c > 0) row += '|';
        row += (*batch->column(c)->GetScalar(r))->ToString();
      }
      rows.push_back(row);
    }
  }
  if (!keep_order) std::sort(rows.begin(), rows.end());
  return rows;
}

class EngineTest : public ::testing::Test {
 protected:
  // DuckDB must not be destroyed by the program's exit: its threads' own data is gone by
  // then.
  static void SetUpTestSuite() {
    DuckDbEngineOptions options;
    options.threads = 4;
    options.memory_limit = 2ULL << 30;
    auto made = DuckDbEngine::Make(options);
    ASSERT_TRUE(made.ok()) << made.status().ToString();
    engine_ = std::move(made).ValueOrDie();
  }
  static void TearDownTestSuite() { engine_.reset(); }

  static DuckDbEngine& engine() { return *engine_; }

  static FragmentTask ResultTask(const Node& fragment, MemorySink* sink) {
    FragmentTask task;
    task.fragment = &fragment;
    task.sink = sink;
    task.output.set_kind(job::Output::UNPARTITIONED);
    task.output.set_is_result(true);
    task.task_name = "job-0-0-0";
    return task;
  }

  static FragmentTask HashTask(const Node& fragment, MemorySink* sink,
                               std::vector<uint32_t> keys, uint32_t partitions) {
    FragmentTask task = ResultTask(fragment, sink);
    task.output.set_is_result(false);
    task.output.set_kind(job::Output::HASH);
    for (uint32_t key : keys) task.output.add_keys(key);
    task.output.set_partitions(partitions);
    return task;
  }

  static arrow::Result<job::TaskMetrics> Run(const FragmentTask& task) {
    return engine().Run(task, engine().MakeInterrupt());
  }

  // The rows of a fragment without inputs.
  static std::vector<std::string> RowsOf(const Node& fragment, bool keep_order = false,
                                         std::vector<job::ScanSplits> scans = {}) {
    MemorySink sink;
    FragmentTask task = ResultTask(fragment, &sink);
    task.output.set_ordered(keep_order);
    task.scans = std::move(scans);
    auto metrics = Run(task);
    EXPECT_TRUE(metrics.ok()) << metrics.status().ToString();
    return Rows(sink, keep_order);
  }

 private:
  static inline std::unique_ptr<DuckDbEngine> engine_;
};

}  // namespace ballista::engine::testing
