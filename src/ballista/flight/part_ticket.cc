#include "ballista/flight/part_ticket.h"

#include <google/protobuf/any.pb.h>

#include <utility>

#include "ballista/base/unix_time.h"
#include "ballista/plan/plan.h"
#include "ballista/security/secrets.h"

namespace ballista::flight {
namespace {

using Clock = std::chrono::system_clock;

// A reader of many parts may come for the last one late; how long the result itself is
// kept is the scheduler's matter.
constexpr auto kTicketLife = std::chrono::hours(24);

std::string Signature(const std::string& part, const std::string& key) {
  const auto digest = security::HmacSha256(key, part);
  return {digest.begin(), digest.end()};
}

arrow::Status NoTicket() {
  return arrow::Status::Invalid("the ticket is none that this cluster has given");
}

}  // namespace

std::string FindResultKey(
    const google::protobuf::RepeatedPtrField<plan::Setting>& settings) {
  for (const auto& setting : settings) {
    if (setting.name() == kResultKeySetting) return setting.value();
  }
  return "";
}

std::string SealPart(control::ResultPartRange part, const std::string& key,
                     Clock::time_point now) {
  part.set_expires_unix_ms(static_cast<int64_t>(UnixMs(now + kTicketLife)));
  control::ResultPartTicket ticket;
  ticket.set_part(part.SerializeAsString());
  ticket.set_signature(Signature(ticket.part(), key));
  google::protobuf::Any any;
  any.PackFrom(ticket);
  return any.SerializeAsString();
}

bool IsPartTicket(const std::string& ticket) {
  google::protobuf::Any any;
  return plan::ParseMessage(ticket, &any).ok() && any.Is<control::ResultPartTicket>();
}

arrow::Result<SealedPart> ParsePart(const std::string& ticket) {
  google::protobuf::Any any;
  SealedPart sealed;
  if (!plan::ParseMessage(ticket, &any).ok() || !any.UnpackTo(&sealed.ticket) ||
      !plan::ParseMessage(sealed.ticket.part(), &sealed.part).ok()) {
    return NoTicket();
  }
  return sealed;
}

arrow::Status CheckSeal(const SealedPart& sealed, const std::string& key,
                        Clock::time_point now) {
  if (key.empty() ||
      !security::EqualInConstantTime(sealed.ticket.signature(),
                                     Signature(sealed.ticket.part(), key))) {
    return NoTicket();
  }
  if (sealed.part.expires_unix_ms() < static_cast<int64_t>(UnixMs(now))) {
    return arrow::Status::Invalid("the ticket has expired; run the query again");
  }
  return arrow::Status::OK();
}

}  // namespace ballista::flight
