#include "generate.h"

#include <fmt/format.h>
#include <unistd.h>

#include <string>

#include "child_process.h"

namespace ballista::tpch {
namespace {

namespace fs = std::filesystem;
using arrow::Status;

// tpchgen-cli leaves files that are there as they are, so data of two scales would mix.
Status CheckTarget(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error) || fs::is_empty(path, error)) return Status::OK();
  return Status::Invalid(fmt::format(
      "{} is there and not empty; remove it or name another --path", path.string()));
}

}  // namespace

Status Generate(const GenerateOptions& options) {
  ARROW_RETURN_NOT_OK(CheckTarget(options.path));
  const auto program = FindProgram("tpchgen-cli");
  if (!program) {
    return Status::IOError(
        "tpchgen-cli, which makes the data, is not found beside this program, in "
        ".deps/venv/bin or on PATH; scripts/setup or `pip install tpchgen-cli` installs "
        "it");
  }
  const auto target = fs::absolute(options.path).lexically_normal();
  const auto name = target.has_filename() ? target : target.parent_path();
  const auto unfinished =
      fs::path(fmt::format("{}.unfinished-{}", name.string(), ::getpid()));
  std::error_code error;
  fs::create_directories(unfinished, error);
  if (error) {
    return Status::IOError(
        fmt::format("{} cannot be made: {}", unfinished.string(), error.message()));
  }
  const auto exit_code = Run(
      {program->string(), "parquet", "--scale-factor", fmt::format("{}", options.scale),
       "--parts", std::to_string(options.parts), "--output-dir", unfinished.string()});
  if (exit_code.ok() && *exit_code == 0) {
    fs::rename(unfinished, name, error);
    if (!error) return Status::OK();
  }
  std::error_code ignored;
  fs::remove_all(unfinished, ignored);
  ARROW_RETURN_NOT_OK(exit_code);
  if (error) {
    return Status::IOError(
        fmt::format("{} cannot be made: {}", name.string(), error.message()));
  }
  return Status::IOError(
      fmt::format("{} failed with exit code {}", program->string(), *exit_code));
}

}  // namespace ballista::tpch
