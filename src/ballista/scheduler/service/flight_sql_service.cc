#include "ballista/scheduler/service/flight_sql_service.h"

#include <arrow/buffer.h>
#include <google/protobuf/any.pb.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "ballista/base/status.h"
#include "ballista/base/version.h"
#include "ballista/control.pb.h"
#include "ballista/flight/auth_middleware.h"
#include "ballista/flight/bounded_batches.h"
#include "ballista/flight/part_ticket.h"
#include "ballista/flight/rpc.h"
#include "ballista/flight/status_transport.h"
#include "ballista/flight_sql.pb.h"
#include "ballista/plan/plan.h"
#include "ballista/scheduler/service/flight_sql_messages_internal.h"
#include "ballista/scheduler/service/flight_sql_metadata.h"
#include "ballista/substrait/translate.h"
#include "ballista/trace/context.h"

namespace ballista::scheduler {
namespace {

namespace fl = arrow::flight;
namespace sqlp = arrow::flight::protocol::sql;
using google::protobuf::Any;

// How long a statement goes on for which nobody polls any more.
constexpr auto kPollPatience = std::chrono::seconds(60);

// The rows of a reader; its errors go out typed.
class ResultStream : public fl::RecordBatchStream {
 public:
  ResultStream(const fl::ServerCallContext* context,
               const std::shared_ptr<arrow::RecordBatchReader>& reader)
      : fl::RecordBatchStream(reader), context_(context) {}

  arrow::Result<fl::FlightPayload> Next() override {
    auto payload = fl::RecordBatchStream::Next();
    if (!payload.ok()) return flight::ToFlightStatus(*context_, payload.status());
    return payload;
  }

