#include "ballista/engine/duckdb/input_registry.h"

#include <random>

#include "ballista/base/status.h"
#include "ballista/engine/duckdb/arrow_decode.h"
#include "ballista/engine/duckdb/compiler.h"

namespace ballista::engine {

using duckdb::ClientContext;
using duckdb::DataChunk;
using duckdb::idx_t;
using duckdb::make_uniq;

uint64_t InputRegistry::Add(std::shared_ptr<const RegisteredInput> input) {
  thread_local std::mt19937_64 random{std::random_device{}()};
  std::lock_guard lock(mutex_);
  uint64_t id = 0;
  do {
    id = random();
  } while (inputs_.count(id) > 0);
  inputs_[id] = std::move(input);
  return id;
}

void InputRegistry::Remove(uint64_t id) {
  std::lock_guard lock(mutex_);
  inputs_.erase(id);
}

std::shared_ptr<const RegisteredInput> InputRegistry::Find(uint64_t id) const {
  std::lock_guard lock(mutex_);
  auto it = inputs_.find(id);
  return it == inputs_.end() ? nullptr : it->second;
}

namespace {

struct InputBindData : public duckdb::TableFunctionData {
  std::shared_ptr<const RegisteredInput> input;
  // Only where the arrays do not have the layout of an exchange.
  duckdb::ArrowSchemaWrapper schema;
  duckdb::ArrowTableSchema table;
};

struct InputGlobalState : public duckdb::GlobalTableFunctionState {
  idx_t max_threads = 1;
  idx_t MaxThreads() const override { return max_threads; }
};

struct InputLocalState : public duckdb::LocalTableFunctionState {
  duckdb::vector<duckdb::column_t> columns;
  std::shared_ptr<arrow::RecordBatch> batch;
  int64_t position = 0;
  std::unique_ptr<duckdb::ArrowScanLocalState> import;
};

duckdb::unique_ptr<duckdb::FunctionData> BindInput(
    ClientContext& context, duckdb::TableFunctionBindInput& bind,
    duckdb::vector<duckdb::LogicalType>& types, duckdb::vector<std::string>& names) {
  auto& registry = bind.info->Cast<InputRegistry>();
  auto data = make_uniq<InputBindData>();
  data->input = registry.Find(bind.inputs[0].GetValue<uint64_t>());
  if (!data->input) {
    throw duckdb::BinderException("%s is internal: there is no such input",
                                  kInputFunction);
  }
  if (data->input->exchange_layout) {
    types = data->input->types;
  } else {
    auto status = arrow::ExportSchema(*data->input->schema, &data->schema.arrow_schema);
    if (!status.ok()) throw duckdb::InvalidInputException(status.ToString());
    duckdb::ArrowTableFunction::PopulateArrowTableSchema(context, data->table,
                                                         data->schema.arrow_schema);
    types = data->table.GetTypes();
  }
  for (size_t i = 0; i < types.size(); ++i) names.push_back("c" + std::to_string(i));
  return data;
}

duckdb::unique_ptr<duckdb::NodeStatistics> InputCardinality(
    ClientContext&, const duckdb::FunctionData* data) {
  const auto rows =
      static_cast<idx_t>(data->Cast<InputBindData>().input->source->num_rows());
  return make_uniq<duckdb::NodeStatistics>(rows, rows);
}

duckdb::unique_ptr<duckdb::GlobalTableFunctionState> InitGlobal(
    ClientContext&, duckdb::TableFunctionInitInput& init) {
  auto state = make_uniq<InputGlobalState>();
  const auto& input = *init.bind_data->Cast<InputBindData>().input;
  if (input.opened->exchange(true)) {
    input.task->FailAndThrow(InternalStatus("an input of the fragment is read twice"));
  }
  state->max_threads = static_cast<idx_t>(std::max(1, input.source->max_concurrency()));
  return state;
}

duckdb::unique_ptr<duckdb::LocalTableFunctionState> InitLocal(
    duckdb::ExecutionContext& context, duckdb::TableFunctionInitInput& init,
    duckdb::GlobalTableFunctionState*) {
  auto state = make_uniq<InputLocalState>();
  state->columns = init.column_ids;
  if (!init.bind_data->Cast<InputBindData>().input->exchange_layout) {
    state->import = std::make_unique<duckdb::ArrowScanLocalState>(
        make_uniq<duckdb::ArrowArrayWrapper>(), context.client);
    state->import->column_ids = init.column_ids;
  }
  return state;
}

// The next batch with rows; false when there is none left.
bool NextBatch(const RegisteredInput& input, InputLocalState* state) {
  do {
    auto next = input.source->Next();
    if (!next.ok()) input.task->FailAndThrow(next.status());
    state->batch = std::move(next).ValueUnsafe();
    if (!state->batch) return false;
  } while (state->batch->num_rows() == 0);
  state->position = 0;
  input.task->input_rows += static_cast<uint64_t>(state->batch->num_rows());
  if (state->import) {
    auto array = duckdb::make_shared_ptr<duckdb::ArrowArrayWrapper>();
    auto status = arrow::ExportRecordBatch(*state->batch, &array->arrow_array);
    if (!status.ok()) input.task->FailAndThrow(status);
    state->import->Reset();
    state->import->chunk = std::move(array);
  }
  return true;
}

void DecodeColumns(const InputLocalState& state, int64_t count, DataChunk* output) {
  for (size_t i = 0; i < state.columns.size(); ++i) {
    auto& vector = output->data[i];
    if (state.columns[i] >= static_cast<idx_t>(state.batch->num_columns())) {
      // A virtual column that counts rows only.
      vector.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
      duckdb::ConstantVector::SetNull(vector, true);
      continue;
    }
    const auto& array = *state.batch->column_data(static_cast<int>(state.columns[i]));
    DecodeVector(state.batch, array, state.position, count, &vector);
  }
}

void ReadInput(ClientContext&, duckdb::TableFunctionInput& call, DataChunk& output) {
  const auto& data = call.bind_data->Cast<InputBindData>();
  auto& state = call.local_state->Cast<InputLocalState>();
  data.input->task->ThrowIfCancelled();
  if (!state.batch || state.position >= state.batch->num_rows()) {
    if (!NextBatch(*data.input, &state)) return;
  }
  const int64_t count = std::min<int64_t>({STANDARD_VECTOR_SIZE, data.input->rows_at_once,
                                           state.batch->num_rows() - state.position});
  output.SetCardinality(static_cast<idx_t>(count));
  if (state.import) {
    state.import->chunk_offset = static_cast<idx_t>(state.position);
    duckdb::ArrowTableFunction::ArrowToDuckDB(*state.import, data.table.GetColumns(),
                                              output, false);
  } else {
    DecodeColumns(state, count, &output);
  }
  state.position += count;
}

// Batches that are in memory already.
class BatchSource : public shuffle::ExchangeSource {
 public:
  BatchSource(std::shared_ptr<arrow::Schema> schema, arrow::RecordBatchVector batches)
      : schema_(std::move(schema)), batches_(std::move(batches)) {
    for (const auto& batch : batches_) num_rows_ += batch->num_rows();
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  int64_t num_rows() const override { return num_rows_; }
  int max_concurrency() const override {
    return std::max<int>(1, static_cast<int>(batches_.size()));
  }
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    const size_t i = next_++;
    return i < batches_.size() ? batches_[i] : nullptr;
  }
  void Cancel() override { next_ = batches_.size(); }

