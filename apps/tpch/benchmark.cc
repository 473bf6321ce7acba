#include "benchmark.h"

#include <arrow/table.h>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <sstream>

#include "ballista/client/flight_sql_client.h"
#include "query_texts.h"
#include "results.h"
#include "verifier.h"

namespace ballista::tpch {
namespace {

namespace fs = std::filesystem;
using arrow::Status;
using Clock = std::chrono::steady_clock;

constexpr std::array<const char*, 8> kTables = {
    "customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"};

// The cluster's processes have other current folders than this one.
std::string AbsolutePath(const std::string& path) {
  return path.find("://") == std::string::npos ? fs::absolute(path).lexically_normal()
                                               : fs::path(path);
}

// A folder a table; or a file, where that is what is there.
std::string TableLocation(const std::string& path, const std::string& table) {
  const auto folder = fs::path(path) / table;
  const auto file = fs::path(path) / (table + ".parquet");
  std::error_code ignored;
  const bool is_file = !fs::exists(folder, ignored) && fs::is_regular_file(file, ignored);
  return is_file ? file : folder;
}

std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return quoted + "'";
}

Status RegisterTables(client::FlightSqlClient* client, const std::string& path) {
  for (const auto* table : kTables) {
    const auto location = TableLocation(path, table);
    const auto sql =
        fmt::format("CREATE OR REPLACE EXTERNAL TABLE {} STORED AS PARQUET LOCATION {}",
                    table, Quoted(location));
    const auto rows = client->Update(sql);
    if (!rows.ok()) {
      return rows.status().WithMessage(
          fmt::format("table {} at {}: {}", table, location, rows.status().message()));
    }
  }
  return Status::OK();
}

arrow::Result<std::shared_ptr<arrow::Table>> Fetch(client::FlightSqlClient* client,
                                                   std::string_view sql) {
  const auto query = client->Start(std::string(sql));
  ARROW_ASSIGN_OR_RAISE(const auto schema, query->Schema());
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  for (;;) {
    ARROW_ASSIGN_OR_RAISE(auto batch, query->Next());
    if (batch == nullptr) break;
    batches.push_back(std::move(batch));
  }
  return arrow::Table::FromRecordBatches(schema, batches);
}

// Runs one query's iterations; errors end up in the result.
QueryResult RunQuery(client::FlightSqlClient* client, const Verifier* verifier,
                     int number, uint32_t iterations) {
  QueryResult out;
  out.query = number;
  for (uint32_t i = 0; i < iterations; ++i) {
    const auto start = Clock::now();
    const auto table = Fetch(client, QueryText(number));
    const std::chrono::duration<double, std::milli> time = Clock::now() - start;
    if (!table.ok()) {
      out.error = table.status().message();
      break;
    }
    out.milliseconds.push_back(time.count());
    out.rows = (*table)->num_rows();
    fmt::print("Query {} iteration {} took {:.1f} ms and returned {} rows\n", number, i,
               time.count(), out.rows);
    std::fflush(stdout);
    if (verifier == nullptr) continue;
    const auto difference = verifier->Compare(number, **table);
    out.error = difference.ok() ? *difference : difference.status().message();
    // A comparison that could not be made says nothing about the result.
    if (difference.ok()) out.verified = difference->empty();
    if (!out.error.empty()) break;
  }
  if (!out.error.empty()) fmt::print("Query {} FAILED: {}\n", number, out.error);
  return out;
}

void PrintSummary(const RunResult& run, bool verify) {
  double total = 0;
  size_t right = 0;
  for (const auto& one : run.queries) {
    if (one.error.empty()) ++right;
    double least = one.milliseconds.empty() ? 0 : one.milliseconds.front();
    for (const double time : one.milliseconds) least = std::min(least, time);
    total += least;
  }
  fmt::print("{} of {} queries {}; fastest iterations together: {:.1f} ms\n", right,
             run.queries.size(), verify ? "verified" : "succeeded", total);
}

}  // namespace

arrow::Result<std::vector<int>> ParseQueries(const std::string& text) {
  std::vector<int> queries;
  if (text == "all") {
    for (int number = 1; number <= kQueries; ++number) queries.push_back(number);
    return queries;
  }
  std::istringstream list(text);
  for (std::string one; std::getline(list, one, ',');) {
    const bool digits = !one.empty() && one.size() <= 2 &&
                        one.find_first_not_of("0123456789") == std::string::npos;
    const int number = digits ? std::stoi(one) : 0;
    if (number < 1 || number > kQueries) {
      queries.clear();
      break;
    }
    queries.push_back(number);
  }
  if (queries.empty()) {
    return Status::Invalid(fmt::format(
        "bad value \"{}\" for --query: expected all, or numbers from 1 to {} with commas "
        "between",
        text, kQueries));
  }
  return queries;
}

Status Benchmark(const BenchmarkOptions& options) {
  RunResult run;
  run.started = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  ARROW_ASSIGN_OR_RAISE(const auto profile,
                        client::Profile::Load(options.connection.profile));
  auto warnings = profile.warnings();
  ARROW_ASSIGN_OR_RAISE(
      const auto connection,
      client::ResolveConnection(options.connection, profile, &warnings));
  for (const auto& warning : warnings) fmt::print(stderr, "tpch: {}\n", warning);
  run.host = connection.servers.front().host;
  run.port = connection.servers.front().port;
  run.path = AbsolutePath(options.path);
  run.iterations = options.iterations;

  std::optional<Verifier> verifier;
  if (options.verify) {
    ARROW_ASSIGN_OR_RAISE(verifier, Verifier::Make(run.path));
  }
  ARROW_ASSIGN_OR_RAISE(const auto client, client::FlightSqlClient::Connect(connection));
  ARROW_RETURN_NOT_OK(RegisterTables(client.get(), run.path));
  size_t failed = 0;
  for (const int number : options.queries) {
    run.queries.push_back(RunQuery(client.get(), verifier ? &*verifier : nullptr, number,
                                   options.iterations));
    if (!run.queries.back().error.empty()) ++failed;
    if (!options.output.empty()) {
      ARROW_RETURN_NOT_OK(WriteJson(run, options.output));
    }
  }
  PrintSummary(run, options.verify);
  if (failed > 0) {
    return Status::ExecutionError(
        fmt::format("{} of {} queries failed", failed, run.queries.size()));
  }
  return Status::OK();
}

}  // namespace ballista::tpch
