// What a scheduler counts (docs/metrics.md). Thread-safe.
#pragma once

#include <algorithm>

#include "ballista/metrics/instruments.h"
#include "ballista/profile.pb.h"

namespace ballista::scheduler {

struct JobMetrics {
  metrics::Counter submitted;
  metrics::Counter refused;
  metrics::Counter finished;
  metrics::Counter failed;
  metrics::Counter cancelled;
  metrics::Counter tasks_launched;
  metrics::Counter tasks_retried;  // launched as another attempt than a task's first
  metrics::Counter tasks_finished;
  metrics::Counter tasks_failed;
  metrics::Counter heartbeats;
  metrics::Counter executors_registered;
  metrics::Counter executors_gone;
  metrics::Counter rows_written;
  metrics::Counter bytes_written;
  metrics::Counter bytes_fetched;
  metrics::Counter bytes_local;
  metrics::Counter bytes_spilled;
  metrics::Histogram query;
  metrics::Histogram job_start;  // from the submission to the first task
  metrics::Histogram task;
  metrics::Histogram event;  // of the core, and its effects

  void Count(const job::TaskMetrics& done) {
    tasks_finished.Add();
    task.ObserveMicros(done.elapsed_us());
    rows_written.Add(done.output_rows());
    bytes_written.Add(done.output_bytes());
    bytes_fetched.Add(done.fetched_bytes());
    bytes_local.Add(done.local_bytes());
    bytes_spilled.Add(done.spilled_bytes());
  }
  void CountEnd(const profile::JobSummary& job) {
    const bool ok = job.state() == profile::JOB_STATE_FINISHED;
    const bool gone = job.state() == profile::JOB_STATE_CANCELLED;
    (ok ? finished : gone ? cancelled : failed).Add();
    query.ObserveMicros(job.elapsed_us());
  }
};

}  // namespace ballista::scheduler
