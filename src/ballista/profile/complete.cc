#include "ballista/profile/complete.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "ballista/plan/plan.h"

namespace ballista::profile {
namespace {

const char* ModeName(job::StageInput::Mode mode) {
  switch (mode) {
    case job::StageInput::PARTITIONED:
      return "partitions";
    case job::StageInput::ALL:
      return "all";
    default:
      return "merge";
  }
}

// Gives nothing for no values.
void SetSpread(std::vector<uint64_t>* values, Spread* spread) {
  if (values->empty()) return;
  std::sort(values->begin(), values->end());
  uint64_t total = 0;
  for (const uint64_t value : *values) total += value;
  spread->set_total(total);
  spread->set_min(values->front());
  spread->set_median((*values)[values->size() / 2]);
  spread->set_max(values->back());
}

using Figure = uint64_t (job::TaskMetrics::*)() const;

void SpreadOf(const StageProfile& stage, Figure figure, Spread* spread) {
  std::vector<uint64_t> values;
  for (const auto& task : stage.task_list()) {
    if (task.has_metrics()) values.push_back((task.metrics().*figure)());
  }
  SetSpread(&values, spread);
}

// Operators of the tasks of a stage are alike in order and depth: position by position.
void MergeOperators(StageProfile* stage) {
  struct Values {
    std::vector<uint64_t> rows, bytes, times;
  };
  std::vector<Values> values;
  for (const auto& task : stage->task_list()) {
    for (int i = 0; i < task.metrics().operators_size(); ++i) {
      const auto& one = task.metrics().operators(i);
      if (static_cast<size_t>(i) >= values.size()) {
        values.emplace_back();
        auto* added = stage->add_operators();
        added->set_name(one.name());
        added->set_depth(one.depth());
        added->set_detail(one.detail());
      }
      if (stage->operators(i).name() != one.name()) break;
      auto& into = values[static_cast<size_t>(i)];
      into.rows.push_back(one.rows());
      into.bytes.push_back(one.bytes());
      into.times.push_back(one.elapsed_us());
    }
  }
  for (size_t i = 0; i < values.size(); ++i) {
    auto* merged = stage->mutable_operators(static_cast<int>(i));
    merged->set_tasks(static_cast<uint32_t>(values[i].rows.size()));
    SetSpread(&values[i].rows, merged->mutable_rows());
    SetSpread(&values[i].bytes, merged->mutable_bytes());
    SetSpread(&values[i].times, merged->mutable_time_us());
  }
}

void AddTimes(StageProfile* stage) {
  uint64_t start = 0;
  uint64_t end = 0;
  std::vector<uint64_t> times;
  for (const auto& task : stage->task_list()) {
    if (task.started_us() == 0) continue;
    start = start == 0 ? task.started_us() : std::min(start, task.started_us());
    if (task.state() != TASK_STATE_FINISHED) continue;
    end = std::max(end, task.started_us() + task.elapsed_us());
    times.push_back(task.metrics().elapsed_us());
  }
  stage->set_started_us(start);
  if (stage->state() == STAGE_STATE_COMPLETE) stage->set_ended_us(end);
  if (times.size() < 2) return;
  std::sort(times.begin(), times.end());
  const uint64_t median = std::max<uint64_t>(times[times.size() / 2], 1);
  stage->set_skew(static_cast<double>(times.back()) / static_cast<double>(median));
}

void AddFigures(StageProfile* stage) {
  using M = job::TaskMetrics;
  SpreadOf(*stage, &M::elapsed_us, stage->mutable_time_us());
  SpreadOf(*stage, &M::cpu_us, stage->mutable_cpu_us());
  SpreadOf(*stage, &M::output_rows, stage->mutable_rows_out());
  SpreadOf(*stage, &M::output_bytes, stage->mutable_bytes_out());
  SpreadOf(*stage, &M::input_rows, stage->mutable_rows_in());
  SpreadOf(*stage, &M::input_bytes, stage->mutable_bytes_in());
  SpreadOf(*stage, &M::scan_rows, stage->mutable_rows_scanned());
  SpreadOf(*stage, &M::spilled_bytes, stage->mutable_spilled_bytes());
  SpreadOf(*stage, &M::peak_memory_bytes, stage->mutable_memory_bytes());
  uint64_t fetched = 0;
  uint64_t local = 0;
  uint32_t failures = 0;
  for (const auto& task : stage->task_list()) {
    fetched += task.metrics().fetched_bytes();
    local += task.metrics().local_bytes();
    failures += task.failures();
  }
  stage->set_fetched_bytes(fetched);
  stage->set_local_bytes(local);
  stage->set_failed_attempts(failures);
  AddTimes(stage);
  MergeOperators(stage);
}

// As in the text of the whole graph. Without the splits, of which there may be many.
std::string StageText(const job::Stage& stage) {
  job::JobGraph alone;
  job::Stage* copy = alone.add_stages();
  copy->set_id(stage.id());
  copy->set_parallelism(stage.parallelism());
  *copy->mutable_fragment() = stage.fragment();
  *copy->mutable_inputs() = stage.inputs();
  *copy->mutable_output() = stage.output();
  return plan::ToString(alone);
}

// Of a stage's text, what its first line says of the output.
std::string OutputText(const std::string& plan) {
  static const std::string kBefore = ", output ";
  const std::string line = plan.substr(0, plan.find('\n'));
  const size_t at = line.find(kBefore);
  return at == std::string::npos ? "" : line.substr(at + kBefore.size());
}

}  // namespace

void AddPlan(const job::JobGraph& graph, QueryProfile* profile) {
  const int known = std::min(graph.stages_size(), profile->stages_size());
  for (int id = 0; id < known; ++id) {
    const job::Stage& from = graph.stages(id);
    StageProfile* to = profile->mutable_stages(id);
    to->set_description(from.description());
    to->set_estimated_rows(from.estimated_rows());
    to->set_plan(StageText(from));
    to->set_output(OutputText(to->plan()));
    for (const auto& input : from.inputs()) {
      for (const uint32_t stage : input.stages()) {
        StageInput* added = to->add_inputs();
        added->set_stage(stage);
        added->set_how(ModeName(input.mode()));
      }
    }
  }
}

void AddFigures(QueryProfile* profile) {
  uint64_t spilled = 0;
  uint64_t exchanged = 0;
  for (auto& stage : *profile->mutable_stages()) {
    AddFigures(&stage);
    spilled += stage.spilled_bytes().total();
    exchanged += stage.bytes_in().total();
  }
  profile->mutable_job()->set_spilled_bytes(spilled);
  profile->mutable_job()->set_exchanged_bytes(exchanged);
}

std::string PlanText(const QueryProfile& profile) {
  std::string text;
  if (!profile.single_task_reason().empty()) {
    text += "Runs as one task: " + profile.single_task_reason() + "\n";
  }
  for (const auto& stage : profile.stages()) text += stage.plan();
  return text;
}

std::string Cut(std::string_view text, size_t size) {
  if (text.size() <= size) return std::string(text);
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  return std::string(text.substr(0, size));
}

}  // namespace ballista::profile
