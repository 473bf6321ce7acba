// Runs other programs and finds them.
#pragma once

#include <arrow/result.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace ballista::tpch {

// Runs `arguments` (the program's path first) to its end, with standard input, output and
// error of this process. Returns its exit code, 128 + the signal's number where one ended
// it. Error: IOError when it cannot be started.
arrow::Result<int> Run(const std::vector<std::string>& arguments);

// The same, and its standard output.
struct Output {
  int exit_code = 0;
  std::string text;
};
arrow::Result<Output> RunAndRead(const std::vector<std::string>& arguments);

// A program by its name: in the folder of this program, in the pinned dependencies of the
// source tree that this program was built in (.deps/venv/bin), then on PATH.
std::optional<std::filesystem::path> FindProgram(const std::string& name);

// The source tree that this program was built in (<tree>/<build>/bin/tpch); nothing where
// it stands elsewhere.
std::optional<std::filesystem::path> FindSourceTree();

}  // namespace ballista::tpch
