#include "ballista/scheduler/task_formation.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <random>
#include <set>

namespace ballista::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

plan::FileSplit File(const std::string& path, uint64_t bytes,
                     std::vector<uint64_t> row_group_ends) {
  plan::FileSplit split;
  split.set_path(path);
  split.set_size_bytes(bytes);
  for (uint64_t end : row_group_ends) split.add_row_group_ends(end);
  if (!row_group_ends.empty()) split.set_total_rows(row_group_ends.back());
  return split;
}

job::OutputStatistics Sizes(std::vector<uint64_t> partition_rows,
                            uint64_t row_bytes = 8) {
  job::OutputStatistics statistics;
  for (uint64_t rows : partition_rows) {
    statistics.add_partition_rows(rows);
    statistics.add_partition_bytes(rows * row_bytes);
    statistics.set_rows(statistics.rows() + rows);
    statistics.set_bytes(statistics.bytes() + rows * row_bytes);
  }
  return statistics;
}

job::OutputStatistics Size(uint64_t rows, uint64_t bytes) {
  job::OutputStatistics statistics;
  statistics.set_rows(rows);
  statistics.set_bytes(bytes);
  return statistics;
}

job::Stage Many() {
  job::Stage stage;
  stage.set_parallelism(job::MANY_TASKS);
  return stage;
}

TEST(BalanceContiguous, GivesAHeavyItemARangeOfItsOwn) {
  EXPECT_THAT(BalanceContiguous({100, 10, 10, 10}, 2),
              ElementsAre(Pair(0, 1), Pair(1, 4)));
  EXPECT_THAT(BalanceContiguous({10, 10, 10, 100}, 2),
              ElementsAre(Pair(0, 3), Pair(3, 4)));
  EXPECT_THAT(BalanceContiguous({0, 0}, 3), ElementsAre());
  EXPECT_THAT(BalanceContiguous({0, 5, 0}, 3), ElementsAre(Pair(1, 2)));
}

TEST(BalanceContiguous, CoversEveryItemOnceAndEvenly) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 300; ++round) {
    const size_t n = 1 + random() % 20;
    std::vector<uint64_t> weights(1 + random() % 200);
    for (uint64_t& weight : weights) weight = random() % 4 == 0 ? 0 : random() % 1000;
    const uint64_t total = std::accumulate(weights.begin(), weights.end(), uint64_t{0});
    const uint64_t heaviest = *std::max_element(weights.begin(), weights.end());
    const auto ranges = BalanceContiguous(weights, n);
    ASSERT_LE(ranges.size(), n);
    uint64_t covered = 0;
    uint32_t previous = 0;
    for (auto [first, last] : ranges) {
      ASSERT_GE(first, previous);
      ASSERT_GT(last, first);
      previous = last;
      const uint64_t weight =
          std::accumulate(weights.begin() + first, weights.begin() + last, uint64_t{0});
      ASSERT_GT(weight, 0u);
      ASSERT_LE(weight, total / n + 3 * heaviest);
      covered += weight;
    }
    ASSERT_EQ(covered, total);
  }
}

// Every row of every file in exactly one task, cut only between row groups.
void CheckEachRowOnce(const job::ScanSplits& scan,
                      const std::vector<job::ScanSplits>& dealt) {
  std::map<std::string, std::set<std::pair<uint64_t, uint64_t>>> ranges;
  for (const job::ScanSplits& share : dealt) {
    for (const plan::FileSplit& split : share.splits()) {
      ASSERT_EQ(split.row_group_ends_size(), 0);
      const uint64_t end = split.row_count() > 0 ? split.first_row() + split.row_count()
                                                 : split.total_rows();
      ASSERT_TRUE(ranges[split.path()].emplace(split.first_row(), end).second);
    }
  }
  ASSERT_EQ(ranges.size(), static_cast<size_t>(scan.splits_size()));
  for (const plan::FileSplit& file : scan.splits()) {
    std::set<uint64_t> cuts(file.row_group_ends().begin(), file.row_group_ends().end());
    uint64_t next = file.first_row();
    for (auto [first, end] : ranges[file.path()]) {
      ASSERT_EQ(first, next);
      ASSERT_TRUE(first == file.first_row() || cuts.contains(first));
      next = end;
    }
    ASSERT_EQ(next, file.row_count() > 0 ? file.first_row() + file.row_count()
                                         : file.total_rows());
  }
}

