// Making of spans, and the names of their attributes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ballista/otlp.pb.h"
#include "ballista/trace/context.h"

namespace ballista::trace {

// A span of `context`'s trace with the id `span_id`, below `parent` (empty: below none).
otlp::Span MakeSpan(const TraceContext& context, std::string span_id, std::string parent,
                    std::string name, int64_t begin_nanos, int64_t end_nanos);

void SetAttribute(std::string_view key, std::string value, otlp::Span* span);
void SetAttribute(std::string_view key, int64_t value, otlp::Span* span);

// Only what goes wrong is said; else the status is left unset.
void SetError(std::string message, otlp::Span* span);

// Names of parts of a query's span (PartSpanId).
std::string StagePart(uint32_t stage);
std::string TaskPart(uint32_t stage, uint32_t task, uint32_t attempt);

}  // namespace ballista::trace
