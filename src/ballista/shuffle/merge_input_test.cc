#include "ballista/shuffle/merge_input.h"

#include <arrow/flight/api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "ballista/plan/plan.h"
#include "ballista/shuffle/data_service.h"
#include "ballista/shuffle/run_merger.h"
#include "ballista/shuffle/test_outputs_internal.h"
#include "ballista/shuffle/test_streams_internal.h"

namespace ballista::shuffle {
namespace {

using namespace ballista::shuffle::testing;  // NOLINT

std::vector<plan::SortKey> ById() {
  plan::SortKey key;
  *key.mutable_expression() = plan::ColumnRef(0, plan::MakeType(plan::Type::BIGINT));
  return {key};
}

job::Output RunOutput() {
  job::Output output;
  output.set_kind(job::Output::RANGE);
  output.set_ordered(true);
  for (const auto& key : ById()) *output.add_sort_keys() = key;
  return output;
}

std::shared_ptr<arrow::RecordBatch> BatchOf(const std::vector<int64_t>& ids) {
  arrow::Int64Builder numbers;
  arrow::StringBuilder texts;
  arrow::Status appended = numbers.AppendValues(ids);
  for (const int64_t id : ids) {
    appended &=
        id % 7 == 0 ? texts.AppendNull() : texts.Append("text of " + std::to_string(id));
  }
  EXPECT_TRUE(appended.ok()) << appended;
  return arrow::RecordBatch::Make(
      IdSchema(), static_cast<int64_t>(ids.size()),
      {numbers.Finish().ValueOrDie(), texts.Finish().ValueOrDie()});
}

std::string BoundAt(int64_t id) {
  return SortKeyEncoder::Make(ById())
      .ValueOrDie()
      .EncodeRow(*BatchOf({id}), 0)
      .ValueOrDie();
}

// The ids, and that each text is its id's.
std::vector<int64_t> CheckedIds(const arrow::RecordBatchVector& batches) {
  for (const auto& batch : batches) {
    const auto& ids = static_cast<const arrow::Int64Array&>(*batch->column(0));
    const auto& texts = static_cast<const arrow::StringArray&>(*batch->column(1));
    for (int64_t i = 0; i < batch->num_rows(); ++i) {
      const int64_t id = ids.Value(i);
      const bool fits =
          id % 7 == 0
              ? texts.IsNull(i)
              : texts.IsValid(i) && texts.GetView(i) == "text of " + std::to_string(id);
      if (!fits) ADD_FAILURE() << id << " with " << texts.GetView(i);
    }
  }
  return Ids(batches);
}

// An executor as far as its data goes; its first streams may break after a batch.
class RunServer : public arrow::flight::FlightServerBase {
 public:
  explicit RunServer(const std::string& id, int64_t memory_limit) {
    StoreOptions options;
    options.work_dirs = {folder_.path()};
    options.executor_id = id;
    options.memory_limit = memory_limit;
    store_ = ShuffleStore::Open(options).ValueOrDie();
    arrow::flight::FlightServerOptions server(
        *arrow::flight::Location::ForGrpcTcp("127.0.0.1", 0));
    EXPECT_TRUE(Init(server).ok());
  }
  ~RunServer() override {
    const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(2);
    EXPECT_TRUE(Shutdown(&deadline).ok());
  }

  arrow::Status DoGet(const arrow::flight::ServerCallContext& context,
                      const arrow::flight::Ticket& ticket,
                      std::unique_ptr<arrow::flight::FlightDataStream>* stream) override {
    ++calls;
    ARROW_RETURN_NOT_OK(ServeFetch(store_.get(), context, ticket, stream));
    if (breaks-- > 0) *stream = std::make_unique<BreakingStream>(std::move(*stream), 1);
    return arrow::Status::OK();
  }

  ShuffleStore* store() { return store_.get(); }
  std::atomic<int> calls{0};
  std::atomic<int> breaks{0};

 private:
  TempFolder folder_;
  std::unique_ptr<ShuffleStore> store_;
};

class MergeInputTest : public ::testing::TestWithParam<int64_t> {
 protected:
  MergeInputTest() : local_("local", GetParam()), remote_("remote", GetParam()) {
    context_.executor_id = "local";
    context_.store = local_.store();
    context_.clients = std::make_shared<flight::ClientPool>();
    context_.budget = std::make_shared<MemoryBudget>(8 << 20);
    context_.backoff = std::chrono::milliseconds(10);
    task_.mutable_id()->set_job_id("job");
    for (auto* server : {&local_, &remote_}) {
      auto* address = task_.add_executors();
      address->set_executor_id(server == &local_ ? "local" : "remote");
      address->set_host("127.0.0.1");
      address->set_port(static_cast<uint32_t>(server->port()));
    }
  }

