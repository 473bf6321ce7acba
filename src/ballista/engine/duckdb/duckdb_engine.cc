#include "ballista/engine/duckdb/duckdb_engine.h"

#include "ballista/base/status.h"
#include "ballista/engine/duckdb/join_filters.h"
#include "ballista/engine/duckdb/task_runner.h"
#include "ballista/sandbox/confine.h"
#include "ballista/sandbox/upload_files.h"

namespace ballista::engine {
namespace {

// The compiler wraps calls in casts, so that an expression is up to twice as deep as the
// statement that the scheduler accepted with DuckDB's own limit of 1000.
constexpr uint64_t kMaxExpressionDepth = 2500;

arrow::Status SetOption(duckdb::DBConfig* config, const std::string& name,
                        duckdb::Value value) {
  try {
    config->SetOptionByName(name, value);
    return arrow::Status::OK();
  } catch (const std::exception& e) {
    return arrow::Status::Invalid("DuckDB refuses ", name, " = ", value.ToString(), ": ",
                                  duckdb::ErrorData(e).RawMessage());
  }
}

arrow::Status FillConfig(const DuckDbEngineOptions& options, duckdb::DBConfig* config) {
  using duckdb::Value;
  ARROW_RETURN_NOT_OK(
      SetOption(config, "preserve_insertion_order", Value::BOOLEAN(false)));
  // An exchange gives its rows once; the first two rules make two scans of one. What is
  // computed once, the plan says itself: planning has looked for it.
  ARROW_RETURN_NOT_OK(
      SetOption(config, "disabled_optimizers",
                Value("window_self_join,late_materialization,common_subplan")));
  ARROW_RETURN_NOT_OK(
      SetOption(config, "autoinstall_known_extensions", Value::BOOLEAN(false)));
  ARROW_RETURN_NOT_OK(
      SetOption(config, "autoload_known_extensions", Value::BOOLEAN(false)));
  ARROW_RETURN_NOT_OK(SetOption(config, "allow_unsigned_extensions",
                                Value::BOOLEAN(!options.extensions.empty())));
  ARROW_RETURN_NOT_OK(SetOption(config, "temp_directory", Value(options.temp_directory)));
  if (options.threads > 0) {
    ARROW_RETURN_NOT_OK(SetOption(config, "threads", Value::BIGINT(options.threads)));
  }
  if (options.memory_limit > 0) {
    ARROW_RETURN_NOT_OK(SetOption(config, "memory_limit",
                                  Value(std::to_string(options.memory_limit) + "B")));
  }
  if (options.max_temp_bytes > 0) {
    ARROW_RETURN_NOT_OK(SetOption(config, "max_temp_directory_size",
                                  Value(std::to_string(options.max_temp_bytes) + "B")));
  }
  return arrow::Status::OK();
}

arrow::Status RunText(duckdb::Connection* connection, const std::string& sql) {
  auto result = connection->Query(sql);
  if (!result->HasError()) return arrow::Status::OK();
  return arrow::Status::IOError(result->GetErrorObject().RawMessage());
}

// Its source can be put in later, and taken away.
class LateReader : public UploadReader {
 public:
  void ReadFrom(std::shared_ptr<UploadReader> source) {
    const std::lock_guard lock(mutex_);
    source_ = std::move(source);
  }
  arrow::Result<File> Stat(const std::string& path) override {
    ARROW_ASSIGN_OR_RAISE(const auto source, Source());
    return source->Stat(path);
  }
  arrow::Result<std::string> Read(const std::string& path, int64_t offset,
                                  int64_t length) override {
    ARROW_ASSIGN_OR_RAISE(const auto source, Source());
    return source->Read(path, offset, length);
  }

 private:
  arrow::Result<std::shared_ptr<UploadReader>> Source() {
    const std::lock_guard lock(mutex_);
    if (source_ != nullptr) return source_;
    return arrow::Status::IOError("this process cannot read uploaded tables");
  }

  std::mutex mutex_;
  std::shared_ptr<UploadReader> source_;
};

arrow::Result<std::shared_ptr<EngineState>> MakeState(
    const DuckDbEngineOptions& options, const std::shared_ptr<LateReader>& uploads) {
  try {
    duckdb::DBConfig config;
    ARROW_RETURN_NOT_OK(FillConfig(options, &config));
    sandbox::Confine(options.guard, options.temp_directory, &config);
    sandbox::ServeUploads(uploads, &config);
    RegisterJoinFilterRule(&config);
    auto state = std::make_shared<EngineState>();
    state->guard = options.guard;
    state->database = std::make_unique<duckdb::DuckDB>(nullptr, &config);
    state->inputs = duckdb::make_shared_ptr<InputRegistry>();
    state->connections = std::make_unique<ConnectionPool>(state->database.get());
    state->memory_limit = options.memory_limit;
    RegisterInputFunction(state->database.get(), state->inputs);
    duckdb::Connection connection(*state->database);
    ARROW_RETURN_NOT_OK(RunText(&connection, "SET GLOBAL max_expression_depth = " +
                                                 std::to_string(kMaxExpressionDepth)));
    ARROW_RETURN_NOT_OK(RunText(&connection, "SET GLOBAL TimeZone = 'UTC'"));
    // The footers of files are read once for all tasks; DuckDB checks that they are
    // fresh.
    ARROW_RETURN_NOT_OK(RunText(&connection, "SET GLOBAL parquet_metadata_cache = true"));
    for (const auto& extension : options.extensions) {
      ARROW_RETURN_NOT_OK(
          RunText(&connection,
                  "LOAD '" + duckdb::StringUtil::Replace(extension, "'", "''") + "'"));
    }
    return state;
  } catch (const std::exception& e) {
    return arrow::Status::Invalid("DuckDB cannot be started: ",
                                  duckdb::ErrorData(e).RawMessage());
  }
}

class Engine : public DuckDbEngine, public EngineResources {
 public:
  Engine(DuckDbEngineOptions options, std::shared_ptr<LateReader> uploads,
         std::shared_ptr<EngineState> state)
      : options_(std::move(options)),
        uploads_(std::move(uploads)),
        state_(std::move(state)) {}