TEST(DealSplits, ReadsEachRowOnceWhateverTheFiles) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 500; ++round) {
    job::ScanSplits scan;
    const int files = random() % 12;
    for (int f = 0; f < files; ++f) {
      std::vector<uint64_t> ends;
      uint64_t rows = 0;
      for (uint64_t groups = random() % 20; groups > 0; --groups) {
        ends.push_back(rows += 1 + random() % 1000);
      }
      plan::FileSplit* file = scan.add_splits();
      *file = File(fmt::format("f{}", f), random() % 100000, ends);
      if (rows > 2 && random() % 3 == 0) {
        file->set_first_row(random() % (rows - 1));
        file->set_row_count(1 + random() % (rows - file->first_row()));
      }
    }
    std::vector<uint64_t> loads(1 + random() % 9);
    for (uint64_t& load : loads) load = random() % 2 ? random() % 50000 : 0;
    CheckEachRowOnce(scan, DealSplits(scan, &loads));
  }
}

TEST(DealSplits, CutsOneBigFileEvenlyBetweenRowGroups) {
  job::ScanSplits scan;
  std::vector<uint64_t> ends;
  for (uint64_t group = 1; group <= 14; ++group) ends.push_back(group * 1000);
  *scan.add_splits() = File("lineitem.parquet", 14000, ends);
  std::vector<uint64_t> loads(4);
  const auto dealt = DealSplits(scan, &loads);
  CheckEachRowOnce(scan, dealt);
  for (uint64_t load : loads) {
    EXPECT_GE(load, 3000u);
    EXPECT_LE(load, 4000u);
  }
}

TEST(DealSplits, KeepsEvenFilesWhole) {
  job::ScanSplits scan;
  for (int f = 0; f < 8; ++f) {
    *scan.add_splits() = File(fmt::format("f{}", f), 1000, {10, 20, 30});
  }
  std::vector<uint64_t> loads(4);
  for (const job::ScanSplits& share : DealSplits(scan, &loads)) {
    ASSERT_EQ(share.splits_size(), 2);
    for (const plan::FileSplit& split : share.splits()) EXPECT_EQ(split.row_count(), 0u);
  }
}

TEST(FormTasks, GivesTheSamePartitionsOfEveryHashedInput) {
  const auto left = Sizes({10, 0, 30, 40});
  const auto right = Sizes({0, 0, 1, 100});
  std::vector<InputOutputs> inputs(2);
  for (auto& input : inputs) {
    input.mode = job::StageInput::PARTITIONED;
    input.kind = job::Output::HASH;
    input.partitions = 4;
  }
  inputs[0].outputs = {{0, 0, 0, 5, &left}};
  inputs[1].outputs = {{1, 0, 0, 6, &right}};
  const auto shares = FormTasks(Many(), inputs, {5, 6, 7}, {});
  ASSERT_EQ(shares.size(), 2u);
  EXPECT_EQ(shares[0].first_partition, 0u);
  EXPECT_EQ(shares[0].last_partition, 3u);
  EXPECT_EQ(shares[1].last_partition, 4u);
  EXPECT_NE(shares[0].preferred, shares[1].preferred);

  job::TaskInput read;
  FillTaskInput(
      inputs[0], 0, shares[0], false,
      [](const AvailableOutput& output) { return output.executor; }, &read);
  ASSERT_EQ(read.outputs_size(), 1);
  EXPECT_EQ(read.outputs(0).rows(), 40u);
  EXPECT_EQ(read.outputs(0).bytes(), 320u);
  EXPECT_EQ(read.last_partition(), 3u);
}

