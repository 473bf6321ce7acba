// The span of one statement that the command line runs, from its start to its last row.
#pragma once

#include <arrow/status.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "ballista/trace/span.h"

namespace ballista::trace {
class Exporter;
}

namespace ballista::shell {

// Not thread-safe. The exporter outlives it.
class StatementTrace {
 public:
  // `exporter`: of the span; null: none is made. `parent`: of the environment variable
  // TRACEPARENT, below whose span this one is, and which goes to the server as it is
  // where no span is made; may be empty.
  StatementTrace(trace::Exporter* exporter, std::string_view parent,
                 std::string_view statement);

  // The traceparent header of the statement's call; empty: none.
  const std::string& header() const { return header_; }
  // `rows`: of the result; -1 where there is none.
  void End(const arrow::Status& status, int64_t rows);

 private:
  trace::Exporter* exporter_;
  std::string header_;
  otlp::Span span_;
};

}  // namespace ballista::shell