  // Makes the next run, at this or the other executor, of batches of `batch_rows`.
  job::OutputStatistics AddRun(uint32_t executor, std::vector<int64_t> ids,
                               size_t batch_rows) {
    std::sort(ids.begin(), ids.end());
    auto& server = executor == 0 ? local_ : remote_;
    const auto id = MakeTaskId("job", 0, runs_);
    auto writer = server.store()->CreateOutput(id, RunOutput()).ValueOrDie();
    EXPECT_TRUE(writer->SetSchema(IdSchema()).ok());
    for (size_t i = 0; i < ids.size(); i += batch_rows) {
      const size_t end = std::min(ids.size(), i + batch_rows);
      PartitionedBatch batch;
      batch.batch = BatchOf({ids.begin() + static_cast<int64_t>(i),
                             ids.begin() + static_cast<int64_t>(end)});
      batch.offsets = {0, static_cast<uint32_t>(end - i)};
      EXPECT_TRUE(writer->Write(std::move(batch)).ok());
    }
    auto statistics = writer->Commit().ValueOrDie();
    auto* ref = input_.add_outputs();
    ref->set_task_index(runs_++);
    ref->set_executor(executor);
    ref->set_rows(statistics.rows());
    ref->set_bytes(statistics.bytes());
    input_.set_last_partition(1);
    all_.insert(all_.end(), ids.begin(), ids.end());
    return statistics;
  }

  arrow::Result<std::vector<int64_t>> Merge(std::optional<std::string> lower,
                                            std::optional<std::string> upper) {
    job::TaskInput input = input_;
    if (lower) input.set_lower_key(*lower);
    if (upper) input.set_upper_key(*upper);
    ARROW_ASSIGN_OR_RAISE(auto source,
                          MakeMergeInput(context_, task_, input, ById(), {}));
    ARROW_ASSIGN_OR_RAISE(const auto batches, ReadAll(source.get()));
    return CheckedIds(batches);
  }

  std::vector<int64_t> Expected(int64_t lower, int64_t upper) {
    std::vector<int64_t> expected;
    for (const int64_t id : all_) {
      if (id >= lower && id < upper) expected.push_back(id);
    }
    std::sort(expected.begin(), expected.end());
    return expected;
  }

