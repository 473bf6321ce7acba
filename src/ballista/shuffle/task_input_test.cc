#include "ballista/shuffle/task_input.h"

#include <arrow/flight/api.h>
#include <arrow/util/byte_size.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "ballista/base/version.h"
#include "ballista/flight/status_transport.h"
#include "ballista/flight/test_claims_internal.h"
#include "ballista/shuffle/batch_slice.h"
#include "ballista/shuffle/data_service.h"
#include "ballista/shuffle/test_outputs_internal.h"
#include "ballista/shuffle/test_streams_internal.h"

namespace ballista::shuffle {
namespace {

using namespace ballista::shuffle::testing;  // NOLINT
using std::chrono::milliseconds;

constexpr int64_t kNoLimit = int64_t{1} << 40;

// Blocks until it is told to go on.
class BlockedStream : public arrow::flight::FlightDataStream {
 public:
  BlockedStream(std::unique_ptr<arrow::flight::FlightDataStream> stream,
                std::atomic<bool>* blocked)
      : stream_(std::move(stream)), blocked_(blocked) {}
  std::shared_ptr<arrow::Schema> schema() override { return stream_->schema(); }
  arrow::Result<arrow::flight::FlightPayload> GetSchemaPayload() override {
    return stream_->GetSchemaPayload();
  }
  arrow::Result<arrow::flight::FlightPayload> Next() override {
    while (*blocked_) std::this_thread::sleep_for(milliseconds(5));
    return stream_->Next();
  }

 private:
  std::unique_ptr<arrow::flight::FlightDataStream> stream_;
  std::atomic<bool>* const blocked_;
};

// An executor as far as its data goes.
class DataServer : public arrow::flight::FlightServerBase {
 public:
  explicit DataServer(
      std::string id, int64_t memory_limit = kNoLimit,
      arrow::Compression::type compression = arrow::Compression::UNCOMPRESSED) {
    StoreOptions options;
    options.work_dirs = {folder_.path()};
    options.executor_id = std::move(id);
    options.memory_limit = memory_limit;
    options.compression = compression;
    store_ = ShuffleStore::Open(options).ValueOrDie();
    arrow::flight::FlightServerOptions server(
        *arrow::flight::Location::ForGrpcTcp("127.0.0.1", 0));
    EXPECT_TRUE(Init(server).ok());
  }
  ~DataServer() override {
    blocked = false;
    const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(2);
    EXPECT_TRUE(Shutdown(&deadline).ok());
  }

  arrow::Status DoGet(const arrow::flight::ServerCallContext& context,
                      const arrow::flight::Ticket& ticket,
                      std::unique_ptr<arrow::flight::FlightDataStream>* stream) override {
    ++calls;
    ARROW_RETURN_NOT_OK(ServeFetch(store_.get(), context, ticket, stream));
    if (breaks-- > 0) {
      *stream = std::make_unique<BreakingStream>(std::move(*stream), 2);
    }
    if (claim > 0) {
      *stream =
          std::make_unique<flight::testing::ClaimingStream>(std::move(*stream), claim);
    }
    if (blocked) *stream = std::make_unique<BlockedStream>(std::move(*stream), &blocked);
    return arrow::Status::OK();
  }

  ShuffleStore* store() { return store_.get(); }
  const std::string& id() const { return store_->options().executor_id; }

  std::atomic<int> calls{0};
  std::atomic<int> breaks{0};  // so many calls break after two batches
  std::atomic<bool> blocked{false};
  std::atomic<int64_t> claim{0};  // what each compressed buffer says of its length

 private:
  TempFolder folder_;
  std::unique_ptr<ShuffleStore> store_;
};

class TaskInputTest : public ::testing::Test {
 protected:
  TaskInputTest() {
    context_.executor_id = "local";
    context_.store = local_.store();
    context_.clients = std::make_shared<flight::ClientPool>();
    context_.budget = std::make_shared<MemoryBudget>(64 << 20);
    context_.backoff = milliseconds(10);
    task_.mutable_id()->set_job_id("job");
    input_.set_first_partition(0);
    input_.set_last_partition(1);
  }

