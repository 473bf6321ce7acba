// Whether what the core believes is consistent: what the simulation asks all the time.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "ballista/scheduler/core_internal.h"

namespace ballista::scheduler {

namespace {

class Inspector {
 public:
  explicit Inspector(const ExecutorRegistry& executors) : executors_(executors) {}

  void Inspect(const JobState& job) {
    uint32_t running = 0;
    for (uint32_t id = 0; id < job.stages.size(); ++id) {
      InspectStage(job, id);
      running += job.stages[id].running;
    }
    Expect(job.running == running, job, "counts {} running tasks, its stages {}",
           job.running, running);
    Expect(job.fair.running == running, job, "has {} slots of its share, {} tasks run",
           job.fair.running, running);
    Expect(!job.finished || running == 0, job, "has finished, and {} tasks run", running);
    Expect(!job.data_removed || job.finished, job, "has lost its data before its end");
    running_ += running;
  }

  void InspectExecutors(const std::map<uint64_t, std::unique_ptr<JobState>>& jobs) {
    size_t usable = 0;
    for (const auto& [id, index] : executors_.by_id()) {
      const Executor& executor = *executors_.Get(index);
      const uint32_t busy = busy_.contains(index) ? busy_.at(index) : 0;
      if (executor.free_slots + busy != executor.metadata.task_slots()) {
        Say("executor {} has {} slots, {} tasks and {} free slots", id,
            executor.metadata.task_slots(), busy, executor.free_slots);
      }
      usable += executors_.IsUsable(index);
      const bool listed = executors_.free().contains(
          {-static_cast<int64_t>(executor.free_slots), executor.last_launch, index});
      if (listed != executors_.IsFree(index)) Say("executor {} is listed wrongly", id);
      for (const auto& [number, positions] : executor.launched) {
        const auto job = jobs.find(number);
        if (job == jobs.end()) {
          Say("executor {} is held to keep job number {}, which has ended", id, number);
        } else if (std::count(job->second->executors.begin(),
                              job->second->executors.end(), index) != 1) {
          Say("job {} does not know once that executor {} keeps of it", job->second->id,
              id);
        }
      }
    }
    if (usable != executors_.num_usable()) {
      Say("{} executors can be used, {} are counted", usable, executors_.num_usable());
    }
  }

  void Expect(bool holds, size_t counted, size_t found, const char* what) {
    if (!holds) Say("{} {} are counted, {} found", counted, what, found);
  }

  uint32_t running() const { return running_; }
  std::vector<std::string> Take() { return std::move(found_); }

 private:
  template <typename... Args>
  void Say(fmt::format_string<Args...> format, Args&&... args) {
    found_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }
  template <typename... Args>
  void Expect(bool holds, const JobState& job, fmt::format_string<Args...> format,
              Args&&... args) {
    if (holds) return;
    found_.push_back(fmt::format("job {} {}", job.id,
                                 fmt::vformat(format, fmt::make_format_args(args...))));
  }

  void InspectStage(const JobState& job, uint32_t id) {
    const StageState& stage = job.stages[id];
    uint32_t by_state[TaskState::kSkipped + 1] = {};
    uint64_t rows = 0;
    uint32_t copies = 0;
    for (uint32_t t = 0; t < stage.tasks.size(); ++t) {
      const TaskState& task = stage.tasks[t];
      ++by_state[task.state];
      if (task.state == TaskState::kRunning) InspectHolder(job, id, t, task.executor);
      if (task.state == TaskState::kFinished) {
        rows += task.output.rows();
        if (!job.data_removed && task.inline_result == nullptr) {
          InspectHolder(job, id, t, task.executor);
        }
      }
      if (task.state == TaskState::kRunning) ++busy_[task.executor];
      if (task.copy.has_value()) {
        ++copies;
        ++busy_[task.copy->executor];
        InspectHolder(job, id, t, task.copy->executor);
        Expect(task.state == TaskState::kRunning && task.copy->executor != task.executor,
               job, "has a copy of task {} of stage {} that is no second attempt", t, id);
      }
      Expect((task.state == TaskState::kLost) == stage.lost.contains(t), job,
             "has task {} of stage {} lost in one place only", t, id);
    }
    auto same = [&](const char* what, uint64_t counted, uint64_t found) {
      Expect(counted == found, job, "counts {} {} of stage {}, there are {}", counted,
             what, id, found);
    };
    same("tasks between states", 0, by_state[TaskState::kStopped]);
    same("running tasks", stage.running, by_state[TaskState::kRunning] + copies);
    same("finished tasks", stage.finished, by_state[TaskState::kFinished]);
    same("skipped tasks", stage.skipped, by_state[TaskState::kSkipped]);
    same("waiting tasks", stage.pending, by_state[TaskState::kPending]);
    same("rows", stage.rows, rows);
    const bool complete = stage.formed && !stage.tasks.empty() &&
                          stage.finished + stage.skipped == stage.tasks.size();
    Expect(stage.complete == complete, job, "is wrong about whether stage {} is complete",
           id);
    if (!stage.needed || job.finished || job.recovery != nullptr) return;
    same("incomplete producers", stage.incomplete_producers,
         std::count_if(stage.producers.begin(), stage.producers.end(),
                       [&](uint32_t p) { return !job.stages[p].complete; }));
    Expect(job.Launchable(id) == job.launchable.contains(id), job,
           "is wrong about whether stage {} can be launched", id);
  }

  void InspectHolder(const JobState& job, uint32_t stage, uint32_t task,
                     ExecutorIndex index) {
    const Executor* executor = executors_.Get(index);
    const bool there = executor != nullptr && executor->launched.contains(job.number);
    if (!there) {
      Say("task {} of stage {} of job {} is at an executor that knows nothing of it",
          task, stage, job.id);
      return;
    }
    const auto& positions = executor->launched.at(job.number);
    const TaskPosition position{stage, task};
    if (std::find(positions.begin(), positions.end(), position) == positions.end()) {
      Say("task {} of stage {} of job {} is not among those of its executor", task, stage,
          job.id);
    }
  }

  const ExecutorRegistry& executors_;
  std::map<ExecutorIndex, uint32_t> busy_;
  uint32_t running_ = 0;
  std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> SchedulerCore::Impl::FindInconsistencies() const {
  Inspector inspector(executors_);
  size_t admitted = 0;
  for (const auto& [number, job] : jobs_) {
    inspector.Inspect(*job);
    admitted += job->admission.running;
  }
  inspector.InspectExecutors(jobs_);
  inspector.Expect(admitted == admitted_, admitted_, admitted, "admitted jobs");
  inspector.Expect(inspector.running() == running_, running_, inspector.running(),
                   "running tasks");
  return inspector.Take();
}

}  // namespace ballista::scheduler
