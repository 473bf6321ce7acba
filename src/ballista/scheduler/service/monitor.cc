#include "ballista/scheduler/service/monitor.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "ballista/base/log.h"
#include "ballista/base/unix_time.h"
#include "ballista/base/version.h"
#include "ballista/profile/complete.h"
#include "ballista/scheduler/service/state_keys_internal.h"

namespace ballista::scheduler {
namespace {

constexpr auto kProfileAge = std::chrono::milliseconds(250);
constexpr size_t kMaxRecent = 16;
constexpr auto kJustEnded = std::chrono::milliseconds(200);
constexpr size_t kMaxHistoryBytes = size_t{32} << 20;
constexpr auto kLoadTime = std::chrono::seconds(30);

// Options that name files of secrets.
const std::set<std::string> kSecret = {"tls-key", "cluster-token-file", "auth-file",
                                       "etcd-password-file", "etcd-key"};

bool ContainsNoCase(const std::string& text, const std::string& wanted) {
  const auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) ==
           std::tolower(static_cast<unsigned char>(b));
  };
  return std::search(text.begin(), text.end(), wanted.begin(), wanted.end(), same) !=
         text.end();
}

bool LetsThrough(const http::JobFilter& filter, const profile::JobSummary& job) {
  if (!filter.who.MayTouch(job.user())) return false;
  if (filter.state != profile::JOB_STATE_UNKNOWN && job.state() != filter.state) {
    return false;
  }
  return filter.text.empty() || ContainsNoCase(job.statement(), filter.text) ||
         ContainsNoCase(job.job_id(), filter.text) ||
         ContainsNoCase(job.session_id(), filter.text);
}

}  // namespace

bool WantsProfiles(const config::SchedulerConfig& config) {
  return (config.history_jobs > 0 && config.http_port != 0) ||
         config.slow_query_log.count() > 0 || !config.otlp_endpoint.empty();
}

std::unique_ptr<history::History> OpenHistory(const config::SchedulerConfig& config,
                                              StateKeeper* keeper) {
  // Whoever cannot be shown anything needs nothing kept.
  const bool shown = config.http_port != 0;
  history::HistoryOptions options;
  options.max_jobs = shown ? config.history_jobs : 0;
  options.max_age = config.history_age;
  options.max_bytes = kMaxHistoryBytes;
  options.slow_query_log = config.slow_query_log;
  if (keeper == nullptr || !shown) {
    return std::make_unique<history::History>(options, history::HistoryStore{});
  }
  history::HistoryStore store;
  store.put = [keeper](const std::string& job_id, std::string bytes) {
    keeper->Put(kHistory + job_id, std::move(bytes));
  };
  store.erase = [keeper](const std::string& job_id) {
    keeper->ErasePrefix(kHistory + job_id);
  };
  auto history = std::make_unique<history::History>(options, std::move(store));
  const auto found = keeper->backend()->List(kHistory, state::In(kLoadTime));
  if (!found.ok()) {
    LOG_WARN("scheduler", "The history of queries is not there: {}",
             found.status().message());
    return history;
  }
  std::vector<std::pair<std::string, std::string>> entries;
  for (const auto& entry : found->entries) {
    entries.emplace_back(entry.key.substr(kHistory.size()), entry.value);
  }
  history->Load(entries);
  return history;
}

Monitor::Monitor(const config::SchedulerConfig& config, JobService* jobs,
                 QueryService* queries, const history::History* history,
                 const trace::Exporter* exporter)
    : config_(config),
      jobs_(jobs),
      queries_(queries),
      history_(history),
      exporter_(exporter),
      begun_ms_(UnixMs()) {}

void Monitor::AddMetrics(Describe describe) {
  const std::lock_guard lock(mutex_);
  more_metrics_.push_back(std::move(describe));
}

http::Sources Monitor::Sources() {
  http::Sources sources;
  sources.ready = [this] { return Ready(); };
  sources.metrics = [this] { return Metrics(); };
  sources.overview = [this] { return Overview(); };
  sources.executors = [this] { return jobs_->ViewExecutors(); };
  sources.drain = [this](const std::string& executor) -> arrow::Result<std::string> {
    ARROW_ASSIGN_OR_RAISE(const auto drained, jobs_->DrainExecutor(executor));
    return drained.executor_id();
  };
  sources.jobs = [this](const http::JobFilter& filter) { return List(filter); };
  sources.profile = [this](const auto& who, const std::string& job_id) {
    return FindFor(who, job_id);
  };
  sources.cancel = [this](const auto& who, const std::string& job_id) {
    return Cancel(who, job_id);
  };
  sources.config = [this] { return Config(); };
  return sources;
}

