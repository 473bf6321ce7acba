// The scheduler's metrics; docs/metrics.md has the list.
#include <map>

#include "ballista/scheduler/service/monitor.h"

namespace ballista::scheduler {
namespace {

template <typename Number>
double Of(Number number) {
  return static_cast<double>(number);
}

}  // namespace

void Monitor::DescribeJobs(metrics::Exposition* out) const {
  const JobMetrics& counted = jobs_->metrics();
  uint64_t queued = 0;
  uint64_t running = 0;
  uint64_t finished = 0;
  uint64_t pending = 0;
  uint64_t unknown = 0;  // of whose tasks nothing is known yet
  for (const auto& job : jobs_->Summaries()) {
    pending += job.pending_tasks();
    unknown += job.state() == profile::JOB_STATE_QUEUED && job.pending_tasks() == 0;
    queued += job.state() == profile::JOB_STATE_QUEUED;
    running += job.state() == profile::JOB_STATE_RUNNING;
    finished += job.state() == profile::JOB_STATE_FINISHED;
  }
  out->Gauge("ballista_jobs",
             "Jobs that are there: queued (no task has run), running, finished (the "
             "result is not read to its end).");
  out->Value({{"state", "queued"}}, Of(queued));
  out->Value({{"state", "running"}}, Of(running));
  out->Value({{"state", "finished"}}, Of(finished));
  out->Gauge("ballista_tasks_pending",
             "Tasks whose inputs are there, and which wait for a slot.", Of(pending));
  out->Gauge("ballista_work",
             "What executors are needed for: tasks that run or wait for a slot, and "
             "queued jobs whose tasks are not known yet.",
             Of(jobs_->Kept().running_tasks + pending + unknown));
  out->Counter("ballista_jobs_submitted_total", "Jobs that were given to the core.",
               counted.submitted);
  out->Counter("ballista_jobs_refused_total", "Of those, refused: too many at once.",
               counted.refused);
  out->Counter("ballista_jobs_ended_total", "Jobs that ended, by how.");
  out->Value({{"state", "finished"}}, Of(counted.finished.value()));
  out->Value({{"state", "failed"}}, Of(counted.failed.value()));
  out->Value({{"state", "cancelled"}}, Of(counted.cancelled.value()));
  out->Histogram("ballista_query_seconds",
                 "From the submission of a job until its result was there or it failed.",
                 counted.query);
  out->Histogram("ballista_job_start_seconds",
                 "From the submission of a job until its first task was launched.",
                 counted.job_start);
  out->Gauge("ballista_results_waiting",
             "Results without a job that wait for their reader.",
             Of(queries_->KeptResults()));
}

void Monitor::DescribeTasks(metrics::Exposition* out) const {
  const JobMetrics& counted = jobs_->metrics();
  out->Gauge("ballista_tasks_running", "Tasks that executors run.",
             Of(jobs_->Kept().running_tasks));
  out->Counter("ballista_tasks_launched_total", "Attempts of tasks that were launched.",
               counted.tasks_launched);
  out->Counter("ballista_tasks_retried_total",
               "Of those, not the first attempt of their task.", counted.tasks_retried);
  out->Counter("ballista_tasks_ended_total",
               "Attempts whose end executors told, by how.");
  out->Value({{"state", "finished"}}, Of(counted.tasks_finished.value()));
  out->Value({{"state", "failed"}}, Of(counted.tasks_failed.value()));
  out->Histogram("ballista_task_seconds", "Time of finished tasks.", counted.task);
  out->Counter("ballista_output_rows_total", "Rows that finished tasks put out.",
               counted.rows_written);
  out->Counter(
      "ballista_shuffle_bytes_total",
      "Bytes of rows between tasks: written, and by where they were read from "
      "(network: another executor; process: the task's own) or moved to (disk).");
  out->Value({{"tier", "written"}}, Of(counted.bytes_written.value()));
  out->Value({{"tier", "network"}}, Of(counted.bytes_fetched.value()));
  out->Value({{"tier", "process"}}, Of(counted.bytes_local.value()));
  out->Value({{"tier", "disk"}}, Of(counted.bytes_spilled.value()));
  out->Histogram("ballista_scheduler_event_seconds",
                 "What the core took for an event and its effects.", counted.event);
}

void Monitor::DescribeExecutors(metrics::Exposition* out) const {
  const JobMetrics& counted = jobs_->metrics();
  const auto list = jobs_->ViewExecutors();
  std::map<std::string, uint64_t> states = {
      {"active", 0}, {"draining", 0}, {"silent", 0}, {"left out", 0}};
  uint64_t slots = 0;
  for (const auto& one : list.executors()) {
    ++states[one.state()];
    slots += one.slots();
  }
  out->Gauge("ballista_executors", "Executors that are known, by state.");
  for (const auto& [state, count] : states) out->Value({{"state", state}}, Of(count));
  out->Gauge("ballista_slots", "Tasks that all executors run at the same time, at most.",
             Of(slots));
  out->Counter("ballista_executors_registered_total", "Processes that registered.",
               counted.executors_registered);
  out->Counter("ballista_executors_gone_total", "Of those, that left or were lost.",
               counted.executors_gone);
  out->Counter("ballista_heartbeats_total", "Heartbeats of executors.",
               counted.heartbeats);
  const auto each = [&](const char* name, const char* help, auto value) {
    out->Gauge(name, help);
    for (const auto& one : list.executors()) {
      const std::string address = one.host() + ":" + std::to_string(one.port());
      out->Value({{"executor", one.id()}, {"address", address}}, value(one));
    }
  };
  each("ballista_executor_heartbeat_age_seconds", "Since an executor was heard of.",
       [](const auto& one) { return Of(one.heartbeat_age_ms()) / 1000; });
  each("ballista_executor_running", "Tasks of this scheduler that an executor runs.",
       [](const auto& one) { return Of(one.running_tasks()); });
}

void Monitor::DescribeHistory(metrics::Exposition* out) const {
  out->Gauge("ballista_history_jobs", "Profiles of ended jobs that are kept.",
             Of(history_->size()));
  out->Gauge("ballista_history_bytes", "Memory that they take, compressed.",
             Of(history_->bytes()));
  out->Counter("ballista_history_left_out_total",
               "Profiles that were not kept because too many jobs ended at once.");
  out->Value(Of(history_->left_out()));
}

void Monitor::DescribeTraces(metrics::Exposition* out) const {
  const auto spans =
      exporter_ == nullptr ? trace::Exporter::Counts{} : exporter_->counts();
  out->Counter("ballista_trace_spans_total", "Spans, by what became of them.");
  out->Value({{"state", "sent"}}, Of(spans.sent));
  out->Value({{"state", "lost"}}, Of(spans.lost));
}

std::string Monitor::Metrics() const {
  metrics::Exposition out;
  metrics::DescribeProcess("scheduler", &out);
  out.Gauge("ballista_scheduler_ready", "1 while the scheduler takes queries.",
            Ready().ready() ? 1 : 0);
  DescribeJobs(&out);
  DescribeTasks(&out);
  DescribeExecutors(&out);
  DescribeHistory(&out);
  DescribeTraces(&out);
  std::vector<Describe> more;
  {
    const std::lock_guard lock(mutex_);
    more = more_metrics_;
  }
  for (const auto& describe : more) describe(&out);
  return out.Take();
}

}  // namespace ballista::scheduler