TEST(FormTasks, LeavesOutputsWithoutRowsOutOfWhatATaskReads) {
  const auto full = Sizes({1, 2});
  const auto empty = Sizes({0, 0});
  InputOutputs input;
  input.mode = job::StageInput::ALL;
  input.kind = job::Output::HASH;
  input.partitions = 2;
  input.outputs = {{0, 0, 0, 1, &empty}, {0, 1, 3, 1, &full}};
  job::TaskInput read;
  FillTaskInput(
      input, 0, {}, true, [](const AvailableOutput&) { return 0u; }, &read);
  ASSERT_EQ(read.outputs_size(), 1);
  EXPECT_EQ(read.outputs(0).task_index(), 1u);
  EXPECT_EQ(read.outputs(0).attempt(), 3u);
  EXPECT_EQ(read.first_partition(), 0u);
  EXPECT_EQ(read.last_partition(), 2u);
}

TEST(FormTasks, ReadsWholeOutputsWhereTheyAre) {
  std::vector<job::OutputStatistics> sizes(6, Size(10, 1000));
  InputOutputs input;
  input.mode = job::StageInput::PARTITIONED;
  input.kind = job::Output::UNPARTITIONED;
  for (uint32_t t = 0; t < 6; ++t) input.outputs.push_back({0, t, 0, t % 3, &sizes[t]});
  const auto shares = FormTasks(Many(), {input}, {0, 1, 2}, {});
  ASSERT_EQ(shares.size(), 3u);
  for (const TaskShare& share : shares) {
    ASSERT_EQ(share.outputs[0].size(), 2u);
    for (uint32_t output : share.outputs[0]) EXPECT_EQ(output % 3, share.preferred);
  }
}

TEST(FormTasks, DealsEveryOutputOnceAlsoWhenOneExecutorHasThemAll) {
  std::vector<job::OutputStatistics> sizes;
  std::mt19937_64 random(3);
  for (int i = 0; i < 40; ++i) sizes.push_back(Size(random() % 3, random() % 1000));
  InputOutputs input;
  input.mode = job::StageInput::PARTITIONED;
  input.kind = job::Output::UNPARTITIONED;
  for (uint32_t t = 0; t < 40; ++t) input.outputs.push_back({0, t, 0, 9, &sizes[t]});
  const auto shares = FormTasks(Many(), {input}, {9, 1, 2, 3}, {});
  ASSERT_EQ(shares.size(), 4u);
  std::set<uint32_t> seen;
  for (const TaskShare& share : shares) {
    for (uint32_t output : share.outputs[0]) EXPECT_TRUE(seen.insert(output).second);
  }
  EXPECT_EQ(seen.size(), 40u);
}

TEST(FormTasks, MakesNoMoreTasksThanThereIsWork) {
  const auto small = Sizes({5, 5, 5, 5, 5, 5, 5, 5});  // 320 bytes
  InputOutputs input;
  input.mode = job::StageInput::PARTITIONED;
  input.kind = job::Output::HASH;
  input.partitions = 8;
  input.outputs = {{0, 0, 0, 1, &small}};
  EXPECT_EQ(FormTasks(Many(), {input}, {1, 2, 3, 4}, {}).size(), 4u);
  EXPECT_EQ(FormTasks(Many(), {input}, {1}, {.tasks_per_stage = 100}).size(), 8u);
  EXPECT_EQ(FormTasks(Many(), {input}, {1, 2, 3, 4}, {.min_task_bytes = 200}).size(), 2u);
  const auto nothing = Sizes({0, 0});
  input.partitions = 2;
  input.outputs = {{0, 0, 0, 1, &nothing}};
  EXPECT_EQ(FormTasks(Many(), {input}, {1, 2}, {}).size(), 1u);
  EXPECT_EQ(FormTasks(Many(), {}, {1, 2}, {}).size(), 1u);
}

