#include "ballista/engine/duckdb/connection_pool.h"

#include "ballista/base/status.h"

namespace ballista::engine {
namespace {

std::string Key(const std::vector<plan::Setting>& settings) {
  std::string key;
  for (const auto& setting : settings) {
    key += setting.name() + '\0' + setting.value() + '\0';
  }
  return key;
}

arrow::Status Apply(const plan::Setting& setting, duckdb::Connection* connection) {
  auto statement = duckdb::make_uniq<duckdb::SetVariableStatement>(
      setting.name(),
      duckdb::make_uniq<duckdb::ConstantExpression>(duckdb::Value(setting.value())),
      duckdb::SetScope::SESSION);
  auto result = connection->Query(std::move(statement));
  if (!result->HasError()) return arrow::Status::OK();
  return UserErrorStatus(UserError::BINDER,
                         "the setting " + setting.name() + " = '" + setting.value() +
                             "': " + result->GetErrorObject().RawMessage());
}

}  // namespace

arrow::Result<std::unique_ptr<duckdb::Connection>> ConnectionPool::Take(
    const std::vector<plan::Setting>& settings) {
  {
    std::lock_guard lock(mutex_);
    auto it = idle_.find(Key(settings));
    if (it != idle_.end() && !it->second.empty()) {
      auto connection = std::move(it->second.back());
      it->second.pop_back();
      --num_idle_;
      return connection;
    }
  }
  auto connection = std::make_unique<duckdb::Connection>(*database_);
  for (const auto& setting : settings) {
    ARROW_RETURN_NOT_OK(Apply(setting, connection.get()));
  }
  return connection;
}

void ConnectionPool::Give(const std::vector<plan::Setting>& settings,
                          std::unique_ptr<duckdb::Connection> connection) {
  std::unordered_map<std::string, std::vector<std::unique_ptr<duckdb::Connection>>>
      dropped;
  std::lock_guard lock(mutex_);
  if (num_idle_ >= kMaxIdle) {
    dropped.swap(idle_);
    num_idle_ = 0;
  }
  idle_[Key(settings)].push_back(std::move(connection));
  ++num_idle_;
}

}  // namespace ballista::engine