profile::ClusterOverview Monitor::Overview() const {
  profile::ClusterOverview overview;
  overview.set_version(kVersion);
  overview.set_scheduler_id(jobs_->id());
  overview.set_started_ms(begun_ms_);
  overview.set_uptime_ms(
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                std::chrono::steady_clock::now() - begun_)
                                .count()));
  overview.set_draining(queries_->stopping());
  overview.set_history(static_cast<uint32_t>(history_->size()));
  uint64_t limit = 0;
  uint64_t used = 0;
  uint64_t disk = 0;
  const auto executors = jobs_->ViewExecutors();
  overview.set_executors(static_cast<uint32_t>(executors.executors_size()));
  for (const auto& one : executors.executors()) {
    if (one.state() == "active") {
      overview.set_usable_executors(overview.usable_executors() + 1);
    }
    overview.set_slots(overview.slots() + one.slots());
    overview.set_running_tasks(overview.running_tasks() + one.running_tasks());
    limit += one.memory_limit();
    used += one.memory_used();
    disk += one.disk_used();
  }
  overview.set_memory_limit(limit);
  overview.set_memory_used(used);
  overview.set_disk_used(disk);
  uint32_t queued = 0;
  uint32_t running = 0;
  uint32_t waiting = 0;
  for (const auto& job : jobs_->Summaries()) {
    queued += job.state() == profile::JOB_STATE_QUEUED;
    running += job.state() == profile::JOB_STATE_RUNNING;
    waiting += job.state() == profile::JOB_STATE_FINISHED;
  }
  overview.set_queued_jobs(queued);
  overview.set_running_jobs(running);
  overview.set_waiting_results(waiting);
  return overview;
}

profile::JobList Monitor::List(const http::JobFilter& filter) const {
  // First what is there: what ends in between is in the history from then on, and is
  // taken from there.
  const std::vector<profile::JobSummary> live = jobs_->Summaries();
  const auto ended = history_->Summaries();
  std::set<std::string> known;
  std::vector<const profile::JobSummary*> wanted;
  for (const auto& job : ended) {
    known.insert(job->job_id());
    if (LetsThrough(filter, *job)) wanted.push_back(job.get());
  }
  for (const auto& job : live) {
    if (!known.contains(job.job_id()) && LetsThrough(filter, job)) wanted.push_back(&job);
  }
  // A total order, so that no page has what another one had.
  std::sort(wanted.begin(), wanted.end(), [](const auto* a, const auto* b) {
    return a->submitted_ms() != b->submitted_ms() ? a->submitted_ms() > b->submitted_ms()
                                                  : a->job_id() < b->job_id();
  });
  profile::JobList list;
  list.set_total(static_cast<uint32_t>(wanted.size()));
  list.set_offset(filter.offset);
  list.set_limit(filter.limit);
  for (size_t i = filter.offset;
       i < wanted.size() && i < size_t{filter.offset} + filter.limit; ++i) {
    *list.add_jobs() = *wanted[i];
  }
  return list;
}

arrow::Result<Monitor::SharedProfile> Monitor::Find(const std::string& job_id) {
  const auto now = std::chrono::steady_clock::now();
  {
    const std::lock_guard lock(mutex_);
    const auto recent = recent_.find(job_id);
    if (recent != recent_.end() && now - recent->second.first < kProfileAge) {
      return recent->second.second;
    }
  }
  auto live = jobs_->Profile(job_id);
  if (!live.has_value()) {
    auto ended = history_->Find(job_id);
    if (ended.ok()) return ended;
    // It may have ended a moment ago.
    history_->WaitUntilIdle(kJustEnded);
    return history_->Find(job_id);
  }
  auto shared = std::make_shared<const profile::QueryProfile>(std::move(*live));
  const std::lock_guard lock(mutex_);
  std::erase_if(recent_,
                [&](const auto& one) { return now - one.second.first >= kProfileAge; });
  if (recent_.size() < kMaxRecent) recent_[job_id] = {now, shared};
  return shared;
}

arrow::Result<Monitor::SharedProfile> Monitor::FindFor(const security::Identity& who,
                                                       const std::string& job_id) {
  ARROW_ASSIGN_OR_RAISE(auto found, Find(job_id));
  if (who.MayTouch(found->job().user())) return found;
  // As for one that is not there.
  return arrow::Status::KeyError("there is no job '", profile::Cut(job_id, 100),
                                 "', or it ended too long ago");
}

arrow::Status Monitor::Cancel(const security::Identity& who, const std::string& job_id) {
  const bool others = !queries_->CheckMayTouch(who, job_id).ok();
  const auto state = jobs_->Outline(job_id).job().state();
  const bool ended =
      state == profile::JOB_STATE_FAILED || state == profile::JOB_STATE_CANCELLED;
  if (others || ended || !queries_->Cancel(job_id)) {
    return arrow::Status::KeyError("there is no job '", profile::Cut(job_id, 100),
                                   "' that runs: it has ended, or never was");
  }
  return arrow::Status::OK();
}

profile::Readiness Monitor::Ready() const {
  profile::Readiness ready;
  const std::string why = queries_->stopping()
                              ? "this scheduler is stopping and takes no more queries"
                              : jobs_->WhyNotReady();
  ready.set_ready(why.empty());
  ready.set_reason(why);
  return ready;
}

profile::ConfigList Monitor::Config() const {
  profile::ConfigList list;
  for (const auto& [name, value] : config::Entries(config_)) {
    const bool secret = kSecret.contains(name) && !value.empty();
    auto* option = list.add_options();
    option->set_name(name);
    option->set_value(secret ? "(set)" : value);
    option->set_masked(secret);
  }
  return list;
}

}  // namespace ballista::scheduler
