// What simulated stages compute, such that every lost, doubled or misplaced row shows in
// the result.
//
// A row is a number. A scan's rows come from file and row position. A stage passes on the
// rows of its scans and inputs (some it filters out), each mixed with
//  - the contents of the row's partition in all hash-partitioned inputs: a task must have
//    read the same partitions of all of them, whole;
//  - the contents of every input that is read by all tasks: whole, too.
// A stage with a splittable input is like a join that probes with it: it passes on the
// rows of that input alone, mixed with their partitions in the others. A stage with a row
// limit, whichever rows it gives, gives equal ones, and its reader as many as the limit.
// So the result of a job does not depend on how its stages are cut into tasks, and
// evaluating each stage as one task gives what is expected.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ballista/job.pb.h"

namespace ballista::sim {

using Row = uint64_t;

// The rows that one task read of one input, by partition (one for an unpartitioned
// producer).
using InputRows = std::vector<std::vector<Row>>;

struct StageShape {
  uint32_t stage_id = 0;
  bool single_task = false;
  // By input.
  std::vector<bool> hashed;  // mode PARTITIONED over hash outputs
  std::vector<bool> whole;   // mode ALL or MERGE
  // Merges sorted runs: the rows stay what they are, in order.
  bool merges = false;
  // Rows are mixed with the contents of their partition: not below a shifting stage.
  bool mixes_partitions = true;
  int probe = -1;           // the splittable input
  uint64_t row_limit = 0;   // Stage.row_limit
  uint64_t first_rows = 0;  // of a reader of a stage with a limit; 0: all
};

// Each attempt at a task of such a stage puts its rows into other partitions, as a random
// key would. (Its fragment is a Sample, which the core knows not to be repeatable.)
bool Shifts(const job::Stage& stage);

StageShape ShapeOf(const job::JobGraph& graph, uint32_t stage);

// Most rows of its output are in one partition.
bool IsSkewed(const job::Stage& stage);

std::vector<Row> ScanRows(const plan::FileSplit& split);

// The rows of a task's output. `inputs`: by input; `scanned`: of all its scans.
std::vector<Row> ComputeRows(const StageShape& shape,
                             const std::vector<InputRows>& inputs,
                             const std::vector<Row>& scanned);

// The sort key of a row: 8 bytes that compare as the number does.
std::string SortKeyOf(Row row);

uint32_t PartitionOf(Row row, uint32_t partitions, bool skewed);
// As many as the output has: one where it is not partitioned; sorted, where it is a run.
std::vector<std::vector<Row>> PartitionRows(const job::Stage& stage,
                                            const std::vector<Row>& rows,
                                            uint32_t attempt);

// A multiset of rows: equal for equal multisets, in any order.
struct Digest {
  uint64_t count = 0;
  uint64_t sum = 0;
  void Add(const std::vector<Row>& rows);
  bool operator==(const Digest&) const = default;
};

// The result of the whole job, each stage evaluated at once.
Digest ExpectedResult(const job::JobGraph& graph);

}  // namespace ballista::sim
