// How fast a task's output is partitioned: lineitem from an in-memory table into P
// partitions, in CPU time of one thread net of the scan. Prints one JSON object a line.
//
//   shuffle_sink_benchmark [folder of TPC-H lineitem parquet files] [repetitions]
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>

#include "ballista/engine/duckdb/output_collector.h"
#include "ballista/engine/duckdb/types.h"

namespace ballista::engine {
namespace {

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

// Takes the batches and drops them: their memory is used again, as a store that is being
// drained does.
class NullSink : public shuffle::OutputSink {
 public:
  arrow::Status SetSchema(std::shared_ptr<arrow::Schema>) override {
    return arrow::Status::OK();
  }
  arrow::Status Write(shuffle::PartitionedBatch) override { return arrow::Status::OK(); }
};

// The scan alone: chunks are flattened and forgotten.
class ScanOnly : public duckdb::PhysicalResultCollector {
 public:
  using PhysicalResultCollector::PhysicalResultCollector;
  struct State : public duckdb::GlobalSinkState {
    duckdb::ClientContext* context = nullptr;
  };
  bool ParallelSink() const override { return true; }
  duckdb::unique_ptr<duckdb::GlobalSinkState> GetGlobalSinkState(
      duckdb::ClientContext& context) const override {
    auto state = duckdb::make_uniq<State>();
    state->context = &context;
    return state;
  }
  duckdb::SinkResultType Sink(duckdb::ExecutionContext&, duckdb::DataChunk& chunk,
                              duckdb::OperatorSinkInput&) const override {
    chunk.Flatten();
    return duckdb::SinkResultType::NEED_MORE_INPUT;
  }
  duckdb::unique_ptr<duckdb::QueryResult> GetResult(
      duckdb::GlobalSinkState& state) const override {
    auto& context = *state.Cast<State>().context;
    return duckdb::make_uniq<duckdb::MaterializedQueryResult>(
        statement_type, properties, names, CreateCollection(context),
        context.GetClientProperties());
  }
};

void Check(duckdb::unique_ptr<duckdb::QueryResult> result) {
  if (!result->HasError()) return;
  std::fprintf(stderr, "%s\n", result->GetErrorObject().Message().c_str());
  std::exit(1);
}

// The least CPU time of `repetitions` runs of a query whose rows go to `collector`.
double BestCpu(duckdb::Connection* connection, const std::string& sql,
               const duckdb::get_result_collector_t& collector, int repetitions) {
  auto& config = duckdb::ClientConfig::GetConfig(*connection->context);
  double best = 1e9;
  for (int i = 0; i < repetitions; ++i) {
    config.get_result_collector = collector;
    const double start = CpuSeconds();
    auto result = connection->Query(sql);
    best = std::min(best, CpuSeconds() - start);
    config.get_result_collector = nullptr;
    Check(std::move(result));
  }
  return best;
}

void RunCase(duckdb::Connection* connection, const std::string& name,
             const std::string& columns, int repetitions) {
  const std::string sql = "SELECT " + columns + " FROM lineitem";
  const double scan = BestCpu(
      connection, sql,
      [](duckdb::ClientContext&, duckdb::PreparedStatementData& data)
          -> duckdb::unique_ptr<duckdb::PhysicalOperator> {
        return duckdb::make_uniq<ScanOnly>(*data.physical_plan, data);
      },
      repetitions);
  for (uint32_t partitions : {1U, 4U, 16U, 64U}) {
    NullSink sink;
    TaskState state;
    OutputTarget target;
    target.sink = &sink;
    target.task = &state;
    target.types = connection->Prepare(sql)->GetTypes();
    target.output.set_kind(partitions == 1 ? job::Output::UNPARTITIONED
                                           : job::Output::HASH);
    target.output.set_partitions(partitions);
    target.output.add_keys(0);
    const double cpu =
        BestCpu(connection, sql, MakeOutputCollector(&target), repetitions) - scan;
    const double runs = repetitions;
    const double rows = static_cast<double>(state.output_rows) / runs;
    const double bytes = static_cast<double>(state.output_bytes) / runs;
    std::printf(
        "{\"case\": \"%s\", \"partitions\": %u, \"rows\": %.0f, \"arrow_bytes\": %.0f, "
        "\"scan_cpu_s\": %.4f, \"sink_cpu_s\": %.4f, \"ns_per_row\": %.2f, "
        "\"gb_per_s_per_core\": %.2f}\n",
        name.c_str(), partitions, rows, bytes, scan, cpu, 1e9 * cpu / rows,
        bytes / cpu / 1e9);
    std::fflush(stdout);
  }
}

int Main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "data/tpch/sf1/lineitem";
  const int repetitions = argc > 2 ? std::atoi(argv[2]) : 5;
  duckdb::DuckDB database(nullptr);
  duckdb::Connection connection(database);
  Check(connection.Query("SET threads = 1"));
  Check(connection.Query("SET preserve_insertion_order = false"));
  Check(connection.Query("CREATE TABLE lineitem AS FROM read_parquet('" + folder +
                         "/*.parquet')"));
  RunCase(&connection, "narrow",
          "l_orderkey, l_suppkey, l_extendedprice, l_discount, l_shipdate", repetitions);
  RunCase(&connection, "wide", "*", repetitions);
  return 0;
}

}  // namespace
}  // namespace ballista::engine

int main(int argc, char** argv) {
  return ballista::engine::Main(argc, argv);
}
