// The scheduler program.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "ballista/base/log.h"
#include "ballista/base/machine_resources.h"
#include "ballista/base/signals.h"
#include "ballista/config/config.h"
#include "ballista/flight/allocator.h"
#include "ballista/flight/transport_setup.h"
#include "ballista/scheduler/service/scheduler_process.h"

namespace ballista {
namespace {

arrow::Status Run(const config::Parsed<config::SchedulerConfig>& parsed) {
  ARROW_RETURN_NOT_OK(log::ConfigureFromEnvironment(
      parsed.config.log_format == config::SchedulerConfig::LogFormat::kJson));
  ARROW_ASSIGN_OR_RAISE(auto signals, StopSignals::Catch());
  ARROW_ASSIGN_OR_RAISE(
      auto scheduler,
      scheduler::SchedulerProcess::Start(
          parsed.config, [&](const std::string& option, std::string_view reason) {
            return parsed.settings.Refuse(option, reason);
          }));
  signals.Wait();
  signals.ExitAtNext();
  LOG_INFO("scheduler", "Stopping");
  scheduler->Drain(parsed.config.drain_timeout);
  scheduler->Stop();
  return arrow::Status::OK();
}

int Main(int argc, char** argv) {
  flight::TuneAllocator();
  flight::SetUpTransport();
  RaiseOpenFileLimit();
  auto parsed =
      config::Parse<config::SchedulerConfig>(config::ProcessInput(argc, argv, environ));
  if (!parsed.ok()) {
    std::fprintf(stderr, "scheduler: %s\n", parsed.status().message().c_str());
    return 2;
  }
  if (!parsed->message.empty()) {
    std::fputs(parsed->message.c_str(), stdout);
    return 0;
  }
  const auto status = Run(*parsed);
  if (status.ok()) return 0;
  std::fprintf(stderr, "scheduler: %s\n", status.message().c_str());
  return 1;
}

}  // namespace
}  // namespace ballista

int main(int argc, char** argv) {
  return ballista::Main(argc, argv);
}
