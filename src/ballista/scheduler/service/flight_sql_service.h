// The scheduler's Flight server: Flight SQL for clients, and the control actions of
// executors and clients, on one port.
#pragma once

#include <arrow/flight/server.h>
#include <google/protobuf/any.pb.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "ballista/base/upload_reader.h"
#include "ballista/flight/rpc.h"
#include "ballista/flight_sql.pb.h"
#include "ballista/scheduler/service/bound_queries.h"
#include "ballista/scheduler/service/job_service.h"
#include "ballista/scheduler/service/pending_statements.h"
#include "ballista/scheduler/service/prepared_statements.h"
#include "ballista/scheduler/service/query_service.h"
#include "ballista/scheduler/service/session_registry.h"
#include "ballista/upload.pb.h"

namespace ballista::scheduler {

// Thread-safe, as Flight calls it. Borrows what it serves.
class FlightSqlService : public arrow::flight::FlightServerBase {
 public:
  FlightSqlService(JobService* jobs, QueryService* queries, SessionRegistry* sessions,
                   const RowsBudget* budget, UploadReader* uploads);

  arrow::Status GetFlightInfo(const arrow::flight::ServerCallContext& context,
                              const arrow::flight::FlightDescriptor& request,
                              std::unique_ptr<arrow::flight::FlightInfo>* info) override;
  arrow::Status PollFlightInfo(const arrow::flight::ServerCallContext& context,
                               const arrow::flight::FlightDescriptor& request,
                               std::unique_ptr<arrow::flight::PollInfo>* info) override;
  arrow::Status GetSchema(const arrow::flight::ServerCallContext& context,
                          const arrow::flight::FlightDescriptor& request,
                          std::unique_ptr<arrow::flight::SchemaResult>* schema) override;
  arrow::Status DoGet(const arrow::flight::ServerCallContext& context,
                      const arrow::flight::Ticket& request,
                      std::unique_ptr<arrow::flight::FlightDataStream>* stream) override;
  arrow::Status DoPut(
      const arrow::flight::ServerCallContext& context,
      std::unique_ptr<arrow::flight::FlightMessageReader> reader,
      std::unique_ptr<arrow::flight::FlightMetadataWriter> writer) override;
  arrow::Status DoAction(const arrow::flight::ServerCallContext& context,
                         const arrow::flight::Action& action,
                         std::unique_ptr<arrow::flight::ResultStream>* result) override;
  arrow::Status ListActions(const arrow::flight::ServerCallContext& context,
                            std::vector<arrow::flight::ActionType>* actions) override;

  // Drops what is kept for the session.
  void CloseSession(const std::string& session_id);

 private:
  using Context = arrow::flight::ServerCallContext;
  using Info = std::unique_ptr<arrow::flight::FlightInfo>;

  arrow::Result<Info> DispatchInfo(const Context& context,
                                   const arrow::flight::FlightDescriptor& request);
  // Whether WorkOf knows the command.
  static bool IsQuery(const google::protobuf::Any& any);
  // What begins a query. Errors: those that need no planning.
  arrow::Result<PendingStatements::Work> WorkOf(
      const google::protobuf::Any& any, const std::shared_ptr<sql::SqlSession>& session);
  PendingStatements::Work FrameWork(dataframe::CommandDataFrame frame,
                                    const std::shared_ptr<sql::SqlSession>& session);
  arrow::Result<Info> StartedInfo(const Context& context, sql::SqlSession* session,
                                  const QueryHandle& query,
                                  const arrow::flight::FlightDescriptor& request);
  // The info with where the parts of the result are, where clients read them one by one:
  // waits for the query's end then.
  arrow::Result<Info> WithParts(const Context& context, Info info);
  arrow::Result<std::shared_ptr<arrow::Schema>> SchemaOf(
      const Context& context, const arrow::flight::FlightDescriptor& request);
  arrow::Result<std::unique_ptr<arrow::flight::FlightDataStream>> DispatchGet(
      const Context& context, const arrow::flight::Ticket& request);
  // What goes back as metadata.
  arrow::Result<std::string> DispatchPut(const Context& context,
                                         arrow::flight::FlightMessageReader* reader);
  void AddControlActions();
  void AddPeerActions();
  void AddSqlActions();
  arrow::Result<std::string> CancelFlightInfo(const Context& context,
                                              std::string_view body);
  arrow::Result<std::string> CancelQuery(const Context& context, std::string_view body);
  // True when there was such a query.
  bool CancelInfo(const Context& context, const arrow::flight::FlightInfo& info);
  // OK where the caller may read and cancel the query, or there is none. Errors: those of
  // QueryService.
  arrow::Status CheckMayTouch(const Context& context, const std::string& query_id);
  std::string Status() const;

