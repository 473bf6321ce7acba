// From SQL text to a result that can be streamed: compiles a statement in its session,
// plans and starts its job, and opens the result when a client comes for it.
//
// A query is known by its id (of its job, where it has one). Its result can be opened
// once; whatever is kept of it goes when the stream ends, or when nobody came for it.
#pragma once

#include <arrow/flight/types.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/table.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "ballista/flight/client_pool.h"
#include "ballista/planner/distributed_planner.h"
#include "ballista/scheduler/service/job_service.h"
#include "ballista/scheduler/service/kept_catalog.h"
#include "ballista/scheduler/service/rows_budget.h"
#include "ballista/security/authenticator.h"
#include "ballista/sql/session.h"
#include "ballista/trace/exporter.h"

namespace ballista::scheduler {

struct QueryHandle {
  std::string id;
  std::shared_ptr<arrow::Schema> schema;
  int64_t rows = -1;  // where known already
  bool is_query = true;
};

// Thread-safe.
class QueryService {
 public:
  // Rows that are not fetched within `result_timeout` are dropped; what this holds of
  // rows is within the budget. With a keeper and a catalog (null: nothing is kept)
  // queries of other schedulers are answered, too. `exporter` (null: none) gets spans;
  // each query then takes its place in a trace.
  QueryService(JobService* jobs, flight::ClientPool* clients,
               std::chrono::milliseconds result_timeout, const RowsBudget* budget,
               StateKeeper* keeper = nullptr, KeptCatalog* catalog = nullptr,
               trace::Exporter* exporter = nullptr);

  // From now on clients read large results from the executors (GiveOut), which speak TLS
  // or do not. Before the first query.
  void GiveOutParts(bool tls) {
    gives_out_parts_ = true;
    executors_have_tls_ = tls;
  }

  // OK where the caller may read and cancel the query, or there is no such query. Errors:
  // that of an unknown query, for one that is another user's; IOError where that cannot
  // be found out now.
  arrow::Status CheckMayTouch(const security::Identity& who, const std::string& query_id);

  // Compiles and starts a statement. Queries go on in the background; DDL and changes of
  // local tables have taken effect when this returns. `abandoned`: the client has gone.
  // `whole`: the client's handle stands for this alone, and is good with the next
  // scheduler, too.
  arrow::Result<QueryHandle> Execute(sql::SqlSession* session, const std::string& sql,
                                     const std::vector<plan::Value>& parameters,
                                     const std::function<bool()>& abandoned,
                                     bool whole = true);

  arrow::Result<sql::SqlSession::Description> Describe(
      sql::SqlSession* session, const std::string& sql,
      const std::vector<plan::Value>& parameters = {});

  // The same for a client's data frame, whose errors have no position.
  arrow::Result<QueryHandle> Execute(sql::SqlSession* session,
                                     const dataframe::CommandDataFrame& frame,
                                     const std::function<bool()>& abandoned);
  arrow::Result<sql::SqlSession::Description> Describe(
      sql::SqlSession* session, const dataframe::CommandDataFrame& frame);

  // The rows of a query: waits for its job. The reader owns what is kept of the query and
  // drops it at its end. Errors: the job's own; Invalid for an id that is not known (any
  // more).
  arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> OpenResult(
      const std::string& query_id, const std::function<bool()>& abandoned);

  // The same for a job of this scheduler alone. Without `release` it is for another one
  // that was asked, which says when the job is to be dropped. KeyError for an unknown
  // one.
  arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> OpenOwnJob(
      const std::string& job_id, const std::function<bool()>& abandoned, bool release);
  // Waits for the end of a query whose parts clients may read one by one, by tickets that
  // this makes. Errors: the job's own, which is forgotten then; Cancelled where
  // `abandoned`: so is it.
  struct GivenOut {
    int64_t rows = -1;
    int64_t bytes = -1;
    // In order; none: the result is read as a whole, by the query's id.
    std::vector<arrow::flight::FlightEndpoint> endpoints;
  };
  arrow::Result<GivenOut> GiveOut(const std::string& query_id,
                                  const std::function<bool()>& abandoned);
  // The rows of a part, by its ticket. The caller has checked whose query it is. Errors:
  // Invalid for a ticket that is none, or of an unknown query.
  arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> OpenPart(
      const std::string& ticket, const std::function<bool()>& abandoned);
  // The same ticket, good for as long again, and keeps the result so long. Errors: as of
  // OpenPart.
  arrow::Result<std::string> RenewPart(const std::string& ticket);
  // Where this scheduler or another has the job.
  profile::QueryProfile Outline(const std::string& job_id);

  // Runs the statement to its end and gives the count of an update, -1 where there is
  // none.
  arrow::Result<int64_t> ExecuteUpdate(sql::SqlSession* session, const std::string& sql,
                                       const std::vector<plan::Value>& parameters,
                                       const std::function<bool()>& abandoned);

  // Lets go of uploaded tables whose queries have ended.
  void DropHolds();

  // Keeps the result for as long again. False when there is no such query (any more).
  bool Renew(const std::string& query_id);
  // False when there is no such query (any more).
  bool Cancel(const std::string& query_id);
  // Ends the session's statements that calls of Execute and ExecuteUpdate wait for.
  void CancelAwaited(const std::string& session_id);
  // Ends all queries of the session and drops their results.
  void CloseSession(const std::string& session_id);

