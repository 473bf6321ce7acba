// A whole scheduler: planning engine, job service, Flight server. Used by the scheduler
// program, and by an executor that runs one in its own process (--local).
#pragma once

#include <arrow/result.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "ballista/config/config.h"
#include "ballista/metrics/exposition.h"

namespace ballista::scheduler {

class SchedulerProcess {
 public:
  // Makes the error for an option whose value turned out bad (config::Settings::Refuse).
  using Refuse =
      std::function<arrow::Status(const std::string& option, std::string_view reason)>;

  // Listens on return. Errors: what `refuse` makes for a port in use.
  static arrow::Result<std::unique_ptr<SchedulerProcess>> Start(
      const config::SchedulerConfig& config, const Refuse& refuse);
  ~SchedulerProcess();

  int port() const;
  // Takes no more queries, and waits until those that were taken have been answered; at
  // most for `limit`.
  void Drain(std::chrono::milliseconds limit);
  // Metrics of what else is in this process, for its HTTP port; called until StopHttp.
  void AddMetrics(std::function<void(metrics::Exposition*)> describe);
  // Idempotent; Stop does it, too.
  void StopHttp();
  // Answers no more calls; calls under way are ended. Idempotent.
  void Stop();

 private:
  struct Parts;
  explicit SchedulerProcess(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace ballista::scheduler
