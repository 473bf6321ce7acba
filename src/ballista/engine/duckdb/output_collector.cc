#include "ballista/engine/duckdb/output_collector.h"

#include "ballista/base/status.h"
#include "ballista/engine/duckdb/arrow_encode.h"
#include "ballista/engine/duckdb/batch_partitioner.h"
#include "ballista/engine/duckdb/streaming_aggregate.h"
#include "ballista/engine/duckdb/types.h"

namespace ballista::engine {
namespace {

using duckdb::ClientContext;
using duckdb::DataChunk;
using duckdb::ExecutionContext;
using duckdb::make_uniq;

uint64_t BufferBytes(const arrow::ArrayData& data) {
  uint64_t bytes = 0;
  for (const auto& buffer : data.buffers) {
    if (buffer) bytes += static_cast<uint64_t>(buffer->size());
  }
  for (const auto& child : data.child_data) bytes += BufferBytes(*child);
  if (data.dictionary) bytes += BufferBytes(*data.dictionary);
  return bytes;
}

arrow::Status WriteBatch(const OutputTarget& target, shuffle::PartitionedBatch batch) {
  target.task->output_rows += static_cast<uint64_t>(batch.batch->num_rows());
  for (const auto& column : batch.batch->column_data()) {
    target.task->output_bytes += BufferBytes(*column);
  }
  return target.sink->Write(std::move(batch));
}

void Check(const OutputTarget& target, const arrow::Status& status) {
  if (!status.ok()) target.task->FailAndThrow(status);
}

// One thread's rows on their way to the sink.
class RowWriter {
 public:
  virtual ~RowWriter() = default;
  virtual arrow::Status Append(DataChunk& chunk) = 0;
  virtual arrow::Status Flush() = 0;
};

class ExchangeWriter : public RowWriter {
 public:
  explicit ExchangeWriter(const OutputTarget& target)
      : partitioner_(target.types, Options(target),
                     [&target](shuffle::PartitionedBatch batch) {
                       return WriteBatch(target, std::move(batch));
                     }) {}

  arrow::Status Append(DataChunk& chunk) override { return partitioner_.Append(chunk); }
  arrow::Status Flush() override { return partitioner_.Flush(); }

 private:
  static PartitionerOptions Options(const OutputTarget& target) {
    const job::Output& output = target.output;
    PartitionerOptions options;
    options.batch_rows = target.batch_rows;
    if (output.kind() == job::Output::HASH) {
      options.keys.assign(output.keys().begin(), output.keys().end());
      options.num_partitions = output.partitions();
    }
    return options;
  }

  BatchPartitioner partitioner_;
};

duckdb::vector<duckdb::LogicalType> ResultTypes(const OutputTarget& target) {
  duckdb::vector<duckdb::LogicalType> types;
  for (const auto& type : target.types) types.push_back(ResultType(type));
  return types;
}

// A result has DuckDB's own Arrow form.
class ResultWriter : public RowWriter {
 public:
  ResultWriter(const OutputTarget& target, ClientContext& context,
               std::shared_ptr<arrow::Schema> schema)
      : target_(target),
        context_(context),
        types_(ResultTypes(target)),
        properties_(context.GetClientProperties()),
        extensions_(duckdb::ArrowTypeExtensionData::GetExtensionTypes(context, types_)),
        schema_(std::move(schema)) {}

  arrow::Status Append(DataChunk& chunk) override {
    DataChunk rows;
    Convert(chunk, &rows);
    for (auto& column : rows.data) bytes_ += StringBytes(column, rows.size());
    for (uint64_t first = 0; first < rows.size();) {
      if (!appender_) {
        appender_ = std::make_unique<duckdb::ArrowAppender>(types_, rows.size(),
                                                            properties_, extensions_);
      }
      const uint64_t last =
          std::min(rows.size(), first + target_.batch_rows - appender_->RowCount());
      appender_->Append(rows, first, last, rows.size());
      first = last;
      if (appender_->RowCount() >= target_.batch_rows || bytes_ >= kBatchBytes) {
        ARROW_RETURN_NOT_OK(Flush());
      }
    }
    return arrow::Status::OK();
  }

  arrow::Status Flush() override {
    if (!appender_) return arrow::Status::OK();
    ArrowArray array = appender_->Finalize();
    appender_.reset();
    bytes_ = 0;
    ARROW_ASSIGN_OR_RAISE(auto batch, arrow::ImportRecordBatch(&array, schema_));
    shuffle::PartitionedBatch result;
    result.offsets = {0, static_cast<uint32_t>(batch->num_rows())};
    result.batch = std::move(batch);
    return WriteBatch(target_, std::move(result));
  }

 private:
  static constexpr uint64_t kBatchBytes = 16 << 20;

