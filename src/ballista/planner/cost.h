// Estimates of rows and bytes, and the prices of moving them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "ballista/plan.pb.h"
#include "ballista/planner/distributed_planner.h"

namespace ballista::planner {

// Gives every node without a row estimate one, from its inputs. Bottom up, in place.
void FillEstimates(plan::Node* node);

// Arrow bytes of the node's output, guessed.
double EstimatedBytes(const plan::Node& node);

// Whether, by the estimate, one task is as good as many for the node's output.
bool IsEstimatedTiny(const plan::Node& node);

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
  static constexpr double kBuildRow = 45;  // into a join's hash table within the caches
  static constexpr double kProbeRow = 15;
  static constexpr double kColdBuildRow = 110;  // into one of kColdRows, in new memory
  static constexpr double kColdProbeRow = 160;
  static constexpr double kWarmRows = 250e3;
  static constexpr double kColdRows = 4e6;

  double Broadcast(double bytes) const {
    return kStage + bytes * (kWriteByte + executors * kReadByte);
  }
  double Shuffle(double rows, double bytes) const {
    return kStage + bytes * (kPartitionByte + kReadByte) + rows * kHashRow;
  }
  double Gather(double bytes) const { return kStage + bytes * (kWriteByte + kReadByte); }
  // Of `tables` hash tables with `build_rows` each and `probe_rows` in all. A large one
  // costs more a row, since each access misses the caches.
  static double HashTables(double tables, double build_rows, double probe_rows) {
    const double cold = Coldness(build_rows);
    return tables * build_rows * (kBuildRow + cold * (kColdBuildRow - kBuildRow)) +
           probe_rows * (kProbeRow + cold * (kColdProbeRow - kProbeRow));
  }

 private:
  // 0 up to kWarmRows, 1 from kColdRows, and even by doublings between.
  static double Coldness(double rows) {
    if (rows <= kWarmRows) return 0;
    return std::min(1.0, std::log(rows / kWarmRows) / std::log(kColdRows / kWarmRows));
  }
};

}  // namespace ballista::planner
