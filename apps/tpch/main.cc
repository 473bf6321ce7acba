// tpch: makes TPC-H data and runs its queries on a cluster.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "ballista/base/version.h"
#include "ballista/flight/transport_setup.h"
#include "benchmark.h"
#include "generate.h"

namespace ballista::tpch {
namespace {

int Report(const arrow::Status& status) {
  if (status.ok()) return 0;
  fmt::print(stderr, "tpch: {}\n", status.message());
  return 1;
}

void DeclareGenerate(CLI::App* app, GenerateOptions* options) {
  app->add_option("--scale", options->scale, "Scale factor; 1 is about 1 GB of text.")
      ->required()
      ->check(CLI::PositiveNumber);
  app->add_option("--path", options->path,
                  "Folder to make, with a folder for each table.")
      ->required();
  app->add_option("--parts", options->parts, "Files of each of the large tables.")
      ->check(CLI::Range(1U, 10000U))
      ->capture_default_str();
}

void DeclareBenchmark(CLI::App* app, BenchmarkOptions* options, std::string* queries) {
  client::DeclareConnectionOptions(app, &options->connection, false);
  app->add_option("--path", options->path,
                  "Folder of the tables, as the cluster sees it.")
      ->required();
  app->add_option("--query", *queries, "Numbers of queries with commas between, or all.")
      ->capture_default_str();
  app->add_option("--iterations", options->iterations, "Runs of each query.")
      ->check(CLI::Range(1U, 1000000U))
      ->capture_default_str();
  app->add_flag("--verify", options->verify,
                "Compares each result with single-process DuckDB on the same files.");
  app->add_option("--output", options->output,
                  "JSON file of the results, written again after each query.");
}

int Main(int argc, char** argv) {
  flight::SetUpTransport();
  CLI::App app("Makes TPC-H data and runs its queries on a Ballista cluster.", "tpch");
  app.set_version_flag("--version", fmt::format("Ballista v{} tpch", kVersion));
  app.require_subcommand(1);
  GenerateOptions generate;
  BenchmarkOptions benchmark;
  std::string queries = "all";
  auto* generate_command = app.add_subcommand(
      "generate", "Makes the tables as Parquet files (with tpchgen-cli).");
  DeclareGenerate(generate_command, &generate);
  DeclareBenchmark(app.add_subcommand("benchmark", "Runs queries and takes their times."),
                   &benchmark, &queries);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return app.exit(done);
  } catch (const CLI::ExtrasError& error) {
    fmt::print(stderr, "tpch: {}\n", client::WithoutValue(error.what()));
    return 2;
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "tpch: {}\n", error.what());
    return 2;
  }
  if (generate_command->parsed()) return Report(Generate(generate));
  const auto numbers = ParseQueries(queries);
  if (!numbers.ok()) {
    fmt::print(stderr, "tpch: {}\n", numbers.status().message());
    return 2;
  }
  benchmark.queries = *numbers;
  return Report(Benchmark(benchmark));
}

}  // namespace
}  // namespace ballista::tpch

int main(int argc, char** argv) {
  return ballista::tpch::Main(argc, argv);
}
