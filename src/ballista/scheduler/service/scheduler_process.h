// A whole scheduler: planning engine, job service, Flight server. Used by the scheduler program, and by an
// executor that runs one in its own process (--local).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <arrow/result.h>

#include "ballista/config/config.h"

namespace ballista::scheduler {

class SchedulerProcess {
 public:
  // Listens on return. Errors: Invalid with one sentence for a port in use.
  static arrow::Result<std::unique_ptr<SchedulerProcess>> Start(
      const config::SchedulerConfig& config);
  ~SchedulerProcess();

  int port() const;
  // Answers no more calls; calls under way are ended. Idempotent.
  void Stop();

 private:
  struct Parts;
  explicit SchedulerProcess(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace ballista::scheduler
