// Typed calls over Flight's DoAction: one protobuf message there, one back.
//
//   client:  ARROW_ASSIGN_OR_RAISE(auto response, Call<control::HeartbeatResponse>(
//                client.get(), "heartbeat", request, std::chrono::seconds(5)));
//   server:  router.Add<control::HeartbeatRequest, control::HeartbeatResponse>(
//                "heartbeat", [&](const auto& request) { return Heartbeat(request); });
//
// A request with a field `wire_version` is checked before its handler sees it: another
// version than ours is answered with VersionMismatch. Call sets the field. Bodies may be
// of any size up to 2 GB. Errors arrive typed (status_transport.h).
#pragma once

#include <arrow/flight/client.h>
#include <arrow/flight/server.h>
#include <arrow/result.h>
#include <google/protobuf/message_lite.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ballista/base/version.h"
#include "ballista/plan/plan.h"

namespace ballista::flight {

// OK, or VersionMismatch with a sentence that says what to upgrade. `what`: "the request
// heartbeat".
arrow::Status CheckWireVersion(std::string_view what, uint32_t theirs);

// One action, bytes there and back. `timeout` covers the whole call. Errors: those of the
// server; a transport error (IsTransient) where there was no answer.
arrow::Result<std::string> CallRaw(arrow::flight::FlightClient* client,
                                   std::string_view action, std::string body,
                                   std::chrono::milliseconds timeout);

template <typename Response, typename Request>
arrow::Result<Response> Call(arrow::flight::FlightClient* client, std::string_view action,
                             Request request, std::chrono::milliseconds timeout) {
  if constexpr (requires { request.set_wire_version(kWireVersion); }) {
    request.set_wire_version(kWireVersion);
  }
  ARROW_ASSIGN_OR_RAISE(const std::string body,
                        CallRaw(client, action, request.SerializeAsString(), timeout));
  Response response;
  ARROW_RETURN_NOT_OK(plan::ParseMessage(body, &response));
  return response;
}

// The actions of one server. Add everything before the server starts; from then on it is
// read only and thread-safe. Handlers run on the server's threads, several at once.
class ActionRouter {
 public:
  using Handler = std::function<arrow::Result<std::string>(
      const arrow::flight::ServerCallContext&, std::string_view body)>;

  void AddRaw(std::string name, std::string description, Handler handler);

  // `handler`: arrow::Result<Response>(const Request&), or the same with the call's
  // context as its first parameter.
  template <typename Request, typename Response, typename Function>
  void Add(std::string name, Function handler) {
    AddRaw(name, "",
           [name, handler = std::move(handler)](
               const arrow::flight::ServerCallContext& context,
               std::string_view body) -> arrow::Result<std::string> {
             Request request;
             ARROW_RETURN_NOT_OK(plan::ParseMessage(body, &request));
             if constexpr (requires { request.wire_version(); }) {
               ARROW_RETURN_NOT_OK(CheckWireVersion(name, request.wire_version()));
             }
             if constexpr (std::is_invocable_v<decltype(handler), decltype(context),
                                               const Request&>) {
               ARROW_ASSIGN_OR_RAISE(Response response, handler(context, request));
               return response.SerializeAsString();
             } else {
               ARROW_ASSIGN_OR_RAISE(Response response, handler(request));
               return response.SerializeAsString();
             }
           });
  }

  // The actions of these names are for the processes of the cluster alone; every other
  // one is for clients alone. Where no such rule is called, any caller may call any.
  void ForClusterOnly(const std::set<std::string>& names);

  bool Has(const std::string& name) const { return handlers_.count(name) > 0; }

  // For FlightServerBase::DoAction. An unknown action is NotImplemented.
  arrow::Status Handle(const arrow::flight::ServerCallContext& context,
                       const arrow::flight::Action& action,
                       std::unique_ptr<arrow::flight::ResultStream>* result) const;

  // For FlightServerBase::ListActions.
  std::vector<arrow::flight::ActionType> List() const;

 private:
  struct Entry {
    std::string description;
    Handler handler;
  };
  std::optional<arrow::Status> Refusal(const arrow::flight::ServerCallContext& context,
                                       const std::string& name) const;

  std::map<std::string, Entry> handlers_;
  std::optional<std::set<std::string>> cluster_only_;
};

}  // namespace ballista::flight
