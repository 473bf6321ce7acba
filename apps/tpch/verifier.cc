#include "verifier.h"

#include <arrow/io/file.h>
#include <arrow/ipc/writer.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "child_process.h"
#include "query_texts.h"

namespace ballista::tpch {
namespace {

namespace fs = std::filesystem;
using arrow::Status;

// A folder for the files of one comparison.
class TemporaryFolder {
 public:
  static arrow::Result<std::unique_ptr<TemporaryFolder>> Make() {
    std::error_code error;
    auto name = (fs::temp_directory_path(error) / "tpch-verify.XXXXXX").string();
    if (error || ::mkdtemp(name.data()) == nullptr) {
      return Status::IOError("no temporary folder can be made in $TMPDIR or /tmp");
    }
    return std::unique_ptr<TemporaryFolder>(new TemporaryFolder(name));
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  explicit TemporaryFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

Status WriteTable(const arrow::Table& table, const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(auto file, arrow::io::FileOutputStream::Open(path));
  ARROW_ASSIGN_OR_RAISE(auto writer, arrow::ipc::MakeStreamWriter(file, table.schema()));
  ARROW_RETURN_NOT_OK(writer->WriteTable(table));
  ARROW_RETURN_NOT_OK(writer->Close());
  return file->Close();
}

}  // namespace

arrow::Result<Verifier> Verifier::Make(std::string path) {
  const auto tree = FindSourceTree();
  if (!tree || !fs::exists(*tree / "scripts/tpch_verify.py")) {
    return Status::Invalid(
        "--verify needs scripts/tpch_verify.py, and this program does not stand in the "
        "source tree that has it");
  }
  const auto pinned = *tree / ".deps/venv/bin/python";
  const auto python = fs::exists(pinned) ? std::optional(pinned) : FindProgram("python3");
  if (python) {
    ARROW_ASSIGN_OR_RAISE(
        const auto check,
        RunAndRead({python->string(), "-c",
                    "import importlib.util as u; "
                    "print(all(map(u.find_spec, ('duckdb', 'pyarrow'))))"}));
    if (check.text == "True\n") {
      return Verifier(*python, *tree / "scripts/tpch_verify.py", std::move(path));
    }
  }
  return Status::Invalid(
      "--verify needs Python with the packages duckdb and pyarrow; scripts/setup "
      "installs "
      "them");
}

arrow::Result<std::string> Verifier::Compare(int number,
                                             const arrow::Table& result) const {
  ARROW_ASSIGN_OR_RAISE(const auto folder, TemporaryFolder::Make());
  const auto table = (folder->path() / "result.arrows").string();
  const auto query = (folder->path() / "query.sql").string();
  ARROW_RETURN_NOT_OK(WriteTable(result, table));
  std::ofstream(query) << QueryText(number);
  ARROW_ASSIGN_OR_RAISE(const auto output,
                        RunAndRead({python_.string(), script_.string(), "--path", path_,
                                    "--query", query, "--result", table}));
  if (output.exit_code == 0) return std::string();
  if (output.exit_code != 1 || output.text.empty()) {
    return Status::IOError(
        fmt::format("the comparison failed with exit code {}", output.exit_code));
  }
  return output.text.substr(0, output.text.find('\n'));
}

}  // namespace ballista::tpch
