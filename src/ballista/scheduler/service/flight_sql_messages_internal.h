// How Flight SQL's messages are packed.
#pragma once

#include <arrow/flight/server.h>
#include <arrow/flight/types.h>
#include <arrow/ipc/writer.h>
#include <arrow/result.h>
#include <arrow/type.h>
#include <google/protobuf/any.pb.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ballista/plan/plan.h"

namespace ballista::scheduler {

inline arrow::Result<google::protobuf::Any> ParseAny(const std::string& bytes) {
  google::protobuf::Any any;
  ARROW_RETURN_NOT_OK(plan::ParseMessage(bytes, &any));
  return any;
}

template <typename Message>
bool UnpackInto(const google::protobuf::Any& any, Message* message) {
  return any.Is<Message>() && any.UnpackTo(message);
}

// A request body that is either packed in an Any, as Flight SQL wants, or plain.
template <typename Message>
arrow::Result<Message> ParseBody(std::string_view body) {
  Message message;
  google::protobuf::Any any;
  if (plan::ParseMessage(body, &any).ok() && UnpackInto(any, &message)) return message;
  ARROW_RETURN_NOT_OK(plan::ParseMessage(body, &message));
  return message;
}

// Each statement commits by itself. `message`: one that may name a transaction.
template <typename Message>
arrow::Status RefuseTransaction(const Message& message) {
  if (message.transaction_id().empty()) return arrow::Status::OK();
  return arrow::Status::NotImplemented(
      "transactions are not supported: each statement commits by itself");
}

template <typename Message>
std::string Pack(const Message& message) {
  google::protobuf::Any any;
  any.PackFrom(message);
  return any.SerializeAsString();
}

// The header that names the caller's span; empty where there is none.
inline std::string_view TraceParentOf(const arrow::flight::ServerCallContext& context) {
  const auto header = context.incoming_headers().find("traceparent");
  return header == context.incoming_headers().end() ? std::string_view() : header->second;
}

// Of no endpoint where there is no ticket. `app_metadata`: the query's id.
inline arrow::Result<std::unique_ptr<arrow::flight::FlightInfo>> MakeInfo(
    const arrow::Schema& schema, const arrow::flight::FlightDescriptor& descriptor,
    std::string ticket, int64_t rows, std::string app_metadata) {
  namespace fl = arrow::flight;
  std::vector<fl::FlightEndpoint> endpoints;
  if (!ticket.empty()) {
    endpoints.push_back({fl::Ticket{std::move(ticket)}, {}, std::nullopt, ""});
  }
  ARROW_ASSIGN_OR_RAISE(
      auto info, fl::FlightInfo::Make(schema, descriptor, endpoints, rows, -1, true,
                                      std::move(app_metadata)));
  return std::make_unique<fl::FlightInfo>(std::move(info));
}

// Empty where a schema is not known.
inline arrow::Result<std::string> SchemaBytes(
    const std::shared_ptr<arrow::Schema>& schema) {
  if (schema == nullptr) return "";
  ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::ipc::SerializeSchema(*schema));
  return buffer->ToString();
}

}  // namespace ballista::scheduler
