#include "ballista/shuffle/merge_input.h"

#include <mutex>
#include <utility>

#include "ballista/shuffle/run_merger.h"
#include "ballista/shuffle/stretch.h"

namespace ballista::shuffle {
namespace {

constexpr int64_t kBatchRows = 16384;
constexpr int64_t kBatchBytes = 4 << 20;

class MergeSource : public TaskInputSource {
 public:
  MergeSource(std::vector<std::unique_ptr<TaskInputSource>> runs, SortKeyEncoder encoder,
              std::shared_ptr<arrow::Schema> fallback_schema)
      : runs_(std::move(runs)),
        fallback_schema_(std::move(fallback_schema)),
        merger_(std::move(encoder), Readers()) {}

  std::shared_ptr<arrow::Schema> schema() const override {
    for (const auto& run : runs_) {
      if (auto schema = run->schema()) return schema;
    }
    return fallback_schema_;
  }
  int64_t num_rows() const override { return Sum(&TaskInputSource::num_rows); }
  int64_t fetched_bytes() const override { return Sum(&TaskInputSource::fetched_bytes); }
  int64_t local_bytes() const override { return Sum(&TaskInputSource::local_bytes); }
  int max_concurrency() const override { return 1; }

  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    std::vector<Stretch> stretches;
    {
      const std::lock_guard lock(mutex_);
      ARROW_ASSIGN_OR_RAISE(stretches, merger_.Next(kBatchRows, kBatchBytes));
    }
    if (stretches.empty()) return nullptr;
    return JoinStretches(stretches);
  }

  void Cancel() override {
    for (const auto& run : runs_) run->Cancel();
  }

 private:
  std::vector<RunMerger::NextBatch> Readers() {
    std::vector<RunMerger::NextBatch> readers;
    for (const auto& run : runs_) {
      readers.push_back([source = run.get()] { return source->Next(); });
    }
    return readers;
  }

  int64_t Sum(int64_t (TaskInputSource::*figure)() const) const {
    int64_t sum = 0;
    for (const auto& run : runs_) sum += ((*run).*figure)();
    return sum;
  }

  const std::vector<std::unique_ptr<TaskInputSource>> runs_;
  const std::shared_ptr<arrow::Schema> fallback_schema_;
  std::mutex mutex_;
  RunMerger merger_;
};

}  // namespace

arrow::Result<std::unique_ptr<TaskInputSource>> MakeMergeInput(
    const FetchContext& context, const job::TaskDefinition& task,
    const job::TaskInput& input, const std::vector<plan::SortKey>& keys,
    const TaskInputOptions& options) {
  ARROW_ASSIGN_OR_RAISE(auto encoder, SortKeyEncoder::Make(keys));
  std::vector<std::unique_ptr<TaskInputSource>> runs;
  for (const auto& output : input.outputs()) {
    job::TaskInput one = input;
    one.clear_outputs();
    *one.add_outputs() = output;
    TaskInputOptions in_any_order = options;  // there is one output: it has its own
    in_any_order.in_order = false;
    ARROW_ASSIGN_OR_RAISE(auto run, MakeTaskInput(context, task, one, in_any_order));
    runs.push_back(std::move(run));
  }
  return std::make_unique<MergeSource>(std::move(runs), std::move(encoder),
                                       options.fallback_schema);
}

}  // namespace ballista::shuffle
