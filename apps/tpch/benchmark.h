// `tpch benchmark`: runs TPC-H queries on a cluster and takes their times.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <string>
#include <vector>

#include "ballista/client/connection_options.h"

namespace ballista::tpch {

struct BenchmarkOptions {
  client::ConnectionOptions connection;
  // The folder of the tables, as the cluster sees it: a folder or an object store's URL
  // with a folder or a .parquet file a table.
  std::string path;
  std::vector<int> queries;
  uint32_t iterations = 3;
  // Results are compared with single-process DuckDB on the same files.
  bool verify = false;
  // The JSON file, written again after each query; empty: none.
  std::string output;
};

// Prints a line an iteration. A query that fails or gives a wrong result does not end the
// run; the error says how many did. Other errors: IOError when the scheduler does not
// answer, Invalid when --verify cannot be done.
arrow::Status Benchmark(const BenchmarkOptions& options);

// "all", or numbers of queries with commas between: "1,6". Error: Invalid.
arrow::Result<std::vector<int>> ParseQueries(const std::string& text);

}  // namespace ballista::tpch