TEST(FormTasks, UnionsScansAndHashedInputsIndependently) {
  const auto sizes = Sizes({100, 100}, 10);
  InputOutputs input;
  input.mode = job::StageInput::PARTITIONED;
  input.kind = job::Output::HASH;
  input.partitions = 2;
  input.outputs = {{0, 0, 0, 1, &sizes}};
  job::Stage stage = Many();
  auto* scan = stage.add_scans();
  for (int f = 0; f < 4; ++f) *scan->add_splits() = File(std::to_string(f), 1000, {});
  const auto shares = FormTasks(stage, {input}, {1, 2, 3}, {});
  ASSERT_EQ(shares.size(), 3u);
  uint32_t partitions = 0;
  int files = 0;
  for (const TaskShare& share : shares) {
    partitions += share.last_partition - share.first_partition;
    files += share.scans[0].splits_size();
    EXPECT_LE(1000 * (share.last_partition - share.first_partition) +
                  1000 * share.scans[0].splits_size(),
              2000u);
  }
  EXPECT_EQ(partitions, 2u);
  EXPECT_EQ(files, 4);
}

// ---- skewed partitions

// Inputs of a join: `probe` is splittable, `build` is not; one output a list of rows by
// partition.
std::vector<InputOutputs> JoinInputs(const std::vector<job::OutputStatistics>& probe,
                                     const std::vector<job::OutputStatistics>& build) {
  std::vector<InputOutputs> inputs(2);
  for (size_t i = 0; i < 2; ++i) {
    const auto& sizes = i == 0 ? probe : build;
    inputs[i].mode = job::StageInput::PARTITIONED;
    inputs[i].kind = job::Output::HASH;
    inputs[i].partitions = sizes[0].partition_rows_size();
    inputs[i].splittable = i == 0;
    for (uint32_t t = 0; t < sizes.size(); ++t) {
      inputs[i].outputs.push_back({static_cast<uint32_t>(i), t, 0, t, &sizes[t], t});
    }
  }
  return inputs;
}

job::TaskInput ReadOf(const std::vector<InputOutputs>& inputs, size_t input,
                      const TaskShare& share) {
  job::TaskInput read;
  FillTaskInput(
      inputs[input], input, share, false,
      [](const AvailableOutput& output) { return output.executor; }, &read);
  return read;
}

uint64_t Bytes(const job::TaskInput& read) {
  uint64_t bytes = 0;
  for (const auto& ref : read.outputs()) bytes += ref.bytes();
  return bytes;
}

// Of each task, over all inputs.
uint64_t SlowestBytes(const std::vector<InputOutputs>& inputs,
                      const std::vector<TaskShare>& shares) {
  uint64_t most = 0;
  for (const TaskShare& share : shares) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < inputs.size(); ++i) bytes += Bytes(ReadOf(inputs, i, share));
    most = std::max(most, bytes);
  }
  return most;
}

// Each row of the split input once, of the other one once in every piece of a range.
void ExpectExactCover(const std::vector<InputOutputs>& inputs,
                      const std::vector<TaskShare>& shares) {
  std::map<std::pair<uint32_t, uint32_t>, int> probed;  // output, partition
  std::map<std::pair<uint32_t, uint32_t>, std::set<uint32_t>> built;
  for (const TaskShare& share : shares) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      const job::TaskInput read = ReadOf(inputs, i, share);
      for (const auto& ref : read.outputs()) {
        for (uint32_t p = share.first_partition; p < share.last_partition; ++p) {
          if (i == 0) {
            ++probed[{ref.task_index(), p}];
          } else {
            const bool first = built[{ref.task_index(), p}].insert(share.piece).second;
            EXPECT_TRUE(first);
          }
        }
      }
    }
  }
  for (const auto& [what, times] : probed) EXPECT_EQ(times, 1);
  for (uint32_t t = 0; t < inputs[0].outputs.size(); ++t) {
    const auto& sizes = *inputs[0].outputs[t].statistics;
    for (int p = 0; p < sizes.partition_rows_size(); ++p) {
      if (sizes.partition_rows(p) == 0) continue;
      EXPECT_EQ((probed[{t, static_cast<uint32_t>(p)}]), 1) << t << " " << p;
    }
  }
}

