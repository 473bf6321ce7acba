// Uploads that are too large for memory: part of Session. Their rows are Parquet files in
// the scheduler's upload folder (upload_writer.h); the table is a view over those, with a
// tag, as external tables are.
#include "ballista/base/status.h"
#include "ballista/plan/plan.h"
#include "ballista/sql/error_conversion.h"
#include "ballista/sql/external_table.h"
#include "ballista/sql/names_internal.h"
#include "ballista/sql/session_internal.h"

namespace ballista::sql {
namespace {

using duckdb::CatalogType;

std::string FullName(const IngestTarget& target) {
  return target.temporary ? QualifiedName("temp", "main", target.table)
                          : QualifiedName(target.catalog, target.schema, target.table);
}

arrow::Status Run(duckdb::Connection& connection, const std::string& sql) {
  const auto done = connection.Query(sql);
  return done->HasError() ? ToStatus(done->GetErrorObject()) : arrow::Status::OK();
}

}  // namespace

class Session::FileUpload : public SqlSession::Upload {
 public:
  FileUpload(std::shared_ptr<Session> session, IngestTarget target,
             std::unique_ptr<UploadWriter> writer)
      : session_(std::move(session)),
        target_(std::move(target)),
        writer_(std::move(writer)) {}

  arrow::Status Add(const std::shared_ptr<arrow::Table>& rows) override {
    return writer_->Add(rows);
  }

  arrow::Status Finish() override {
    Guard guard(*session_, true);
    ARROW_RETURN_NOT_OK(guard.status());
    return Guarded([&]() -> arrow::Status {
      ARROW_ASSIGN_OR_RAISE(const auto found, session_->FindIngestTarget(&target_));
      return session_->PutUploadedTable(target_, found, writer_.get());
    });
  }

  UploadWriter* writer() { return writer_.get(); }

