// Rows that a client uploads: part of Session.
#include "ballista/base/status.h"
#include "ballista/sql/error_conversion.h"
#include "ballista/sql/result_conversion.h"
#include "ballista/sql/session_internal.h"

namespace ballista::sql {
namespace {

using duckdb::CatalogType;

std::string Quoted(const std::string& name) {
  return duckdb::KeywordHelper::WriteQuoted(name, '"');
}

std::string FullName(const IngestTarget& target) {
  std::string text;
  if (!target.catalog.empty()) text += Quoted(target.catalog) + ".";
  if (!target.schema.empty()) text += Quoted(target.schema) + ".";
  return text + Quoted(target.table);
}

arrow::Status CatalogError(const std::string& sentence) {
  return UserErrorStatus(UserError::CATALOG, sentence);
}

}  // namespace

// Whether the table is there. Errors: it must not be, must be, or takes no rows.
arrow::Result<bool> Session::FindIngestTarget(const IngestTarget& target) {
  if (target.table.empty()) return CatalogError("the upload names no table");
  const std::string temp = "temp";
  if (target.temporary &&
      (!target.schema.empty() || (!target.catalog.empty() && target.catalog != temp))) {
    return CatalogError("a temporary table has no catalog and no schema: leave " +
                        FullName(target) + "'s out");
  }
  bool exists = false;
  bool table = false;
  connection_.context->RunFunctionInTransaction([&] {
    const auto is_there = [&](CatalogType type) {
      const auto entry = duckdb::Catalog::GetEntry(
          *connection_.context, target.temporary ? temp : target.catalog, target.schema,
          duckdb::EntryLookupInfo(type, target.table),
          duckdb::OnEntryNotFound::RETURN_NULL);
      return entry != nullptr && entry->type == type;
    };
    table = is_there(CatalogType::TABLE_ENTRY);
    exists = table || is_there(CatalogType::VIEW_ENTRY);
  });
  if (!exists && !target.create) {
    return CatalogError("Table with name " + target.table + " does not exist!");
  }
  if (exists && target.if_exists == IngestTarget::IfExists::kFail) {
    return CatalogError("Table with name \"" + target.table + "\" already exists!");
  }
  if (exists && !table) {
    return CatalogError(target.table +
                        " is a view or an external table, which takes no rows; upload "
                        "them to a table of another name");
  }
  return exists;
}

arrow::Result<Session::Parsed> Session::IngestStatement(const IngestTarget& target,
                                                        bool exists,
                                                        const arrow::Schema& columns,
                                                        ArrowSource& source) {
  auto node = duckdb::make_uniq<duckdb::SelectNode>();
  node->from_table = source.MakeTableRef();
  std::string names;
  for (int i = 0; i < columns.num_fields(); ++i) {
    const auto& name = columns.field(i)->name();
    auto column = duckdb::make_uniq<duckdb::ColumnRefExpression>("c" + std::to_string(i));
    column->SetAlias(name);
    node->select_list.push_back(std::move(column));
    if (i > 0) names += ", ";
    names += Quoted(name);
  }
  auto select = duckdb::make_uniq<duckdb::SelectStatement>();
  select->node = std::move(node);
  if (exists && target.if_exists == IngestTarget::IfExists::kAppend) {
    ARROW_ASSIGN_OR_RAISE(auto parsed, Parse("INSERT INTO " + FullName(target) + " (" +
                                             names + ") SELECT 1"));
    parsed.at(0)->Cast<duckdb::InsertStatement>().select_statement = std::move(select);
    return std::move(parsed.at(0));
  }
  ARROW_ASSIGN_OR_RAISE(
      auto parsed, Parse(std::string("CREATE ") + (exists ? "OR REPLACE " : "") +
                         (target.temporary ? "TEMP " : "") + "TABLE " + FullName(target) +
                         " AS SELECT 1"));
  auto& create = parsed.at(0)->Cast<duckdb::CreateStatement>();
  create.info->Cast<duckdb::CreateTableInfo>().query = std::move(select);
  return std::move(parsed.at(0));
}

arrow::Status Session::CheckIngest(const IngestTarget& target) {
  Guard guard(*this, false);
  ARROW_RETURN_NOT_OK(guard.status());
  return Guarded([&]() -> arrow::Status { return FindIngestTarget(target).status(); });
}

arrow::Status Session::Ingest(const IngestTarget& target,
                              const std::shared_ptr<arrow::Table>& rows) {
  Guard guard(*this, true);
  ARROW_RETURN_NOT_OK(guard.status());
  return Guarded([&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(const bool exists, FindIngestTarget(target));
    if (rows->num_columns() == 0) return CatalogError("the upload has no columns");
    ArrowSource source(rows);
    ARROW_ASSIGN_OR_RAISE(auto statement,
                          IngestStatement(target, exists, *rows->schema(), source));
    return RunHere(std::move(statement), {}, false, "INGEST").status();
  });
}

}  // namespace ballista::sql
