// What an exchange costs on loopback: a task's input fetched from an executor's store in
// another process, as rate of Arrow bytes, by width of the rows, number of partitions and
// where the data is. Process CPU is that of the fetching side.
//
//   shuffle_fetch_benchmark --benchmark_format=json

#include <arrow/api.h>
#include <arrow/flight/api.h>
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "ballista/flight/allocator.h"
#include "ballista/flight/transport_setup.h"
#include "ballista/shuffle/data_service.h"
#include "ballista/shuffle/partition_hash.h"
#include "ballista/shuffle/task_input.h"
#include "ballista/shuffle/test_outputs_internal.h"

namespace ballista::shuffle {
namespace {

using namespace ballista::shuffle::testing;  // NOLINT

constexpr int64_t kBatchRows = 32'768;
constexpr int kNarrowBatches = 400;
constexpr int kWideBatches = 120;

class Server : public arrow::flight::FlightServerBase {
 public:
  explicit Server(ShuffleStore* store) : store_(store) {}
  arrow::Status DoGet(const arrow::flight::ServerCallContext& context,
                      const arrow::flight::Ticket& ticket,
                      std::unique_ptr<arrow::flight::FlightDataStream>* stream) override {
    return ServeFetch(store_, context, ticket, stream);
  }

 private:
  ShuffleStore* const store_;
};

// Five numbers a row (36 bytes), or those and three strings (about 100 bytes).
std::shared_ptr<arrow::RecordBatch> MakeBatch(bool wide) {
  std::mt19937_64 random(7);
  arrow::FieldVector fields;
  arrow::ArrayVector columns;
  for (int c = 0; c < 5; ++c) {
    arrow::Int64Builder builder;
    for (int64_t i = 0; i < kBatchRows; ++i) (void)builder.Append(random() >> 20);
    fields.push_back(arrow::field("n" + std::to_string(c), arrow::int64()));
    columns.push_back(builder.Finish().ValueOrDie());
  }
  for (int c = 0; wide && c < 3; ++c) {
    arrow::StringBuilder builder;
    for (int64_t i = 0; i < kBatchRows; ++i) {
      (void)builder.Append(std::string(10 + random() % 16, 'a'));
    }
    fields.push_back(arrow::field("s" + std::to_string(c), arrow::utf8()));
    columns.push_back(builder.Finish().ValueOrDie());
  }
  return arrow::RecordBatch::Make(arrow::schema(fields), kBatchRows, columns);
}

// The side that serves: `main` with the arguments of Served. Writes its port and the rows
// of each partition into a file, and serves until its input ends.
void Serve(bool wide, bool from_disk, uint32_t partitions, const std::string& answer) {
  TempFolder folder;
  StoreOptions options;
  options.work_dirs = {folder.path()};
  options.executor_id = "peer";
  options.memory_limit = from_disk ? 0 : int64_t{8} << 30;
  auto store = ShuffleStore::Open(options).ValueOrDie();
  const auto batch = MakeBatch(wide);
  const std::vector<std::shared_ptr<arrow::RecordBatch>> batches(
      static_cast<size_t>(wide ? kWideBatches : kNarrowBatches), batch);
  const auto statistics =
      WriteOutput(store.get(), MakeTaskId("job", 0, 0), partitions, batches);
  Server server(store.get());
  (void)server.Init(arrow::flight::FlightServerOptions(
      *arrow::flight::Location::ForGrpcTcp("127.0.0.1", 0)));
  {
    std::ofstream file(answer + ".part");
    file << server.port();
    for (const uint64_t rows : statistics.partition_rows()) file << ' ' << rows;
    file << '\n';
  }
  std::rename((answer + ".part").c_str(), answer.c_str());
  std::string ignored;
  std::getline(std::cin, ignored);
  (void)server.Shutdown();
}

// A process that serves, for as long as this lives.
class Served {
 public:
  Served(bool wide, bool from_disk, uint32_t partitions) {
    const std::string answer = folder_.path() + "/answer";
    const std::string command = "/proc/" + std::to_string(::getpid()) + "/exe --serve " +
                                std::to_string(wide) + " " + std::to_string(from_disk) +
                                " " + std::to_string(partitions) + " " + answer;
    process_ = ::popen(command.c_str(), "w");
    std::ifstream file;
    for (int i = 0; i < 3000 && !file.is_open(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      file.open(answer);
    }
    file >> port_;
    for (int64_t rows = 0; file >> rows;) rows_.push_back(rows);
  }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;
  ~Served() { ::pclose(process_); }

  // 0: it has not come up within half a minute.
  uint32_t port() const { return port_; }
  int64_t rows(uint32_t partition) const { return rows_.at(partition); }

 private:
  TempFolder folder_;
  FILE* process_ = nullptr;
  uint32_t port_ = 0;
  std::vector<int64_t> rows_;
};

// `width`: partitions that one reader takes.
void Fetch(benchmark::State& state, bool wide, bool from_disk, uint32_t width = 1) {
  const auto partitions = static_cast<uint32_t>(state.range(0));
  const Served server(wide, from_disk, partitions);
  if (server.port() == 0) return state.SkipWithError("the other process does not serve");

  FetchContext context;
  context.clients = std::make_shared<flight::ClientPool>();
  context.budget = std::make_shared<MemoryBudget>(256 << 20);
  job::TaskDefinition task;
  task.mutable_id()->set_job_id("job");
  auto* executor = task.add_executors();
  executor->set_executor_id("peer");
  executor->set_host("127.0.0.1");
  executor->set_port(server.port());
  int64_t bytes = 0;
  for (auto _ : state) {
    // One reader after the other.
    for (uint32_t p = 0; p < partitions; p += width) {
      job::TaskInput input;
      input.set_first_partition(p);
      input.set_last_partition(p + width);
      auto* output = input.add_outputs();
      for (uint32_t each = p; each < p + width; ++each) {
        output->set_rows(output->rows() + static_cast<uint64_t>(server.rows(each)));
      }
      auto source = MakeTaskInput(context, task, input, {}).ValueOrDie();
      while (auto next = source->Next().ValueOrDie()) {
        benchmark::DoNotOptimize(next->num_rows());
      }
      bytes += source->fetched_bytes();
    }
  }
  state.SetBytesProcessed(bytes);
}

void Memory(benchmark::State& state) {
  Fetch(state, false, false);
}
void MemoryWide(benchmark::State& state) {
  Fetch(state, true, false);
}
void Disk(benchmark::State& state) {
  Fetch(state, false, true);
}
void DiskHalf(benchmark::State& state) {
  Fetch(state, false, true, static_cast<uint32_t>(state.range(0) / 2));
}

// The bound of the above: a bare Flight server sends the same batches as they lie in
// memory, and the client drops them.
class BareServer : public arrow::flight::FlightServerBase {
 public:
  explicit BareServer(arrow::RecordBatchVector batches) : batches_(std::move(batches)) {}
  arrow::Status DoGet(const arrow::flight::ServerCallContext&,
                      const arrow::flight::Ticket&,
                      std::unique_ptr<arrow::flight::FlightDataStream>* stream) override {
    ARROW_ASSIGN_OR_RAISE(auto reader, arrow::RecordBatchReader::Make(batches_));
    *stream = std::make_unique<arrow::flight::RecordBatchStream>(std::move(reader));
    return arrow::Status::OK();
  }

