// Rows that a client uploads: part of Session.
#include <arrow/util/byte_size.h>

#include "ballista/base/status.h"
#include "ballista/sql/error_conversion.h"
#include "ballista/sql/names_internal.h"
#include "ballista/sql/result_conversion.h"
#include "ballista/sql/session_internal.h"

namespace ballista::sql {
namespace {

using duckdb::CatalogType;

std::string FullName(const IngestTarget& target) {
  return QualifiedName(target.catalog, target.schema, target.table);
}

arrow::Status CatalogError(const std::string& sentence) {
  return UserErrorStatus(UserError::CATALOG, sentence);
}

}  // namespace

// What the target is at the moment; one that is the session's own is marked as temporary.
// Errors: it must not be there, must be, or takes no rows.
arrow::Result<Session::Found> Session::FindIngestTarget(IngestTarget* target) {
  if (target->table.empty()) return CatalogError("the upload names no table");
  const std::string temp = "temp";
  if (target->temporary && (!target->schema.empty() ||
                            (!target->catalog.empty() && target->catalog != temp))) {
    return CatalogError("a temporary table has no catalog and no schema: leave " +
                        FullName(*target) + "'s out");
  }
  Found found = Found::kNothing;
  bool other = false;
  connection_.context->RunFunctionInTransaction([&] {
    const auto look = [&](CatalogType type) {
      const auto entry = duckdb::Catalog::GetEntry(
          *connection_.context, target->temporary ? temp : target->catalog,
          target->schema, duckdb::EntryLookupInfo(type, target->table),
          duckdb::OnEntryNotFound::RETURN_NULL);
      if (!entry || entry->type != type) return;
      if (type == CatalogType::TABLE_ENTRY) {
        found = Found::kTable;
      } else if (IsUploadedTable(*entry)) {
        found = Found::kUploadedTable;
      } else {
        other = true;
        return;
      }
      target->temporary = target->temporary || entry->ParentCatalog().GetName() == temp;
    };
    look(CatalogType::TABLE_ENTRY);
    if (found == Found::kNothing) look(CatalogType::VIEW_ENTRY);
  });
  const bool exists = other || found != Found::kNothing;
  if (!exists && !target->create) {
    return CatalogError("Table with name " + target->table + " does not exist!");
  }
  if (exists && target->if_exists == IngestTarget::IfExists::kFail) {
    return CatalogError("Table with name \"" + target->table + "\" already exists!");
  }
  if (other) {
    return CatalogError(target->table +
                        " is a view or an external table, which takes no rows; upload "
                        "them to a table of another name");
  }
  return found;
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

// Whether the rows would make the table too large for a query to take along; by the size
// of a row of these.
arrow::Result<bool> Session::OutgrowsMemory(const IngestTarget& target,
                                            const arrow::Table& rows) {
  if (engine_->uploads == nullptr || rows.num_rows() == 0) return false;
  uint64_t there = 0;
  connection_.context->RunFunctionInTransaction([&] {
    auto entry = duckdb::Catalog::GetEntry(
        *connection_.context, target.temporary ? "temp" : target.catalog, target.schema,
        duckdb::EntryLookupInfo(CatalogType::TABLE_ENTRY, target.table),
        duckdb::OnEntryNotFound::RETURN_NULL);
    there = entry->Cast<duckdb::DuckTableEntry>().GetStorage().GetTotalRows();
  });
  const auto bytes = static_cast<double>(arrow::util::TotalBufferSize(rows));
  const double of_row = bytes / static_cast<double>(rows.num_rows());
  return of_row * static_cast<double>(there) + bytes > double{kMaxLocalTableBytes};
}

arrow::Status Session::CheckIngest(const IngestTarget& wanted) {
  Guard guard(*this, false);
  ARROW_RETURN_NOT_OK(guard.status());
  auto target = wanted;
  return Guarded([&]() -> arrow::Status { return FindIngestTarget(&target).status(); });
}

arrow::Status Session::Ingest(const IngestTarget& wanted,
                              const std::shared_ptr<arrow::Table>& rows) {
  Guard guard(*this, true);
  ARROW_RETURN_NOT_OK(guard.status());
  auto target = wanted;
  return Guarded([&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(const auto found, FindIngestTarget(&target));
    if (rows->num_columns() == 0) return CatalogError("the upload has no columns");
    const bool appends = target.if_exists == IngestTarget::IfExists::kAppend;
    bool to_files = found == Found::kUploadedTable && appends;
    if (found == Found::kTable && appends) {
      ARROW_ASSIGN_OR_RAISE(to_files, OutgrowsMemory(target, *rows));
    }
    if (to_files) {
      if (rows->num_rows() == 0) return arrow::Status::OK();
      return IngestToFiles(target, found, rows);
    }
    ArrowSource source(rows);
    ARROW_ASSIGN_OR_RAISE(auto statement, IngestStatement(target, found == Found::kTable,
                                                          *rows->schema(), source));
    if (found != Found::kUploadedTable) {
      return RunHere(std::move(statement), {}, false, "INGEST").status();
    }
    ARROW_RETURN_NOT_OK(ReplaceUploadedTable(target, std::move(statement)));
    return arrow::Status::OK();
  });
}

}  // namespace ballista::sql