  RunServer local_;
  RunServer remote_;
  FetchContext context_;
  job::TaskDefinition task_;
  job::TaskInput input_;
  uint32_t runs_ = 0;
  std::vector<int64_t> all_;
};

std::vector<int64_t> RandomIds(uint32_t seed, size_t count, int64_t limit) {
  std::mt19937_64 random(seed);
  std::vector<int64_t> ids(count);
  for (auto& id : ids) id = static_cast<int64_t>(random() % static_cast<uint64_t>(limit));
  return ids;
}

constexpr int64_t kAll = int64_t{1} << 40;

TEST_P(MergeInputTest, MergesRunsOfBothExecutorsByRange) {
  for (uint32_t run = 0; run < 5; ++run) {
    AddRun(run % 2, RandomIds(run, 20000 + 1000 * run, 30000), 3000 + run);
  }
  EXPECT_EQ(Merge({}, {}).ValueOrDie(), Expected(-kAll, kAll));
  const std::vector<int64_t> bounds = {-5, 0, 1, 777, 778, 15000, 29999, 30000, 50000};
  std::vector<int64_t> in_parts = Merge({}, BoundAt(bounds.front())).ValueOrDie();
  for (size_t i = 0; i + 1 < bounds.size(); ++i) {
    const auto part = Merge(BoundAt(bounds[i]), BoundAt(bounds[i + 1])).ValueOrDie();
    EXPECT_EQ(part, Expected(bounds[i], bounds[i + 1])) << bounds[i];
    in_parts.insert(in_parts.end(), part.begin(), part.end());
  }
  EXPECT_EQ(Merge(BoundAt(bounds.back()), {}).ValueOrDie(), std::vector<int64_t>());
  EXPECT_EQ(in_parts, Expected(-kAll, kAll));
}

TEST_P(MergeInputTest, TakesEmptyRunsTiesAndDisjointRuns) {
  AddRun(0, {}, 10);
  AddRun(1, {}, 10);
  AddRun(0, std::vector<int64_t>(9000, 5), 1000);
  AddRun(1, std::vector<int64_t>(9000, 5), 700);
  std::vector<int64_t> low(20000);
  std::vector<int64_t> high(20000);
  for (int64_t i = 0; i < 20000; ++i) low[static_cast<size_t>(i)] = i - 20000;
  for (int64_t i = 0; i < 20000; ++i) high[static_cast<size_t>(i)] = i + 6;
  AddRun(1, low, 8000);
  AddRun(0, high, 8000);
  EXPECT_EQ(Merge({}, {}).ValueOrDie(), Expected(-kAll, kAll));
  EXPECT_EQ(Merge(BoundAt(5), BoundAt(6)).ValueOrDie(), std::vector<int64_t>(18000, 5));
  EXPECT_EQ(Merge(BoundAt(6), BoundAt(6)).ValueOrDie(), std::vector<int64_t>());
}

TEST_P(MergeInputTest, GoesOnWhereAStreamOfARangeBroke) {
  AddRun(1, RandomIds(1, 200000, 1000000), 30000);
  AddRun(0, RandomIds(2, 1000, 1000000), 30000);
  remote_.breaks = 2;
  EXPECT_EQ(Merge(BoundAt(1000), BoundAt(900000)).ValueOrDie(), Expected(1000, 900000));
  EXPECT_EQ(remote_.calls, 3);
}

TEST_P(MergeInputTest, NamesTheRunThatIsGone) {
  AddRun(1, RandomIds(1, 1000, 1000), 100);
  remote_.store()->RemoveJob("job");
  const auto merged = Merge(BoundAt(1), {});
  const auto* detail = GetErrorDetail(merged.status());
  ASSERT_NE(detail, nullptr) << merged.status().ToString();
  EXPECT_TRUE(detail->has_fetch_failed());
}

TEST_P(MergeInputTest, SamplesAreEvenAndBounded) {
  std::vector<int64_t> ids(100000);
  for (int64_t i = 0; i < 100000; ++i) ids[static_cast<size_t>(i)] = i;
  const auto statistics = AddRun(0, ids, 7777);
  ASSERT_GE(statistics.range_samples_size(), 64);
  ASSERT_LE(statistics.range_samples_size(), 256);
  EXPECT_EQ(statistics.range_samples(0).key(), BoundAt(0));
  uint64_t rows = 0;
  uint64_t bytes = 0;
  for (const auto& sample : statistics.range_samples()) {
    EXPECT_EQ(sample.key(), BoundAt(static_cast<int64_t>(rows)));
    EXPECT_LE(sample.rows(), 100000u / 64);
    rows += sample.rows();
    bytes += sample.bytes();
  }
  EXPECT_EQ(rows, 100000u);
  EXPECT_NEAR(static_cast<double>(bytes), static_cast<double>(statistics.bytes()),
              0.02 * static_cast<double>(statistics.bytes()));
}

TEST_P(MergeInputTest, RefusesBoundsOfWhatIsNotSorted) {
  WriteOutput(local_.store(), MakeTaskId("job", 1, 0), 1, {IdBatch(0, 10)});
  auto range = MakeRange(1, 0, 0, 1);
  range.set_lower_key("x");
  EXPECT_TRUE(local_.store()->Read("job", {range}).status().IsInvalid());
  AddRun(0, {1, 2, 3}, 10);
  range = MakeRange(0, 0, 0, 1);
  range.set_upper_key(std::string(1000, 'x'));
  EXPECT_TRUE(local_.store()->Read("job", {range}).status().IsInvalid());
}

INSTANTIATE_TEST_SUITE_P(Stores, MergeInputTest,
                         ::testing::Values(int64_t{1} << 40, int64_t{0}),
                         [](const auto& test) {
                           return test.param == 0 ? "OnDisk" : "InMemory";
                         });

// Runs that hardly overlap come in long stretches: nearly no row is copied.
TEST(RunMerger, PassesLongStretchesOn) {
  std::vector<int64_t> low(50000);
  std::vector<int64_t> high(50000);
  for (int64_t i = 0; i < 50000; ++i) low[static_cast<size_t>(i)] = i;
  for (int64_t i = 0; i < 50000; ++i) high[static_cast<size_t>(i)] = i + 40000;
  std::vector<RunMerger::NextBatch> runs;
  for (const auto& ids : {high, low}) {
    auto batch = BatchOf(ids);
    runs.push_back([batch]() mutable {
      return arrow::Result<std::shared_ptr<arrow::RecordBatch>>(
          std::exchange(batch, nullptr));
    });
  }
  RunMerger merger(SortKeyEncoder::Make(ById()).ValueOrDie(), std::move(runs));
  int64_t rows = 0;
  int64_t calls = 0;
  while (true) {
    const auto stretches = merger.Next(16384, 4 << 20).ValueOrDie();
    if (stretches.empty()) break;
    for (const auto& stretch : stretches) rows += stretch.rows;
    ++calls;
  }
  EXPECT_EQ(rows, 100000);
  EXPECT_LE(calls, 6);
}

}  // namespace
}  // namespace ballista::shuffle
