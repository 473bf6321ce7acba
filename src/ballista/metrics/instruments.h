// Counters and histograms that cost a relaxed atomic addition where they are counted.
// Thread-safe. What a reader sees of a histogram may be a few observations apart.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ballista::metrics {

class Counter {
 public:
  void Add(uint64_t count = 1) { value_.fetch_add(count, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// Of durations: buckets from 100 us to 1000 s, two and a half a decade.
class Histogram {
 public:
  static constexpr std::array<double, 21> kBounds = {
      0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
      0.5,    1,       2.5,    5,     10,     25,    50,   100,   250,  1000};

  void ObserveMicros(uint64_t micros) {
    const double seconds = static_cast<double>(micros) / 1e6;
    size_t bucket = 0;
    while (bucket < kBounds.size() && seconds > kBounds[bucket]) ++bucket;
    buckets_[bucket].Add();
    micros_.Add(micros);
  }

  // In the bucket alone; the last one is of what is above all bounds.
  uint64_t bucket(size_t i) const { return buckets_[i].value(); }
  double sum_seconds() const { return static_cast<double>(micros_.value()) / 1e6; }

 private:
  std::array<Counter, kBounds.size() + 1> buckets_;
  Counter micros_;
};

}  // namespace ballista::metrics
