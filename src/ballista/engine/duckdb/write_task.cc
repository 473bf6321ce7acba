// COPY ... TO: a task writes its files below a hidden folder beside their final place,
// and gives one row that says which file is to be renamed to what when the job commits:
//
//   rows BIGINT, staged VARCHAR[], final VARCHAR[]
//
// `staged[i]` becomes `final[i]`; both are absolute or relative as the plan's path is.
// Files have the task's name in them, so that tasks, attempts and jobs never collide.
#include <filesystem>

#include "ballista/base/status.h"
#include "ballista/engine/duckdb/task_runner.h"
#include "ballista/engine/duckdb/types.h"

namespace ballista::engine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStagingFolder = ".ballista-staging";

// Where a task's files are made, and where they will be.
struct WritePlace {
  fs::path staging;
  fs::path target;     // folder
  fs::path copy_path;  // what COPY is given
};

std::string FilePrefix(const std::string& task_name) {
  return "part-" + task_name;
}

WritePlace PlaceFor(const plan::Write& write, const std::string& task_name) {
  WritePlace place;
  const fs::path path(write.path());
  if (write.single_file()) {
    place.target = path.parent_path();
    place.staging = place.target / kStagingFolder / task_name;
    place.copy_path = place.staging / path.filename();
    return place;
  }
  place.target = path;
  place.staging = place.target / kStagingFolder / task_name;
  place.copy_path = write.partition_by_size() > 0
                        ? place.staging
                        : place.staging / (FilePrefix(task_name) + "." + write.format());
  return place;
}

arrow::Result<duckdb::unique_ptr<duckdb::CopyStatement>> MakeCopy(
    const plan::Write& write, const std::string& task_name, const WritePlace& place,
    duckdb::unique_ptr<duckdb::SelectStatement> select) {
  auto& columns = select->node->Cast<duckdb::SelectNode>().select_list;
  if (write.names_size() != static_cast<int>(columns.size())) {
    return InternalStatus("a write has another number of names than columns");
  }
  for (int i = 0; i < write.names_size(); ++i) columns[i]->SetAlias(write.names(i));
  auto copy = duckdb::make_uniq<duckdb::CopyStatement>();
  auto& info = *copy->info;
  info.is_from = false;
  info.format = write.format();
  info.is_format_auto_detected = false;
  info.file_path = place.copy_path.string();
  for (const auto& option : write.options()) {
    duckdb::vector<duckdb::Value> values;
    if (option.value().kind_case() != plan::Value::KIND_NOT_SET) {
      ARROW_ASSIGN_OR_RAISE(auto value, ToDuckDbValue(option.value()));
      values.push_back(std::move(value));
    }
    info.options[option.name()] = std::move(values);
  }
  if (write.partition_by_size() > 0) {
    duckdb::vector<duckdb::Value> keys;
    for (uint32_t key : write.partition_by()) {
      if (key >= static_cast<uint32_t>(write.names_size())) {
        return InternalStatus("a write is partitioned by a column that it lacks");
      }
      keys.emplace_back(write.names(static_cast<int>(key)));
    }
    info.options["partition_by"] = std::move(keys);
    info.options["filename_pattern"] = {duckdb::Value(FilePrefix(task_name) + "-{i}")};
    info.options["overwrite_or_ignore"] = {duckdb::Value::BOOLEAN(true)};
  }
  info.select_statement = std::move(select->node);
  return copy;
}

// Paths of the files below `staging`, sorted, and what they are to be called.
arrow::Status ListFiles(const WritePlace& place, duckdb::vector<duckdb::Value>* staged,
                        duckdb::vector<duckdb::Value>* final_paths) {
  std::error_code error;
  std::vector<fs::path> files;
  for (fs::recursive_directory_iterator it(place.staging, error), end;
       !error && it != end; it.increment(error)) {
    if (it->is_regular_file()) files.push_back(it->path());
  }
  if (error) {
    return arrow::Status::IOError("the folder ", place.staging.string(),
                                  " cannot be listed: ", error.message());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    staged->emplace_back(file.string());
    final_paths->emplace_back(
        (place.target / file.lexically_relative(place.staging)).string());
  }
  return arrow::Status::OK();
}

duckdb::unique_ptr<duckdb::SelectStatement> OneRow(duckdb::vector<duckdb::Value> row) {
  auto select = duckdb::make_uniq<duckdb::SelectNode>();
  select->from_table = duckdb::make_uniq<duckdb::EmptyTableRef>();
  for (auto& value : row) {
    auto type = value.type();
    select->select_list.push_back(duckdb::make_uniq<duckdb::CastExpression>(
        type, duckdb::make_uniq<duckdb::ConstantExpression>(std::move(value))));
  }
  auto statement = duckdb::make_uniq<duckdb::SelectStatement>();
  statement->node = std::move(select);
  return statement;
}

}  // namespace

arrow::Status TaskRunner::RunWrite(const plan::Node& node) {
  const auto& write = node.write();
  if (write.path().find("://") != std::string::npos) {
    return UserErrorStatus(UserError::NOT_SUPPORTED,
                           "COPY TO writes to local and mounted file systems only, not "
                           "to " +
                               write.path());
  }
  if (node.inputs_size() != 1 || task_.task_name.empty()) {
    return InternalStatus("a write without input or task name");
  }
  if (engine_.guard != nullptr) ARROW_RETURN_NOT_OK(engine_.guard->Check(write.path()));
  const WritePlace place = PlaceFor(write, task_.task_name);
  std::error_code error;
  fs::remove_all(place.staging, error);
  // Another task that ends may take away the folder above, where it is empty.
  for (int tries = 0; tries < 5; ++tries) {
    fs::create_directories(place.staging, error);
    if (!error) break;
  }
  if (error) {
    return arrow::Status::IOError("the folder ", place.staging.string(),
                                  " cannot be made: ", error.message());
  }
  auto run = [&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(auto select, CompileWriteInput(node.inputs(0), Sources()));
    ARROW_ASSIGN_OR_RAISE(auto copy,
                          MakeCopy(write, task_.task_name, place, std::move(select)));
    ARROW_ASSIGN_OR_RAISE(auto result, Execute(std::move(copy)));
    // Those of the COPY: what follows is one row of counts.
    KeepOperatorMetrics();
    auto chunk = result->Fetch();
    auto rows =
        chunk && chunk->size() > 0 ? chunk->GetValue(0, 0) : duckdb::Value::BIGINT(0);
    duckdb::vector<duckdb::Value> staged;
    duckdb::vector<duckdb::Value> final_paths;
    ARROW_RETURN_NOT_OK(ListFiles(place, &staged, &final_paths));
    const auto text = duckdb::LogicalType::VARCHAR;
    return ExecuteIntoSink(OneRow({rows.DefaultCastAs(duckdb::LogicalType::BIGINT),
                                   duckdb::Value::LIST(text, std::move(staged)),
                                   duckdb::Value::LIST(text, std::move(final_paths))}));
  };
  auto status = run();
  if (status.ok() && state_.cancelled) {
    status = CancelledStatus("the task was cancelled", Cancelled::UNKNOWN);
  }
  if (!status.ok()) {
    fs::remove_all(place.staging, error);
    fs::remove(place.staging.parent_path(), error);  // where no other task is writing
  }
  return status;
}

}  // namespace ballista::engine
