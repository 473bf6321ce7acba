// `tpch generate`: TPC-H tables as Parquet files.
#pragma once

#include <arrow/status.h>

#include <cstdint>
#include <filesystem>

namespace ballista::tpch {

struct GenerateOptions {
  double scale = 1;
  std::filesystem::path path;
  // Files of each of the large tables.
  uint32_t parts = 1;
};

// Makes `path` with one folder a table. It appears whole or, after an error, not at all.
// Errors: Invalid when `path` is there and not empty, IOError when tpchgen-cli is missing
// or fails.
arrow::Status Generate(const GenerateOptions& options);

}  // namespace ballista::tpch
