// Spans of a query: itself, its time in the queue, and its stages.
#pragma once

#include <cstdint>
#include <vector>

#include "ballista/profile.pb.h"
#include "ballista/trace/span.h"

namespace ballista::scheduler {

// `profile`: raw, of a job that has ended, made at `now_nanos` of Unix time. Of each
// stage that ran there is a span, between its first task's begin and its last one's end.
std::vector<otlp::Span> JobSpans(const profile::QueryProfile& profile,
                                 const trace::JobTrace& trace, int64_t now_nanos);

// From the client's call until the query was given to the core.
otlp::Span PlanSpan(const trace::JobTrace& trace, int64_t end_nanos);

}  // namespace ballista::scheduler
