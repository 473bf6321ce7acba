// What tests of the core share: small graphs, and a core whose effects are taken down.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ballista/scheduler/core.h"

namespace ballista::scheduler {

// ------------------------------------------------------------------------------ graphs

class GraphBuilder {
 public:
  // A stage that scans `files` files of `bytes` each. Returns its id.
  uint32_t Scan(int files, uint64_t bytes = 8 << 20) {
    job::Stage* stage = Add(job::MANY_TASKS);
    auto* scan = stage->add_scans();
    for (int f = 0; f < files; ++f) {
      auto* split = scan->add_splits();
      split->set_path(fmt::format("f{}", f));
      split->set_size_bytes(bytes);
    }
    return stage->id();
  }

  uint32_t Read(std::vector<uint32_t> producers, job::StageInput::Mode mode,
                job::Parallelism parallelism) {
    job::Stage* stage = Add(parallelism);
    Input(stage->id(), std::move(producers), mode);
    return stage->id();
  }

  GraphBuilder& Input(uint32_t stage, std::vector<uint32_t> producers,
                      job::StageInput::Mode mode) {
    auto* input = graph_.mutable_stages(stage)->add_inputs();
    input->set_mode(mode);
    for (uint32_t producer : producers) input->add_stages(producer);
    return *this;
  }

  GraphBuilder& Hash(uint32_t stage, uint32_t partitions) {
    auto* output = graph_.mutable_stages(stage)->mutable_output();
    output->set_kind(job::Output::HASH);
    output->set_partitions(partitions);
    return *this;
  }

  job::JobGraph Build() {
    graph_.set_result_stage(graph_.stages_size() - 1);
    return graph_;
  }

 private:
  job::Stage* Add(job::Parallelism parallelism) {
    job::Stage* stage = graph_.add_stages();
    stage->set_id(graph_.stages_size() - 1);
    stage->set_parallelism(parallelism);
    stage->mutable_output()->set_kind(job::Output::UNPARTITIONED);
    return stage;
  }

  job::JobGraph graph_;
};

// scan (hashed) -> many (hashed input) -> single
inline job::JobGraph ThreeStages(int files = 4, uint32_t partitions = 8) {
  GraphBuilder builder;
  const uint32_t scan = builder.Scan(files);
  builder.Hash(scan, partitions);
  const uint32_t middle =
      builder.Read({scan}, job::StageInput::PARTITIONED, job::MANY_TASKS);
  builder.Read({middle}, job::StageInput::ALL, job::SINGLE_TASK);
  return builder.Build();
}

inline job::JobGraph OneScan(int files) {
  GraphBuilder builder;
  builder.Scan(files);
  return builder.Build();
}

// ------------------------------------------------------------------------------ driving

struct Launched {
  std::string executor;
  job::TaskDefinition definition;
  const job::TaskId& id() const { return definition.id(); }
};

inline std::string Name(const job::TaskId& id) {
  return fmt::format("{}/{}/{}/{}", id.job_id(), id.stage_id(), id.task_index(),
                     id.attempt());
}

class CoreTest : public ::testing::Test {
 protected:
  void Start(CoreOptions options = {}, Replanner* replanner = nullptr) {
    core_ = std::make_unique<SchedulerCore>(options, replanner);
  }
  void SetUp() override { Start(); }

  void Send(Event event) {
    for (Effect& effect : core_->Handle(std::move(event), now_)) {
      if (auto* launch = std::get_if<LaunchTasks>(&effect)) {
        ++launch_effects_;
        for (const job::TaskDefinition* task : launch->tasks.pointers()) {
          running_.push_back({launch->executor_id, *task});
        }
      } else if (auto* cancel = std::get_if<CancelTasks>(&effect)) {
        for (const auto& id : cancel->tasks) cancelled_.push_back(Name(id));
      } else if (auto* finished = std::get_if<JobFinished>(&effect)) {
        finished_[finished->job_id] = *finished;
      } else if (auto* reopened = std::get_if<JobReopened>(&effect)) {
        reopened_.push_back(reopened->job_id);
      } else if (auto* failed = std::get_if<JobFailed>(&effect)) {
        failed_[failed->job_id] = failed->status;
      } else if (auto* ended = std::get_if<JobEnded>(&effect)) {
        ended_.push_back(std::move(*ended));
      } else if (auto* removal = std::get_if<RemoveJobs>(&effect)) {
        for (const auto& job : removal->job_ids) {
          removed_.push_back(removal->executor_id + ":" + job);
        }
      }
    }
  }

