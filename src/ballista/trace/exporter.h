// Sends spans to an OpenTelemetry collector by OTLP over HTTP, in batches, from a thread
// of its own. A collector that is slow, gone or refuses costs spans, which are counted,
// and nothing else.
//
// Thread-safe.
#pragma once

#include <arrow/result.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ballista/otlp.pb.h"

namespace ballista::trace {

struct ExporterOptions {
  // http://HOST:PORT or https://HOST:PORT, as in OTEL_EXPORTER_OTLP_ENDPOINT; the path
  // /v1/traces is added to it unless it ends so.
  std::string endpoint;
  std::string service;   // service.name: "ballista-scheduler"
  std::string instance;  // service.instance.id
  // Of each request, "name=value,name=value" as in OTEL_EXPORTER_OTLP_HEADERS.
  std::string headers;
  std::chrono::milliseconds interval{1000};  // between batches, at most
  std::chrono::milliseconds timeout{5000};   // of a request
};

class Exporter {
 public:
  // Errors: Invalid for an endpoint or headers that cannot be, with what they have to be.
  static arrow::Result<std::unique_ptr<Exporter>> Make(ExporterOptions options);
  // Sends what is left, for at most two seconds.
  ~Exporter();

  // Returns at once.
  void Add(otlp::Span span);

  struct Counts {
    uint64_t sent = 0;
    uint64_t lost = 0;  // too many waited, or the collector did not take them
  };
  Counts counts() const;

 private:
  explicit Exporter(ExporterOptions options);

  void Run();
  // Errors: whatever keeps the collector from taking them.
  arrow::Status Send(const std::vector<otlp::Span>& spans,
                     std::chrono::milliseconds timeout) const;

  const ExporterOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<otlp::Span> waiting_;
  Counts counts_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace ballista::trace
