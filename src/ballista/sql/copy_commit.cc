#include "ballista/sql/copy_commit.h"

#include <arrow/scalar.h>

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <system_error>

#include "ballista/base/status.h"

namespace ballista::sql {
namespace {

namespace fs = std::filesystem;

// Of the hidden folder that holds a folder for each task.
constexpr const char* kStagingFolder = ".ballista-staging";

arrow::Status Rename(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  if (!error) fs::rename(from, to, error);
  if (!error) return arrow::Status::OK();
  return arrow::Status::IOError("the file ", to.string(),
                                " could not be put in place: ", error.message());
}

// The hidden folder above a staged file; empty: there is none.
fs::path StagingFolderOf(const fs::path& staged) {
  fs::path folder;
  for (const auto& part : staged) {
    folder /= part;
    if (part == kStagingFolder) return folder;
  }
  return {};
}

// Removes what is left below: the job's own folders, and the hidden folder once it is
// empty (another COPY may be writing there).
void RemoveEmptyFolders(const fs::path& staging) {
  std::error_code error;
  std::set<fs::path> folders;
  for (fs::recursive_directory_iterator it(staging, error), end; !error && it != end;
       it.increment(error)) {
    if (it->is_directory(error)) folders.insert(it->path());
  }
  for (auto it = folders.rbegin(); it != folders.rend(); ++it) fs::remove(*it, error);
  fs::remove(staging, error);
}

arrow::Result<std::shared_ptr<arrow::Array>> PathsAt(const arrow::ChunkedArray& column,
                                                     int64_t row) {
  ARROW_ASSIGN_OR_RAISE(auto scalar, column.GetScalar(row));
  if (scalar->type->id() != arrow::Type::LIST || !scalar->is_valid) {
    return InternalStatus("a task did not say which files it wrote");
  }
  return static_cast<const arrow::ListScalar&>(*scalar).value;
}

std::string_view TextOf(const arrow::Scalar& scalar) {
  return static_cast<const arrow::StringScalar&>(scalar).view();
}

}  // namespace

arrow::Result<int64_t> CommitCopy(const arrow::Table& written) {
  if (written.num_columns() != 3) {
    return InternalStatus("a COPY gave " + std::to_string(written.num_columns()) +
                          " columns");
  }
  int64_t rows = 0;
  std::set<fs::path> staging_folders;
  for (int64_t task = 0; task < written.num_rows(); ++task) {
    ARROW_ASSIGN_OR_RAISE(auto count, written.column(0)->GetScalar(task));
    rows += static_cast<const arrow::Int64Scalar&>(*count).value;
    ARROW_ASSIGN_OR_RAISE(auto staged, PathsAt(*written.column(1), task));
    ARROW_ASSIGN_OR_RAISE(auto final_paths, PathsAt(*written.column(2), task));
    for (int64_t i = 0; i < staged->length(); ++i) {
      ARROW_ASSIGN_OR_RAISE(auto from, staged->GetScalar(i));
      ARROW_ASSIGN_OR_RAISE(auto to, final_paths->GetScalar(i));
      const fs::path from_path(TextOf(*from));
      ARROW_RETURN_NOT_OK(Rename(from_path, fs::path(TextOf(*to))));
      const auto folder = StagingFolderOf(from_path);
      if (!folder.empty()) staging_folders.insert(folder);
    }
  }
  for (const auto& folder : staging_folders) RemoveEmptyFolders(folder);
  return rows;
}

void AbandonCopy(const plan::Write& write, const std::string& job_id) {
  const fs::path path(write.path());
  const fs::path staging =
      (write.single_file() ? path.parent_path() : path) / kStagingFolder;
  std::error_code error;
  for (fs::directory_iterator it(staging, error), end; !error && it != end;
       it.increment(error)) {
    // A task's folder has the task's name, which begins with the job's id.
    if (it->path().filename().string().starts_with(job_id)) {
      std::error_code ignored;
      fs::remove_all(it->path(), ignored);
    }
  }
  fs::remove(staging, error);  // where no other COPY is writing
}

}  // namespace ballista::sql