  std::shared_ptr<Interrupt> MakeInterrupt() override {
    return std::make_shared<TaskInterrupt>();
  }

  arrow::Result<job::TaskMetrics> Run(
      const FragmentTask& task, const std::shared_ptr<Interrupt>& interrupt) override {
    ARROW_ASSIGN_OR_RAISE(auto state, State());
    try {
      TaskRunner runner(state.get(), task, static_cast<TaskInterrupt*>(interrupt.get()));
      return runner.Run();
    } catch (const std::exception& e) {
      return InternalStatus(std::string("the engine failed: ") +
                            duckdb::ErrorData(e).Message());
    }
  }

  EngineResources* resources() override { return this; }

  void ReadUploadsFrom(std::shared_ptr<UploadReader> reader) override {
    uploads_->ReadFrom(std::move(reader));
  }

  EngineUsage Usage() override {
    auto& buffers = Buffers(*Current());
    EngineUsage usage;
    usage.memory_bytes = static_cast<int64_t>(buffers.GetUsedMemory());
    usage.memory_limit = static_cast<int64_t>(buffers.GetMaxMemory());
    usage.spilled_bytes = static_cast<int64_t>(buffers.GetUsedSwap());
    return usage;
  }

  int64_t SetMemoryLimit(int64_t bytes) override {
    const auto state = Current();
    auto& buffers = Buffers(*state);
    try {
      buffers.SetMemoryLimit(static_cast<duckdb::idx_t>(bytes));
    } catch (const std::exception&) {
      // Pinned, or the disk is full: at least it shall not grow.
      try {
        buffers.SetMemoryLimit(
            std::max(static_cast<duckdb::idx_t>(bytes), buffers.GetUsedMemory()));
      } catch (const std::exception&) {
        // It has grown meanwhile; the limit is as it was.
      }
    }
    state->memory_limit = buffers.GetMaxMemory();
    return static_cast<int64_t>(buffers.GetMaxMemory());
  }

  void SetSpillLimit(int64_t bytes) override {
    try {
      Buffers(*Current()).SetSwapLimit(static_cast<duckdb::idx_t>(bytes));
    } catch (const std::exception&) {
      // Without a folder for temporary files there is nothing to limit.
    }
  }

  void ReleaseFree() override { duckdb::Allocator::FlushAll(); }

  arrow::Result<std::string> Describe(const plan::Node& fragment) override {
    if (fragment.has_statement()) return fragment.statement().sql();
    try {
      const bool write = fragment.has_write() && fragment.inputs_size() == 1;
      ARROW_ASSIGN_OR_RAISE(auto statement,
                            CompileFragment(write ? fragment.inputs(0) : fragment, {}));
      if (!write) return statement->ToString();
      return "COPY (" + statement->ToString() + ") TO '" + fragment.write().path() + "'";
    } catch (const std::exception& e) {
      return InternalStatus(std::string("the fragment has no text: ") + e.what());
    }
  }

 private:
  // A broken instance is replaced; it goes away with the last task that runs on it.
  arrow::Result<std::shared_ptr<EngineState>> State() {
    std::lock_guard lock(mutex_);
    if (state_->broken) {
      ARROW_ASSIGN_OR_RAISE(state_, MakeState(options_, uploads_));
    }
    return state_;
  }

  std::shared_ptr<EngineState> Current() {
    std::lock_guard lock(mutex_);
    return state_;
  }

  static duckdb::BufferManager& Buffers(const EngineState& state) {
    return duckdb::BufferManager::GetBufferManager(*state.database->instance);
  }

  const DuckDbEngineOptions options_;
  const std::shared_ptr<LateReader> uploads_;
  std::mutex mutex_;
  std::shared_ptr<EngineState> state_;
};

}  // namespace

arrow::Result<std::unique_ptr<DuckDbEngine>> DuckDbEngine::Make(
    const DuckDbEngineOptions& options) {
  auto uploads = std::make_shared<LateReader>();
  ARROW_ASSIGN_OR_RAISE(auto state, MakeState(options, uploads));
  return std::make_unique<Engine>(options, std::move(uploads), std::move(state));
}

}  // namespace ballista::engine
