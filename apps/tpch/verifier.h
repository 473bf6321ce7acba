// Compares results with those of single-process DuckDB on the same files.
#pragma once

#include <arrow/result.h>
#include <arrow/table.h>

#include <filesystem>
#include <string>

namespace ballista::tpch {

// Runs scripts/tpch_verify.py of the source tree with the Python of the pinned
// dependencies. Not thread-safe.
class Verifier {
 public:
  // `path`: the folder of the tables. Error: Invalid, which says what is missing, when
  // that script or a Python with duckdb and pyarrow is not there.
  static arrow::Result<Verifier> Make(std::string path);

  // Empty when `result` is what query `number` must give, else what differs. Error:
  // IOError when the comparison cannot be made.
  arrow::Result<std::string> Compare(int number, const arrow::Table& result) const;

 private:
  Verifier(std::filesystem::path python, std::filesystem::path script, std::string path)
      : python_(std::move(python)), script_(std::move(script)), path_(std::move(path)) {}

  std::filesystem::path python_;
  std::filesystem::path script_;
  std::string path_;
};

}  // namespace ballista::tpch
