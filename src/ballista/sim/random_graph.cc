#include "ballista/sim/random_graph.h"

#include <fmt/format.h>

#include <algorithm>

namespace ballista::sim {

namespace {

class Generator {
 public:
  Generator(const GraphLimits& limits, Random* random)
      : limits_(limits), random_(*random), partitions_(random->Between(1, 24)) {}

  job::JobGraph Make() {
    const uint32_t stages = random_.Between(1, limits_.stages);
    for (uint32_t id = 0; id < stages; ++id) AddStage(id, id + 1 == stages);
    graph_.set_result_stage(stages - 1);
    return graph_;
  }

 private:
  void AddStage(uint32_t id, bool last) {
    job::Stage* stage = graph_.add_stages();
    stage->set_id(id);
    stage->set_parallelism(random_.Chance(0.25) ? job::SINGLE_TASK : job::MANY_TASKS);
    const bool merges = id > 0 && random_.Chance(0.7) &&
                        graph_.stages(id - 1).output().kind() == job::Output::RANGE;
    const bool hash = !last && random_.Chance(0.6);
    stage->mutable_output()->set_kind(hash ? job::Output::HASH
                                           : job::Output::UNPARTITIONED);
    if (hash) stage->mutable_output()->set_partitions(partitions_);
    if (!hash && !last && random_.Chance(0.5)) SortOutput(stage->mutable_output());
    stage->mutable_output()->set_is_result(last);
    if (id > 1 && random_.Chance(0.2)) stage->add_start_after(random_.Below(id));
    if (merges) {
      stage->mutable_output()->set_ordered(true);
      return AddMerge(id - 1, stage);
    }
    if (hash && random_.Chance(0.2)) stage->mutable_fragment()->mutable_sample();
    if (id == 0 || random_.Chance(0.3)) AddScan(stage);
    if (hash && random_.Chance(0.3)) stage->set_description("skewed");
    if (id > 0 && graph_.stages(id - 1).row_limit() > 0) return ReadLimited(id, stage);
    // Its one reader comes next.
    const bool plain = stage->output().kind() == job::Output::UNPARTITIONED;
    if (!last && plain && random_.Chance(0.3)) {
      stage->set_row_limit(random_.Between(1, limits_.rows_per_file));
      stage->mutable_fragment()->mutable_limit();
    }
    if (id == 0) return;
    const uint64_t inputs =
        stage->scans_size() > 0 ? random_.Below(2) : random_.Between(1, 2);
    for (uint64_t i = 0; i < inputs; ++i) AddInput(id, stage);
    if (random_.Chance(0.6)) MakeSplittable(stage);
  }

  // As the planner does it: one task, of this input alone.
  void ReadLimited(uint32_t id, job::Stage* stage) {
    stage->clear_scans();
    stage->set_parallelism(job::SINGLE_TASK);
    job::StageInput* input = stage->add_inputs();
    input->add_stages(id - 1);
    input->set_mode(job::StageInput::ALL);
  }

  void MakeSplittable(job::Stage* stage) {
    for (job::StageInput& input : *stage->mutable_inputs()) {
      const job::Output& output = graph_.stages(input.stages(0)).output();
      if (input.mode() != job::StageInput::PARTITIONED ||
          output.kind() != job::Output::HASH) {
        continue;
      }
      input.set_splittable(true);
      return;
    }
  }

  static void SortOutput(job::Output* output) {
    output->set_kind(job::Output::RANGE);
    output->set_ordered(true);
    output->add_sort_keys()->mutable_expression()->set_column(0);
  }

  void AddMerge(uint32_t producer, job::Stage* stage) {
    job::StageInput* input = stage->add_inputs();
    input->add_stages(producer);
    input->set_mode(job::StageInput::MERGE);
    *input->mutable_merge_keys() = graph_.stages(producer).output().sort_keys();
  }

  void AddScan(job::Stage* stage) {
    auto* scan = stage->add_scans();
    const uint64_t files = random_.Between(0, limits_.files);
    for (uint64_t f = 0; f < files; ++f) {
      plan::FileSplit* split = scan->add_splits();
      split->set_path(fmt::format("s{}-f{}", stage->id(), f));
      uint64_t rows = 0;
      for (uint64_t groups = random_.Between(1, 8); groups > 0; --groups) {
        rows += random_.Between(1, std::max<uint64_t>(limits_.rows_per_file / 8, 1));
        split->add_row_group_ends(rows);
      }
      split->set_total_rows(rows);
      split->set_size_bytes(rows * 8);
      if (random_.Chance(0.3)) split->clear_row_group_ends();
    }
  }

  // Latest stages are the likeliest producers, so that most are needed.
  void AddInput(uint32_t id, job::Stage* stage) {
    uint32_t first = id - 1 - std::min<uint32_t>(random_.Below(3), id - 1);
    if (graph_.stages(first).row_limit() > 0) ++first;  // has its reader
    const job::Output& like = graph_.stages(first).output();
    job::StageInput* input = stage->add_inputs();
    input->add_stages(first);
    for (uint32_t other = 0; other < id; ++other) {
      const job::Output& output = graph_.stages(other).output();
      if (other != first && output.kind() == like.kind() && random_.Chance(0.15) &&
          graph_.stages(other).row_limit() == 0) {
        input->add_stages(other);
      }
    }
    const bool single = stage->parallelism() == job::SINGLE_TASK;
    input->set_mode(random_.Chance(0.7)             ? job::StageInput::PARTITIONED
                    : single && random_.Chance(0.5) ? job::StageInput::MERGE
                                                    : job::StageInput::ALL);
  }

  const GraphLimits limits_;
  Random& random_;
  const uint32_t partitions_;
  job::JobGraph graph_;
};

}  // namespace

job::JobGraph RandomGraph(const GraphLimits& limits, Random* random) {
  return Generator(limits, random).Make();
}

job::JobGraph WideGraph(uint32_t tasks) {
  job::JobGraph graph;
  job::Stage* scan = graph.add_stages();
  scan->set_parallelism(job::MANY_TASKS);
  scan->mutable_output()->set_kind(job::Output::UNPARTITIONED);
  auto* splits = scan->add_scans();
  for (uint32_t t = 0; t < tasks; ++t) {
    plan::FileSplit* split = splits->add_splits();
    split->set_path(fmt::format("wide-{}", t));
    split->set_total_rows(1);
    split->set_size_bytes(8);
  }
  job::Stage* gather = graph.add_stages();
  gather->set_id(1);
  gather->set_parallelism(job::SINGLE_TASK);
  gather->mutable_output()->set_kind(job::Output::UNPARTITIONED);
  auto* input = gather->add_inputs();
  input->add_stages(0);
  input->set_mode(job::StageInput::ALL);
  graph.set_result_stage(1);
  return graph;
}

}  // namespace ballista::sim