  void Join(const std::string& id, uint32_t slots = 1,
            const std::string& incarnation = "") {
    control::ExecutorMetadata metadata;
    metadata.set_id(id);
    metadata.set_host("host-" + id);
    metadata.set_port(50051);
    metadata.set_task_slots(slots);
    metadata.set_incarnation(incarnation.empty() ? id + "#1" : incarnation);
    incarnations_[id] = metadata.incarnation();
    Send(ExecutorRegistered{metadata, {}, {}});
  }
  void Lose(const std::string& id) { Send(ExecutorLost{id, incarnations_[id], "gone"}); }

  void Submit(const std::string& job, job::JobGraph graph,
              const std::string& session = "s", JobOptions options = {}) {
    options.min_task_bytes = 0;
    Send(JobSubmitted{job, session, std::move(graph), options});
  }

  // Takes the first running task that fits out of what is running.
  Launched Take(std::function<bool(const Launched&)> fits) {
    for (auto it = running_.begin(); it != running_.end(); ++it) {
      if (!fits(*it)) continue;
      Launched task = *it;
      running_.erase(it);
      return task;
    }
    ADD_FAILURE() << "no such task is running";
    return {};
  }
  Launched TakeFirst() {
    return Take([](const Launched&) { return true; });
  }
  Launched TakeAt(const std::string& executor) {
    return Take([&](const Launched& task) { return task.executor == executor; });
  }

  void Finish(const Launched& task, uint64_t rows = 80, bool inline_result = false) {
    TaskFinished event;
    event.id = task.id();
    event.executor_id = task.executor;
    event.incarnation = incarnations_[task.executor];
    event.output.set_rows(rows);
    event.output.set_bytes(rows * 8);
    if (const auto* graph = core_->Graph(task.id().job_id())) {
      const auto& output = graph->stages(task.id().stage_id()).output();
      if (output.kind() == job::Output::HASH) {
        for (uint32_t p = 0; p < output.partitions(); ++p) {
          event.output.add_partition_rows(rows / output.partitions());
          event.output.add_partition_bytes(rows / output.partitions() * 8);
        }
      }
    }
    event.metrics.set_output_rows(rows);
    if (inline_result) event.inline_result = std::make_shared<std::string>("rows");
    Send(std::move(event));
  }
  void Fail(const Launched& task, arrow::Status status) {
    Send(TaskFailed{task.id(), task.executor, incarnations_[task.executor],
                    std::move(status)});
  }
  void FinishAll(uint64_t rows = 80) {
    while (!running_.empty()) Finish(TakeFirst(), rows);
  }
  // Forgets what was running at an executor that is gone.
  void Forget(const std::string& executor) {
    std::erase_if(running_, [&](const Launched& t) { return t.executor == executor; });
  }

  std::map<std::string, int> RunningByJob() const {
    std::map<std::string, int> count;
    for (const auto& task : running_) ++count[task.id().job_id()];
    return count;
  }

  Time now_{std::chrono::seconds(1000)};
  std::unique_ptr<SchedulerCore> core_;
  std::deque<Launched> running_;
  std::map<std::string, std::string> incarnations_;
  std::map<std::string, JobFinished> finished_;
  std::map<std::string, arrow::Status> failed_;
  std::vector<std::string> reopened_;  // jobs
  std::vector<std::string> cancelled_;
  std::vector<JobEnded> ended_;
  std::vector<std::string> removed_;
  int launch_effects_ = 0;
};

inline FetchFailed Fetch(const job::TaskOutputRef& ref, const std::string& job) {
  FetchFailed what;
  what.set_job_id(job);
  what.set_stage_id(ref.stage_id());
  what.set_task_index(ref.task_index());
  what.set_attempt(ref.attempt());
  return what;
}

}  // namespace ballista::scheduler
