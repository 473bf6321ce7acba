#include "ballista/shuffle/shuffle_store.h"

#include <arrow/json/from_string.h>
#include <arrow/util/byte_size.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "ballista/base/work_folder.h"
#include "ballista/shuffle/batch_slice.h"
#include "ballista/shuffle/test_outputs_internal.h"

namespace ballista::shuffle {
namespace {

using namespace ballista::shuffle::testing;  // NOLINT
namespace fs = std::filesystem;

constexpr int64_t kNoLimit = int64_t{1} << 40;

struct StoreConfig {
  int64_t memory_limit;
  arrow::Compression::type compression;
};

std::unique_ptr<ShuffleStore> OpenStore(
    const std::string& folder, int64_t memory_limit,
    arrow::Compression::type compression = arrow::Compression::UNCOMPRESSED) {
  StoreOptions options;
  options.work_dirs = {folder};
  options.executor_id = "executor-1";
  options.memory_limit = memory_limit;
  options.compression = compression;
  return ShuffleStore::Open(options).ValueOrDie();
}

int64_t CountFiles(const std::string& folder) {
  int64_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".data") ++files;
  }
  return files;
}

const FetchFailed* AsFetchFailed(const arrow::Status& status) {
  const auto* detail = GetErrorDetail(status);
  return detail != nullptr && detail->has_fetch_failed() ? &detail->fetch_failed()
                                                         : nullptr;
}

