// Connections to one DuckDB instance, kept by the session settings that they have, so
// that a short task pays neither for a connection nor for its settings. Private to the
// engine. Thread-safe.
#pragma once

#include <arrow/result.h>

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "ballista/engine/duckdb/pch_internal.h"
#include "ballista/plan.pb.h"

namespace ballista::engine {

class ConnectionPool {
 public:
  explicit ConnectionPool(duckdb::DuckDB* database) : database_(database) {}

  // Errors: UserError (BINDER) for a setting that DuckDB refuses.
  arrow::Result<std::unique_ptr<duckdb::Connection>> Take(
      const std::vector<plan::Setting>& settings);

  // Only a connection that has no trace of its task but the settings.
  void Give(const std::vector<plan::Setting>& settings,
            std::unique_ptr<duckdb::Connection> connection);

 private:
  static constexpr size_t kMaxIdle = 64;

  duckdb::DuckDB* const database_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::vector<std::unique_ptr<duckdb::Connection>>> idle_;
  size_t num_idle_ = 0;
};

}  // namespace ballista::engine
