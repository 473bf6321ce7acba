#include "ballista/scheduler/core.h"

#include <utility>

#include "ballista/scheduler/core_internal.h"

namespace ballista::scheduler {

Time After(Time time, Time delay) {
  return delay >= kNever - time ? kNever : time + delay;
}

job::TaskId MakeTaskId(const JobState& job, uint32_t stage, uint32_t index,
                       uint32_t attempt) {
  job::TaskId id;
  id.set_job_id(job.id);
  id.set_stage_id(stage);
  id.set_task_index(index);
  id.set_attempt(attempt);
  return id;
}

SchedulerCore::Impl::Impl(const CoreOptions& options, Replanner* replanner)
    : options_(options), replanner_(replanner) {}

std::vector<Effect> SchedulerCore::Impl::Handle(Event event, Time now) {
  now_ = std::max(now_, now);
  std::visit([this](auto& e) { On(e); }, event);
  if (now_ >= next_deadline_) CheckDeadlines();
  CloseRecoveries();
  AdmitJobs();
  Schedule();
  return TakeEffects();
}

void SchedulerCore::Impl::UpdateReady(JobState* job) {
  fair_.SetReady(&job->fair, job->admitted && !job->launchable.empty());
}

void SchedulerCore::Impl::SendCancel(const std::string& executor_id,
                                     const job::TaskId& id) {
  CancelTasks& cancel = cancels_[executor_id];
  cancel.executor_id = executor_id;
  cancel.tasks.push_back(id);
}

void SchedulerCore::Impl::SendRemove(const std::string& executor_id,
                                     const std::string& job_id) {
  RemoveJobs& removal = removals_[executor_id];
  removal.executor_id = executor_id;
  removal.job_ids.push_back(job_id);
}

std::vector<Effect> SchedulerCore::Impl::TakeEffects() {
  std::vector<Effect> effects = std::move(kept_);
  kept_.clear();
  effects.reserve(effects.size() + cancels_.size() + removals_.size() + ended_.size() +
                  launches_.size() + profiles_.size());
  for (auto& [id, cancel] : cancels_) effects.emplace_back(std::move(cancel));
  for (auto& [id, removal] : removals_) effects.emplace_back(std::move(removal));
  for (Effect& ended : ended_) effects.push_back(std::move(ended));
  for (auto& [index, launch] : launches_) effects.emplace_back(std::move(launch));
  for (Effect& profile : profiles_) effects.push_back(std::move(profile));
  profiles_.clear();
  cancels_.clear();
  removals_.clear();
  ended_.clear();
  launches_.clear();
  return effects;
}

const JobState* SchedulerCore::Impl::FindJob(const std::string& id) const {
  auto it = job_numbers_.find(id);
  return it == job_numbers_.end() ? nullptr : jobs_.at(it->second).get();
}

JobState* SchedulerCore::Impl::FindJob(const std::string& id) {
  return const_cast<JobState*>(std::as_const(*this).FindJob(id));
}

SchedulerCore::SchedulerCore(const CoreOptions& options, Replanner* replanner)
    : impl_(std::make_unique<Impl>(options, replanner)) {}

SchedulerCore::~SchedulerCore() = default;
SchedulerCore& SchedulerCore::operator=(SchedulerCore&& other) noexcept = default;

std::vector<Effect> SchedulerCore::Handle(Event event, Time now) {
  return impl_->Handle(std::move(event), now);
}

Time SchedulerCore::NextDeadline() const {
  return impl_->next_deadline();
}

bool SchedulerCore::HasExecutor(const std::string& executor_id,
                                const std::string& incarnation) const {
  return impl_->executors().Find(executor_id, incarnation) != nullptr;
}

std::vector<control::ExecutorMetadata> SchedulerCore::Executors() const {
  std::vector<control::ExecutorMetadata> result;
  for (const auto& [id, index] : impl_->executors().by_id()) {
    result.push_back(impl_->executors().Get(index)->metadata);
  }
  return result;
}

std::vector<ExecutorView> SchedulerCore::ViewExecutors() const {
  std::vector<ExecutorView> result;
  for (const auto& [id, index] : impl_->executors().by_id()) {
    const Executor& executor = *impl_->executors().Get(index);
    result.push_back({executor.metadata, executor.last_seen,
                      executor.metadata.task_slots() - executor.free_slots,
                      executor.draining, executor.suspended,
                      executor.excluded_until != Time{}});
  }
  return result;
}

size_t SchedulerCore::NumExecutors() const {
  return impl_->executors().by_id().size();
}

size_t SchedulerCore::NumUsableExecutors() const {
  return impl_->executors().num_usable();
}

bool SchedulerCore::MayLeave(const std::string& executor_id,
                             const std::string& incarnation) const {
  const Executor* executor = impl_->executors().Find(executor_id, incarnation);
  return executor == nullptr || impl_->MayLeave(*executor);
}

bool SchedulerCore::HasJob(const std::string& job_id) const {
  return impl_->FindJob(job_id) != nullptr;
}

uint64_t SchedulerCore::OutputBytes(const std::string& job_id) const {
  const JobState* job = impl_->FindJob(job_id);
  if (job == nullptr || job->data_removed) return 0;
  uint64_t bytes = 0;
  for (const auto& stage : job->stages) {
    for (const auto& task : stage.tasks) bytes += task.output.bytes();
  }
  return bytes;
}

bool SchedulerCore::IsResultPart(const std::string& job_id, uint32_t task,
                                 uint32_t attempt) const {
  const JobState* job = impl_->FindJob(job_id);
  return job != nullptr && job->IsResultPart(task, attempt);
}

bool SchedulerCore::AllPartsRead(const std::string& job_id) const {
  const JobState* job = impl_->FindJob(job_id);
  return job != nullptr && job->unread_parts && job->unread_parts->empty();
}

std::vector<std::string> SchedulerCore::Jobs() const {
  std::vector<std::string> ids;
  for (const auto& [id, number] : impl_->job_numbers()) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

profile::QueryProfile SchedulerCore::Outline(const std::string& job_id, Time now) const {
  profile::QueryProfile outline;
  const JobState* job = impl_->FindJob(job_id);
  if (job == nullptr) {
    outline.mutable_job()->set_job_id(job_id);
    return outline;
  }
  outline = impl_->Outline(*job, now);
  impl_->AddWaiting(*job, now, outline.mutable_job());
  return outline;
}

std::string SchedulerCore::WhyWaiting(const std::string& job_id, Time now) const {
  const JobState* job = impl_->FindJob(job_id);
  return job == nullptr ? "there is no such job" : impl_->WhyWaiting(*job, now);
}

std::vector<std::pair<std::string, Time>> SchedulerCore::Idle(Time since) const {
  return impl_->Idle(since);
}

profile::QueryProfile SchedulerCore::Profile(const std::string& job_id, Time now) const {
  const JobState* job = impl_->FindJob(job_id);
  if (job == nullptr) return {};
  profile::QueryProfile profile = impl_->Profile(*job, now);
  impl_->AddWaiting(*job, now, profile.mutable_job());
  return profile;
}

std::vector<profile::JobSummary> SchedulerCore::Summaries(Time now) const {
  return impl_->Summaries(now);
}

const job::JobGraph* SchedulerCore::Graph(const std::string& job_id) const {
  const JobState* job = impl_->FindJob(job_id);
  return job == nullptr ? nullptr : &job->graph;
}

std::vector<std::string> SchedulerCore::FindInconsistencies() const {
  return impl_->FindInconsistencies();
}

bool SchedulerCore::IsIdle() const {
  if (!impl_->job_numbers().empty() || impl_->running() > 0) return false;
  for (const auto& [id, index] : impl_->executors().by_id()) {
    const Executor* executor = impl_->executors().Get(index);
    if (!executor->launched.empty()) return false;
    if (executor->free_slots != executor->metadata.task_slots()) return false;
  }
  return true;
}

size_t SchedulerCore::NumRunningTasks() const {
  return impl_->running();
}

}  // namespace ballista::scheduler