  // The chunk's columns in the types of the result.
  void Convert(DataChunk& chunk, DataChunk* rows) {
    rows->InitializeEmpty(types_);
    for (size_t i = 0; i < types_.size(); ++i) {
      auto& column = chunk.data[i];
      if (types_[i].id() == duckdb::LogicalTypeId::SQLNULL) {
        rows->data[i].Reference(duckdb::Value());
      } else if (column.GetType() == types_[i]) {
        rows->data[i].Reference(column);
      } else if (column.GetType().id() == types_[i].id() && IsString(types_[i])) {
        rows->data[i].Reinterpret(column);  // JSON is VARCHAR with a name
      } else {
        duckdb::Vector converted(types_[i], chunk.size());
        duckdb::VectorOperations::Cast(context_, column, converted, chunk.size());
        rows->data[i].Reference(converted);
      }
    }
    rows->SetCardinality(chunk.size());
  }

  const OutputTarget& target_;
  ClientContext& context_;
  const duckdb::vector<duckdb::LogicalType> types_;
  const duckdb::ClientProperties properties_;
  const std::unordered_map<duckdb::idx_t,
                           const duckdb::shared_ptr<duckdb::ArrowTypeExtensionData>>
      extensions_;
  const std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<duckdb::ArrowAppender> appender_;
  uint64_t bytes_ = 0;
};

struct CollectorGlobalState : public duckdb::GlobalSinkState {
  // Owns this state, by way of its active query: an owning pointer back would be a cycle.
  ClientContext* context = nullptr;
  std::shared_ptr<arrow::Schema> schema;
};

struct CollectorLocalState : public duckdb::LocalSinkState {
  std::unique_ptr<RowWriter> writer;
};

class OutputCollector : public duckdb::PhysicalResultCollector {
 public:
  OutputCollector(duckdb::PhysicalPlan& plan, duckdb::PreparedStatementData& data,
                  const OutputTarget& target)
      : PhysicalResultCollector(plan, data), target_(target) {}

  bool ParallelSink() const override { return !target_.output.ordered(); }
  bool SinkOrderDependent() const override { return target_.output.ordered(); }

  duckdb::unique_ptr<duckdb::GlobalSinkState> GetGlobalSinkState(
      ClientContext& context) const override {
    auto state = make_uniq<CollectorGlobalState>();
    state->context = &context;
    if (target_.output.is_result()) {
      auto schema = ResultSchema(ResultTypes(target_), target_.names,
                                 context.GetClientProperties());
      Check(target_, schema.status());
      state->schema = std::move(schema).ValueUnsafe();
    } else {
      state->schema = ExchangeSchema(target_.types);
    }
    Check(target_, target_.sink->SetSchema(state->schema));
    return state;
  }

  duckdb::unique_ptr<duckdb::LocalSinkState> GetLocalSinkState(
      ExecutionContext& context) const override {
    auto state = make_uniq<CollectorLocalState>();
    if (target_.output.is_result()) {
      state->writer = std::make_unique<ResultWriter>(
          target_, context.client, sink_state->Cast<CollectorGlobalState>().schema);
    } else {
      state->writer = std::make_unique<ExchangeWriter>(target_);
    }
    return state;
  }

  duckdb::SinkResultType Sink(ExecutionContext&, DataChunk& chunk,
                              duckdb::OperatorSinkInput& input) const override {
    target_.task->ThrowIfCancelled();
    Check(target_, input.local_state.Cast<CollectorLocalState>().writer->Append(chunk));
    return duckdb::SinkResultType::NEED_MORE_INPUT;
  }

  duckdb::SinkCombineResultType Combine(
      ExecutionContext&, duckdb::OperatorSinkCombineInput& input) const override {
    Check(target_, input.local_state.Cast<CollectorLocalState>().writer->Flush());
    return duckdb::SinkCombineResultType::FINISHED;
  }

  duckdb::unique_ptr<duckdb::QueryResult> GetResult(
      duckdb::GlobalSinkState& state) const override {
    auto& context = *state.Cast<CollectorGlobalState>().context;
    return make_uniq<duckdb::MaterializedQueryResult>(statement_type, properties, names,
                                                      CreateCollection(context),
                                                      context.GetClientProperties());
  }

 private:
  const OutputTarget& target_;
};

void CheckTypes(const OutputTarget& target,
                const duckdb::vector<duckdb::LogicalType>& types) {
  if (types.size() != target.types.size()) {
    target.task->FailAndThrow(InternalStatus(
        "the fragment gives " + std::to_string(types.size()) +
        " columns in place of the plan's " + std::to_string(target.types.size())));
  }
  for (size_t i = 0; i < types.size(); ++i) {
    // DuckDB gives an untyped NULL the type INTEGER when it leaves a query.
    if (target.types[i].id() == duckdb::LogicalTypeId::SQLNULL) continue;
    if (SameLayout(types[i], target.types[i])) continue;
    target.task->FailAndThrow(InternalStatus(
        "column " + std::to_string(i) + " of the fragment is " + types[i].ToString() +
        " in place of the plan's " + target.types[i].ToString()));
  }
}

}  // namespace

duckdb::get_result_collector_t MakeOutputCollector(const OutputTarget* target) {
  return [target](ClientContext&, duckdb::PreparedStatementData& data)
             -> duckdb::unique_ptr<duckdb::PhysicalOperator> {
    CheckTypes(*target, data.types);
    if (target->partial_aggregate) StreamPartialAggregate(data.physical_plan.get());
    return make_uniq<OutputCollector>(*data.physical_plan, data, *target);
  };
}

}  // namespace ballista::engine