  uint32_t AddExecutor(const std::string& id, uint32_t port) {
    auto* executor = task_.add_executors();
    executor->set_executor_id(id);
    executor->set_host("127.0.0.1");
    executor->set_port(port);
    return static_cast<uint32_t>(task_.executors_size()) - 1;
  }
  uint32_t AddExecutor(DataServer* server) {
    return AddExecutor(server->id(), static_cast<uint32_t>(server->port()));
  }

  void AddOutput(uint32_t executor, uint32_t stage, uint32_t index, int64_t rows) {
    auto* output = input_.add_outputs();
    output->set_executor(executor);
    output->set_stage_id(stage);
    output->set_task_index(index);
    output->set_rows(static_cast<uint64_t>(rows));
    output->set_bytes(static_cast<uint64_t>(rows) * 32);
  }

  std::unique_ptr<TaskInputSource> Make(bool in_order = false) {
    return MakeTaskInput(context_, task_, input_, {in_order, nullptr}).ValueOrDie();
  }

  DataServer local_{"local"};
  FetchContext context_;
  job::TaskDefinition task_;
  job::TaskInput input_;
};

const FetchFailed* AsFetchFailed(const arrow::Status& status) {
  const auto* detail = GetErrorDetail(status);
  return detail != nullptr && detail->has_fetch_failed() ? &detail->fetch_failed()
                                                         : nullptr;
}

std::vector<int64_t> Sorted(std::vector<int64_t> ids) {
  std::sort(ids.begin(), ids.end());
  return ids;
}

TEST_F(TaskInputTest, GathersLocalAndRemoteOutputs) {
  DataServer a("a");
  DataServer b("b", /*memory_limit=*/0, arrow::Compression::LZ4_FRAME);
  constexpr int64_t kRows = 30'000;
  uint32_t index = 0;
  for (auto* server : {&local_, &a, &b}) {
    const uint32_t executor = AddExecutor(server);
    for (int i = 0; i < 2; ++i) {
      WriteOutput(server->store(), MakeTaskId("job", 0, index), 4,
                  {IdBatch(index * kRows, kRows)});
      AddOutput(executor, 0, index, kRows / 2);
      ++index;
    }
  }
  input_.set_first_partition(1);
  input_.set_last_partition(3);
  auto source = Make();
  EXPECT_EQ(source->num_rows(), 6 * kRows / 2);
  EXPECT_GE(source->max_concurrency(), 1);
  EXPECT_TRUE(source->schema()->Equals(IdSchema()));

  std::mutex mutex;
  arrow::RecordBatchVector batches;
  std::vector<std::thread> consumers;
  for (int i = 0; i < 3; ++i) {
    consumers.emplace_back([&] {
      auto read = ReadAll(source.get());
      ASSERT_TRUE(read.ok()) << read.status().ToString();
      std::lock_guard lock(mutex);
      batches.insert(batches.end(), read->begin(), read->end());
    });
  }
  for (auto& consumer : consumers) consumer.join();
  EXPECT_EQ(Sorted(Ids(batches)), ExpectedIds(6, kRows, 4, 1, 3));
  EXPECT_EQ(a.calls, 1);  // one call for both outputs
  EXPECT_EQ(local_.calls, 0);
  EXPECT_GT(source->local_bytes(), 0);
  EXPECT_NEAR(static_cast<double>(source->fetched_bytes()),
              2.0 * static_cast<double>(source->local_bytes()), 1000);
  EXPECT_EQ(context_.budget->used(), 0);
  EXPECT_EQ(source->Next().ValueOrDie(), nullptr);
}

TEST_F(TaskInputTest, InOrder) {
  DataServer a("a");
  const uint32_t here = AddExecutor(&local_);
  const uint32_t there = AddExecutor(&a);
  std::vector<int64_t> expected;
  constexpr int64_t kRows = 40'000;
  for (uint32_t i = 0; i < 6; ++i) {
    auto* store = i % 2 == 0 ? a.store() : local_.store();
    WriteOutput(
        store, MakeTaskId("job", 0, i), 1,
        {IdBatch(i * kRows, kRows / 2), IdBatch(i * kRows + kRows / 2, kRows / 2)});
    AddOutput(i % 2 == 0 ? there : here, 0, i, kRows);
  }
  auto source = Make(/*in_order=*/true);
  EXPECT_EQ(source->max_concurrency(), 1);
  EXPECT_EQ(Ids(ReadAll(source.get()).ValueOrDie()), ExpectedIds(1, 6 * kRows, 1, 0, 1));
}

TEST_F(TaskInputTest, InputsWithoutRows) {
  // No output at all: the schema is the caller's.
  auto none = MakeTaskInput(context_, task_, input_, {false, IdSchema()}).ValueOrDie();
  EXPECT_TRUE(none->schema()->Equals(IdSchema()));
  EXPECT_EQ(none->num_rows(), 0);
  EXPECT_EQ(none->Next().ValueOrDie(), nullptr);
  EXPECT_EQ(Make()->schema(), nullptr);

  // An empty output is asked for its schema, but only where nobody else knows it.
  DataServer a("a");
  WriteOutput(a.store(), MakeTaskId("job", 0, 0), 1, {});
  AddOutput(AddExecutor(&a), 0, 0, 0);
  auto empty = Make();
  EXPECT_TRUE(empty->schema()->Equals(IdSchema()));
  EXPECT_EQ(empty->Next().ValueOrDie(), nullptr);
  EXPECT_EQ(a.calls, 1);
  auto known = MakeTaskInput(context_, task_, input_, {false, IdSchema()}).ValueOrDie();
  EXPECT_EQ(known->Next().ValueOrDie(), nullptr);
  EXPECT_EQ(a.calls, 1);
}

TEST_F(TaskInputTest, GoesOnWhereABrokenStreamStopped) {
  DataServer a("a");
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  for (int64_t b = 0; b < 20; ++b) batches.push_back(IdBatch(b * 20'000, 20'000));
  WriteOutput(a.store(), MakeTaskId("job", 0, 0), 1, batches);
  AddOutput(AddExecutor(&a), 0, 0, 400'000);
  a.breaks = 3;
  auto source = Make();
  const auto ids = Ids(ReadAll(source.get()).ValueOrDie());
  EXPECT_EQ(ids, ExpectedIds(1, 400'000, 1, 0, 1));
  EXPECT_EQ(a.calls, 4);
  EXPECT_EQ(context_.budget->used(), 0);
}

TEST_F(TaskInputTest, NamesTheOutputThatIsMissing) {
  DataServer a("a");
  const uint32_t executor = AddExecutor(&a);
  WriteOutput(a.store(), MakeTaskId("job", 3, 0), 1, {IdBatch(0, 10)});
  AddOutput(executor, 3, 0, 10);
  AddOutput(executor, 3, 1, 10);
  auto source = Make();
  const auto failure = source->Next();
  const auto* what = AsFetchFailed(failure.status());
  ASSERT_NE(what, nullptr) << failure.status().ToString();
  EXPECT_EQ(what->job_id(), "job");
  EXPECT_EQ(what->stage_id(), 3u);
  EXPECT_EQ(what->task_index(), 1u);
  EXPECT_EQ(what->executor_id(), "a");
  EXPECT_EQ(a.calls, 1);  // the peer has said so: no second try

  // Missing here: found before anything starts.
  AddOutput(AddExecutor(&local_), 3, 7, 10);
  const auto here = MakeTaskInput(context_, task_, input_, {});
  ASSERT_NE(AsFetchFailed(here.status()), nullptr);
  EXPECT_EQ(AsFetchFailed(here.status())->task_index(), 7u);
}

TEST_F(TaskInputTest, FailsWhereRowsAreMissing) {
  DataServer a("a");
  WriteOutput(a.store(), MakeTaskId("job", 0, 0), 1, {IdBatch(0, 10)});
  AddOutput(AddExecutor(&a), 0, 0, 11);
  auto source = Make();
  const auto status = ReadAll(source.get()).status();
  ASSERT_NE(AsFetchFailed(status), nullptr) << status.ToString();
  EXPECT_NE(status.message().find("10 rows came where 11"), std::string::npos);
}

TEST_F(TaskInputTest, APeersClaimsBeyondAllMemoryAreRefused) {
  DataServer a("a", kNoLimit, arrow::Compression::LZ4_FRAME);
  WriteOutput(a.store(), MakeTaskId("job", 0, 0), 1, {IdBatch(0, 1000)});
  AddOutput(AddExecutor(&a), 0, 0, 1000);
  a.claim = int64_t{1} << 60;
  const auto status = ReadAll(Make().get()).status();
  ASSERT_NE(AsFetchFailed(status), nullptr) << status.ToString();
  EXPECT_NE(status.message().find("claims 1152921504606846976 bytes"), std::string::npos)
      << status.ToString();
}

TEST_F(TaskInputTest, AnUnreachableExecutorIsAFetchFailure) {
  AddOutput(AddExecutor("gone", 1), 4, 2, 10);
  context_.max_attempts = 3;
  auto source = Make();
  const auto failure = source->Next();
  const auto* what = AsFetchFailed(failure.status());
  ASSERT_NE(what, nullptr) << failure.status().ToString();
  EXPECT_EQ(what->executor_id(), "gone");
  EXPECT_EQ(what->stage_id(), 4u);
  EXPECT_EQ(source->schema(), nullptr);
}

TEST_F(TaskInputTest, OutputsOfDifferentTypesAreABug) {
  DataServer a("a");
  const uint32_t executor = AddExecutor(&a);
  const auto other = IdBatch(0, 5)->RemoveColumn(1).ValueOrDie();
  WriteOutput(a.store(), MakeTaskId("job", 0, 0), 1, {IdBatch(0, 5)});
  AddOutput(executor, 0, 0, 5);
  WriteOutput(local_.store(), MakeTaskId("job", 0, 1), 1, {other});
  AddOutput(AddExecutor(&local_), 0, 1, 5);
  auto source = Make();
  const auto status = ReadAll(source.get()).status();
  ASSERT_NE(GetErrorDetail(status), nullptr) << status.ToString();
  EXPECT_TRUE(GetErrorDetail(status)->has_internal());
}

TEST_F(TaskInputTest, CancelUnblocksAtOnce) {
  DataServer a("a");
  WriteOutput(a.store(), MakeTaskId("job", 0, 0), 1, {IdBatch(0, 10)});
  AddOutput(AddExecutor(&a), 0, 0, 10);
  a.blocked = true;
  auto source = Make();
  std::thread canceller([&] {
    std::this_thread::sleep_for(milliseconds(200));
    source->Cancel();
  });
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(source->Next().status().IsCancelled());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
  canceller.join();
  EXPECT_TRUE(source->Next().status().IsCancelled());
  source.reset();
  EXPECT_EQ(context_.budget->used(), 0);
}

TEST_F(TaskInputTest, APeerThatSendsNothingIsGivenUp) {
  DataServer a("a");
  WriteOutput(a.store(), MakeTaskId("job", 0, 0), 1, {IdBatch(0, 10)});
  AddOutput(AddExecutor(&a), 0, 0, 10);
  a.blocked = true;
  context_.stall_timeout = milliseconds(300);
  context_.max_attempts = 2;
  auto source = Make();
  const auto failure = source->Next();
  ASSERT_NE(AsFetchFailed(failure.status()), nullptr) << failure.status().ToString();
  EXPECT_NE(failure.status().message().find("nothing came for 300 ms"),
            std::string::npos);
}

// Where each attempt takes long to fail, their number is no bound on the time.
TEST_F(TaskInputTest, APeerIsNotTriedForLongerThanItsLimit) {
  DataServer a("a");
  WriteOutput(a.store(), MakeTaskId("job", 0, 0), 1, {IdBatch(0, 10)});
  AddOutput(AddExecutor(&a), 0, 0, 10);
  a.blocked = true;
  context_.stall_timeout = milliseconds(300);
  context_.attempts_limit = milliseconds(500);
  context_.max_attempts = 1000;
  const auto start = std::chrono::steady_clock::now();
  auto source = Make();
  const auto failure = source->Next();
  ASSERT_NE(AsFetchFailed(failure.status()), nullptr) << failure.status().ToString();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST_F(TaskInputTest, TheBudgetBoundsWhatIsFetchedAhead) {
  DataServer a("a");
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  for (int64_t b = 0; b < 60; ++b) batches.push_back(IdBatch(b * 30'000, 30'000, 24));
  WriteOutput(a.store(), MakeTaskId("job", 0, 0), 1, batches);
  AddOutput(AddExecutor(&a), 0, 0, int64_t{60} * 30'000);
  constexpr int64_t kLimit = 4 << 20;
  context_.budget = std::make_shared<MemoryBudget>(kLimit);
  // Nobody reads the first input: it must not keep the second from its rows.
  auto unread = Make();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (context_.budget->used() < kLimit / 2 &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  auto source = Make();
  EXPECT_EQ(Ids(ReadAll(source.get()).ValueOrDie()).size(), 60u * 30'000);
  EXPECT_LE(context_.budget->peak(), kLimit + (4 << 20));
  EXPECT_GE(context_.budget->peak(), kLimit / 2);
  unread.reset();
  source.reset();
  // The threads that fetched let go of the last batches soon after, not before.
  for (int i = 0; i < 500 && context_.budget->used() != 0; ++i) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_EQ(context_.budget->used(), 0);
}

TEST_F(TaskInputTest, RowsOfAnySize) {
  DataServer a("a", /*memory_limit=*/0);
  arrow::StringBuilder texts;
  ASSERT_TRUE(texts.Append(std::string(300 << 20, 'x')).ok());
  const auto batch =
      arrow::RecordBatch::Make(arrow::schema({arrow::field("t", arrow::utf8())}), 1,
                               {texts.Finish().ValueOrDie()});
  WriteOutput(a.store(), MakeTaskId("job", 0, 0), 1, {batch});
  AddOutput(AddExecutor(&a), 0, 0, 1);
  context_.budget = std::make_shared<MemoryBudget>(1 << 20);
  auto source = Make();
  const auto read = ReadAll(source.get());
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  ASSERT_EQ(read->size(), 1u);
  EXPECT_TRUE((*read)[0]->Equals(*batch));
}

TEST_F(TaskInputTest, BatchesTooLargeForOneMessageAreSplit) {
  DataServer a("a");
  const auto batch = IdBatch(0, 600, 1 << 20);
  WriteOutput(a.store(), MakeTaskId("job", 0, 0), 1, {batch});
  AddOutput(AddExecutor(&a), 0, 0, 600);
  auto source = Make();
  const auto read = ReadAll(source.get()).ValueOrDie();
  EXPECT_EQ(read.size(), 2u);
  EXPECT_EQ(Ids(read), ExpectedIds(1, 600, 1, 0, 1));
}

TEST_F(TaskInputTest, DictionariesThatDiffer) {
  DataServer a("a");
  const auto type = arrow::dictionary(arrow::uint8(), arrow::utf8());
  const uint32_t executor = AddExecutor(&a);
  for (uint32_t i = 0; i < 3; ++i) {
    arrow::StringDictionaryBuilder builder;
    arrow::StringBuilder words;
    for (uint32_t w = 0; w <= i; ++w) {
      ASSERT_TRUE(words.Append("word-" + std::to_string(i) + std::to_string(w)).ok());
    }
    arrow::UInt8Builder indices;
    for (int row = 0; row < 50'000; ++row) {
      ASSERT_TRUE(indices.Append(static_cast<uint8_t>(row % (i + 1))).ok());
    }
    const auto column =
        arrow::DictionaryArray::FromArrays(type, indices.Finish().ValueOrDie(),
                                           words.Finish().ValueOrDie())
            .ValueOrDie();
    WriteOutput(a.store(), MakeTaskId("job", 0, i), 1,
                {arrow::RecordBatch::Make(arrow::schema({arrow::field("e", type)}),
                                          50'000, {column})});
    AddOutput(executor, 0, i, 50'000);
  }
  auto source = Make(/*in_order=*/true);
  std::vector<std::string> words;
  for (const auto& batch : ReadAll(source.get()).ValueOrDie()) {
    const auto& column = static_cast<const arrow::DictionaryArray&>(*batch->column(0));
    const auto& values = static_cast<const arrow::StringArray&>(*column.dictionary());
    for (int64_t i = 0; i < column.length(); ++i) {
      words.push_back(values.GetString(column.GetValueIndex(i)));
    }
  }
  ASSERT_EQ(words.size(), 150'000u);
  EXPECT_EQ(words[49'999], "word-00");
  EXPECT_EQ(words[50'001], "word-11");
  EXPECT_EQ(words[100'002], "word-22");
}

TEST_F(TaskInputTest, SlicesOfViewsDoNotSendTheWholeBatch) {
  DataServer a("a");
  arrow::StringViewBuilder texts;
  for (int i = 0; i < 64'000; ++i) {
    ASSERT_TRUE(texts.Append("a string that is not inlined " + std::to_string(i)).ok());
  }
  const auto batch =
      arrow::RecordBatch::Make(arrow::schema({arrow::field("t", arrow::utf8_view())}),
                               64'000, {texts.Finish().ValueOrDie()});
  WriteOutput(a.store(), MakeTaskId("job", 0, 0), 64, {batch});
  AddOutput(AddExecutor(&a), 0, 0, 1000);
  auto source = Make();
  const auto read = ReadAll(source.get()).ValueOrDie();
  ASSERT_EQ(read.size(), 1u);
  EXPECT_TRUE(read[0]->Equals(*batch->Slice(0, 1000)));
  EXPECT_LT(arrow::util::TotalBufferSize(*read[0]), 100'000);
}

TEST_F(TaskInputTest, ValuesAreAligned) {
  DataServer a("a");
  WriteOutput(a.store(), MakeTaskId("job", 0, 0), 1, {IdBatch(0, 50'000)});
  AddOutput(AddExecutor(&a), 0, 0, 50'000);
  auto source = Make();
  for (const auto& batch : ReadAll(source.get()).ValueOrDie()) {
    EXPECT_EQ(batch->column_data(0)->buffers[1]->address() % sizeof(int64_t), 0u);
  }
}

TEST_F(TaskInputTest, TicketsOfAnotherVersionAreRefused) {
  DataServer a("a");
  auto client =
      context_.clients->Get("127.0.0.1", static_cast<uint32_t>(a.port())).ValueOrDie();
  control::FetchTicket ticket;
  ticket.set_wire_version(kWireVersion + 1);
  ticket.set_job_id("job");
  const auto refused = flight::FromFlightStatus(
      client->DoGet(arrow::flight::Ticket{ticket.SerializeAsString()}).status());
  ASSERT_NE(GetErrorDetail(refused), nullptr) << refused.ToString();
  EXPECT_TRUE(GetErrorDetail(refused)->has_version_mismatch());
  EXPECT_FALSE(client->DoGet(arrow::flight::Ticket{"\xff\xff"}).ok());
}

// ---- a peer in a process of its own

constexpr const char* kServeVariable = "BALLISTA_SHUFFLE_TEST_SERVE";
constexpr int64_t kPeerBatches = 200;
constexpr int64_t kPeerRows = 3'000;
constexpr int kPeerText = 300;  // a megabyte a batch

// Not a test: the peer that the tests below start from this program. Writes its port to
// the named file and serves until it is killed.
TEST(ShuffleTestPeer, Serve) {
  const char* port_file = std::getenv(kServeVariable);
  if (port_file == nullptr) GTEST_SKIP() << "runs in the process of a peer only";
  DataServer server("peer");
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  for (int64_t b = 0; b < kPeerBatches; ++b) {
    batches.push_back(IdBatch(b * kPeerRows, kPeerRows, kPeerText));
  }
  WriteOutput(server.store(), MakeTaskId("job", 0, 0), 1, batches);
  const std::string file = port_file;
  std::ofstream(file + ".new") << server.port() << std::endl;
  std::filesystem::rename(file + ".new", file);
  while (true) ::pause();
}

class PeerProcess {
 public:
  PeerProcess() {
    const std::string file = folder_.path() + "/port";
    const std::string variable = std::string(kServeVariable) + "=" + file;
    std::string program = "/proc/self/exe";
    std::string filter = "--gtest_filter=ShuffleTestPeer.Serve";
    char* arguments[] = {program.data(), filter.data(), nullptr};
    std::vector<char*> variables;
    for (char** entry = environ; *entry != nullptr; ++entry) variables.push_back(*entry);
    variables.push_back(const_cast<char*>(variable.c_str()));
    variables.push_back(nullptr);
    EXPECT_EQ(::posix_spawn(&pid_, program.c_str(), nullptr, nullptr, arguments,
                            variables.data()),
              0);
    for (int i = 0; i < 2400 && !std::filesystem::exists(file); ++i) {
      std::this_thread::sleep_for(milliseconds(50));
    }
    std::ifstream(file) >> port_;
    EXPECT_NE(port_, 0u);
  }
  ~PeerProcess() { Kill(); }

  void Kill() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  // Returns when every thread of the peer has stopped.
  void Freeze() const {
    ::kill(pid_, SIGSTOP);
    ::waitpid(pid_, nullptr, WUNTRACED);
  }
  uint32_t port() const { return port_; }

 private:
  TempFolder folder_;
  pid_t pid_ = 0;
  uint32_t port_ = 0;
};

TEST_F(TaskInputTest, FetchesFromAnotherProcess) {
  PeerProcess peer;
  AddOutput(AddExecutor("peer", peer.port()), 0, 0, kPeerBatches * kPeerRows);
  auto source = Make(/*in_order=*/true);
  EXPECT_EQ(Ids(ReadAll(source.get()).ValueOrDie()),
            ExpectedIds(kPeerBatches, kPeerRows, 1, 0, 1));
}

TEST_F(TaskInputTest, APeerThatFreezesIsAFetchFailure) {
  PeerProcess peer;
  AddOutput(AddExecutor("peer", peer.port()), 0, 0, kPeerBatches * kPeerRows);
  { EXPECT_NE(Make()->Next().ValueOrDie(), nullptr); }
  peer.Freeze();  // the connection stays
  context_.stall_timeout = milliseconds(300);
  auto source = Make();
  const auto failure = source->Next();
  const auto* what = AsFetchFailed(failure.status());
  ASSERT_NE(what, nullptr) << failure.status().ToString();
  EXPECT_EQ(what->executor_id(), "peer");
  EXPECT_NE(failure.status().message().find("no answer in 300 ms"), std::string::npos);
  peer.Kill();
}

// One that asks for the schema first is not held up for longer than one that asks for
// rows.
TEST_F(TaskInputTest, TheSchemaOfAFrozenPeerIsNotWaitedForWithoutEnd) {
  PeerProcess peer;
  AddOutput(AddExecutor("peer", peer.port()), 0, 0, kPeerBatches * kPeerRows);
  { EXPECT_NE(Make()->Next().ValueOrDie(), nullptr); }
  peer.Freeze();
  context_.stall_timeout = milliseconds(300);
  auto source = Make();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(source->schema(), nullptr);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_NE(AsFetchFailed(source->Next().status()), nullptr);
  peer.Kill();
}

// As a machine does whose process is stuck: the kernel takes the connection, and nobody
// speaks.
TEST_F(TaskInputTest, APeerThatAcceptsAndNeverAnswersIsAFetchFailure) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 8), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  AddOutput(AddExecutor("mute", ntohs(address.sin_port)), 0, 0, 10);
  context_.stall_timeout = milliseconds(500);
  const auto start = std::chrono::steady_clock::now();
  const auto failure = Make()->Next();
  const auto* what = AsFetchFailed(failure.status());
  ASSERT_NE(what, nullptr) << failure.status().ToString();
  EXPECT_EQ(what->executor_id(), "mute");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  close(listener);
}

TEST_F(TaskInputTest, APeerThatDiesInTheMiddleIsAFetchFailure) {
  PeerProcess peer;
  AddOutput(AddExecutor("peer", peer.port()), 0, 0, kPeerBatches * kPeerRows);
  context_.budget = std::make_shared<MemoryBudget>(2 << 20);
  context_.max_attempts = 3;
  auto source = Make();
  ASSERT_NE(source->Next().ValueOrDie(), nullptr);
  peer.Kill();
  const auto status = ReadAll(source.get()).status();
  ASSERT_NE(AsFetchFailed(status), nullptr) << status.ToString();
  EXPECT_EQ(AsFetchFailed(status)->executor_id(), "peer");
}

}  // namespace
}  // namespace ballista::shuffle
