#include "ballista/sim/rows.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "ballista/sim/virtual_clock.h"

namespace ballista::sim {

namespace {

uint64_t TextHash(std::string_view text) {
  uint64_t hash = 0;
  for (char c : text) hash = Mix(hash, static_cast<unsigned char>(c));
  return hash;
}

// Most stages pass on all rows, some a half, some so few that partitions are empty.
bool Keeps(uint32_t stage, Row row) {
  constexpr uint64_t kOneOf[] = {1, 1, 2, 16, 1, 1, 4, 1};
  return Mix(row, stage) % kOneOf[stage % std::size(kOneOf)] == 0;
}

}  // namespace

bool Shifts(const job::Stage& stage) {
  return stage.fragment().has_sample();
}

bool IsSkewed(const job::Stage& stage) {
  return stage.description() == "skewed";
}

StageShape ShapeOf(const job::JobGraph& graph, uint32_t stage) {
  StageShape shape;
  shape.stage_id = stage;
  shape.row_limit = graph.stages(stage).row_limit();
  shape.single_task = graph.stages(stage).parallelism() == job::SINGLE_TASK;
  for (const job::StageInput& input : graph.stages(stage).inputs()) {
    const job::Output& output = graph.stages(input.stages(0)).output();
    const bool partitioned = input.mode() == job::StageInput::PARTITIONED;
    shape.hashed.push_back(partitioned && output.kind() == job::Output::HASH);
    shape.merges = shape.merges || input.merge_keys_size() > 0;
    shape.whole.push_back(!partitioned && input.merge_keys().empty());
    for (uint32_t producer : input.stages()) {
      if (Shifts(graph.stages(producer))) shape.mixes_partitions = false;
      shape.first_rows = std::max(shape.first_rows, graph.stages(producer).row_limit());
    }
    if (input.splittable()) shape.probe = static_cast<int>(shape.hashed.size()) - 1;
  }
  return shape;
}

std::vector<Row> ScanRows(const plan::FileSplit& split) {
  const uint64_t file = TextHash(split.path());
  const uint64_t end =
      split.row_count() > 0 ? split.first_row() + split.row_count() : split.total_rows();
  std::vector<Row> rows;
  rows.reserve(end - split.first_row());
  for (uint64_t r = split.first_row(); r < end; ++r) rows.push_back(Mix(file, r));
  return rows;
}

std::vector<Row> ComputeRows(const StageShape& shape,
                             const std::vector<InputRows>& inputs,
                             const std::vector<Row>& scanned) {
  uint64_t broadcast = 0;
  std::vector<uint64_t> by_partition;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (shape.hashed[i]) {
      by_partition.resize(std::max(by_partition.size(), inputs[i].size()));
    }
    for (size_t p = 0; p < inputs[i].size(); ++p) {
      for (Row row : inputs[i][p]) {
        if (shape.hashed[i] && static_cast<int>(i) != shape.probe) {
          by_partition[p] += Mix(row, i);
        }
        if (shape.whole[i] && !shape.single_task) broadcast += Mix(row, i);
      }
    }
  }
  std::vector<Row> rows;
  auto pass = [&](Row row, uint64_t partition) {
    if (shape.merges) {
      if (Keeps(shape.stage_id, row)) rows.push_back(row);
      return;
    }
    const Row mixed = Mix(Mix(row, partition), broadcast);
    if (Keeps(shape.stage_id, mixed)) rows.push_back(mixed);
  };
  for (Row row : scanned) pass(row, 0);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (shape.whole[i] && !shape.single_task) continue;
    const bool probed = shape.probe >= 0 && shape.hashed[i];
    if (probed && static_cast<int>(i) != shape.probe) continue;
    for (size_t p = 0; p < inputs[i].size(); ++p) {
      for (Row row : inputs[i][p])
        pass(row, shape.hashed[i] && shape.mixes_partitions ? by_partition[p] : 0);
    }
  }
  if (shape.first_rows > 0 && rows.size() > shape.first_rows) {
    rows.resize(shape.first_rows);
  }
  if (shape.row_limit > 0) {
    rows.assign(std::min<uint64_t>(rows.size(), shape.row_limit), shape.stage_id);
  }
  if (shape.merges) std::sort(rows.begin(), rows.end());
  return rows;
}

std::string SortKeyOf(Row row) {
  std::string key(sizeof(row), '\0');
  for (size_t i = 0; i < key.size(); ++i) {
    key[i] = static_cast<char>(row >> (8 * (key.size() - 1 - i)));
  }
  return key;
}

uint32_t PartitionOf(Row row, uint32_t partitions, bool skewed) {
  if (skewed && Mix(row, 0x5e3) % 8 != 0) return partitions / 2;
  return static_cast<uint32_t>(Mix(row, 0x9a47) % partitions);
}

std::vector<std::vector<Row>> PartitionRows(const job::Stage& stage,
                                            const std::vector<Row>& rows,
                                            uint32_t attempt) {
  const job::Output& output = stage.output();
  if (output.kind() == job::Output::RANGE) {
    std::vector<Row> sorted = rows;
    std::sort(sorted.begin(), sorted.end());
    return {sorted};
  }
  if (output.kind() != job::Output::HASH) return {rows};
  const uint64_t shift = Shifts(stage) ? attempt : 0;
  std::vector<std::vector<Row>> partitions(output.partitions());
  for (Row row : rows) {
    partitions[PartitionOf(row + shift, output.partitions(), IsSkewed(stage))].push_back(
        row);
  }
  return partitions;
}

void Digest::Add(const std::vector<Row>& rows) {
  count += rows.size();
  for (Row row : rows) sum += Mix(row);
}

Digest ExpectedResult(const job::JobGraph& graph) {
  std::vector<std::vector<std::vector<Row>>> outputs;
  for (const job::Stage& stage : graph.stages()) {
    std::vector<InputRows> inputs;
    for (const job::StageInput& input : stage.inputs()) {
      InputRows& rows = inputs.emplace_back();
      for (uint32_t producer : input.stages()) {
        const auto& partitions = outputs[producer];
        rows.resize(std::max(rows.size(), partitions.size()));
        for (size_t p = 0; p < partitions.size(); ++p) {
          rows[p].insert(rows[p].end(), partitions[p].begin(), partitions[p].end());
        }
      }
    }
    std::vector<Row> scanned;
    for (const job::ScanSplits& scan : stage.scans()) {
      for (const plan::FileSplit& split : scan.splits()) {
        const std::vector<Row> rows = ScanRows(split);
        scanned.insert(scanned.end(), rows.begin(), rows.end());
      }
    }
    outputs.push_back(PartitionRows(
        stage, ComputeRows(ShapeOf(graph, stage.id()), inputs, scanned), 0));
  }
  Digest digest;
  for (const auto& rows : outputs[graph.result_stage()]) digest.Add(rows);
  return digest;
}

}  // namespace ballista::sim
