// Statements that clients poll for which have run when the call that begins them returns
// (COPY, INSERT, EXPLAIN ANALYZE; others take a moment). Each is begun on a thread of its
// own, and its outcome is kept until a poll takes it.
//
// A statement that nobody polls for is given up, as if the client had gone.
#pragma once

#include <arrow/flight/types.h>
#include <arrow/result.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "ballista/scheduler/service/query_service.h"

namespace ballista::scheduler {

// Thread-safe. Joins its threads at the end, which it tells to give up.
class PendingStatements {
 public:
  // Gives up when `abandoned` is true.
  using Work =
      std::function<arrow::Result<QueryHandle>(const std::function<bool()>& abandoned)>;

  struct Outcome {
    std::shared_ptr<sql::SqlSession> session;
    arrow::flight::FlightDescriptor request;
    // Nothing: it is still running.
    std::optional<arrow::Result<QueryHandle>> handle;
  };

  // `patience`: between two polls.
  explicit PendingStatements(std::chrono::milliseconds patience) : patience_(patience) {}
  ~PendingStatements();

  // Gives an id to wait with. Errors: ResourcesExhausted where too many are under way.
  arrow::Result<std::string> Begin(std::shared_ptr<sql::SqlSession> session,
                                   const arrow::flight::FlightDescriptor& request,
                                   Work work);
  // Waits for the outcome for at most `limit`, and forgets the statement with it. Errors:
  // Invalid for one that is not known (any more).
  arrow::Result<Outcome> Wait(const std::string& id, std::chrono::milliseconds limit);

  // Whose statement it is; nothing where there is no such one.
  std::optional<std::string> UserOf(const std::string& id);
  // False: there is no such statement.
  bool Cancel(const std::string& id);
  void CloseSession(const std::string& session_id);

 private:
  struct Entry;

  // Takes out what has ended, or was cancelled, and was not asked for since.
  std::vector<std::shared_ptr<Entry>> TakeForgottenLocked();

  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Entry>> entries_;
};

}  // namespace ballista::scheduler
