#include "ballista/executor/task_spans.h"

#include <string>

namespace ballista::executor {
namespace {

std::string TaskSpanId(const trace::JobTrace& trace, const job::TaskId& id) {
  return trace::PartSpanId(trace.query,
                           trace::TaskPart(id.stage_id(), id.task_index(), id.attempt()));
}

}  // namespace

otlp::Span TaskSpan(const trace::JobTrace& trace, const job::TaskId& id,
                    int64_t begin_nanos, const arrow::Status& status,
                    const job::TaskMetrics* metrics) {
  auto span = trace::MakeSpan(
      trace.query, TaskSpanId(trace, id),
      trace::PartSpanId(trace.query, trace::StagePart(id.stage_id())),
      "task " + std::to_string(id.stage_id()) + "." + std::to_string(id.task_index()),
      begin_nanos, trace::UnixNanos());
  trace::SetAttribute("ballista.job_id", id.job_id(), &span);
  trace::SetAttribute("ballista.stage", int64_t{id.stage_id()}, &span);
  trace::SetAttribute("ballista.task", int64_t{id.task_index()}, &span);
  trace::SetAttribute("ballista.attempt", int64_t{id.attempt()}, &span);
  if (metrics != nullptr) {
    const auto number = [&](const char* key, uint64_t value) {
      trace::SetAttribute(key, static_cast<int64_t>(value), &span);
    };
    number("ballista.rows", metrics->output_rows());
    number("ballista.bytes", metrics->output_bytes());
    number("ballista.fetched_bytes", metrics->fetched_bytes());
    number("ballista.local_bytes", metrics->local_bytes());
    number("ballista.spilled_bytes", metrics->spilled_bytes());
    number("ballista.cpu_us", metrics->cpu_us());
  }
  if (!status.ok()) trace::SetError(status.message(), &span);
  return span;
}

otlp::Span FetchSpan(const trace::JobTrace& trace, const job::TaskId& id,
                     const shuffle::FetchReport& report) {
  auto span =
      trace::MakeSpan(trace.query, trace::NewSpanId(), TaskSpanId(trace, id),
                      "fetch stage " + std::to_string(report.stage_id),
                      trace::UnixNanos(report.begin), trace::UnixNanos(report.end));
  span.set_kind(otlp::Span::CLIENT);
  trace::SetAttribute("ballista.stage", int64_t{report.stage_id}, &span);
  trace::SetAttribute("ballista.executor_id", report.executor_id, &span);
  trace::SetAttribute("network.peer.address", report.address, &span);
  trace::SetAttribute("ballista.rows", report.rows, &span);
  trace::SetAttribute("ballista.bytes", report.bytes, &span);
  if (!report.status.ok()) trace::SetError(report.status.message(), &span);
  return span;
}

}  // namespace ballista::executor
