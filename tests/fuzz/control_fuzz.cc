// What arrives at a port beside plans and tickets: bodies of actions, error trailers,
// authorization headers; and the file of users. The first byte chooses.
#include <google/protobuf/any.pb.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "ballista/base/ids.h"
#include "ballista/base/log.h"
#include "ballista/base/status.h"
#include "ballista/control.pb.h"
#include "ballista/flight/status_transport.h"
#include "ballista/plan/plan.h"
#include "ballista/security/authenticator.h"
#include "ballista/security/credential_file.h"
#include "ballista/security/path_guard.h"

namespace ballista {
namespace {

constexpr const char* kClusterToken = "0123456789abcdef0123456789abcdef";

std::string Scratch(const std::string& name) {
  const char* folder = std::getenv("FUZZ_FOLDER");
  return std::string(folder == nullptr ? "/tmp" : folder) + "/" + name;
}

template <typename Message>
void Parse(std::string_view bytes) {
  Message message;
  if (plan::ParseMessage(bytes, &message).ok()) (void)message.SerializeAsString();
}

void Launch(std::string_view bytes) {
  control::LaunchTasksRequest request;
  if (!plan::ParseMessage(bytes, &request).ok()) return;
  for (const auto& stage : request.stages()) {
    (void)plan::ValidateFragment(stage.fragment(), stage.inputs_size());
  }
  for (const auto& task : request.tasks()) (void)IsPlainName(task.id().job_id());
}

void Trailer(std::string_view bytes) {
  const auto status = flight::ParseStatusTrailer(bytes);
  if (!status) return;
  (void)EncodeStatus(*status);
  (void)flight::IsTransient(*status);
  (void)status->ToString();
}

security::Authenticator& TheAuthenticator() {
  static auto& authenticator = *[] {
    const auto path = Scratch("control_fuzz.users");
    std::ofstream(path) << "alice token sha256:" << std::string(64, 'a') << "\n";
    std::shared_ptr<security::CredentialCheck> users =
        security::CredentialFile::Open(path).ValueOrDie();
    return new security::Authenticator(users, kClusterToken);
  }();
  return authenticator;
}

void Header(std::string_view value) {
  const auto identity = TheAuthenticator().Authenticate(value);
  // Nobody guesses: what is let in is the one secret that is known here.
  if (identity.ok() && value.find(kClusterToken) == std::string_view::npos) std::abort();
}

void Users(std::string_view text) {
  const auto path = Scratch("control_fuzz.other-users");
  std::ofstream(path, std::ios::binary) << text;
  const auto users = security::CredentialFile::Open(path);
  if (users.ok() && (*users)->UserOfToken("no token of anybody")) std::abort();
}

void Path(std::string_view path) {
  static const auto guard = security::PathGuard::Make("/usr/lib").ValueOrDie();
  const std::string text(path);
  if (!guard->Allows(text)) return;
  const auto resolved = security::ResolvePath(text);
  const bool inside = resolved == guard->folders()[0] ||
                      resolved.rfind(guard->folders()[0] + "/", 0) == 0;
  if (!inside || resolved.find("/../") != std::string::npos) std::abort();
}

void Run(std::string_view bytes) {
  if (bytes.empty()) return;
  const auto rest = bytes.substr(1);
  switch (static_cast<unsigned char>(bytes[0]) % 12) {
    case 0:
      return Parse<control::RegisterExecutorRequest>(rest);
    case 1:
      return Parse<control::HeartbeatRequest>(rest);
    case 2:
      return Parse<control::TaskStatusRequest>(rest);
    case 3:
      return Parse<control::JobProfileRequest>(rest);
    case 4:
      return Launch(rest);
    case 5:
      return Parse<control::RemoveJobsRequest>(rest);
    case 6:
      return Parse<google::protobuf::Any>(rest);
    case 7:
      return Trailer(rest);
    case 8:
      return Header(rest);
    case 9:
      return Users(rest);
    case 10:
      return Path(rest);
    default:
      return Parse<control::CancelTasksRequest>(rest);
  }
}

}  // namespace
}  // namespace ballista

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  ballista::log::Configure({ballista::log::Level::kOff, false});
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ballista::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