TEST(SkewedPartitions, AreReadByTasksThatShareThem) {
  // Partition 1 has nine tenths of the rows, evenly over the outputs.
  const std::vector<job::OutputStatistics> probe(4, Sizes({10, 900, 45, 45}));
  const std::vector<job::OutputStatistics> build(4, Sizes({5, 5, 5, 5}));
  const auto inputs = JoinInputs(probe, build);
  const auto whole = FormTasks(Many(), inputs, {0, 1, 2, 3}, {});
  const auto split = FormTasks(Many(), inputs, {0, 1, 2, 3}, {.skew_factor = 2});
  ExpectExactCover(inputs, whole);
  ExpectExactCover(inputs, split);
  EXPECT_GE(SlowestBytes(inputs, whole), 4 * 900 * 8u);
  EXPECT_LE(SlowestBytes(inputs, split), 4 * 1000 * 8u / 3);
  uint32_t pieces = 0;
  for (const TaskShare& share : split) {
    if (share.pieces == 1) continue;
    ++pieces;
    EXPECT_EQ(share.split_input, 0u);
    EXPECT_LE(share.first_partition, 1u);
    EXPECT_GE(share.last_partition, 2u);
    EXPECT_EQ(Bytes(ReadOf(inputs, 1, share)),
              4 * 5 * 8u * (share.last_partition - share.first_partition));
  }
  EXPECT_GE(pieces, 3u);
  EXPECT_LE(split.size(), 6u);
}

TEST(SkewedPartitions, StayWholeWhereASplitBringsNothing) {
  const auto tasks = [](std::vector<InputOutputs> inputs, uint32_t factor) {
    return FormTasks(Many(), inputs, {0, 1, 2, 3}, {.skew_factor = factor}).size();
  };
  const std::vector<job::OutputStatistics> skewed(4, Sizes({1000, 10}));
  const std::vector<job::OutputStatistics> small(4, Sizes({1, 1}));
  EXPECT_GT(tasks(JoinInputs(skewed, small), 2), 2u);
  // Off; not splittable; all on the side that each piece reads whole.
  EXPECT_EQ(tasks(JoinInputs(skewed, small), 0), 2u);
  auto fixed = JoinInputs(skewed, small);
  fixed[0].splittable = false;
  EXPECT_EQ(tasks(fixed, 2), 2u);
  EXPECT_EQ(tasks(JoinInputs(small, skewed), 2), 2u);
  // One output has all the rows.
  std::vector<job::OutputStatistics> one(4, Sizes({0, 10}));
  one[2] = Sizes({4000, 10});
  EXPECT_EQ(tasks(JoinInputs(one, small), 2), 2u);
  // Even partitions, fewer than executors.
  const std::vector<job::OutputStatistics> even(4, Sizes({100, 100, 100}));
  const std::vector<job::OutputStatistics> few(4, Sizes({1, 1, 1}));
  EXPECT_EQ(tasks(JoinInputs(even, few), 2), 3u);
}

TEST(SkewedPartitions, AreSplitAtAnyShape) {
  std::mt19937 random(7);
  const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  for (int round = 0; round < 300; ++round) {
    const uint32_t partitions = 1 + below(12);
    const uint32_t heavy = below(partitions);
    std::vector<std::vector<job::OutputStatistics>> sides(2);
    for (auto& side : sides) {
      for (uint32_t t = 1 + below(6); t > 0; --t) {
        std::vector<uint64_t> rows;
        for (uint32_t p = 0; p < partitions; ++p) {
          rows.push_back(below(3) == 0 ? 0 : below(p == heavy ? 5000 : 50));
        }
        side.push_back(Sizes(rows));
      }
    }
    const auto inputs = JoinInputs(sides[0], sides[1]);
    std::vector<ExecutorIndex> executors(1 + below(8));
    std::iota(executors.begin(), executors.end(), 0);
    const FormationOptions whole{.tasks_per_stage = below(20),
                                 .min_task_bytes = below(500)};
    FormationOptions split = whole;
    split.skew_factor = 1 + below(4);
    const auto before = FormTasks(Many(), inputs, executors, whole);
    const auto after = FormTasks(Many(), inputs, executors, split);
    ExpectExactCover(inputs, after);
    EXPECT_LE(SlowestBytes(inputs, after), SlowestBytes(inputs, before) * 3 / 2);
  }
}

// ---- ranges of sorted runs

