#include "ballista/shuffle/run_index.h"

#include <algorithm>

namespace ballista::shuffle {
namespace {

// So many are gathered before every second one is dropped.
constexpr size_t kKeptSamples = 4 * RunIndex::kMaxSamples;

}  // namespace

arrow::Status RunIndex::Add(const arrow::RecordBatch& batch, double row_bytes) {
  const int64_t first = first_rows_.back();
  const int64_t end = first + batch.num_rows();
  ARROW_ASSIGN_OR_RAISE(std::string key, encoder_.EncodeRow(batch, 0));
  key.resize(std::min(key.size(), kMaxBoundBytes));
  first_keys_.push_back(std::move(key));
  first_rows_.push_back(end);
  while (static_cast<int64_t>(samples_.size()) * stride_ < end) {
    const int64_t row = static_cast<int64_t>(samples_.size()) * stride_;
    ARROW_ASSIGN_OR_RAISE(std::string sampled, encoder_.EncodeRow(batch, row - first));
    sampled.resize(std::min(sampled.size(), kMaxBoundBytes));
    samples_.push_back(
        {row, bytes_ + static_cast<double>(row - first) * row_bytes, std::move(sampled)});
    if (samples_.size() < kKeptSamples) continue;
    for (size_t i = 1; 2 * i < samples_.size(); ++i) {
      samples_[i] = std::move(samples_[2 * i]);
    }
    samples_.resize((samples_.size() + 1) / 2);
    stride_ *= 2;
  }
  bytes_ += static_cast<double>(batch.num_rows()) * row_bytes;
  return arrow::Status::OK();
}

// A key that was cut compares with a bound as the whole one does: the bound is no longer
// than what was kept.
int64_t RunIndex::FindBatch(std::string_view bound) const {
  const auto at = std::lower_bound(first_keys_.begin(), first_keys_.end(), bound);
  return at - first_keys_.begin() - 1;
}

arrow::Result<int64_t> RunIndex::FindRow(const arrow::RecordBatch& batch,
                                         std::string_view bound) const {
  int64_t first = 0;
  int64_t last = batch.num_rows();
  while (first < last) {
    const int64_t middle = first + (last - first) / 2;
    ARROW_ASSIGN_OR_RAISE(const std::string key, encoder_.EncodeRow(batch, middle));
    if (key < bound) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  return first;
}

void RunIndex::AddSamples(job::OutputStatistics* statistics) const {
  const size_t step = (samples_.size() + kMaxSamples - 1) / kMaxSamples;
  for (size_t i = 0; i < samples_.size(); i += step) {
    const bool last = i + step >= samples_.size();
    const int64_t end = last ? first_rows_.back() : samples_[i + step].row;
    const double end_bytes = last ? bytes_ : samples_[i + step].bytes_before;
    auto* sample = statistics->add_range_samples();
    sample->set_key(samples_[i].key);
    sample->set_rows(static_cast<uint64_t>(end - samples_[i].row));
    sample->set_bytes(
        static_cast<uint64_t>(std::max(0.0, end_bytes - samples_[i].bytes_before)));
  }
}

}  // namespace ballista::shuffle
