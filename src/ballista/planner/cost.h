// Estimates of rows and bytes, and the prices of moving them.
#pragma once

#include <cstdint>

#include "ballista/plan.pb.h"
#include "ballista/planner/distributed_planner.h"

namespace ballista::planner {

// Gives every node without a row estimate one, from its inputs. Bottom up, in place.
void FillEstimates(plan::Node* node);

// Arrow bytes of the node's output, guessed.
double EstimatedBytes(const plan::Node& node);

// Bytes that the scans below the node read, at most: of the files, or of the columns
// asked for where the rows are known.
double ScannedBytes(const plan::Node& node);

// Prices in nanoseconds of CPU, over all executors. Measured on warm memory on a server
// core and rounded up for cold memory; only their ratios matter.
struct CostModel {
  double executors = 1;

  // Latency of a stage more: launch, commit, fetch.
  static constexpr double kStage = 2e6;
  static constexpr double kWriteByte = 0.4;
  static constexpr double kReadByte = 0.6;
  static constexpr double kPartitionByte = 0.8;  // write, rows sorted by partition
  static constexpr double kHashRow = 4;
  static constexpr double kBuildRow = 45;  // into a join's hash table
  static constexpr double kProbeRow = 15;

  double Broadcast(double bytes) const {
    return kStage + bytes * (kWriteByte + executors * kReadByte);
  }
  double Shuffle(double rows, double bytes) const {
    return kStage + bytes * (kPartitionByte + kReadByte) + rows * kHashRow;
  }
  double Gather(double bytes) const { return kStage + bytes * (kWriteByte + kReadByte); }
  double HashTable(double build_rows, double probe_rows) const {
    return build_rows * kBuildRow + probe_rows * kProbeRow;
  }
};

}  // namespace ballista::planner
