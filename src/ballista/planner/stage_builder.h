// Collects the stages of a job: ends fragments at exchanges, begins new ones that read
// them, and makes the JobGraph of it all.
//
// Stages and reads are numbered in the order in which they are made; Finish numbers them
// anew, drops stages that nothing reads, and fills in what a JobGraph wants per stage.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <vector>

#include "ballista/job.pb.h"
#include "ballista/planner/fragment.h"

namespace ballista::planner {

// While a job is planned, the scan_index of a scan that each task reads whole. It keeps
// its files in the job (docs/plan-ir.md, "Splits").
constexpr uint32_t kReadByEachTask = UINT32_MAX;

class StageBuilder {
 public:
  // `partitions`: of every hash exchange of the job.
  explicit StageBuilder(uint32_t partitions) : partitions_(partitions) {}

  uint32_t partitions() const { return partitions_; }

  // All rows in the one task of a single-task stage, in order where they have one.
  // Nothing to do for a fragment that is single already.
  Fragment Gather(Fragment input);

  // All rows in every task. Nothing to do for a replicated fragment.
  Fragment Broadcast(Fragment input);

  // Rows that are equal in `keys` (output columns, of hashable types) in the same task.
  Fragment HashExchange(Fragment input, const std::vector<uint32_t>& keys);

  // Rows in the order of `keys` (plain output columns), each task a range of their values
  // after that of the task before it. Each task of `input` gives its rows in this order.
  Fragment RangeExchange(Fragment input, const std::vector<plan::SortKey>& keys);

  // Each row in exactly one task of a stage of many: for a single or replicated fragment
  // that becomes a part of a spread one.
  Fragment Spread(Fragment input);

  // A fragment that several readers share becomes a stage; Read gives one reader's view
  // of it. A hash distribution is kept; random rows are hashed by `keys`, where there are
  // any.
  uint32_t Materialize(Fragment input, const std::vector<uint32_t>& keys);
  Fragment Read(uint32_t stage);

  // Whether a filter took rows away anywhere below: then the estimate of what is left is
  // a guess, and mostly too high.
  bool IsFiltered(const plan::Node& root) const;

  // Whether one task is as good as many for these rows, and a stage less is better: few
  // by their estimate, and not so many at most that to be wrong would cost much.
  bool IsTiny(const plan::Node& root) const;

  // The graph whose result is `result`.
  arrow::Result<job::JobGraph> Finish(Fragment result) &&;

 private:
  struct DraftStage {
    Fragment fragment;
    job::Output output;
    // As Read gives it.
    Distribution produced;
    bool filtered = false;
    double most_rows = 0;
  };
  struct DraftRead {
    uint32_t stage = 0;
    job::StageInput::Mode mode = job::StageInput::INVALID;
  };

  uint32_t AddStage(Fragment fragment, job::Output output);
  // Rows that come out if no filter and no join takes any away; joins are taken to be by
  // a key of one side.
  double MostRows(const plan::Node& node) const;
  Fragment ReadAs(uint32_t stage, job::StageInput::Mode mode, Distribution distribution);
  // Makes a fragment that only selects from another stage's output read it as `mode`,
  // where that moves little more than a stage of its own would. Whether it did.
  bool ReadAgain(plan::Node* root, job::StageInput::Mode mode);
  // Stages below `stage` and itself, inputs first.
  void Order(uint32_t stage, std::vector<int64_t>* position,
             std::vector<uint32_t>* order) const;

  const uint32_t partitions_;
  std::vector<DraftStage> stages_;
  std::vector<DraftRead> reads_;
};

}  // namespace ballista::planner
