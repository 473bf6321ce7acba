// What an exchange between processes costs end to end: lineitem is repartitioned in one
// process, and fetched over loopback and aggregated in a second one; against the same
// aggregation in one process. Prints one JSON object.
//
//   shuffle_process_benchmark [folder of TPC-H lineitem parquet files] [threads]
//                             [repetitions]
#include <arrow/flight/api.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "ballista/engine/duckdb/duckdb_engine.h"
#include "ballista/flight/allocator.h"
#include "ballista/flight/transport_setup.h"
#include "ballista/plan/plan.h"
#include "ballista/shuffle/data_service.h"
#include "ballista/shuffle/shuffle_store.h"
#include "ballista/shuffle/task_input.h"

namespace ballista::engine {
namespace {

namespace fs = std::filesystem;
using plan::Node;
using plan::Type;

constexpr uint32_t kPartitions = 4;
constexpr const char* kJob = "benchmark";

// Ends the program: there is nothing to go on with.
void Check(const arrow::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "shuffle_process_benchmark: %s\n", status.ToString().c_str());
  std::_Exit(1);
}

template <typename Value>
Value Take(arrow::Result<Value> result) {
  Check(result.status());
  return std::move(result).ValueUnsafe();
}

Node ScanLineitem() {
  Node node;
  const Type money = plan::DecimalType(15, 2);
  const std::pair<const char*, Type> columns[] = {
      {"l_orderkey", plan::MakeType(Type::BIGINT)},
      {"l_suppkey", plan::MakeType(Type::BIGINT)},
      {"l_extendedprice", money},
      {"l_discount", money},
      {"l_shipdate", plan::MakeType(Type::DATE)}};
  for (const auto& [name, type] : columns) {
    *node.add_types() = type;
    node.mutable_scan()->add_columns()->set_name(name);
  }
  node.mutable_scan()->set_format("parquet");
  return node;
}

// By order: the greatest of each other column.
Node Aggregate(Node input) {
  Node node;
  *node.add_types() = input.types(0);
  *node.mutable_aggregate()->add_groups() = plan::ColumnRef(0, input.types(0));
  for (int c = 1; c < input.types_size(); ++c) {
    plan::Expression call;
    *call.mutable_type() = input.types(c);
    call.mutable_aggregate()->set_name("max");
    *call.add_args() = plan::ColumnRef(static_cast<uint32_t>(c), input.types(c));
    *node.add_types() = input.types(c);
    *node.mutable_aggregate()->add_aggregates() = std::move(call);
  }
  *node.add_inputs() = std::move(input);
  return node;
}

Node ReadExchange() {
  Node node;
  *node.mutable_types() = ScanLineitem().types();
  node.mutable_exchange_read()->set_input(0);
  return node;
}

// Counts the rows.
class CountingSink : public shuffle::OutputSink {
 public:
  arrow::Status SetSchema(std::shared_ptr<arrow::Schema>) override {
    return arrow::Status::OK();
  }
  arrow::Status Write(shuffle::PartitionedBatch batch) override {
    rows += batch.batch->num_rows();
    return arrow::Status::OK();
  }
  std::atomic<int64_t> rows{0};
};

std::vector<job::ScanSplits> AllFiles(const std::string& folder) {
  std::vector<job::ScanSplits> scans(1);
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".parquet") continue;
    scans[0].add_splits()->set_path(entry.path().string());
  }
  return scans;
}

class Process {
 public:
  Process(int threads, const std::string& folder) : scans_(AllFiles(folder)) {
    DuckDbEngineOptions options;
    options.threads = threads;
    engine_ = Take(DuckDbEngine::Make(options));
  }

  // Seconds.
  double Run(const Node& fragment, shuffle::OutputSink* sink,
             shuffle::ExchangeSource* input, const job::Output& output) {
    FragmentTask task;
    task.fragment = &fragment;
    task.sink = sink;
    task.output = output;
    task.task_name = "benchmark-0-0-0";
    if (input != nullptr) task.inputs.push_back(input);
    if (input == nullptr) task.scans = scans_;
    const auto start = std::chrono::steady_clock::now();
    Check(engine_->Run(task, engine_->MakeInterrupt()).status());
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
        .count();
  }

 private:
  const std::vector<job::ScanSplits> scans_;
  std::unique_ptr<DuckDbEngine> engine_;
};

class Server : public arrow::flight::FlightServerBase {
 public:
  explicit Server(shuffle::ShuffleStore* store) : store_(store) {}
  arrow::Status DoGet(const arrow::flight::ServerCallContext& context,
                      const arrow::flight::Ticket& ticket,
                      std::unique_ptr<arrow::flight::FlightDataStream>* stream) override {
    return shuffle::ServeFetch(store_, context, ticket, stream);
  }

 private:
  shuffle::ShuffleStore* const store_;
};

// What the producer tells after each run.
struct Produced {
  double seconds = 0;
  int port = 0;
  uint64_t rows = 0;
  uint64_t bytes = 0;
};

template <typename Value>
bool Read(int fd, Value* value) {
  return ::read(fd, value, sizeof(*value)) == static_cast<ssize_t>(sizeof(*value));
}
template <typename Value>
void Write(int fd, const Value& value) {
  if (::write(fd, &value, sizeof(value)) != static_cast<ssize_t>(sizeof(value))) {
    std::_Exit(1);
  }
}