  // From now on no statement is begun; the error says that the scheduler stops.
  void StopTaking() { stopping_ = true; }
  bool stopping() const { return stopping_; }

  // Results that are kept without a job.
  size_t KeptResults();
  // Calls of Execute under way: each may still become a result or a job.
  size_t Executing() const { return executing_; }
  // Calls of Execute since the start.
  uint64_t Executed() const { return executed_; }

 private:
  struct Known {
    std::string session_id;
    std::string user;
    std::shared_ptr<arrow::Table> rows;
    RowsBudget::Share share;
    std::chrono::steady_clock::time_point made;
  };

  // `text`: of the statement, for people. `whole`: as Execute has it.
  arrow::Result<QueryHandle> Begin(sql::SqlSession* session, sql::Statement statement,
                                   const std::string& text,
                                   const std::function<bool()>& abandoned, bool whole);
  arrow::Status RefuseWhenStopping() const;
  // The statement's text, for the errors of its job.
  void KeepText(const std::string& job_id, const std::string& sql);
  std::string TakeText(const std::string& job_id);
  arrow::Result<QueryHandle> ExecuteCounted(sql::SqlSession* session,
                                            const std::string& sql,
                                            const std::vector<plan::Value>& parameters,
                                            const std::function<bool()>& abandoned,
                                            bool whole);
  arrow::Result<job::JobGraph> Plan(sql::SqlSession* session, const plan::Plan& plan);
  void DropOldRowsLocked();
  arrow::Result<QueryHandle> KeepRows(sql::SqlSession* session,
                                      std::shared_ptr<arrow::Table> rows, bool is_query);
  // `kept`: a client gets a handle to it, which is to be good for the next scheduler,
  // too.
  arrow::Result<std::string> Start(sql::SqlSession* session, const plan::Plan& plan,
                                   const std::string& sql, bool collect_metrics,
                                   bool kept = false);
  arrow::Result<std::shared_ptr<arrow::Table>> RunAndConsume(
      sql::SqlSession* session, const sql::Statement& statement, const std::string& sql,
      const std::function<bool()>& abandoned);
  arrow::Result<std::shared_ptr<arrow::Table>> Explain(sql::SqlSession* session,
                                                       const plan::Plan& plan);
  arrow::Result<std::shared_ptr<arrow::Table>> ExplainAnalyze(
      sql::SqlSession* session, const sql::Statement& statement, const std::string& sql,
      const std::function<bool()>& abandoned);
  // Starts the job of a statement that Execute waits for.
  arrow::Result<std::string> StartAwaited(sql::SqlSession* session,
                                          const plan::Plan& plan, const std::string& sql,
                                          bool collect_metrics);
  void NoLongerAwaited(const std::string& job_id);
  // Errors: the job's own, which is forgotten then; KeyError for an unknown one.
  arrow::Status WaitForJob(const std::string& job_id,
                           const std::function<bool()>& abandoned);
  arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> OpenJob(
      const std::string& job_id, const std::function<bool()>& abandoned);

  // Where a client reads the part.
  arrow::Result<std::vector<arrow::flight::Location>> LocationsOf(
      const ResultPart& part) const;

  // ---- elsewhere.cc: jobs of other schedulers
  arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> OpenPartElsewhere(
      const std::string& job_id, const std::string& ticket);
  arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> OpenElsewhere(
      const std::string& job_id, const std::function<bool()>& abandoned);
  // One try at it; null: it is worth another one. Puts off the deadline whenever the
  // owner answers.
  arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> TryOwner(
      const std::string& job_id, const record::Scheduler& owner,
      const std::function<bool()>& abandoned,
      std::chrono::steady_clock::time_point* deadline);
  // The scheduler that has the job; none where there is none, or it is this one.
  std::optional<record::Scheduler> OwnerOf(const std::string& job_id);
  bool CancelElsewhere(const std::string& job_id);
  // `whole`: its rows were sent to the end.
  void Release(const std::string& job_id, bool whole);

  arrow::Result<sql::Statement> Compile(sql::SqlSession* session, const std::string& sql,
                                        const std::vector<plan::Value>& parameters);

  JobService* const jobs_;
  flight::ClientPool* const clients_;
  const std::chrono::milliseconds result_timeout_;
  const RowsBudget* const budget_;
  StateKeeper* const keeper_;
  KeptCatalog* const catalog_;
  trace::Exporter* const exporter_;
  bool gives_out_parts_ = false;
  bool executors_have_tls_ = false;
  std::atomic<bool> stopping_{false};
  std::atomic<size_t> executing_{0};
  std::atomic<uint64_t> executed_{0};
  std::mutex mutex_;
  std::map<std::string, Known> known_;          // results without a job, not yet read
  std::map<std::string, std::string> awaited_;  // jobs, and their sessions
  // What queries read that are not dropped yet, by job.
  std::map<std::string, std::vector<std::shared_ptr<const void>>> holds_;
  std::map<std::string, std::string> texts_;  // of queries whose result was not read
};

}  // namespace ballista::scheduler
