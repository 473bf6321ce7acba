#include "ballista/sandbox/confine.h"
#include "ballista/sandbox/upload_files.h"
#include "ballista/sql/catalog_objects.h"
#include "ballista/sql/engine_internal.h"
#include "ballista/sql/error_conversion.h"
#include "ballista/sql/lexer_internal.h"
#include "ballista/sql/session_internal.h"

namespace ballista::sql {
namespace {

// Rules that the plan IR cannot follow, or that are of no use where nothing runs: they
// produce internal functions, lose samples, join by row ids, or prune for this process.
constexpr const char* kDisabledRules =
    "compressed_materialization,join_filter_pushdown,late_materialization,"
    "row_group_pruner,sampling_pushdown";

class Engine : public SqlEngine {
 public:
  explicit Engine(std::shared_ptr<EngineState> state) : state_(std::move(state)) {}

  arrow::Result<std::shared_ptr<SqlSession>> OpenSession(const std::string& id) override {
    return Guarded([&]() -> arrow::Result<std::shared_ptr<SqlSession>> {
      return std::make_shared<Session>(state_, id);
    });
  }

  arrow::Result<CatalogObjects> ExportCatalog() override {
    const std::shared_lock lock(state_->mutex);
    duckdb::Connection connection(state_->database);
    return ExportObjects(connection);
  }

  arrow::Status ImportCatalog(const CatalogObjects& put,
                              const std::vector<std::string>& erased) override {
    std::vector<std::string> drops = erased;
    std::sort(drops.begin(), drops.end(), ComesBefore);
    std::vector<std::string> keys;
    for (const auto& [key, bytes] : put) keys.push_back(key);
    std::sort(keys.begin(), keys.end(), ComesBefore);
    std::string failures;
    const auto note = [&](const std::string& key, const arrow::Status& status) {
      if (status.ok()) return;
      failures += (failures.empty() ? "" : "; ") + key + ": " + status.message();
    };
    const std::unique_lock lock(state_->mutex);
    ++state_->changes;
    duckdb::Connection connection(state_->database);
    for (auto key = drops.rbegin(); key != drops.rend(); ++key) {
      note(*key, DropObject(connection, *key));
    }
    for (const auto& key : keys) note(key, PutObject(connection, key, put.at(key)));
    return failures.empty() ? arrow::Status::OK() : arrow::Status::Invalid(failures);
  }

  arrow::Result<std::vector<std::string>> SplitStatements(
      const std::string& sql) override {
    return Guarded([&]() -> arrow::Result<std::vector<std::string>> {
      duckdb::Connection connection(state_->database);
      return SplitText(*connection.context, sql);
    });
  }

 private:
  const std::shared_ptr<EngineState> state_;
};

}  // namespace

bool SqlEngine::MayChangeCatalog(const std::string& sql) {
  const auto tokens = Tokenize(sql);
  return tokens[0].Is("CREATE") || tokens[0].Is("DROP") || tokens[0].Is("ALTER") ||
         tokens[0].Is("COMMENT") || tokens[0].Is("EXECUTE");
}

// Semicolons outside of quotes and comments end a statement. Nothing is parsed further:
// an error in one statement must not keep those before it from running.
arrow::Result<std::vector<std::string>> SplitText(duckdb::ClientContext& context,
                                                  const std::string& sql) {
  std::vector<std::string> statements;
  const auto tokens = duckdb::Parser::Tokenize(sql);
  size_t begin = std::string::npos;
  const auto finish = [&](size_t end) {
    if (begin == std::string::npos) return;
    auto text = sql.substr(begin, end - begin);
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) {
      text.pop_back();
    }
    statements.push_back(std::move(text));
    begin = std::string::npos;
  };
  for (const auto& token : tokens) {
    if (token.type == duckdb::SimplifiedTokenType::SIMPLIFIED_TOKEN_COMMENT) continue;
    if (token.type == duckdb::SimplifiedTokenType::SIMPLIFIED_TOKEN_OPERATOR &&
        sql[token.start] == ';') {
      finish(token.start);
    } else if (begin == std::string::npos) {
      begin = token.start;
    }
  }
  finish(sql.size());
  return statements;
}

arrow::Result<std::unique_ptr<SqlEngine>> SqlEngine::Make(
    const SqlEngineOptions& options) {
  return Guarded([&]() -> arrow::Result<std::unique_ptr<SqlEngine>> {
    duckdb::DBConfig config;
    const auto set = [&](const char* name, duckdb::Value value) {
      config.SetOptionByName(name, std::move(value));
    };
    set("threads", duckdb::Value::INTEGER(1));
    set("memory_limit", duckdb::Value(std::to_string(options.memory_limit) + "B"));
    set("temp_directory", duckdb::Value(""));
    set("autoinstall_known_extensions", duckdb::Value::BOOLEAN(false));
    set("autoload_known_extensions", duckdb::Value::BOOLEAN(false));
    set("allow_community_extensions", duckdb::Value::BOOLEAN(false));
    set("disabled_optimizers", duckdb::Value(kDisabledRules));
    sandbox::Confine(options.guard, "", &config);
    sandbox::ServeUploads(options.uploads, &config);
    auto state = std::make_shared<EngineState>(&config, options.uploads);
    state->guard = options.guard;
    duckdb::Connection connection(state->database);
    const auto done = connection.Query("SET GLOBAL parquet_metadata_cache = true");
    if (done->HasError()) return ToStatus(done->GetErrorObject());
    return std::make_unique<Engine>(std::move(state));
  });
}

}  // namespace ballista::sql