// The first process: repartitions once for each attempt number that it reads.
void Produce(int commands, int answers, int threads, const std::string& folder) {
  std::string pattern = (fs::temp_directory_path() / "ballista-bench-XXXXXX").string();
  const std::string work_dir = ::mkdtemp(pattern.data());
  shuffle::StoreOptions options;
  options.work_dirs = {work_dir};
  options.executor_id = "producer";
  options.memory_limit = int64_t{4} << 30;
  auto store = Take(shuffle::ShuffleStore::Open(options));
  Server server(store.get());
  Check(server.Init(arrow::flight::FlightServerOptions(
      Take(arrow::flight::Location::ForGrpcTcp("127.0.0.1", 0)))));
  Process process(threads, folder);
  job::Output output;
  output.set_kind(job::Output::HASH);
  output.set_partitions(kPartitions);
  output.add_keys(0);
  for (uint32_t attempt = 0; Read(commands, &attempt);) {
    const std::string job = kJob + std::to_string(attempt);
    job::TaskId id;
    id.set_job_id(job);
    if (attempt > 0) store->RemoveJob(kJob + std::to_string(attempt - 1));
    auto writer = Take(store->CreateOutput(id, output));
    Produced produced;
    produced.seconds = process.Run(ScanLineitem(), writer.get(), nullptr, output);
    const auto statistics = Take(writer->Commit());
    produced.port = server.port();
    produced.rows = statistics.rows();
    produced.bytes = statistics.bytes();
    Write(answers, produced);
  }
  Check(server.Shutdown());
  store.reset();
  fs::remove_all(work_dir);
}

struct Best {
  double one_process = 1e9;
  double repartition = 1e9;
  double aggregate = 1e9;
};

std::unique_ptr<shuffle::TaskInputSource> Fetch(const shuffle::FetchContext& context,
                                                const Produced& produced,
                                                uint32_t attempt) {
  job::TaskDefinition task;
  task.mutable_id()->set_job_id(kJob + std::to_string(attempt));
  auto* executor = task.add_executors();
  executor->set_executor_id("producer");
  executor->set_host("127.0.0.1");
  executor->set_port(static_cast<uint32_t>(produced.port));
  job::TaskInput input;
  input.set_last_partition(kPartitions);
  auto* reference = input.add_outputs();
  reference->set_rows(produced.rows);
  reference->set_bytes(produced.bytes);
  return Take(shuffle::MakeTaskInput(context, task, input, {}));
}

int Consume(int commands, int answers, int threads, const std::string& folder,
            int repetitions) {
  Process process(threads, folder);
  shuffle::FetchContext context;
  context.clients = std::make_shared<flight::ClientPool>();
  context.budget = std::make_shared<shuffle::MemoryBudget>(int64_t{64} << 20);
  job::Output result;
  result.set_kind(job::Output::UNPARTITIONED);
  result.set_is_result(true);
  Best best;
  Produced produced;
  for (int attempt = 0; attempt < repetitions; ++attempt) {
    CountingSink one;
    CountingSink two;
    best.one_process = std::min(
        best.one_process, process.Run(Aggregate(ScanLineitem()), &one, nullptr, result));
    Write(commands, static_cast<uint32_t>(attempt));
    if (!Read(answers, &produced)) return 1;
    best.repartition = std::min(best.repartition, produced.seconds);
    const auto input = Fetch(context, produced, static_cast<uint32_t>(attempt));
    best.aggregate = std::min(best.aggregate, process.Run(Aggregate(ReadExchange()), &two,
                                                          input.get(), result));
    if (one.rows != two.rows) {
      std::fprintf(stderr, "%ld groups in one process, %ld in two\n",
                   static_cast<long>(one.rows), static_cast<long>(two.rows));
      return 1;
    }
  }
  std::printf(
      "{\"rows\": %lu, \"arrow_bytes\": %lu, \"one_process_s\": %.4f, "
      "\"repartition_s\": %.4f, \"fetch_and_aggregate_s\": %.4f, \"ratio\": %.2f}\n",
      static_cast<unsigned long>(produced.rows),
      static_cast<unsigned long>(produced.bytes), best.one_process, best.repartition,
      best.aggregate, (best.repartition + best.aggregate) / best.one_process);
  return 0;
}

int Main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "data/tpch/sf1/lineitem";
  const int threads = argc > 2 ? std::atoi(argv[2]) : 2;
  const int repetitions = argc > 3 ? std::atoi(argv[3]) : 5;
  int commands[2];
  int answers[2];
  if (::pipe(commands) != 0 || ::pipe(answers) != 0) return 1;
  const pid_t producer = ::fork();  // before there is any thread
  if (producer == 0) {
    ::close(commands[1]);
    Produce(commands[0], answers[1], threads, folder);
    return 0;
  }
  ::close(answers[1]);
  const int code = Consume(commands[1], answers[0], threads, folder, repetitions);
  ::close(commands[1]);
  ::waitpid(producer, nullptr, 0);
  return code;
}

}  // namespace
}  // namespace ballista::engine

int main(int argc, char** argv) {
  ballista::flight::TuneAllocator();
  ballista::flight::SetUpTransport();
  return ballista::engine::Main(argc, argv);
}
