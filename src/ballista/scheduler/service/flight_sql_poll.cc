// PollFlightInfo and RenewFlightEndpoint: part of FlightSqlService.
//
// The descriptor to poll with carries the FlightInfo that the query will have, so that
// nothing has to be kept for somebody who polls; but for a statement that runs before it
// has one (pending_statements.h).
#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "ballista/base/status.h"
#include "ballista/flight/part_ticket.h"
#include "ballista/flight/status_transport.h"
#include "ballista/flight_sql.pb.h"
#include "ballista/scheduler/service/flight_sql_messages_internal.h"
#include "ballista/scheduler/service/flight_sql_service.h"
#include "ballista/trace/context.h"

namespace ballista::scheduler {
namespace {

namespace fl = arrow::flight;
namespace sqlp = arrow::flight::protocol::sql;
using profile::QueryProfile;

constexpr std::string_view kPollType = "type.googleapis.com/ballista.PollDescriptor";
constexpr std::string_view kPendingType = "type.googleapis.com/ballista.PendingStatement";
// How long a poll waits for news, so that a client that polls in a loop does not spin.
constexpr auto kNews = std::chrono::milliseconds(500);
constexpr auto kLook = std::chrono::milliseconds(10);

bool Ended(const QueryProfile& outline) {
  return outline.job().state() != profile::JOB_STATE_QUEUED &&
         outline.job().state() != profile::JOB_STATE_RUNNING;
}

// Of 1. Stages whose tasks are not formed yet count as one task.
double Fraction(const QueryProfile& outline) {
  double all = 0;
  double done = 0;
  for (const auto& stage : outline.stages()) {
    if (stage.state() == profile::STAGE_STATE_NOT_NEEDED) continue;
    all += std::max<uint32_t>(stage.tasks() + stage.skipped(), 1);
    done += stage.finished() + stage.skipped();
  }
  return all > 0 ? std::min(done / all, 1.0) : 0;
}

// Empty where the info has no ticket of a query.
std::string QueryOf(const fl::FlightInfo& info) {
  sqlp::TicketStatementQuery ticket;
  for (const auto& endpoint : info.endpoints()) {
    const auto any = ParseAny(endpoint.ticket.ticket);
    if (any.ok() && UnpackInto(*any, &ticket)) return ticket.statement_handle();
  }
  return "";
}

arrow::Result<std::unique_ptr<fl::PollInfo>> Unfinished(const fl::FlightInfo& info,
                                                        double progress) {
  arrow::ipc::DictionaryMemo memo;
  ARROW_ASSIGN_OR_RAISE(const auto schema, info.GetSchema(&memo));
  ARROW_ASSIGN_OR_RAISE(
      auto without, MakeInfo(*schema, info.descriptor(), "", -1, info.app_metadata()));
  google::protobuf::Any next;
  next.set_type_url(std::string(kPollType));
  ARROW_ASSIGN_OR_RAISE(*next.mutable_value(), info.SerializeToString());
  return std::make_unique<fl::PollInfo>(
      std::move(without), fl::FlightDescriptor::Command(next.SerializeAsString()),
      progress, std::nullopt);
}

}  // namespace

arrow::Status FlightSqlService::PollFlightInfo(const Context& context,
                                               const fl::FlightDescriptor& request,
                                               std::unique_ptr<fl::PollInfo>* info) {
  const trace::CallScope scope(TraceParentOf(context));
  auto polled = Poll(context, request);
  if (!polled.ok()) return flight::ToFlightStatus(context, polled.status());
  *info = std::move(*polled);
  return arrow::Status::OK();
}

arrow::Result<std::unique_ptr<fl::PollInfo>> FlightSqlService::Poll(
    const Context& context, const fl::FlightDescriptor& request) {
  if (request.type == fl::FlightDescriptor::CMD) {
    const auto any = ParseAny(request.cmd);
    if (any.ok() && any->type_url() == kPollType) return PollAgain(context, any->value());
    if (any.ok() && any->type_url() == kPendingType) {
      return PollPending(context, any->value());
    }
    if (any.ok() && IsQuery(*any)) return PollQuery(context, *any, request);
  }
  ARROW_ASSIGN_OR_RAISE(auto info, DispatchInfo(context, request));
  return PollStarted(context, std::move(info));
}

// It may be a COPY, prepared or not, or a data frame that writes: those have run when
// they are begun.
arrow::Result<std::unique_ptr<fl::PollInfo>> FlightSqlService::PollQuery(
    const Context& context, const google::protobuf::Any& command,
    const fl::FlightDescriptor& request) {
  ARROW_ASSIGN_OR_RAISE(auto session, sessions_->ForCall(context));
  ARROW_ASSIGN_OR_RAISE(auto begin, WorkOf(command, session));
  auto work = [begin = std::move(begin), parent = std::string(TraceParentOf(context))](
                  const std::function<bool()>& abandoned) {
    const trace::CallScope scope(parent);
    return begin(abandoned);
  };
  ARROW_ASSIGN_OR_RAISE(const auto id,
                        pending_.Begin(std::move(session), request, std::move(work)));
  return PollPending(context, id);
}

arrow::Result<std::unique_ptr<fl::PollInfo>> FlightSqlService::PollPending(
    const Context& context, const std::string& id) {
  ARROW_RETURN_NOT_OK(CheckMayTouch(context, id));
  ARROW_ASSIGN_OR_RAISE(const auto outcome, pending_.Wait(id, kNews));
  if (outcome.handle) {
    ARROW_RETURN_NOT_OK(outcome.handle->status());
    ARROW_ASSIGN_OR_RAISE(auto info, StartedInfo(context, outcome.session.get(),
                                                 **outcome.handle, outcome.request));
    return PollStarted(context, std::move(info));
  }
  // What its columns are is not known yet.
  ARROW_ASSIGN_OR_RAISE(auto info, MakeInfo(*arrow::schema(arrow::FieldVector{}),
                                            outcome.request, "", -1, id));
  google::protobuf::Any next;
  next.set_type_url(std::string(kPendingType));
  next.set_value(id);
  return std::make_unique<fl::PollInfo>(
      std::move(info), fl::FlightDescriptor::Command(next.SerializeAsString()), 0.0,
      std::nullopt);
}

arrow::Result<std::unique_ptr<fl::PollInfo>> FlightSqlService::Finished(
    const Context& context, Info info) {
  ARROW_ASSIGN_OR_RAISE(info, WithParts(context, std::move(info)));
  return std::make_unique<fl::PollInfo>(std::move(info), std::nullopt, 1.0, std::nullopt);
}

arrow::Result<std::unique_ptr<fl::PollInfo>> FlightSqlService::PollStarted(
    const Context& context, Info info) {
  const std::string id = QueryOf(*info);
  // One that is not there as a job has its rows at hand, or is no query.
  const auto outline = id.empty() ? QueryProfile() : queries_->Outline(id);
  if (Ended(outline)) return Finished(context, std::move(info));
  return Unfinished(*info, Fraction(outline));
}

arrow::Result<std::unique_ptr<fl::PollInfo>> FlightSqlService::PollAgain(
    const Context& context, const std::string& bytes) {
  ARROW_ASSIGN_OR_RAISE(auto info, fl::FlightInfo::Deserialize(bytes));
  const std::string id = QueryOf(*info);
  ARROW_RETURN_NOT_OK(CheckMayTouch(context, id));
  auto outline = queries_->Outline(id);
  const double before = Fraction(outline);
  const auto state = outline.job().state();
  const auto end = std::chrono::steady_clock::now() + kNews;
  while (!Ended(outline) && outline.job().state() == state &&
         Fraction(outline) == before && std::chrono::steady_clock::now() < end &&
         !context.is_cancelled()) {
    std::this_thread::sleep_for(kLook);
    outline = queries_->Outline(id);
  }
  switch (outline.job().state()) {
    case profile::JOB_STATE_FINISHED:
      return Finished(context, std::move(info));
    case profile::JOB_STATE_QUEUED:
    case profile::JOB_STATE_RUNNING:
      return Unfinished(*info, Fraction(outline));
    case profile::JOB_STATE_FAILED:
    case profile::JOB_STATE_CANCELLED:
      // Gives the error as it is typed.
      ARROW_RETURN_NOT_OK(
          queries_->OpenResult(id, [&context] { return context.is_cancelled(); })
              .status());
      [[fallthrough]];
    default:
      return arrow::Status::Invalid("query ", id,
                                    " is not known to the scheduler (any more): its "
                                    "result was read or dropped; run it again");
  }
}

arrow::Result<std::string> FlightSqlService::RenewFlightEndpoint(const Context& context,
                                                                 std::string_view body) {
  ARROW_ASSIGN_OR_RAISE(auto request, fl::RenewFlightEndpointRequest::Deserialize(body));
  if (flight::IsPartTicket(request.endpoint.ticket.ticket)) {
    auto& ticket = request.endpoint.ticket.ticket;
    ARROW_ASSIGN_OR_RAISE(const auto sealed, flight::ParsePart(ticket));
    ARROW_RETURN_NOT_OK(CheckMayTouch(context, sealed.part.job_id()));
    ARROW_ASSIGN_OR_RAISE(ticket, queries_->RenewPart(ticket));
    return request.endpoint.SerializeToString();
  }
  ARROW_ASSIGN_OR_RAISE(const auto any, ParseAny(request.endpoint.ticket.ticket));
  sqlp::TicketStatementQuery ticket;
  if (!UnpackInto(any, &ticket) ||
      !CheckMayTouch(context, ticket.statement_handle()).ok() ||
      !queries_->Renew(ticket.statement_handle())) {
    return arrow::Status::Invalid(
        "the endpoint cannot be renewed: its query is not known to the scheduler (any "
        "more); run it again");
  }
  return request.endpoint.SerializeToString();
}

}  // namespace ballista::scheduler