 private:
  const arrow::RecordBatchVector batches_;
};

// Both sides in this process.
void BareFlight(benchmark::State& state) {
  const auto batch = MakeBatch(false);
  BareServer server(arrow::RecordBatchVector(kNarrowBatches, batch));
  (void)server.Init(arrow::flight::FlightServerOptions(
      *arrow::flight::Location::ForGrpcTcp("127.0.0.1", 0)));
  const auto client =
      arrow::flight::FlightClient::Connect(
          *arrow::flight::Location::ForGrpcTcp("127.0.0.1", server.port()))
          .ValueOrDie();
  int64_t bytes = 0;
  for (auto _ : state) {
    const auto stream = client->DoGet(arrow::flight::Ticket{}).ValueOrDie();
    while (const auto data = stream->Next().ValueOrDie().data) {
      bytes += data->num_rows() * data->num_columns() * int64_t{sizeof(int64_t)};
    }
  }
  state.SetBytesProcessed(bytes);
  (void)server.Shutdown();
}

BENCHMARK(BareFlight)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(Memory)->Arg(1)->Arg(4)->Arg(64)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(MemoryWide)->Arg(1)->Arg(4)->Arg(64)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(Disk)->Arg(1)->Arg(64)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(DiskHalf)->Arg(64)->Arg(256)->UseRealTime()->MeasureProcessCPUTime();

void Hash(benchmark::State& state) {
  const auto batch = MakeBatch(true);
  const auto column = batch->column(static_cast<int>(state.range(0)));
  std::vector<uint64_t> hashes(static_cast<size_t>(kBatchRows));
  for (auto _ : state) {
    (void)FoldColumn(*column, hashes.data());
    benchmark::DoNotOptimize(hashes.data());
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kBatchRows);
}
BENCHMARK(Hash)->ArgName("integer")->Arg(0);
BENCHMARK(Hash)->ArgName("string")->Arg(5);

}  // namespace
}  // namespace ballista::shuffle

int main(int argc, char** argv) {
  ballista::flight::TuneAllocator();
  ballista::flight::SetUpTransport();
  const std::vector<std::string> words(argv, argv + argc);
  if (argc == 6 && words[1] == "--serve") {
    ballista::shuffle::Serve(words[2] == "1", words[3] == "1",
                             static_cast<uint32_t>(std::stoul(words[4])), words[5]);
    return 0;
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
