#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "ballista/base/status.h"
#include "ballista/plan/repeatable.h"
#include "ballista/scheduler/job_state_internal.h"

namespace ballista::scheduler {

void TaskState::SwapAttempts() {
  std::swap(attempt, copy->attempt);
  std::swap(executor, copy->executor);
  std::swap(started, copy->started);
}

void TaskState::Avoid(ExecutorIndex index) {
  const auto at = std::lower_bound(avoid.begin(), avoid.end(), index);
  if (at == avoid.end() || *at != index) avoid.insert(at, index);
}

JobState::JobState(uint64_t number, JobSubmitted submitted, Time now)
    : number(number),
      id(std::move(submitted.job_id)),
      session_id(std::move(submitted.session_id)),
      graph(std::move(submitted.graph)),
      options(submitted.options),
      submitted(now),
      time_limit(options.deadline == kNever ? kNever : options.deadline - now),
      waits_since(now),
      last_progress(now),
      stages(graph.stages_size()) {
  options.max_task_attempts = std::max<uint32_t>(options.max_task_attempts, 1);
  Link();
}

bool JobState::IsUnread(uint32_t task) const {
  if (unread_parts) return unread_parts->contains(task);
  if (task < reads_task || (task == reads_task && part_begun)) return false;
  const std::vector<TaskState>& tasks = stages[graph.result_stage()].tasks;
  if (tasks[task].output.rows() > 0) return true;
  // Of a result without rows one part is read all the same, for its schema.
  return task + 1 == tasks.size() &&
         std::all_of(tasks.begin(), tasks.end(),
                     [](const TaskState& one) { return one.output.rows() == 0; });
}

bool JobState::ResultIsThere() const {
  const StageState& state = stages[graph.result_stage()];
  return state.formed &&
         state.finished + state.skipped + state.lost.size() == state.tasks.size() &&
         std::none_of(state.lost.begin(), state.lost.end(),
                      [this](uint32_t task) { return IsUnread(task); });
}

bool JobState::IsResultPart(uint32_t task, uint32_t attempt) const {
  const std::vector<TaskState>& tasks = stages[graph.result_stage()].tasks;
  return task < tasks.size() && tasks[task].state == TaskState::kFinished &&
         tasks[task].attempt == attempt;
}

bool JobState::Launchable(uint32_t stage) const {
  const StageState& state = stages[stage];
  return !finished && recovery == nullptr && state.needed &&
         state.incomplete_producers == 0 && state.holds == 0 &&
         (!state.formed || state.pending > 0);
}

void JobState::UpdateLaunchable(uint32_t stage) {
  if (Launchable(stage)) {
    launchable.insert(stage);
  } else {
    launchable.erase(stage);
  }
}

void JobState::Link() {
  for (StageState& state : stages) {
    state.needed = false;
    state.producers.clear();
    state.consumers.clear();
    state.incomplete_producers = 0;
    state.holds = 0;
    state.held.clear();
    state.inputs.reset();
    state.definition.reset();
  }
  for (uint32_t id = 0; id < stages.size(); ++id) {
    if (!stages[id].formed) {
      stages[id].repeatable = plan::IsRepeatable(graph.stages(id).fragment());
    }
  }
  for (uint32_t id = 0; id < stages.size(); ++id) {
    stages[id].varies = !stages[id].repeatable;
    for (const job::StageInput& input : graph.stages(id).inputs()) {
      for (uint32_t producer : input.stages()) {
        stages[id].varies = stages[id].varies || stages[producer].varies;
      }
    }
  }
  launchable.clear();
  stages[graph.result_stage()].needed = true;
  // Consumers come after their producers: from the back, a stage is known to be needed
  // before its producers are looked at.
  for (uint32_t id = stages.size(); id-- > 0;) {
    StageState& state = stages[id];
    if (!state.needed) continue;
    std::set<uint32_t> producers;
    for (const job::StageInput& input : graph.stages(id).inputs()) {
      producers.insert(input.stages().begin(), input.stages().end());
    }
    state.producers.assign(producers.begin(), producers.end());
    for (uint32_t producer : state.producers) {
      stages[producer].needed = true;
      stages[producer].consumers.push_back(id);
      if (!stages[producer].complete) ++state.incomplete_producers;
    }
  }
  for (uint32_t id = 0; id < stages.size(); ++id) {
    if (stages[id].formed) continue;
    for (uint32_t first : graph.stages(id).start_after()) {
      if (first >= stages.size() || !stages[first].needed) continue;
      if (stages[first].complete || stages[first].completed_once) continue;
      ++stages[id].holds;
      stages[first].held.push_back(id);
    }
  }
  for (uint32_t id = 0; id < stages.size(); ++id) {
    std::reverse(stages[id].consumers.begin(), stages[id].consumers.end());
    UpdateLaunchable(id);
  }
}

const std::vector<InputOutputs>& JobState::Inputs(uint32_t stage) {
  std::optional<std::vector<InputOutputs>>& cached = stages[stage].inputs;
  if (cached.has_value()) return *cached;
  std::vector<InputOutputs>& inputs = cached.emplace();
  std::unordered_map<ExecutorIndex, uint32_t> numbers;
  stages[stage].inputs_digest =
      InputsDigest(stage, [this](uint32_t producer, uint32_t task) {
        return stages[producer].tasks[task].attempt;
      });
  std::vector<ExecutorIndex>& holders = stages[stage].holders;
  holders.clear();
  stages[stage].addresses.reset();
  for (const job::StageInput& input : graph.stages(stage).inputs()) {
    InputOutputs& outputs = inputs.emplace_back();
    outputs.mode = input.mode();
    outputs.splittable = input.splittable();
    for (uint32_t producer : input.stages()) {
      const job::Output& output = graph.stages(producer).output();
      outputs.kind = output.kind();
      outputs.partitions = output.kind() == job::Output::HASH ? output.partitions() : 1;
      const std::vector<TaskState>& tasks = stages[producer].tasks;
      for (uint32_t t = 0; t < tasks.size(); ++t) {
        // A task that was skipped has no row, and no executor.
        const auto [holder, added] =
            numbers.try_emplace(tasks[t].executor, holders.size());
        if (added) holders.push_back(tasks[t].executor);
        outputs.outputs.push_back({producer, t, tasks[t].attempt, tasks[t].executor,
                                   &tasks[t].output, holder->second});
      }
    }
  }
  return inputs;
}

const std::shared_ptr<const job::StageDefinition>& JobState::Definition(uint32_t stage) {
  StageState& state = stages[stage];
  if (state.definition == nullptr) {
    const job::Stage& from = graph.stages(stage);
    auto definition = std::make_shared<job::StageDefinition>();
    definition->set_job_id(id);
    definition->set_stage_id(stage);
    *definition->mutable_fragment() = from.fragment();
    *definition->mutable_output() = from.output();
    *definition->mutable_settings() = graph.settings();
    *definition->mutable_inputs() = from.inputs();
    definition->set_fingerprint(state.fingerprint);
    if (stage == graph.result_stage()) *definition->mutable_names() = graph.names();
    state.definition = std::move(definition);
  }
  return state.definition;
}

std::vector<StageStatistics> JobState::Statistics() const {
  std::vector<StageStatistics> all;
  for (const StageState& state : stages) {
    StageStatistics& statistics = all.emplace_back(state.statistics);
    statistics.state = state.completed_once ? StageStatistics::State::kComplete
                       : state.formed       ? StageStatistics::State::kStarted
                                            : StageStatistics::State::kWaiting;
    statistics.tasks = state.tasks.size();
    statistics.rows = state.rows;
    statistics.bytes = state.bytes;
  }
  return all;
}

StageStatistics Summarize(const job::Stage& stage, const StageState& state) {
  StageStatistics sum;
  if (stage.output().kind() != job::Output::HASH) return sum;
  sum.partition_rows.resize(stage.output().partitions());
  sum.partition_bytes.resize(stage.output().partitions());
  for (const TaskState& task : state.tasks) {
    for (int p = 0; p < task.output.partition_rows_size(); ++p) {
      sum.partition_rows[p] += task.output.partition_rows(p);
      sum.partition_bytes[p] += task.output.partition_bytes(p);
    }
  }
  return sum;
}

namespace {

arrow::Status Bad(uint32_t stage, const std::string& what) {
  return InternalStatus(fmt::format("the job graph's stage {} {}", stage, what));
}

// Several tasks can merge ranges of sorted runs, where that is all they share out.
arrow::Status CheckMerge(const job::JobGraph& graph, const job::Stage& stage,
                         const job::StageInput& input) {
  const bool single = stage.parallelism() == job::SINGLE_TASK;
  if (input.merge_keys().empty()) {
    if (single) return arrow::Status::OK();
    return Bad(stage.id(), "puts outputs one after the other in several tasks");
  }
  for (uint32_t producer : input.stages()) {
    if (producer < stage.id() &&
        graph.stages(producer).output().kind() != job::Output::RANGE) {
      return Bad(stage.id(), "merges outputs that are not sorted");
    }
  }
  if (single) return arrow::Status::OK();
  if (stage.scans_size() > 0) return Bad(stage.id(), "merges ranges beside a scan");
  for (const job::StageInput& other : stage.inputs()) {
    if (&other != &input && other.mode() != job::StageInput::ALL) {
      return Bad(stage.id(), "merges ranges beside another input that is dealt out");
    }
  }
  return arrow::Status::OK();
}

// Producers of one input are alike; those of all PARTITIONED inputs that hash have the
// same number of partitions.
arrow::Status CheckInputs(const job::JobGraph& graph, uint32_t id) {
  const job::Stage& stage = graph.stages(id);
  uint32_t stage_partitions = 0;
  for (const job::StageInput& input : stage.inputs()) {
    if (input.stages().empty()) return Bad(id, "has an input without producers");
    if (input.mode() == job::StageInput::INVALID) {
      return Bad(id, "has an input without a mode");
    }
    if (input.mode() == job::StageInput::MERGE) {
      ARROW_RETURN_NOT_OK(CheckMerge(graph, stage, input));
    }
    for (uint32_t producer : input.stages()) {
      if (producer >= id) return Bad(id, "reads a stage that does not come before it");
      const job::Output& first = graph.stages(input.stages(0)).output();
      const job::Output& output = graph.stages(producer).output();
      const bool hash = output.kind() == job::Output::HASH;
      if (output.kind() != first.kind() ||
          (hash && output.partitions() != first.partitions())) {
        return Bad(id, "has an input whose producers are partitioned differently");
      }
      if (input.mode() != job::StageInput::PARTITIONED || !hash) continue;
      if (stage_partitions == 0) stage_partitions = output.partitions();
      if (stage_partitions != output.partitions()) {
        return Bad(id, "reads inputs of different numbers of partitions side by side");
      }
    }
  }
  return arrow::Status::OK();
}

}  // namespace

arrow::Status CheckGraph(const job::JobGraph& graph) {
  if (graph.result_stage() >= static_cast<uint32_t>(graph.stages_size())) {
    return InternalStatus("the job graph has no stage for its result");
  }
  for (uint32_t id = 0; id < static_cast<uint32_t>(graph.stages_size()); ++id) {
    const job::Stage& stage = graph.stages(id);
    if (stage.id() != id) return Bad(id, fmt::format("is numbered {}", stage.id()));
    if (stage.parallelism() != job::SINGLE_TASK &&
        stage.parallelism() != job::MANY_TASKS) {
      return Bad(id, "does not say how many tasks it has");
    }
    const job::Output& output = stage.output();
    const bool hash = output.kind() == job::Output::HASH;
    if (!hash && output.kind() != job::Output::UNPARTITIONED &&
        output.kind() != job::Output::RANGE) {
      return Bad(id, "does not say how its output is partitioned");
    }
    if (hash && (output.partitions() < 1 || output.partitions() > 65535)) {
      return Bad(
          id, "has a wrong number of partitions: " + std::to_string(output.partitions()));
    }
    ARROW_RETURN_NOT_OK(CheckInputs(graph, id));
  }
  return arrow::Status::OK();
}

bool KeepsStartedStages(const JobState& job, const job::JobGraph& graph) {
  for (uint32_t id = 0; id < job.stages.size(); ++id) {
    if (!job.stages[id].formed) continue;
    if (id >= static_cast<uint32_t>(graph.stages_size())) return false;
    if (graph.stages(id).SerializeAsString() !=
        job.graph.stages(id).SerializeAsString()) {
      return false;
    }
  }
  return true;
}

}  // namespace ballista::scheduler