 private:
  const fl::ServerCallContext* const context_;  // of the call that reads this stream
};

bool IsFrame(const Any& any) {
  return any.Is<dataframe::CommandDataFrame>() ||
         any.Is<sqlp::CommandStatementSubstraitPlan>();
}

// What IsFrame: a data frame, or a Substrait plan as one.
arrow::Result<dataframe::CommandDataFrame> ParseFrame(const Any& any) {
  sqlp::CommandStatementSubstraitPlan command;
  if (UnpackInto(any, &command)) {
    ARROW_RETURN_NOT_OK(RefuseTransaction(command));
    return substrait::Translate(command.plan().plan());
  }
  // Nested deeper than protobuf would unpack by itself.
  dataframe::CommandDataFrame frame;
  ARROW_RETURN_NOT_OK(plan::ParseMessage(any.value(), &frame));
  return frame;
}

}  // namespace

FlightSqlService::FlightSqlService(JobService* jobs, QueryService* queries,
                                   SessionRegistry* sessions, const RowsBudget* budget,
                                   UploadReader* uploads)
    : jobs_(jobs),
      queries_(queries),
      sessions_(sessions),
      bound_(queries),
      budget_(budget),
      uploads_(uploads),
      pending_(kPollPatience) {
  AddControlActions();
  AddSqlActions();
}

// ------------------------------------------------------------------------------- queries

arrow::Status FlightSqlService::GetFlightInfo(const Context& context,
                                              const fl::FlightDescriptor& request,
                                              Info* info) {
  const trace::CallScope scope(TraceParentOf(context));
  auto made = DispatchInfo(context, request);
  if (made.ok()) made = WithParts(context, std::move(*made));
  if (!made.ok()) return flight::ToFlightStatus(context, made.status());
  *info = std::move(*made);
  return arrow::Status::OK();
}

arrow::Result<FlightSqlService::Info> FlightSqlService::WithParts(const Context& context,
                                                                  Info info) {
  const std::string& id = info->app_metadata();
  if (id.empty() || info->total_records() >= 0) return info;
  ARROW_ASSIGN_OR_RAISE(
      auto given, queries_->GiveOut(id, [&context] { return context.is_cancelled(); }));
  if (given.rows < 0) return info;
  if (given.endpoints.empty()) given.endpoints = info->endpoints();
  arrow::ipc::DictionaryMemo memo;
  ARROW_ASSIGN_OR_RAISE(const auto schema, info->GetSchema(&memo));
  ARROW_ASSIGN_OR_RAISE(
      auto made, fl::FlightInfo::Make(*schema, info->descriptor(), given.endpoints,
                                      given.rows, given.bytes, /*ordered=*/true, id));
  return std::make_unique<fl::FlightInfo>(std::move(made));
}

arrow::Result<FlightSqlService::Info> FlightSqlService::DispatchInfo(
    const Context& context, const fl::FlightDescriptor& request) {
  if (request.type != fl::FlightDescriptor::CMD) {
    return arrow::Status::NotImplemented(
        "this server speaks Flight SQL: the descriptor must be a command, not a path");
  }
  ARROW_ASSIGN_OR_RAISE(const Any any, ParseAny(request.cmd));
  if (IsQuery(any)) {
    ARROW_ASSIGN_OR_RAISE(auto session, sessions_->ForCall(context));
    ARROW_ASSIGN_OR_RAISE(const auto work, WorkOf(any, session));
    ARROW_ASSIGN_OR_RAISE(const auto query, work([&] { return context.is_cancelled(); }));
    return StartedInfo(context, session.get(), query, request);
  }
  ARROW_ASSIGN_OR_RAISE(auto schema, MetadataSchema(any));
  if (schema != nullptr) return MakeInfo(*schema, request, request.cmd, -1, "");
  return arrow::Status::NotImplemented("the command ", any.type_url(),
                                       " is not supported by this server");
}

bool FlightSqlService::IsQuery(const Any& any) {
  return any.Is<sqlp::CommandStatementQuery>() || IsFrame(any) ||
         any.Is<sqlp::CommandPreparedStatementQuery>();
}

arrow::Result<PendingStatements::Work> FlightSqlService::WorkOf(
    const Any& any, const std::shared_ptr<sql::SqlSession>& session) {
  using Abandoned = std::function<bool()>;
  sqlp::CommandPreparedStatementQuery prepared;
  if (UnpackInto(any, &prepared)) {
    return PreparedWork(prepared.prepared_statement_handle(), session);
  }
  if (IsFrame(any)) {
    ARROW_ASSIGN_OR_RAISE(auto frame, ParseFrame(any));
    return FrameWork(std::move(frame), session);
  }
  sqlp::CommandStatementQuery query;
  if (!UnpackInto(any, &query)) return InternalStatus("the command is no query");
  ARROW_RETURN_NOT_OK(RefuseTransaction(query));
  return PendingStatements::Work(
      [this, session, sql = query.query()](const Abandoned& abandoned) {
        return queries_->Execute(session.get(), sql, {}, abandoned);
      });
}

PendingStatements::Work FlightSqlService::FrameWork(
    dataframe::CommandDataFrame frame, const std::shared_ptr<sql::SqlSession>& session) {
  auto shared = std::make_shared<const dataframe::CommandDataFrame>(std::move(frame));
  return
      [this, session, frame = std::move(shared)](const std::function<bool()>& abandoned) {
        return queries_->Execute(session.get(), *frame, abandoned);
      };
}

arrow::Result<FlightSqlService::Info> FlightSqlService::StartedInfo(
    const Context& context, sql::SqlSession* session, const QueryHandle& query,
    const fl::FlightDescriptor& request) {
  ARROW_RETURN_NOT_OK(sessions_->KeepSettings(context, session));
  // Nobody will come for the result.
  if (context.is_cancelled() && !bound_.Cancel(query.id)) queries_->Cancel(query.id);
  // One without rows of parameters has not run, and gives none.
  if (query.id.empty()) return MakeInfo(*query.schema, request, "", 0, "");
  sqlp::TicketStatementQuery ticket;
  ticket.set_statement_handle(query.id);
  return MakeInfo(*query.schema, request, Pack(ticket), query.rows, query.id);
}

arrow::Status FlightSqlService::GetSchema(const Context& context,
                                          const fl::FlightDescriptor& request,
                                          std::unique_ptr<fl::SchemaResult>* schema) {
  auto found = SchemaOf(context, request);
  if (!found.ok()) return flight::ToFlightStatus(context, found.status());
  auto result = fl::SchemaResult::Make(**found);
  if (!result.ok()) return flight::ToFlightStatus(context, result.status());
  *schema = std::move(*result);
  return arrow::Status::OK();
}

arrow::Result<std::shared_ptr<arrow::Schema>> FlightSqlService::SchemaOf(
    const Context& context, const fl::FlightDescriptor& request) {
  ARROW_ASSIGN_OR_RAISE(const Any any, ParseAny(request.cmd));
  ARROW_ASSIGN_OR_RAISE(auto schema, MetadataSchema(any));
  if (schema != nullptr) return schema;
  sqlp::CommandPreparedStatementQuery prepared;
  if (UnpackInto(any, &prepared)) {
    return PreparedSchema(context, prepared.prepared_statement_handle());
  }
  if (IsFrame(any)) {
    ARROW_ASSIGN_OR_RAISE(const auto frame, ParseFrame(any));
    ARROW_ASSIGN_OR_RAISE(auto session, sessions_->ForCall(context));
    ARROW_ASSIGN_OR_RAISE(auto description, queries_->Describe(session.get(), frame));
    return description.schema;
  }
  sqlp::CommandStatementQuery query;
  if (!UnpackInto(any, &query)) {
    return arrow::Status::NotImplemented("the command ", any.type_url(),
                                         " is not supported by this server");
  }
  ARROW_RETURN_NOT_OK(RefuseTransaction(query));
  ARROW_ASSIGN_OR_RAISE(auto session, sessions_->ForCall(context));
  ARROW_ASSIGN_OR_RAISE(auto description,
                        queries_->Describe(session.get(), query.query()));
  if (description.schema != nullptr) return description.schema;
  return arrow::Status::Invalid(
      "the columns of this statement depend on its parameters: prepare it and bind them");
}

arrow::Status FlightSqlService::DoGet(const Context& context, const fl::Ticket& request,
                                      std::unique_ptr<fl::FlightDataStream>* stream) {
  const trace::CallScope scope(TraceParentOf(context));
  auto opened = DispatchGet(context, request);
  if (!opened.ok()) return flight::ToFlightStatus(context, opened.status());
  *stream = std::move(*opened);
  return arrow::Status::OK();
}

arrow::Result<std::unique_ptr<fl::FlightDataStream>> FlightSqlService::DispatchGet(
    const Context& context, const fl::Ticket& request) {
  ARROW_ASSIGN_OR_RAISE(const Any any, ParseAny(request.ticket));
  std::shared_ptr<arrow::RecordBatchReader> reader;
  sqlp::TicketStatementQuery ticket;
  control::ResultTicket own;
  if (UnpackInto(any, &own)) {
    // A client asks by a ticket of its own, and is told apart from others by it.
    if (!flight::IdentityOf(context).MayActAsCluster()) {
      return arrow::Status::Invalid("this ticket is for schedulers of the cluster alone");
    }
    const auto abandoned = [&] { return context.is_cancelled(); };
    ARROW_ASSIGN_OR_RAISE(
        reader, queries_->OpenOwnJob(own.job_id(), abandoned, /*release=*/false));
  } else if (any.Is<control::ResultPartTicket>()) {
    ARROW_ASSIGN_OR_RAISE(const auto sealed, flight::ParsePart(request.ticket));
    ARROW_RETURN_NOT_OK(CheckMayTouch(context, sealed.part.job_id()));
    ARROW_ASSIGN_OR_RAISE(reader, queries_->OpenPart(request.ticket, [&context] {
      return context.is_cancelled();
    }));
  } else if (!flight::IdentityOf(context).MayActAsClient()) {
    return fl::MakeFlightError(
        fl::FlightStatusCode::Unauthorized,
        "the cluster token is no client's: it runs no queries and reads no results");
  } else if (UnpackInto(any, &ticket)) {
    ARROW_RETURN_NOT_OK(CheckMayTouch(context, ticket.statement_handle()));
    const auto abandoned = [&context] { return context.is_cancelled(); };
    ARROW_ASSIGN_OR_RAISE(reader, bound_.Open(ticket.statement_handle(), abandoned));
    if (reader == nullptr) {
      ARROW_ASSIGN_OR_RAISE(reader,
                            queries_->OpenResult(ticket.statement_handle(), abandoned));
    }
  } else {
    ARROW_ASSIGN_OR_RAISE(auto session, sessions_->ForCall(context));
    ARROW_ASSIGN_OR_RAISE(auto rows, MetadataRows(session.get(), any));
    reader = std::make_shared<arrow::TableBatchReader>(std::move(rows));
  }
  return std::make_unique<ResultStream>(
      &context, flight::BoundBatches(std::move(reader), flight::kMaxClientBatchBytes));
}

arrow::Status FlightSqlService::DoPut(const Context& context,
                                      std::unique_ptr<fl::FlightMessageReader> reader,
                                      std::unique_ptr<fl::FlightMetadataWriter> writer) {
  const trace::CallScope scope(TraceParentOf(context));
  const auto answer = DispatchPut(context, reader.get());
  if (!answer.ok()) return flight::ToFlightStatus(context, answer.status());
  return writer->WriteMetadata(*arrow::Buffer::FromString(*answer));
}

arrow::Result<std::string> FlightSqlService::DispatchPut(
    const Context& context, fl::FlightMessageReader* reader) {
  ARROW_ASSIGN_OR_RAISE(const Any any, ParseAny(reader->descriptor().cmd));
  sqlp::CommandPreparedStatementQuery bind;
  if (UnpackInto(any, &bind)) {
    return BindParameters(context, bind.prepared_statement_handle(), reader);
  }
  sqlp::DoPutUpdateResult result;
  int64_t count = -1;
  sqlp::CommandStatementUpdate update;
  sqlp::CommandPreparedStatementUpdate prepared;
  sqlp::CommandStatementIngest ingest;
  if (UnpackInto(any, &update)) {
    ARROW_RETURN_NOT_OK(RefuseTransaction(update));
    ARROW_ASSIGN_OR_RAISE(auto session, sessions_->ForCall(context));
    ARROW_ASSIGN_OR_RAISE(count, Update(context, session.get(), update.query(), {}));
  } else if (UnpackInto(any, &prepared)) {
    ARROW_ASSIGN_OR_RAISE(
        count, PreparedUpdate(context, prepared.prepared_statement_handle(), reader));
    // The JDBC driver takes a count that is not known for rows to come, and runs the
    // statement again to have them. One that changes no rows has changed 0.
    count = std::max<int64_t>(count, 0);
  } else if (UnpackInto(any, &ingest)) {
    ARROW_ASSIGN_OR_RAISE(count, Ingest(context, ingest, reader));
  } else {
    return arrow::Status::NotImplemented("the upload ", any.type_url(),
                                         " is not supported by this server");
  }
  result.set_record_count(count);
  return result.SerializeAsString();
}

void FlightSqlService::CloseSession(const std::string& session_id) {
  prepared_.CloseSession(session_id);
  bound_.CloseSession(session_id);
  pending_.CloseSession(session_id);
}

// ------------------------------------------------------------------------------- actions

arrow::Status FlightSqlService::DoAction(const Context& context, const fl::Action& action,
                                         std::unique_ptr<fl::ResultStream>* result) {
  return router_.Handle(context, action, result);
}

arrow::Status FlightSqlService::ListActions(const Context& context,
                                            std::vector<fl::ActionType>* actions) {
  *actions = router_.List();
  return arrow::Status::OK();
}

void FlightSqlService::AddControlActions() {
  using control::HeartbeatResponse;
  router_.ForClusterOnly({"register_executor", "heartbeat", "stop_executor",
                          "task_status", "own_job_profile", "cancel_own_job",
                          "release_own_job", "own_job_was_read", "read_upload"});
  router_.Add<control::RegisterExecutorRequest, control::RegisterExecutorResponse>(
      "register_executor", [this](const auto& r) { return jobs_->RegisterExecutor(r); });
  router_.Add<control::HeartbeatRequest, HeartbeatResponse>(
      "heartbeat", [this](const auto& r) { return jobs_->Heartbeat(r); });
  router_.Add<control::StopExecutorRequest, HeartbeatResponse>(
      "stop_executor", [this](const auto& r) { return jobs_->StopExecutor(r); });
  router_.Add<control::DrainExecutorRequest, control::DrainExecutorResponse>(
      "drain_executor",
      [this](const Context& context,
             const auto& r) -> arrow::Result<control::DrainExecutorResponse> {
        if (!flight::IdentityOf(context).MayManage()) {
          return fl::MakeFlightError(fl::FlightStatusCode::Unauthorized,
                                     security::kForAdministrators);
        }
        return jobs_->DrainExecutor(r.executor());
      });
  router_.Add<control::TaskStatusRequest, control::TaskStatusResponse>(
      "task_status", [this](const auto& r) { return jobs_->ReportTasks(r); });
  router_.Add<control::JobProfileRequest, profile::QueryProfile>(
      "job_profile",
      [this](const Context& context,
             const auto& r) -> arrow::Result<profile::QueryProfile> {
        // Another user's job is one that is not there.
        const auto may = CheckMayTouch(context, r.job_id());
        return queries_->Outline(may.ok() ? r.job_id() : "");
      });
  AddPeerActions();
  AddUploadActions();
  router_.Add<control::CancelJobRequest, control::CancelJobRequest>(
      "cancel_job",
      [this](const Context& context,
             const auto& r) -> arrow::Result<control::CancelJobRequest> {
        ARROW_RETURN_NOT_OK(CheckMayTouch(context, r.job_id()));
        if (!pending_.Cancel(r.job_id())) queries_->Cancel(r.job_id());
        return r;
      });
  router_.AddRaw(
      "cancel_statements",
      "Ends what calls of this session wait for: COPY, INSERT and the like.",
      [this](const Context& context, std::string_view) -> arrow::Result<std::string> {
        ARROW_ASSIGN_OR_RAISE(const auto session, sessions_->ForCall(context));
        queries_->CancelAwaited(session->id());
        return "";
      });
  router_.Add<control::ListExecutorsRequest, control::ListExecutorsResponse>(
      "list_executors",
      [this](const auto&) -> arrow::Result<control::ListExecutorsResponse> {
        control::ListExecutorsResponse response;
        for (auto& one : jobs_->Executors()) *response.add_executors() = one;
        return response;
      });
  router_.AddRaw("status", "What this scheduler keeps of jobs, as JSON.",
                 [this](const Context&, std::string_view) -> arrow::Result<std::string> {
                   return Status();
                 });
}

// What other schedulers ask for, whose clients have asked them.
void FlightSqlService::AddPeerActions() {
  using control::CancelJobRequest;
  router_.Add<control::JobProfileRequest, profile::QueryProfile>(
      "own_job_profile", [this](const auto& r) -> arrow::Result<profile::QueryProfile> {
        // Whoever asks will come for the result.
        jobs_->Renew(r.job_id());
        return jobs_->Outline(r.job_id());
      });
  router_.Add<CancelJobRequest, CancelJobRequest>(
      "cancel_own_job", [this](const auto& r) -> arrow::Result<CancelJobRequest> {
        jobs_->Cancel(r.job_id(), Cancelled::CLIENT, "the client cancelled the query");
        return r;
      });
  router_.Add<CancelJobRequest, CancelJobRequest>(
      "release_own_job", [this](const auto& r) -> arrow::Result<CancelJobRequest> {
        jobs_->Release(r.job_id());
        return r;
      });
  router_.Add<CancelJobRequest, CancelJobRequest>(
      "own_job_was_read", [this](const auto& r) -> arrow::Result<CancelJobRequest> {
        jobs_->ReleaseRead(r.job_id());
        return r;
      });
}

std::string FlightSqlService::Status() const {
  auto jobs = nlohmann::json::array();
  for (const auto& job : jobs_->Summaries()) {
    jobs.push_back({{"job_id", job.job_id()},
                    {"state", profile::JobState_Name(job.state()).substr(10)}});
  }
  const auto kept = jobs_->Kept();
  return nlohmann::json{{"jobs", std::move(jobs)},
                        {"running_tasks", kept.running_tasks},
                        {"waiting", kept.waiting},
                        {"read", kept.read},
                        {"results", queries_->KeptResults()},
                        {"executors", jobs_->Executors().size()}}
      .dump();
}

void FlightSqlService::AddSqlActions() {
  router_.AddRaw("CreatePreparedStatement", "Prepares a statement.",
                 [this](const Context& context, std::string_view body) {
                   return Prepare(context, body);
                 });
  router_.AddRaw("CreatePreparedSubstraitPlan", "Prepares a Substrait plan.",
                 [this](const Context& context, std::string_view body) {
                   return PrepareSubstrait(context, body);
                 });
  router_.AddRaw("ClosePreparedStatement", "Drops a prepared statement.",
                 [this](const Context&, std::string_view body) { return Close(body); });
  router_.AddRaw("CancelFlightInfo", "Cancels a query.",
                 [this](const Context& context, std::string_view body) {
                   return CancelFlightInfo(context, body);
                 });
  router_.AddRaw("CancelQuery", "Cancels a query; CancelFlightInfo's older form.",
                 [this](const Context& context, std::string_view body) {
                   return CancelQuery(context, body);
                 });
  router_.AddRaw("RenewFlightEndpoint", "Keeps a result for longer.",
                 [this](const Context& context, std::string_view body) {
                   return RenewFlightEndpoint(context, body);
                 });
  for (const char* name :
       {"BeginTransaction", "EndTransaction", "BeginSavepoint", "EndSavepoint"}) {
    router_.AddRaw(
        name, "Not supported: each statement commits by itself.",
        [](const Context&, std::string_view) -> arrow::Result<std::string> {
          return arrow::Status::NotImplemented(
              "transactions and savepoints are not supported: each statement commits by "
              "itself");
        });
  }
  router_.AddRaw("SetSessionOptions", "Sets options of the session.",
                 [this](const Context& context, std::string_view body) {
                   return SetSessionOptions(context, body);
                 });
  router_.AddRaw("GetSessionOptions", "Gives the options of the session.",
                 [this](const Context& context, std::string_view) {
                   return GetSessionOptions(context);
                 });
  router_.AddRaw(
      "CloseSession", "Ends the session.",
      [this](const Context& context, std::string_view) {
        const bool closed = sessions_->Close(context);
        return fl::CloseSessionResult(closed ? fl::CloseSessionStatus::kClosed
                                             : fl::CloseSessionStatus::kNotClosable)
            .SerializeToString();
      });
}

arrow::Status FlightSqlService::CheckMayTouch(const Context& context,
                                              const std::string& query_id) {
  const auto who = flight::IdentityOf(context);
  auto user = bound_.UserOf(query_id);
  if (!user) user = pending_.UserOf(query_id);
  if (user && !who.MayTouch(*user)) {
    return arrow::Status::Invalid(JobService::NoSuchJob(query_id).message());
  }
  return queries_->CheckMayTouch(who, query_id);
}

bool FlightSqlService::CancelInfo(const Context& context, const fl::FlightInfo& info) {
  for (const auto& endpoint : info.endpoints()) {
    const auto any = ParseAny(endpoint.ticket.ticket);
    sqlp::TicketStatementQuery ticket;
    if (any.ok() && UnpackInto(*any, &ticket)) {
      const auto& id = ticket.statement_handle();
      if (!CheckMayTouch(context, id).ok()) return false;
      return bound_.Cancel(id) || queries_->Cancel(id);
    }
  }
  // One that is polled for has no ticket yet.
  const std::string& id = info.app_metadata();
  if (id.empty() || !CheckMayTouch(context, id).ok()) return false;
  return pending_.Cancel(id) || queries_->Cancel(id);
}

arrow::Result<std::string> FlightSqlService::CancelQuery(const Context& context,
                                                         std::string_view body) {
  ARROW_ASSIGN_OR_RAISE(auto request, ParseBody<sqlp::ActionCancelQueryRequest>(body));
  ARROW_ASSIGN_OR_RAISE(const auto info, fl::FlightInfo::Deserialize(request.info()));
  sqlp::ActionCancelQueryResult result;
  result.set_result(CancelInfo(context, *info)
                        ? sqlp::ActionCancelQueryResult::CANCEL_RESULT_CANCELLED
                        : sqlp::ActionCancelQueryResult::CANCEL_RESULT_NOT_CANCELLABLE);
  return Pack(result);
}

arrow::Result<std::string> FlightSqlService::CancelFlightInfo(const Context& context,
                                                              std::string_view body) {
  ARROW_ASSIGN_OR_RAISE(auto request, fl::CancelFlightInfoRequest::Deserialize(body));
  const bool known = request.info != nullptr && CancelInfo(context, *request.info);
  return fl::CancelFlightInfoResult(known ? fl::CancelStatus::kCancelled
                                          : fl::CancelStatus::kNotCancellable)
      .SerializeToString();
}

}  // namespace ballista::scheduler
