// One input of a task that reads sorted runs: merged, so that the rows come in the order
// of their sort keys.
//
// Every run is fetched by a stream of its own, ahead of the merge, within the process's
// MemoryBudget; runs of this process are read in place.
#pragma once

#include <memory>
#include <vector>

#include "ballista/plan.pb.h"
#include "ballista/shuffle/task_input.h"

namespace ballista::shuffle {

// As MakeTaskInput, for outputs of kind RANGE. `keys`: those that the runs are sorted by.
// The source gives its batches one after the other in order; num_rows is an estimate
// where the input is a range of keys.
arrow::Result<std::unique_ptr<TaskInputSource>> MakeMergeInput(
    const FetchContext& context, const job::TaskDefinition& task,
    const job::TaskInput& input, const std::vector<plan::SortKey>& keys,
    const TaskInputOptions& options);

}  // namespace ballista::shuffle