class EveryConfig : public ::testing::TestWithParam<StoreConfig> {
 protected:
  std::unique_ptr<ShuffleStore> Open() {
    return OpenStore(folder_.path(), GetParam().memory_limit, GetParam().compression);
  }
  TempFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(
    Store, EveryConfig,
    ::testing::Values(StoreConfig{kNoLimit, arrow::Compression::UNCOMPRESSED},
                      StoreConfig{0, arrow::Compression::UNCOMPRESSED},
                      StoreConfig{0, arrow::Compression::LZ4_FRAME},
                      StoreConfig{0, arrow::Compression::ZSTD},
                      StoreConfig{500'000, arrow::Compression::UNCOMPRESSED}));

TEST_P(EveryConfig, GivesEachPartitionItsRowsInOrder) {
  auto store = Open();
  constexpr int64_t kBatches = 12;
  constexpr int64_t kRows = 5000;
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  for (int64_t b = 0; b < kBatches; ++b) batches.push_back(IdBatch(b * kRows, kRows));
  for (const uint32_t partitions : {1u, 4u, 7u, 64u}) {
    const auto id = MakeTaskId("job", 0, partitions);
    const auto statistics = WriteOutput(store.get(), id, partitions, batches);
    EXPECT_EQ(statistics.rows(), kBatches * kRows);
    ASSERT_EQ(statistics.partition_rows_size(), static_cast<int>(partitions));
    for (const auto& [first, last] : {std::pair{0u, partitions},
                                      {0u, 1u},
                                      {partitions / 2, partitions},
                                      {partitions, partitions}}) {
      auto reader =
          store->Read("job", {MakeRange(0, partitions, first, last)}).ValueOrDie();
      const auto expected = ExpectedIds(kBatches, kRows, partitions, first, last);
      EXPECT_EQ(reader->num_rows(), static_cast<int64_t>(expected.size()));
      EXPECT_TRUE(reader->schema()->Equals(IdSchema()));
      EXPECT_EQ(Ids(ReadAll(reader.get()).ValueOrDie()), expected);
    }
  }
}

TEST_P(EveryConfig, ReadsSeveralOutputsAsOne) {
  auto store = Open();
  for (uint32_t task = 0; task < 3; ++task) {
    WriteOutput(store.get(), MakeTaskId("job", 0, task), 2,
                {IdBatch(int64_t{task} * 100, 100)});
  }
  WriteOutput(store.get(), MakeTaskId("job", 0, 3), 2, {});
  auto reader = store->Read(
      "job", {MakeRange(0, 2, 1, 2), MakeRange(0, 3, 0, 2), MakeRange(0, 0, 0, 1)});
  ASSERT_TRUE(reader.ok());
  const auto batches = ReadAll(reader->get()).ValueOrDie();
  EXPECT_EQ(batches.size(), 1u);  // small slices are joined
  const auto ids = Ids(batches);
  ASSERT_EQ(ids.size(), 100u);
  EXPECT_EQ(ids.front(), 250);
  EXPECT_EQ(ids.back(), 49);
}

TEST_P(EveryConfig, KeepsEveryType) {
  auto store = Open();
  const std::vector<std::pair<std::shared_ptr<arrow::DataType>, std::string>> columns = {
      {arrow::null(), "[null, null, null, null]"},
      {arrow::boolean(), "[true, null, false, true]"},
      {arrow::int8(), "[1, -2, null, 4]"},
      {arrow::float64(), "[1.5, null, -0.0, 4]"},
      {arrow::decimal64(15, 2), R"(["1.50", null, "-3.25", "4.00"])"},
      {arrow::decimal128(38, 2), R"(["1.50", null, "-3.25", "4.00"])"},
      {arrow::date32(), "[1, 2, null, 4]"},
      {arrow::timestamp(arrow::TimeUnit::MICRO, "Europe/Oslo"), "[1, 2, null, 4]"},
      {arrow::month_day_nano_interval(), "[[1, 2, 3], null, [4, 5, 6], [7, 8, 9]]"},
      {arrow::utf8(), R"(["", "b", null, "a longer string that is not inlined"])"},
      {arrow::utf8_view(), R"(["", "b", null, "a longer string that is not inlined"])"},
      {arrow::binary(), R"(["x", null, "", "zzz"])"},
      {arrow::dictionary(arrow::uint8(), arrow::utf8()), R"(["x", "y", null, "x"])"},
      {arrow::list(arrow::int32()), "[[1, 2], null, [], [3]]"},
      {arrow::list(arrow::dictionary(arrow::uint8(), arrow::utf8())),
       R"([["p"], null, ["q", "p"], []])"},
      {arrow::fixed_size_list(arrow::int16(), 2), "[[1, 2], null, [3, null], [5, 6]]"},
      {arrow::map(arrow::utf8(), arrow::int32()),
       R"([[["a", 1]], null, [], [["b", 2], ["c", null]]])"},
      {arrow::struct_({arrow::field("a", arrow::int32()),
                       arrow::field("b", arrow::list(arrow::utf8()))}),
       R"([{"a": 1, "b": ["x"]}, null, {"a": null, "b": null}, {"a": 4, "b": []}])"},
      {arrow::sparse_union(
           {arrow::field("i", arrow::int32()), arrow::field("s", arrow::utf8())},
           std::vector<int8_t>{0, 1}),
       R"([[0, 1], [1, "x"], [0, null], [1, "y"]])"},
  };
  uint32_t task = 0;
  for (const auto& [type, json] : columns) {
    SCOPED_TRACE(type->ToString());
    const auto column = arrow::json::ArrayFromJSONString(type, json).ValueOrDie();
    const auto batch =
        arrow::RecordBatch::Make(arrow::schema({arrow::field("c", type)}), 4, {column});
    const auto id = MakeTaskId("job", 1, task++);
    WriteOutput(store.get(), id, 4, {batch, batch});
    auto reader = store->Read("job", {MakeRange(1, id.task_index(), 1, 4)}).ValueOrDie();
    const auto read = ReadAll(reader.get());
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    auto table =
        arrow::Table::FromRecordBatches(*read).ValueOrDie()->CombineChunks().ValueOrDie();
    auto expected = arrow::Table::FromRecordBatches({batch->Slice(1), batch->Slice(1)})
                        .ValueOrDie()
                        ->CombineChunks()
                        .ValueOrDie();
    EXPECT_TRUE(table->Equals(*expected)) << table->ToString() << "\n"
                                          << expected->ToString();
    store->RemoveJob("other");
  }
}

TEST_P(EveryConfig, RowsWithoutColumns) {
  auto store = Open();
  const auto batch = arrow::RecordBatch::Make(
      arrow::schema({}), 10, std::vector<std::shared_ptr<arrow::Array>>());
  const auto statistics =
      WriteOutput(store.get(), MakeTaskId("job", 0, 0), 2, {batch, batch});
  EXPECT_EQ(statistics.rows(), 20u);
  auto reader = store->Read("job", {MakeRange(0, 0, 0, 1)}).ValueOrDie();
  int64_t rows = 0;
  for (const auto& read : ReadAll(reader.get()).ValueOrDie()) rows += read->num_rows();
  EXPECT_EQ(rows, 10);
}

TEST_P(EveryConfig, FreesWhatAJobHeld) {
  auto store = Open();
  WriteOutput(store.get(), MakeTaskId("a", 0, 0), 4, {IdBatch(0, 20'000)});
  WriteOutput(store.get(), MakeTaskId("b", 0, 0), 4, {IdBatch(0, 20'000)});
  EXPECT_GT(store->Usage("a").memory_bytes + store->Usage("a").disk_bytes, 0);
  const auto total = store->Usage();
  const auto b = store->Usage("b");
  store->RemoveJob("a");
  store->RemoveJob("a");
  EXPECT_EQ(store->Usage("a").outputs, 0);
  EXPECT_EQ(store->Usage().memory_bytes, b.memory_bytes);
  EXPECT_EQ(store->Usage().disk_bytes, b.disk_bytes);
  EXPECT_LT(store->Usage().memory_bytes + store->Usage().disk_bytes,
            total.memory_bytes + total.disk_bytes);
  store->RemoveJob("b");
  EXPECT_EQ(store->Usage().memory_bytes, 0);
  EXPECT_EQ(store->Usage().disk_bytes, 0);
  EXPECT_EQ(CountFiles(folder_.path()), 0);
}

TEST_P(EveryConfig, RemovesOneOutputAlone) {
  auto store = Open();
  WriteOutput(store.get(), MakeTaskId("a", 0, 0), 4, {IdBatch(0, 20'000)});
  const auto one = store->Usage();
  WriteOutput(store.get(), MakeTaskId("a", 0, 1), 4, {IdBatch(0, 20'000)});
  store->RemoveOutput(MakeTaskId("a", 0, 1));
  store->RemoveOutput(MakeTaskId("a", 0, 1));
  store->RemoveOutput(MakeTaskId("a", 0, 7));
  store->RemoveOutput(MakeTaskId("b", 0, 0));
  EXPECT_EQ(store->Usage("a").outputs, 1);
  EXPECT_EQ(store->Usage().memory_bytes, one.memory_bytes);
  EXPECT_EQ(store->Usage().disk_bytes, one.disk_bytes);
  control::OutputRange removed;
  removed.set_task_index(1);
  removed.set_last_partition(4);
  EXPECT_FALSE(store->Read("a", {removed}).ok());
  control::OutputRange left;
  left.set_last_partition(4);
  EXPECT_TRUE(store->Read("a", {left}).ok());
  // Of a job without outputs nothing is left, which nobody would remove.
  EXPECT_EQ(store->Jobs(), std::vector<std::string>{"a"});
  store->RemoveOutput(MakeTaskId("a", 0, 0));
  EXPECT_TRUE(store->Jobs().empty());
}

TEST_P(EveryConfig, ReadersOutliveTheirJob) {
  auto store = Open();
  WriteOutput(store.get(), MakeTaskId("job", 0, 0), 1,
              {IdBatch(0, 30'000), IdBatch(30'000, 30'000)});
  auto reader = store->Read("job", {MakeRange(0, 0, 0, 1)}).ValueOrDie();
  const auto first = reader->Next().ValueOrDie();
  store->RemoveJob("job");
  EXPECT_EQ(Ids({first}).size(), 30'000u);
  const auto rest = reader->Next();
  ASSERT_NE(AsFetchFailed(rest.status()), nullptr) << rest.status().ToString();
  EXPECT_EQ(AsFetchFailed(rest.status())->executor_id(), "executor-1");
  store.reset();
  EXPECT_FALSE(reader->Next().ok());
}

TEST(ShuffleStore, StatisticsAreExact) {
  TempFolder folder;
  auto store = OpenStore(folder.path(), kNoLimit);
  auto writer = store->CreateOutput(MakeTaskId("job", 0, 0), HashOutput(3)).ValueOrDie();
  ASSERT_TRUE(writer->SetSchema(IdSchema()).ok());
  ASSERT_TRUE(writer->Write({IdBatch(0, 10, 5), {0, 1, 1, 10}}).ok());
  ASSERT_TRUE(writer->Write({IdBatch(0, 4, 5), {0, 4, 4, 4}}).ok());
  const auto statistics = writer->Commit().ValueOrDie();
  EXPECT_EQ(statistics.rows(), 14u);
  EXPECT_EQ(std::vector<uint64_t>(statistics.partition_rows().begin(),
                                  statistics.partition_rows().end()),
            (std::vector<uint64_t>{5, 0, 9}));
  constexpr uint64_t kRowBytes = 8 + 4 + 5;
  EXPECT_EQ(std::vector<uint64_t>(statistics.partition_bytes().begin(),
                                  statistics.partition_bytes().end()),
            (std::vector<uint64_t>{5 * kRowBytes, 0, 9 * kRowBytes}));
  EXPECT_EQ(statistics.bytes(), 14 * kRowBytes);
}

TEST(ShuffleStore, LargeSlicesInMemoryAreNotCopied) {
  TempFolder folder;
  auto store = OpenStore(folder.path(), kNoLimit);
  const auto batch = IdBatch(0, 100'000);
  WriteOutput(store.get(), MakeTaskId("job", 0, 0), 2, {batch});
  auto reader = store->Read("job", {MakeRange(0, 0, 1, 2)}).ValueOrDie();
  const auto read = reader->Next().ValueOrDie();
  EXPECT_EQ(read->num_rows(), 50'000);
  EXPECT_EQ(read->column_data(0)->buffers[1], batch->column_data(0)->buffers[1]);
}

TEST(ShuffleStore, SmallSlicesAreJoinedToAboutAMegabyte) {
  TempFolder folder;
  auto store = OpenStore(folder.path(), kNoLimit);
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  for (int64_t b = 0; b < 400; ++b) batches.push_back(IdBatch(b * 10'000, 10'000));
  WriteOutput(store.get(), MakeTaskId("job", 0, 0), 64, batches);
  auto reader = store->Read("job", {MakeRange(0, 0, 5, 6)}).ValueOrDie();
  const auto read = ReadAll(reader.get()).ValueOrDie();
  EXPECT_LE(read.size(), 4u);
  EXPECT_GE(BatchBytes(*read[0]), 1u << 20);
  EXPECT_LE(BatchBytes(*read[0]), 2u << 20);
}

TEST(ShuffleStore, MemoryStaysWithinTheBudgetAndTheOldestIsSpilled) {
  TempFolder folder;
  constexpr int64_t kLimit = 3 << 20;
  auto store = OpenStore(folder.path(), kLimit);
  WriteOutput(store.get(), MakeTaskId("old", 0, 0), 4, {IdBatch(0, 50'000)});
  EXPECT_EQ(store->Usage("old").disk_bytes, 0);
  auto writer = store->CreateOutput(MakeTaskId("new", 0, 0), HashOutput(4)).ValueOrDie();
  ASSERT_TRUE(writer->SetSchema(IdSchema()).ok());
  for (int64_t b = 0; b < 20; ++b) {
    ASSERT_TRUE(writer->Write(Cut(IdBatch(b * 20'000, 20'000), 4)).ok());
    EXPECT_LE(store->Usage().memory_bytes, kLimit);
  }
  ASSERT_TRUE(writer->Commit().ok());
  EXPECT_EQ(store->Usage("old").memory_bytes, 0);
  EXPECT_GT(store->Usage("old").disk_bytes, 0);
  EXPECT_GT(store->Usage("new").memory_bytes, 0);
  EXPECT_EQ(writer->spilled_bytes(), store->Usage("new").disk_bytes);
  auto reader = store->Read("new", {MakeRange(0, 0, 2, 4)}).ValueOrDie();
  EXPECT_EQ(Ids(ReadAll(reader.get()).ValueOrDie()), ExpectedIds(20, 20'000, 4, 2, 4));
}

TEST(ShuffleStore, CompressionMakesFilesSmaller) {
  TempFolder folder;
  std::vector<int64_t> sizes;
  for (const auto name : {"none", "lz4", "zstd"}) {
    auto store = OpenStore(folder.path(), 0, ParseCompression(name).ValueOrDie());
    WriteOutput(store.get(), MakeTaskId("job", 0, 0), 4, {IdBatch(0, 50'000, 100)});
    sizes.push_back(store->Usage().disk_bytes);
  }
  EXPECT_LT(sizes[1], sizes[0] / 2);
  EXPECT_LT(sizes[2], sizes[1]);
  EXPECT_TRUE(ParseCompression("gzip").status().IsInvalid());
}

TEST(ShuffleStore, OutputsAreReadableFromTheirCommitOn) {
  TempFolder folder;
  auto store = OpenStore(folder.path(), kNoLimit);
  auto writer =
      store->CreateOutput(MakeTaskId("job", 2, 3, 1), PlainOutput()).ValueOrDie();
  ASSERT_TRUE(writer->SetSchema(IdSchema()).ok());
  ASSERT_TRUE(writer->Write(Cut(IdBatch(0, 10), 1)).ok());
  const auto early = store->Read("job", {MakeRange(2, 3, 0, 1, 1)});
  const auto* failure = AsFetchFailed(early.status());
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->job_id(), "job");
  EXPECT_EQ(failure->stage_id(), 2u);
  EXPECT_EQ(failure->task_index(), 3u);
  EXPECT_EQ(failure->attempt(), 1u);

  const auto statistics = writer->Commit().ValueOrDie();
  EXPECT_EQ(statistics.rows(), 10u);
  EXPECT_EQ(statistics.partition_rows_size(), 0);
  EXPECT_EQ(writer->Commit().ValueOrDie().SerializeAsString(),
            statistics.SerializeAsString());
  EXPECT_FALSE(writer->Write(Cut(IdBatch(0, 10), 1)).ok());
  writer->Abort();  // too late to matter
  writer.reset();
  EXPECT_TRUE(store->Read("job", {MakeRange(2, 3, 0, 1, 1)}).ok());
  EXPECT_TRUE(store->Read("job", {MakeRange(2, 3, 0, 2, 1)}).status().IsInvalid());
  EXPECT_NE(AsFetchFailed(store->Read("job", {MakeRange(2, 3, 0, 1, 0)}).status()),
            nullptr);
}

TEST(ShuffleStore, AttemptsAreSeparate) {
  TempFolder folder;
  auto store = OpenStore(folder.path(), kNoLimit);
  {
    auto lost =
        store->CreateOutput(MakeTaskId("job", 0, 0, 0), PlainOutput()).ValueOrDie();
    EXPECT_TRUE(store->CreateOutput(MakeTaskId("job", 0, 0, 0), PlainOutput())
                    .status()
                    .IsAlreadyExists());
    ASSERT_TRUE(lost->SetSchema(IdSchema()).ok());
    ASSERT_TRUE(lost->Write(Cut(IdBatch(0, 1000), 1)).ok());
    WriteOutput(store.get(), MakeTaskId("job", 0, 0, 1), 1, {IdBatch(5, 1)});
  }
  EXPECT_EQ(store->Usage().outputs, 1);
  auto reader = store->Read("job", {MakeRange(0, 0, 0, 1, 1)}).ValueOrDie();
  EXPECT_EQ(Ids(ReadAll(reader.get()).ValueOrDie()), std::vector<int64_t>{5});
  EXPECT_TRUE(store->CreateOutput(MakeTaskId("job", 0, 0, 1), PlainOutput())
                  .status()
                  .IsAlreadyExists());
  // What was given up can be tried again.
  EXPECT_TRUE(store->CreateOutput(MakeTaskId("job", 0, 0, 0), PlainOutput()).ok());
}

TEST(ShuffleStore, TasksOfARemovedJobAreRefused) {
  TempFolder folder;
  auto store = OpenStore(folder.path(), 0);
  auto writer = store->CreateOutput(MakeTaskId("job", 0, 0), PlainOutput()).ValueOrDie();
  ASSERT_TRUE(writer->SetSchema(IdSchema()).ok());
  ASSERT_TRUE(writer->Write(Cut(IdBatch(0, 1000), 1)).ok());
  EXPECT_EQ(CountFiles(folder.path()), 1);
  store->RemoveJob("job");
  EXPECT_EQ(CountFiles(folder.path()), 0);
  EXPECT_TRUE(writer->Write(Cut(IdBatch(0, 1000), 1)).IsCancelled());
  EXPECT_TRUE(writer->Commit().status().IsCancelled());
  EXPECT_TRUE(
      store->CreateOutput(MakeTaskId("job", 0, 1), PlainOutput()).status().IsCancelled());
  EXPECT_EQ(store->Usage().memory_bytes, 0);
}

TEST(ShuffleStore, RefusesWhatCannotBe) {
  TempFolder folder;
  auto store = OpenStore(folder.path(), kNoLimit);
  for (const std::string& job :
       std::vector<std::string>{"", "../up", "a/b", ".", std::string("a\0b", 3)}) {
    EXPECT_TRUE(
        store->CreateOutput(MakeTaskId(job, 0, 0), PlainOutput()).status().IsInvalid());
  }
  EXPECT_FALSE(store->CreateOutput(MakeTaskId("job", 0, 0), HashOutput(0)).ok());
  EXPECT_FALSE(store->CreateOutput(MakeTaskId("job", 0, 0), HashOutput(65536)).ok());
  auto writer = store->CreateOutput(MakeTaskId("job", 0, 0), HashOutput(2)).ValueOrDie();
  EXPECT_FALSE(writer->Write({IdBatch(0, 4), {0, 2, 4}}).ok());  // no schema yet
  EXPECT_FALSE(writer->Commit().ok());
  ASSERT_TRUE(writer->SetSchema(IdSchema()).ok());
  EXPECT_FALSE(writer->SetSchema(IdSchema()).ok());
  EXPECT_FALSE(writer->Write({IdBatch(0, 4), {0, 4}}).ok());
  EXPECT_FALSE(writer->Write({IdBatch(0, 4), {0, 3, 3}}).ok());
  EXPECT_FALSE(writer->Write({IdBatch(0, 4), {0, 5, 4}}).ok());
  EXPECT_FALSE(
      writer->Write({IdBatch(0, 4)->RemoveColumn(0).ValueOrDie(), {0, 2, 4}}).ok());
  EXPECT_TRUE(writer->Write({IdBatch(0, 4), {0, 2, 4}}).ok());
}

TEST(ShuffleStore, ManyWritersReadersAndRemovals) {
  TempFolder folder;
  auto store = OpenStore(folder.path(), 2 << 20);
  constexpr int kJobs = 8;
  std::vector<std::thread> threads;
  std::atomic<int> checked{0};
  for (int j = 0; j < kJobs; ++j) {
    threads.emplace_back([&, j] {
      const std::string job = "job-" + std::to_string(j);
      auto writer =
          store->CreateOutput(MakeTaskId(job, 0, 0), HashOutput(8)).ValueOrDie();
      ASSERT_TRUE(writer->SetSchema(IdSchema()).ok());
      std::vector<std::thread> writers;
      for (int t = 0; t < 3; ++t) {
        writers.emplace_back([&, t] {
          for (int64_t b = t; b < 30; b += 3) {
            ASSERT_TRUE(writer->Write(Cut(IdBatch(b * 4000, 4000), 8)).ok());
          }
        });
      }
      for (auto& thread : writers) thread.join();
      ASSERT_TRUE(writer->Commit().ok());
      auto reader = store->Read(job, {MakeRange(0, 0, 3, 5)}).ValueOrDie();
      auto ids = Ids(ReadAll(reader.get()).ValueOrDie());
      std::sort(ids.begin(), ids.end());
      EXPECT_EQ(ids, ExpectedIds(30, 4000, 8, 3, 5));
      ++checked;
      if (j % 2 == 0) store->RemoveJob(job);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(checked, kJobs);
  for (int j = 0; j < kJobs; ++j) store->RemoveJob("job-" + std::to_string(j));
  EXPECT_EQ(store->Usage().memory_bytes, 0);
  EXPECT_EQ(store->Usage().disk_bytes, 0);
  EXPECT_EQ(CountFiles(folder.path()), 0);
}

TEST(ShuffleStore, AFullDiskFailsTheTaskAndNotTheStore) {
  TempFolder folder;
  const std::string disk = folder.path() + "/disk";
  ASSERT_TRUE(fs::create_directory(disk));
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=2m") != 0) {
    GTEST_SKIP() << "mounting a small file system needs root";
  }
  {
    auto store = OpenStore(disk, 0);
    WriteOutput(store.get(), MakeTaskId("small", 0, 0), 2, {IdBatch(0, 10'000)});
    auto writer =
        store->CreateOutput(MakeTaskId("large", 0, 0), HashOutput(2)).ValueOrDie();
    ASSERT_TRUE(writer->SetSchema(IdSchema()).ok());
    arrow::Status status;
    for (int b = 0; b < 20 && status.ok(); ++b) {
      status = writer->Write(Cut(IdBatch(0, 10'000), 2));
    }
    ASSERT_NE(GetErrorDetail(status), nullptr) << status.ToString();
    EXPECT_EQ(GetErrorDetail(status)->resources_exhausted().resource(),
              ResourcesExhausted::DISK);
    writer.reset();
    EXPECT_EQ(store->Usage("large").outputs, 0);
    // What was there is still there, and there is room again.
    auto reader = store->Read("small", {MakeRange(0, 0, 0, 2)}).ValueOrDie();
    EXPECT_EQ(Ids(ReadAll(reader.get()).ValueOrDie()).size(), 10'000u);
    WriteOutput(store.get(), MakeTaskId("next", 0, 0), 2, {IdBatch(0, 10'000)});
    EXPECT_EQ(store->Usage().memory_bytes, 0);
  }
  EXPECT_EQ(::umount(disk.c_str()), 0);
}

TEST(WorkFolder, SweepsTheFoldersOfDeadProcessesOnly) {
  TempFolder root;
  fs::create_directory(root.path() + "/not-ours");
  auto live = WorkFolder::Create(root.path()).ValueOrDie();
  const pid_t child = ::fork();
  if (child == 0) {
    auto folder = WorkFolder::Create(root.path());
    const bool made = folder.ok() && fs::create_directory((*folder)->path() + "/job");
    ::_exit(made ? 0 : 1);  // like a crash: nothing is cleaned up
  }
  int exit_status = 1;
  ASSERT_EQ(::waitpid(child, &exit_status, 0), child);
  ASSERT_EQ(exit_status, 0);
  const auto count = [&] {
    return std::distance(fs::directory_iterator(root.path()), fs::directory_iterator());
  };
  EXPECT_EQ(count(), 5);  // two folders with their locks, and the stranger
  auto next = WorkFolder::Create(root.path()).ValueOrDie();
  EXPECT_EQ(next->swept(), 1);
  EXPECT_EQ(count(), 5);
  EXPECT_TRUE(fs::exists(live->path()));
  const std::string path = next->path();
  next.reset();
  EXPECT_FALSE(fs::exists(path));
  EXPECT_EQ(count(), 3);
  EXPECT_TRUE(fs::exists(root.path() + "/not-ours"));
}

}  // namespace
}  // namespace ballista::shuffle
