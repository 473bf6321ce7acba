// A whole executor but for its engine: shuffle store, task runner, Flight server,
// connection to the scheduler.
#pragma once

#include <arrow/result.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ballista/config/config.h"
#include "ballista/engine/execution_engine.h"
#include "ballista/flight/address_list.h"
#include "ballista/metrics/exposition.h"
#include "ballista/security/process_security.h"
#include "ballista/trace/exporter.h"

namespace ballista::executor {

class ExecutorProcess {
 public:
  // Listens, and registers in the background, on return. Borrows the engine.
  // `work_dirs` exist. `schedulers`: with which it registers. `security`: as its options
  // say. `exporter`: of spans, or null. Errors: Invalid, half a sentence, for a port in
  // use.
  static arrow::Result<std::unique_ptr<ExecutorProcess>> Start(
      const config::ExecutorConfig& config, const std::vector<std::string>& work_dirs,
      const std::vector<flight::Address>& schedulers,
      const security::ProcessSecurity& security, engine::ExecutionEngine* engine,
      std::shared_ptr<trace::Exporter> exporter);
  ~ExecutorProcess();

  int port() const;
  // Of the executor alone, for Prometheus; without what every process tells.
  void Describe(metrics::Exposition* out) const;
  // Takes no more tasks, finishes those that it has, and serves its outputs until nobody
  // needs them; at most for `limit`, shortly before whose end it hands its tasks back.
  void Drain(std::chrono::milliseconds limit);
  // Leaves the cluster, cancels its tasks, answers no more calls. Idempotent.
  void Stop();

 private:
  struct Parts;
  explicit ExecutorProcess(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace ballista::executor
