#include "ballista/sql/folder_files.h"

#include <filesystem>
#include <map>
#include <set>

#include "ballista/base/status.h"
#include "ballista/sql/statement_text.h"

namespace ballista::sql {
namespace {

using duckdb::StatementType;

const std::map<std::string, std::vector<std::string>>& Extensions() {
  static const std::map<std::string, std::vector<std::string>> extensions = {
      {"parquet", {".parquet", ".pq", ".parq"}},
      {"csv", {".csv", ".csv.gz", ".csv.zst", ".tsv", ".tbl", ".txt"}},
      {"json", {".json", ".ndjson", ".jsonl", ".json.gz", ".ndjson.gz", ".jsonl.gz"}}};
  return extensions;
}

// By format: the extensions that its files in the folder have.
using UsedExtensions = std::map<std::string, std::set<std::string>>;

arrow::Result<UsedExtensions> ListExtensions(const std::string& folder) {
  UsedExtensions used;
  std::error_code error;
  std::filesystem::recursive_directory_iterator files(folder, error), end;
  for (; !error && files != end; files.increment(error)) {
    const auto name = files->path().filename().string();
    for (const auto& [format, extensions] : Extensions()) {
      for (const auto& extension : extensions) {
        if (duckdb::StringUtil::EndsWith(name, extension)) used[format].insert(extension);
      }
    }
  }
  if (error) {
    return UserErrorStatus(UserError::NOT_FOUND,
                           "cannot read the folder " + folder + ": " + error.message());
  }
  return used;
}

std::string Glob(const std::string& folder, const std::string& extension) {
  return (folder == "/" ? "" : folder) + "/**/*" + extension;
}

// The one glob over what a folder holds. Parquet is taken where it is: what else lies
// beside it is seldom data.
arrow::Result<std::string> FolderGlob(std::string folder) {
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  ARROW_ASSIGN_OR_RAISE(auto used, ListExtensions(folder));
  if (used.empty()) {
    return UserErrorStatus(UserError::NOT_FOUND,
                           "the folder " + folder + " has no Parquet, CSV or JSON file");
  }
  const auto parquet = used.find("parquet");
  const auto& [format, extensions] = parquet == used.end() ? *used.begin() : *parquet;
  if ((parquet == used.end() && used.size() > 1) || extensions.size() > 1) {
    return UserErrorStatus(UserError::NOT_FOUND,
                           "the folder " + folder +
                               " has files of several kinds; say which by a glob: '" +
                               Glob(folder, *extensions.begin()) + "'");
  }
  return Glob(folder, *extensions.begin());
}

void ForEachQuery(duckdb::SQLStatement* statement,
                  const std::function<void(duckdb::QueryNode&)>& visit) {
  const auto select = [&](duckdb::SQLStatement& inner) {
    if (inner.type == StatementType::SELECT_STATEMENT) {
      visit(*inner.Cast<duckdb::SelectStatement>().node);
    }
  };
  switch (statement->type) {
    case StatementType::SELECT_STATEMENT:
      return select(*statement);
    case StatementType::EXPLAIN_STATEMENT:
      return ForEachQuery(statement->Cast<duckdb::ExplainStatement>().stmt.get(), visit);
    case StatementType::PREPARE_STATEMENT:
      return ForEachQuery(statement->Cast<duckdb::PrepareStatement>().statement.get(),
                          visit);
    case StatementType::COPY_STATEMENT: {
      auto& info = *statement->Cast<duckdb::CopyStatement>().info;
      if (info.select_statement) visit(*info.select_statement);
      return;
    }
    case StatementType::INSERT_STATEMENT: {
      auto& insert = statement->Cast<duckdb::InsertStatement>();
      if (insert.select_statement) select(*insert.select_statement);
      return;
    }
    case StatementType::CREATE_STATEMENT: {
      auto& info = *statement->Cast<duckdb::CreateStatement>().info;
      if (info.type == duckdb::CatalogType::TABLE_ENTRY) {
        auto& table = info.Cast<duckdb::CreateTableInfo>();
        if (table.query) select(*table.query);
      } else if (info.type == duckdb::CatalogType::VIEW_ENTRY) {
        auto& view = info.Cast<duckdb::CreateViewInfo>();
        if (view.query) select(*view.query);
      }
      return;
    }
    default:
      return;
  }
}

arrow::Status ExpandFolder(duckdb::BaseTableRef* ref, const security::PathGuard* guard) {
  const auto path = ref->table_name;
  if (!ref->catalog_name.empty() || !ref->schema_name.empty() ||
      path.find('/') == std::string::npos || path.find("://") != std::string::npos ||
      path.find_first_of("*?[") != std::string::npos) {
    return arrow::Status::OK();
  }
  // A table may have such a name, too; one of a root it is not.
  if (guard != nullptr && !guard->Allows(path)) {
    return path[0] == '/' ? guard->Check(path) : arrow::Status::OK();
  }
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return arrow::Status::OK();
  ARROW_ASSIGN_OR_RAISE(ref->table_name, FolderGlob(path));
  if (ref->alias.empty()) {
    auto folder = std::filesystem::path(path);
    if (!folder.has_filename()) folder = folder.parent_path();
    ref->alias = folder.filename().string();
  }
  return arrow::Status::OK();
}

}  // namespace

arrow::Result<std::vector<std::string>> FolderGlobs(const std::string& folder,
                                                    const std::string& format) {
  ARROW_ASSIGN_OR_RAISE(auto used, ListExtensions(folder));
  std::vector<std::string> globs;
  for (const auto& extension : used[format]) globs.push_back(Glob(folder, extension));
  if (globs.empty()) {
    return UserErrorStatus(UserError::NOT_FOUND,
                           "the folder " + folder + " has no file of format " + format);
  }
  return globs;
}

arrow::Status ExpandFolders(duckdb::SQLStatement* statement,
                            const security::PathGuard* guard) {
  arrow::Status result;
  ParsedVisitor visitor;
  visitor.on_table = [&](duckdb::BaseTableRef& ref) {
    if (result.ok()) result = ExpandFolder(&ref, guard);
  };
  ForEachQuery(statement, [&](duckdb::QueryNode& node) { visitor.Visit(node); });
  return result;
}

}  // namespace ballista::sql