 private:
  const std::shared_ptr<arrow::Schema> schema_;
  const arrow::RecordBatchVector batches_;
  int64_t num_rows_ = 0;
  std::atomic<size_t> next_{0};
};

}  // namespace

void RegisterInputFunction(duckdb::DuckDB* database,
                           duckdb::shared_ptr<InputRegistry> registry) {
  duckdb::TableFunction function(kInputFunction, {duckdb::LogicalType::UBIGINT},
                                 ReadInput, BindInput, InitGlobal, InitLocal);
  function.cardinality = InputCardinality;
  function.projection_pushdown = true;
  function.function_info = std::move(registry);
  duckdb::Connection connection(*database);
  connection.context->RunFunctionInTransaction([&] {
    duckdb::CreateTableFunctionInfo info(function);
    auto& catalog = duckdb::Catalog::GetSystemCatalog(*connection.context);
    catalog.CreateTableFunction(*connection.context, info);
  });
}

arrow::Result<std::shared_ptr<shuffle::ExchangeSource>> OpenIpcSource(
    const std::string& bytes) {
  auto stream =
      std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(bytes));
  ARROW_ASSIGN_OR_RAISE(auto reader, arrow::ipc::RecordBatchStreamReader::Open(stream));
  ARROW_ASSIGN_OR_RAISE(auto batches, reader->ToRecordBatches());
  return std::make_shared<BatchSource>(reader->schema(), std::move(batches));
}

}  // namespace ballista::engine
