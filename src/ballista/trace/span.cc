#include "ballista/trace/span.h"

#include <algorithm>
#include <utility>

namespace ballista::trace {

otlp::Span MakeSpan(const TraceContext& context, std::string span_id, std::string parent,
                    std::string name, int64_t begin_nanos, int64_t end_nanos) {
  otlp::Span span;
  span.set_trace_id(context.trace_id);
  span.set_span_id(std::move(span_id));
  span.set_parent_span_id(std::move(parent));
  span.set_name(std::move(name));
  span.set_kind(otlp::Span::INTERNAL);
  span.set_start_time_unix_nano(static_cast<uint64_t>(begin_nanos));
  // Clocks of two processes are compared: what ends does not end before it began.
  span.set_end_time_unix_nano(static_cast<uint64_t>(std::max(begin_nanos, end_nanos)));
  return span;
}

namespace {

otlp::AnyValue* AddAttribute(std::string_view key, otlp::Span* span) {
  auto* attribute = span->add_attributes();
  attribute->set_key(std::string(key));
  return attribute->mutable_value();
}

}  // namespace

void SetAttribute(std::string_view key, std::string value, otlp::Span* span) {
  AddAttribute(key, span)->set_string_value(std::move(value));
}

void SetAttribute(std::string_view key, int64_t value, otlp::Span* span) {
  AddAttribute(key, span)->set_int_value(value);
}

void SetError(std::string message, otlp::Span* span) {
  span->mutable_status()->set_code(otlp::Status::ERROR);
  span->mutable_status()->set_message(std::move(message));
}

std::string StagePart(uint32_t stage) {
  return "stage " + std::to_string(stage);
}

std::string TaskPart(uint32_t stage, uint32_t task, uint32_t attempt) {
  return "task " + std::to_string(stage) + "." + std::to_string(task) + "." +
         std::to_string(attempt);
}

}  // namespace ballista::trace
