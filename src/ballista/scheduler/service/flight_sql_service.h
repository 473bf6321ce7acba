// The scheduler's Flight server: Flight SQL for clients, and the control actions of
// executors and clients, on one port.
#pragma once

#include <arrow/flight/server.h>

#include <memory>
#include <string>

#include "ballista/flight/rpc.h"
#include "ballista/scheduler/service/job_service.h"
#include "ballista/scheduler/service/prepared_statements.h"
#include "ballista/scheduler/service/query_service.h"
#include "ballista/scheduler/service/session_registry.h"

namespace ballista::scheduler {

// Thread-safe, as Flight calls it. Borrows what it serves.
class FlightSqlService : public arrow::flight::FlightServerBase {
 public:
  FlightSqlService(JobService* jobs, QueryService* queries, SessionRegistry* sessions);

  arrow::Status GetFlightInfo(const arrow::flight::ServerCallContext& context,
                              const arrow::flight::FlightDescriptor& request,
                              std::unique_ptr<arrow::flight::FlightInfo>* info) override;
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

 private:
  using Context = arrow::flight::ServerCallContext;
  using Info = std::unique_ptr<arrow::flight::FlightInfo>;

  arrow::Result<Info> DispatchInfo(const Context& context,
                                   const arrow::flight::FlightDescriptor& request);
  arrow::Result<Info> QueryInfo(const Context& context, const std::string& sql,
                                const arrow::flight::FlightDescriptor& request);
  arrow::Result<std::shared_ptr<arrow::Schema>> SchemaOf(
      const Context& context, const arrow::flight::FlightDescriptor& request);
  arrow::Result<std::unique_ptr<arrow::flight::FlightDataStream>> DispatchGet(
      const Context& context, const arrow::flight::Ticket& request);
  arrow::Result<int64_t> DispatchPut(const Context& context,
                                     const arrow::flight::FlightDescriptor& descriptor);
  void AddControlActions();
  void AddPeerActions();
  void AddSqlActions();
  arrow::Result<std::string> Close(std::string_view body);
  arrow::Result<std::string> Prepare(const Context& context, std::string_view body);
  arrow::Result<std::string> CancelFlightInfo(std::string_view body);
  arrow::Result<std::string> CancelQuery(std::string_view body);
  // True when there was such a query.
  bool CancelInfo(const arrow::flight::FlightInfo& info);
  std::string Status() const;
  arrow::Result<std::string> SetSessionOptions(const Context& context,
                                               std::string_view body);
  arrow::Result<std::string> GetSessionOptions(const Context& context);

  JobService* const jobs_;
  QueryService* const queries_;
  SessionRegistry* const sessions_;
  PreparedStatements prepared_;
  flight::ActionRouter router_;
};

}  // namespace ballista::scheduler
