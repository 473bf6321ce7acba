// Queries that run once for each row of parameters: one run after the other, when the
// reader of their results gets there, so that no more than one is kept at a time.
//
// Such a query is known by the id of its first run.
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/table.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "ballista/scheduler/service/query_service.h"

namespace ballista::scheduler {

// Thread-safe. Borrows the service; outlives the readers.
class BoundQueries {
 public:
  explicit BoundQueries(QueryService* queries) : queries_(queries) {}

  // Starts the run with the first of `rows` (at least two). Errors: those of Execute;
  // ResourcesExhausted where too many wait to be read.
  arrow::Result<QueryHandle> Begin(std::shared_ptr<sql::SqlSession> session,
                                   const std::string& sql,
                                   std::shared_ptr<arrow::Table> rows,
                                   const std::function<bool()>& abandoned);

  // All results, in the order of the rows; null: there is no such query, or somebody
  // reads it already. Each run has to give the same columns.
  arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> Open(
      const std::string& id, std::function<bool()> abandoned);

  // Whose query it is; nothing where there is no such one.
  std::optional<std::string> UserOf(const std::string& id);
  // False: there is no such query.
  bool Cancel(const std::string& id);
  void CloseSession(const std::string& session_id);

 private:
  struct Runs;
  class Reader;

  void Forget(const std::string& id);

  QueryService* const queries_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Runs>> queries_by_id_;
};

}  // namespace ballista::scheduler
