// Which trace, and which span of it, something belongs to.
//
// A client names its span in the header `traceparent` (W3C Trace Context). The scheduler
// makes the query's span below it, or one that begins a trace, and sends it with the job
// to the executors (JobTrace). Values are immutable; functions are thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ballista/plan.pb.h"

namespace ballista::trace {

struct TraceContext {
  std::string trace_id;  // 16 bytes
  std::string span_id;   // 8 bytes
};

// Nanoseconds of Unix time.
int64_t UnixNanos(
    std::chrono::system_clock::time_point time = std::chrono::system_clock::now());

// Random bytes, never all zero.
std::string NewTraceId();
std::string NewSpanId();

// The id of a part of `span` that every process gives it alike, by its name within it.
std::string PartSpanId(const TraceContext& span, std::string_view name);

// Of a header's value. Nothing where it is malformed, or the trace is not to be recorded.
std::optional<TraceContext> ParseTraceParent(std::string_view text);
std::string ToTraceParent(const TraceContext& context);

// A query's place in a trace, as it travels with its job.
struct JobTrace {
  TraceContext query;
  std::string caller_span_id;  // of the client; empty: the trace begins with the query
  int64_t begin_nanos = 0;     // when the client's call came
};

// The setting of a job's graph that holds it.
inline constexpr const char* kJobTraceSetting = "ballista.trace";

std::string ToSetting(const JobTrace& trace);
// Nothing where it is malformed.
std::optional<JobTrace> ParseSetting(std::string_view text);
// Of a job's graph or of one of its stages; nothing where its trace is not recorded.
std::optional<JobTrace> FindJobTrace(
    const google::protobuf::RepeatedPtrField<plan::Setting>& settings);

// While it lives, what its thread begins is called for by the span of a header. They do
// not nest.
class CallScope {
 public:
  // `traceparent`: the header's value, or empty.
  explicit CallScope(std::string_view traceparent);
  ~CallScope();
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;
};

// For a query that this thread begins: below the span of its CallScope, if it has one.
// Nothing where the caller's trace is not to be recorded.
std::optional<JobTrace> BeginJobTrace();

}  // namespace ballista::trace