 private:
  const std::shared_ptr<Session> session_;
  IngestTarget target_;
  const std::unique_ptr<UploadWriter> writer_;
};

Session::~Session() {
  if (engine_->uploads == nullptr) return;
  engine_->uploads->Retain(id_, [](const std::string&) { return false; });
}

arrow::Result<std::unique_ptr<SqlSession::Upload>> Session::BeginUpload(
    const IngestTarget& wanted, const std::shared_ptr<arrow::Schema>& schema) {
  Guard guard(*this, false);
  ARROW_RETURN_NOT_OK(guard.status());
  auto target = wanted;
  return Guarded([&]() -> arrow::Result<std::unique_ptr<Upload>> {
    ARROW_ASSIGN_OR_RAISE(const auto found, FindIngestTarget(&target));
    return MakeUpload(target, found, schema);
  });
}

arrow::Result<std::unique_ptr<Session::FileUpload>> Session::MakeUpload(
    const IngestTarget& target, Found found,
    const std::shared_ptr<arrow::Schema>& schema) {
  if (engine_->uploads == nullptr) {
    return ResourcesExhaustedStatus(
        "the upload to " + target.table +
            " is too large for a local table, which takes at most " +
            std::to_string(kMaxLocalTableBytes) +
            " bytes, and this scheduler keeps no larger ones (--upload-quota=0); write "
            "the rows to Parquet files that the cluster sees, and read those",
        ResourcesExhausted::MEMORY, kMaxLocalTableBytes);
  }
  if (schema->num_fields() == 0) {
    return UserErrorStatus(UserError::CATALOG, "the upload has no columns");
  }
  UploadedTable table;
  const bool appends = target.if_exists == IngestTarget::IfExists::kAppend;
  if (found != Found::kNothing && appends) {
    ARROW_ASSIGN_OR_RAISE(table, ReadUploadedTable(target));
  }
  if (table.upload == nullptr) {
    ARROW_ASSIGN_OR_RAISE(table.upload, engine_->uploads->Begin());
  }
  ARROW_ASSIGN_OR_RAISE(auto writer, UploadWriter::Make(std::move(table), *schema));
  return std::make_unique<FileUpload>(shared_from_this(), target, std::move(writer));
}

// Columns of a table of either kind; files of one that has some.
arrow::Result<UploadedTable> Session::ReadUploadedTable(const IngestTarget& target) {
  UploadedTable table;
  const auto prepared = connection_.Prepare("SELECT * FROM " + FullName(target));
  if (prepared->HasError()) return ToStatus(prepared->GetErrorObject());
  for (size_t i = 0; i < prepared->GetTypes().size(); ++i) {
    table.columns.push_back({prepared->GetNames()[i], prepared->GetTypes()[i]});
  }
  connection_.context->RunFunctionInTransaction([&] {
    auto entry = duckdb::Catalog::GetEntry(
        *connection_.context, target.temporary ? "temp" : target.catalog, target.schema,
        duckdb::EntryLookupInfo(CatalogType::VIEW_ENTRY, target.table),
        duckdb::OnEntryNotFound::RETURN_NULL);
    if (!entry || entry->type != CatalogType::VIEW_ENTRY) return;
    table.paths = catalog::UploadStore::PathsIn(
        entry->Cast<duckdb::ViewCatalogEntry>().GetQuery().ToString());
  });
  if (!table.paths.empty()) table.upload = engine_->uploads->Find(table.paths.front());
  return table;
}

// The rows of a table in memory become the first file.
arrow::Status Session::WriteTable(const IngestTarget& target, UploadWriter* writer) {
  bool plain = true;
  connection_.context->RunFunctionInTransaction([&] {
    auto& entry = duckdb::Catalog::GetEntry<duckdb::TableCatalogEntry>(
        *connection_.context, target.temporary ? "temp" : target.catalog, target.schema,
        target.table);
    plain = entry.GetConstraints().empty();
    for (const auto& column : entry.GetColumns().Logical()) {
      plain = plain && !column.Generated() && !column.HasDefaultValue();
    }
  });
  if (!plain) {
    return UserErrorStatus(
        UserError::NOT_SUPPORTED,
        "the table " + target.table +
            " would get too large for memory, and one with constraints or defaults can "
            "only be there; upload the rows to a table of another name");
  }
  ARROW_ASSIGN_OR_RAISE(auto rows, QueryHere("SELECT * FROM " + FullName(target)));
  return rows->num_rows() == 0 ? arrow::Status::OK() : writer->Add(rows);
}

// What others see changes at once, and not at all where one of the steps fails.
arrow::Status Session::RunAfter(const std::string& first, Parsed statement) {
  if (first.empty()) return RunHere(std::move(statement), {}, false, "INGEST").status();
  ARROW_RETURN_NOT_OK(Run(connection_, "BEGIN"));
  auto done = Run(connection_, first);
  if (done.ok()) done = RunHere(std::move(statement), {}, false, "INGEST").status();
  if (done.ok()) done = Run(connection_, "COMMIT");
  if (!done.ok()) (void)Run(connection_, "ROLLBACK");
  return done;
}

// Few rows take the place of a table that was too large for memory.
arrow::Status Session::ReplaceUploadedTable(const IngestTarget& target,
                                            Parsed statement) {
  ARROW_RETURN_NOT_OK(RunAfter("DROP VIEW " + FullName(target), std::move(statement)));
  SweepUploads();
  return arrow::Status::OK();
}

arrow::Status Session::IngestToFiles(const IngestTarget& target, Found found,
                                     const std::shared_ptr<arrow::Table>& rows) {
  ARROW_ASSIGN_OR_RAISE(auto upload, MakeUpload(target, found, rows->schema()));
  ARROW_RETURN_NOT_OK(upload->Add(rows));
  return PutUploadedTable(target, found, upload->writer());
}

// With the engine alone.
arrow::Status Session::PutUploadedTable(const IngestTarget& target, Found found,
                                        UploadWriter* writer) {
  const bool appends =
      found != Found::kNothing && target.if_exists == IngestTarget::IfExists::kAppend;
  if (appends && found == Found::kTable) {
    ARROW_RETURN_NOT_OK(WriteTable(target, writer));
  } else if (appends) {
    ARROW_ASSIGN_OR_RAISE(auto now, ReadUploadedTable(target));
    if (now.upload != writer->table().upload) {
      return UserErrorStatus(
          UserError::CATALOG,
          "the table " + target.table + " was replaced while rows were uploaded to it");
    }
    writer->SetOthers(std::move(now.paths));
  }
  if (writer->files() == 0) {
    return InternalStatus("an upload to files has no rows");
  }
  ARROW_ASSIGN_OR_RAISE(auto parsed,
                        Parse(std::string("CREATE OR REPLACE ") +
                              (target.temporary ? "TEMP VIEW " + Quoted(target.table)
                                                : "VIEW " + FullName(target)) +
                              " " + writer->ViewText()));
  parsed.at(0)->Cast<duckdb::CreateStatement>().info->tags[kExternalTag] =
      kUploadedFormat;
  ARROW_RETURN_NOT_OK(
      RunAfter(found == Found::kTable ? "DROP TABLE " + FullName(target) : "",
               std::move(parsed.at(0))));
  writer->Commit();
  engine_->uploads->Publish(writer->table().upload, target.temporary ? id_ : "");
  SweepUploads();
  return arrow::Status::OK();
}

void Session::SweepUploads() {
  if (engine_->uploads == nullptr || engine_->uploads->empty()) return;
  std::set<std::string> used;
  connection_.context->RunFunctionInTransaction([&] {
    auto& context = *connection_.context;
    for (auto& schema : duckdb::Catalog::GetAllSchemas(context)) {
      schema.get().Scan(context, CatalogType::VIEW_ENTRY, [&](duckdb::CatalogEntry& one) {
        if (one.internal || one.type != CatalogType::VIEW_ENTRY) return;
        const auto text = one.Cast<duckdb::ViewCatalogEntry>().GetQuery().ToString();
        for (auto& id : catalog::UploadStore::IdsIn(text)) used.insert(std::move(id));
      });
    }
  });
  const auto in_use = [&](const std::string& id) { return used.count(id) > 0; };
  engine_->uploads->Retain("", in_use);
  engine_->uploads->Retain(id_, in_use);
}

void Session::HoldUploads(Statement* statement) {
  if (engine_->uploads == nullptr || engine_->uploads->empty()) return;
  std::set<std::string> ids;
  const auto note = [&](const std::string& text) {
    for (auto& id : catalog::UploadStore::IdsIn(text)) ids.insert(std::move(id));
  };
  plan::VisitNodes(statement->plan.root(), [&](const plan::Node& node) {
    if (node.has_scan()) {
      for (const auto& file : node.scan().files()) note(file.path());
    } else if (node.has_statement()) {
      note(node.statement().sql());
      for (const auto& sql : node.statement().prelude()) note(sql);
    }
  });
  for (const auto& id : ids) {
    auto upload = engine_->uploads->Find(std::string(kUploadScheme) + id + "/");
    if (upload != nullptr) statement->holds.push_back(std::move(upload));
  }
}

namespace {

struct TableName {
  std::string catalog;
  std::string schema;
  std::string table;
};

std::optional<TableName> NameOf(const duckdb::TableRef* ref) {
  if (ref == nullptr || ref->type != duckdb::TableReferenceType::BASE_TABLE) return {};
  const auto& base = ref->Cast<duckdb::BaseTableRef>();
  return TableName{base.catalog_name, base.schema_name, base.table_name};
}

std::optional<TableName> ChangedTable(const duckdb::SQLStatement& statement) {
  switch (statement.type) {
    case duckdb::StatementType::INSERT_STATEMENT: {
      const auto& insert = statement.Cast<duckdb::InsertStatement>();
      return TableName{insert.catalog, insert.schema, insert.table};
    }
    case duckdb::StatementType::UPDATE_STATEMENT:
      return NameOf(statement.Cast<duckdb::UpdateStatement>().table.get());
    case duckdb::StatementType::DELETE_STATEMENT:
      return NameOf(statement.Cast<duckdb::DeleteStatement>().table.get());
    case duckdb::StatementType::MERGE_INTO_STATEMENT:
      return NameOf(statement.Cast<duckdb::MergeIntoStatement>().target.get());
    case duckdb::StatementType::ALTER_STATEMENT: {
      const auto& info = *statement.Cast<duckdb::AlterStatement>().info;
      return TableName{info.catalog, info.schema, info.name};
    }
    default:
      return {};
  }
}

}  // namespace

arrow::Status Session::RefuseUploadedTable(const duckdb::SQLStatement& statement) {
  if (engine_->uploads == nullptr || engine_->uploads->empty()) {
    return arrow::Status::OK();
  }
  const auto name = ChangedTable(statement);
  if (!name) return arrow::Status::OK();
  bool uploaded = false;
  connection_.context->RunFunctionInTransaction([&] {
    const auto entry = duckdb::Catalog::GetEntry(
        *connection_.context, name->catalog, name->schema,
        duckdb::EntryLookupInfo(CatalogType::VIEW_ENTRY, name->table),
        duckdb::OnEntryNotFound::RETURN_NULL);
    uploaded = entry && IsUploadedTable(*entry);
  });
  if (!uploaded) return arrow::Status::OK();
  return UserErrorStatus(
      UserError::NOT_SUPPORTED,
      "the table " + name->table +
          " was uploaded and is too large for memory: it takes no "
          "INSERT, UPDATE, DELETE or ALTER, but more rows by an upload "
          "that appends");
}

}  // namespace ballista::sql
