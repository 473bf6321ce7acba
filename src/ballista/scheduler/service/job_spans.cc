#include "ballista/scheduler/service/job_spans.h"

#include <algorithm>
#include <string>

#include "ballista/profile/complete.h"

namespace ballista::scheduler {
namespace {

// Of a statement's text.
constexpr size_t kMaxText = 4096;
// Less in the queue is no wait.
constexpr uint64_t kQueued = 1000;  // us

void SetNumber(const char* key, uint64_t value, otlp::Span* span) {
  trace::SetAttribute(key, static_cast<int64_t>(value), span);
}

std::string StateName(profile::JobState state) {
  switch (state) {
    case profile::JOB_STATE_FAILED:
      return "failed";
    case profile::JOB_STATE_CANCELLED:
      return "cancelled";
    default:
      return "finished";
  }
}

class SpansOfJob {
 public:
  SpansOfJob(const profile::QueryProfile& profile, const trace::JobTrace& trace,
             int64_t now_nanos)
      : profile_(profile),
        trace_(trace),
        submitted_(now_nanos - Nanos(profile.job().age_us())) {}

  std::vector<otlp::Span> Make() {
    const auto& job = profile_.job();
    spans_.push_back(Query());
    if (job.queued_us() >= kQueued) {
      spans_.push_back(trace::MakeSpan(trace_.query, trace::NewSpanId(),
                                       trace_.query.span_id, "queue", submitted_,
                                       At(job.queued_us())));
    }
    for (const auto& stage : profile_.stages()) AddStage(stage);
    return std::move(spans_);
  }

 private:
  static int64_t Nanos(uint64_t micros) { return static_cast<int64_t>(micros) * 1000; }
  int64_t At(uint64_t micros) const { return submitted_ + Nanos(micros); }

  otlp::Span Query() const {
    const auto& job = profile_.job();
    auto span = trace::MakeSpan(trace_.query, trace_.query.span_id, trace_.caller_span_id,
                                "query", std::min(trace_.begin_nanos, submitted_),
                                At(job.elapsed_us()));
    span.set_kind(otlp::Span::SERVER);
    trace::SetAttribute("db.system.name", "ballista", &span);
    trace::SetAttribute("db.query.text", profile::Cut(job.statement(), kMaxText), &span);
    trace::SetAttribute("ballista.job_id", job.job_id(), &span);
    trace::SetAttribute("ballista.session_id", job.session_id(), &span);
    trace::SetAttribute("ballista.state", StateName(job.state()), &span);
    SetNumber("ballista.stages", job.stages(), &span);
    SetNumber("ballista.tasks", job.tasks(), &span);
    SetNumber("ballista.failed_attempts", job.failed_attempts(), &span);
    SetNumber("ballista.rows", job.result_rows(), &span);
    SetNumber("ballista.bytes", job.result_bytes(), &span);
    if (job.state() == profile::JOB_STATE_FAILED ||
        job.state() == profile::JOB_STATE_CANCELLED) {
      trace::SetError(profile::Cut(job.error(), kMaxText), &span);
    }
    return span;
  }

  void AddStage(const profile::StageProfile& stage) {
    uint64_t begin = UINT64_MAX;
    uint64_t end = 0;
    uint64_t spilled = 0;
    for (const auto& task : stage.task_list()) {
      if (task.started_us() == 0) continue;
      begin = std::min(begin, task.started_us());
      end = std::max(end, task.started_us() + task.elapsed_us());
      spilled += task.metrics().spilled_bytes();
    }
    if (end == 0) return;
    auto span = trace::MakeSpan(
        trace_.query, trace::PartSpanId(trace_.query, trace::StagePart(stage.id())),
        trace_.query.span_id, "stage " + std::to_string(stage.id()), At(begin), At(end));
    SetNumber("ballista.stage", stage.id(), &span);
    SetNumber("ballista.tasks", stage.tasks(), &span);
    SetNumber("ballista.rows", stage.rows(), &span);
    SetNumber("ballista.bytes", stage.bytes(), &span);
    SetNumber("ballista.spilled_bytes", spilled, &span);
    spans_.push_back(std::move(span));
  }

  const profile::QueryProfile& profile_;
  const trace::JobTrace& trace_;
  const int64_t submitted_;
  std::vector<otlp::Span> spans_;
};

}  // namespace

std::vector<otlp::Span> JobSpans(const profile::QueryProfile& profile,
                                 const trace::JobTrace& trace, int64_t now_nanos) {
  return SpansOfJob(profile, trace, now_nanos).Make();
}

otlp::Span PlanSpan(const trace::JobTrace& trace, int64_t end_nanos) {
  return trace::MakeSpan(trace.query, trace::NewSpanId(), trace.query.span_id, "plan",
                         trace.begin_nanos, end_nanos);
}

}  // namespace ballista::scheduler
