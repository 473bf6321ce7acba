// Spans of a task, and of what it fetches from other executors.
#pragma once

#include <arrow/status.h>

#include <cstdint>

#include "ballista/job.pb.h"
#include "ballista/shuffle/task_input.h"
#include "ballista/trace/span.h"

namespace ballista::executor {

// `metrics`: of one that finished, else null.
otlp::Span TaskSpan(const trace::JobTrace& trace, const job::TaskId& id,
                    int64_t begin_nanos, const arrow::Status& status,
                    const job::TaskMetrics* metrics);

// Below the task's span.
otlp::Span FetchSpan(const trace::JobTrace& trace, const job::TaskId& id,
                     const shuffle::FetchReport& report);

}  // namespace ballista::executor
