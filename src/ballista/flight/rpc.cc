#include "ballista/flight/rpc.h"

#include <arrow/buffer.h>
#include <fmt/format.h>

#include "ballista/base/status.h"
#include "ballista/flight/auth_middleware.h"
#include "ballista/flight/status_transport.h"

namespace ballista::flight {

arrow::Status CheckWireVersion(std::string_view what, uint32_t theirs) {
  if (theirs == kWireVersion) return arrow::Status::OK();
  ErrorDetail detail;
  detail.mutable_version_mismatch()->set_ours(kWireVersion);
  detail.mutable_version_mismatch()->set_theirs(theirs);
  const char* older = theirs < kWireVersion ? "the peer that sent it"
                                            : "this process, or downgrade its peer";
  return WithDetail(
      arrow::StatusCode::Invalid,
      fmt::format("'{}' came in wire version {}, but this process (Ballista "
                  "{}) speaks version {}: upgrade {}",
                  what, theirs, kVersion, kWireVersion, older),
      std::move(detail));
}

arrow::Result<std::string> CallRaw(arrow::flight::FlightClient* client,
                                   std::string_view action, std::string body,
                                   std::chrono::milliseconds timeout) {
  arrow::flight::FlightCallOptions options;
  options.timeout = std::chrono::duration<double>(timeout);
  ARROW_ASSIGN_OR_RAISE(
      const auto results,
      FromFlightResult(client->DoAction(
          options, arrow::flight::Action{std::string(action),
                                         arrow::Buffer::FromString(std::move(body))})));
  ARROW_ASSIGN_OR_RAISE(const auto first, FromFlightResult(results->Next()));
  if (first == nullptr) {
    return InternalStatus(fmt::format("the action '{}' gave no result", action));
  }
  // The status of the call comes after its last result.
  ARROW_ASSIGN_OR_RAISE(const auto rest, FromFlightResult(results->Next()));
  if (rest != nullptr) {
    return InternalStatus(fmt::format("the action '{}' gave several results", action));
  }
  return first->body == nullptr ? std::string() : first->body->ToString();
}

void ActionRouter::AddRaw(std::string name, std::string description, Handler handler) {
  handlers_[std::move(name)] = {std::move(description), std::move(handler)};
}

void ActionRouter::ForClusterOnly(const std::set<std::string>& names) {
  cluster_only_ = names;
}

std::optional<arrow::Status> ActionRouter::Refusal(
    const arrow::flight::ServerCallContext& context, const std::string& name) const {
  if (!cluster_only_) return std::nullopt;
  const auto identity = IdentityOf(context);
  const bool cluster = cluster_only_->count(name) > 0;
  if (cluster ? identity.MayActAsCluster() : identity.MayActAsClient()) {
    return std::nullopt;
  }
  return arrow::flight::MakeFlightError(
      arrow::flight::FlightStatusCode::Unauthorized,
      fmt::format("the action '{}' is for {} alone", name,
                  cluster ? "the executors of the cluster, which show the cluster token "
                            "(cluster-token-file)"
                          : "clients"));
}

arrow::Status ActionRouter::Handle(
    const arrow::flight::ServerCallContext& context, const arrow::flight::Action& action,
    std::unique_ptr<arrow::flight::ResultStream>* result) const {
  const auto found = handlers_.find(action.type);
  if (found == handlers_.end()) {
    return ToFlightStatus(context, arrow::Status::NotImplemented("there is no action '",
                                                                 action.type, "' here"));
  }
  if (const auto refusal = Refusal(context, action.type)) return *refusal;
  std::string_view body;
  if (action.body != nullptr) body = std::string_view(*action.body);
  auto response = found->second.handler(context, body);
  if (!response.ok()) return ToFlightStatus(context, response.status());
  std::vector<arrow::flight::Result> results;
  results.push_back({arrow::Buffer::FromString(std::move(response).ValueUnsafe())});
  *result = std::make_unique<arrow::flight::SimpleResultStream>(std::move(results));
  return arrow::Status::OK();
}

std::vector<arrow::flight::ActionType> ActionRouter::List() const {
  std::vector<arrow::flight::ActionType> types;
  types.reserve(handlers_.size());
  for (const auto& [name, entry] : handlers_) types.push_back({name, entry.description});
  return types;
}

}  // namespace ballista::flight