  // ---- flight_sql_options.cc
  arrow::Result<std::string> SetSessionOptions(const Context& context,
                                               std::string_view body);
  arrow::Result<std::string> GetSessionOptions(const Context& context);

  // ---- flight_sql_poll.cc
  arrow::Result<std::unique_ptr<arrow::flight::PollInfo>> Poll(
      const Context& context, const arrow::flight::FlightDescriptor& request);
  arrow::Result<std::unique_ptr<arrow::flight::PollInfo>> PollQuery(
      const Context& context, const google::protobuf::Any& command,
      const arrow::flight::FlightDescriptor& request);
  arrow::Result<std::unique_ptr<arrow::flight::PollInfo>> PollPending(
      const Context& context, const std::string& id);
  arrow::Result<std::unique_ptr<arrow::flight::PollInfo>> PollStarted(
      const Context& context, Info info);
  arrow::Result<std::unique_ptr<arrow::flight::PollInfo>> Finished(const Context& context,
                                                                   Info info);
  arrow::Result<std::unique_ptr<arrow::flight::PollInfo>> PollAgain(
      const Context& context, const std::string& bytes);
  arrow::Result<std::string> RenewFlightEndpoint(const Context& context,
                                                 std::string_view body);

  // ---- flight_sql_prepared.cc
  arrow::Result<PreparedStatement> FindPrepared(const std::string& handle,
                                                sql::SqlSession* session);
  arrow::Result<std::string> Close(std::string_view body);
  arrow::Result<std::string> Prepare(const Context& context, std::string_view body);
  arrow::Result<std::string> PrepareSubstrait(const Context& context,
                                              std::string_view body);
  arrow::Result<std::string> KeepPrepared(PreparedStatement statement,
                                          const std::shared_ptr<arrow::Schema>& rows);
  arrow::Result<PendingStatements::Work> PreparedWork(
      const std::string& handle, const std::shared_ptr<sql::SqlSession>& session);
  arrow::Result<std::shared_ptr<arrow::Schema>> PreparedSchema(const Context& context,
                                                               const std::string& handle);
  arrow::Result<std::string> BindParameters(const Context& context,
                                            const std::string& handle,
                                            arrow::flight::FlightMessageReader* reader);
  arrow::Result<int64_t> PreparedUpdate(const Context& context, const std::string& handle,
                                        arrow::flight::FlightMessageReader* reader);
  // `done`: rows before these.
  arrow::Result<int64_t> UpdateForRows(const Context& context, sql::SqlSession* session,
                                       const PreparedStatement& statement,
                                       const arrow::Table& rows, int64_t done);
  arrow::Result<int64_t> Update(const Context& context, sql::SqlSession* session,
                                const std::string& sql,
                                const std::vector<plan::Value>& values);

  // ---- flight_sql_ingest.cc
  arrow::Result<int64_t> Ingest(
      const Context& context,
      const arrow::flight::protocol::sql::CommandStatementIngest& command,
      arrow::flight::FlightMessageReader* reader);
  void AddUploadActions();
  arrow::Result<upload::ReadResponse> ReadUpload(const upload::ReadRequest& request);

  JobService* const jobs_;
  QueryService* const queries_;
  SessionRegistry* const sessions_;
  PreparedStatements prepared_;
  BoundQueries bound_;
  const RowsBudget* const budget_;
  UploadReader* const uploads_;  // null: there are none
  flight::ActionRouter router_;
  PendingStatements pending_;  // the first to end: its threads use the others
};

}  // namespace ballista::scheduler
