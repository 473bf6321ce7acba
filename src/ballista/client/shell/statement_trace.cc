#include "ballista/client/shell/statement_trace.h"

#include <utility>

#include "ballista/trace/exporter.h"

namespace ballista::shell {
namespace {

constexpr size_t kMaxText = 4096;
constexpr const char* kHeaderCharacters = "0123456789abcdef-";

}  // namespace

StatementTrace::StatementTrace(trace::Exporter* exporter, std::string_view parent,
                               std::string_view statement)
    : exporter_(exporter) {
  const auto above = trace::ParseTraceParent(parent);
  // One that says that its trace is not recorded is passed on.
  if (!above && !parent.empty()) exporter_ = nullptr;
  if (exporter_ == nullptr) {
    const bool sound = parent.find_first_not_of(kHeaderCharacters) == parent.npos;
    if (sound) header_ = parent;
    return;
  }
  const trace::TraceContext context{above ? above->trace_id : trace::NewTraceId(),
                                    trace::NewSpanId()};
  header_ = trace::ToTraceParent(context);
  const int64_t now = trace::UnixNanos();
  span_ = trace::MakeSpan(context, context.span_id, above ? above->span_id : "",
                          "statement", now, now);
  span_.set_kind(otlp::Span::CLIENT);
  trace::SetAttribute("db.system.name", "ballista", &span_);
  trace::SetAttribute("db.query.text", std::string(statement.substr(0, kMaxText)),
                      &span_);
}

void StatementTrace::End(const arrow::Status& status, int64_t rows) {
  if (exporter_ == nullptr) return;
  span_.set_end_time_unix_nano(static_cast<uint64_t>(trace::UnixNanos()));
  if (rows >= 0) trace::SetAttribute("db.response.returned_rows", rows, &span_);
  if (!status.ok()) trace::SetError(status.message(), &span_);
  exporter_->Add(std::move(span_));
  exporter_ = nullptr;
}

}  // namespace ballista::shell
