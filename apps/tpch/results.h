// What a benchmark run found, and its JSON file.
#pragma once

#include <arrow/status.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ballista::tpch {

struct QueryResult {
  int query = 0;
  std::vector<double> milliseconds;  // one an iteration
  int64_t rows = 0;
  // Whether the result is that of single-process DuckDB; nothing where it was not asked.
  std::optional<bool> verified;
  // Why the query failed or its result is wrong; else empty.
  std::string error;
};

struct RunResult {
  std::string started;  // UTC, 2026-11-22T10:00:00Z
  std::string host;
  uint16_t port = 0;
  std::string path;
  uint32_t iterations = 0;
  std::vector<QueryResult> queries;
};

// {"program", "version", "started", "host", "port", "path", "iterations", "queries":
// [{"query", "milliseconds", "fastest", "rows", "verified", "error"}], "total_fastest"};
// times in milliseconds.
std::string ToJson(const RunResult& run);

// Writes the file whole: a reader finds the former text or this one.
arrow::Status WriteJson(const RunResult& run, const std::string& path);

}  // namespace ballista::tpch