// A run with samples at these keys, each for `rows` rows.
job::OutputStatistics RunOf(std::vector<std::string> keys, uint64_t rows,
                            uint64_t row_bytes = 8) {
  job::OutputStatistics run;
  for (auto& key : keys) {
    auto* sample = run.add_range_samples();
    sample->set_key(std::move(key));
    sample->set_rows(rows);
    sample->set_bytes(rows * row_bytes);
    run.set_rows(run.rows() + rows);
    run.set_bytes(run.bytes() + rows * row_bytes);
  }
  return run;
}

struct Merging {
  std::vector<job::OutputStatistics> runs;

  std::vector<InputOutputs> Inputs() const {
    InputOutputs input;
    input.mode = job::StageInput::MERGE;
    input.kind = job::Output::RANGE;
    for (uint32_t t = 0; t < runs.size(); ++t) {
      input.outputs.push_back({0, t, 0, t, &runs[t]});
    }
    return {input};
  }
  std::vector<TaskShare> Form(uint64_t min_task_bytes = 0) const {
    return FormTasks(Many(), Inputs(), {0, 1, 2, 3}, {0, min_task_bytes});
  }
};

TEST(FormTasks, CutsRunsIntoRangesOfEqualBytes) {
  const Merging merging{
      {RunOf({"a", "c", "e", "g"}, 10), RunOf({"b", "d", "f", "h"}, 10)}};
  const auto shares = merging.Form();
  ASSERT_EQ(shares.size(), 4u);
  EXPECT_FALSE(shares[0].lower_key.has_value());
  EXPECT_FALSE(shares[3].upper_key.has_value());
  const std::vector<std::string> bounds = {"c", "e", "g"};
  for (size_t t = 0; t + 1 < shares.size(); ++t) {
    EXPECT_EQ(shares[t].upper_key, bounds[t]);
    EXPECT_EQ(shares[t + 1].lower_key, bounds[t]);
  }
  EXPECT_EQ(EstimateRange(merging.runs[0], shares[1]), std::make_pair(10ul, 80ul));
  std::set<ExecutorIndex> preferred;
  for (const auto& share : shares) preferred.insert(share.preferred);
  EXPECT_EQ(preferred.size(), 4u);
}

TEST(FormTasks, NeverSplitsEqualKeys) {
  // Three quarters of the rows have one key.
  const Merging merging{
      {RunOf({"a", "m", "m", "m"}, 10), RunOf({"m", "m", "m", "z"}, 10)}};
  const auto shares = merging.Form();
  ASSERT_LE(shares.size(), 3u);
  int with_m = 0;
  for (const auto& share : shares) {
    with_m += (!share.lower_key || *share.lower_key <= "m") &&
              (!share.upper_key || *share.upper_key > "m");
  }
  EXPECT_EQ(with_m, 1);
  EXPECT_EQ(Merging{{RunOf({"m", "m"}, 10)}}.Form().size(), 1u);
}

TEST(FormTasks, MergesFewBytesOrNoneInOneTask) {
  EXPECT_EQ((Merging{{RunOf({"a", "b", "c", "d"}, 10)}}.Form(1 << 20).size()), 1u);
  EXPECT_EQ((Merging{{RunOf({}, 0), RunOf({}, 0)}}.Form().size()), 1u);
}

TEST(FormTasks, LeavesOutRunsThatBeginAfterTheRange) {
  const Merging merging{{RunOf({"a", "b"}, 10), RunOf({"x", "y"}, 10)}};
  const auto shares = merging.Form();
  const auto inputs = merging.Inputs();
  uint64_t rows = 0;
  for (const auto& share : shares) {
    job::TaskInput read;
    FillTaskInput(
        inputs[0], 0, share, false,
        [](const AvailableOutput& output) { return output.executor; }, &read);
    for (const auto& ref : read.outputs()) {
      EXPECT_GT(ref.rows(), 0u);
      rows += ref.rows();
    }
    if (share.upper_key && *share.upper_key <= "x") {
      ASSERT_EQ(read.outputs_size(), 1);
      EXPECT_EQ(read.outputs(0).task_index(), 0u);
    }
  }
  EXPECT_GE(rows, 40u);
}

}  // namespace
}  // namespace ballista::scheduler
