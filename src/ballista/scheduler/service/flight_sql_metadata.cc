#include "ballista/scheduler/service/flight_sql_metadata.h"

#include <arrow/array/builder_binary.h>
#include <arrow/chunked_array.h>
#include <arrow/ipc/writer.h>
#include <arrow/scalar.h>

#include <utility>
#include <vector>

#include "ballista/base/status.h"
#include "ballista/flight_sql.pb.h"
#include "ballista/scheduler/service/sql_info.h"

namespace ballista::scheduler {
namespace {

namespace sqlp = arrow::flight::protocol::sql;
using arrow::field;
using arrow::int32;
using arrow::utf8;
using SchemaPtr = std::shared_ptr<arrow::Schema>;
using TablePtr = std::shared_ptr<arrow::Table>;

template <typename Message>
std::optional<Message> Unpack(const google::protobuf::Any& any) {
  Message message;
  if (!any.Is<Message>() || !any.UnpackTo(&message)) return std::nullopt;
  return message;
}

SchemaPtr CatalogsSchema() {
  return arrow::schema({field("catalog_name", utf8(), false)});
}

SchemaPtr DbSchemasSchema() {
  return arrow::schema(
      {field("catalog_name", utf8()), field("db_schema_name", utf8(), false)});
}

SchemaPtr TablesSchema(bool with_schema) {
  arrow::FieldVector fields = {
      field("catalog_name", utf8()), field("db_schema_name", utf8()),
      field("table_name", utf8(), false), field("table_type", utf8(), false)};
  if (with_schema) fields.push_back(field("table_schema", arrow::binary(), false));
  return arrow::schema(std::move(fields));
}

SchemaPtr TableTypesSchema() {
  return arrow::schema({field("table_type", utf8(), false)});
}

SchemaPtr PrimaryKeysSchema() {
  return arrow::schema(
      {field("catalog_name", utf8()), field("db_schema_name", utf8()),
       field("table_name", utf8(), false), field("column_name", utf8(), false),
       field("key_sequence", int32(), false), field("key_name", utf8())});
}

SchemaPtr ForeignKeysSchema() {
  return arrow::schema(
      {field("pk_catalog_name", utf8()), field("pk_db_schema_name", utf8()),
       field("pk_table_name", utf8(), false), field("pk_column_name", utf8(), false),
       field("fk_catalog_name", utf8()), field("fk_db_schema_name", utf8()),
       field("fk_table_name", utf8(), false), field("fk_column_name", utf8(), false),
       field("key_sequence", int32(), false), field("fk_key_name", utf8()),
       field("pk_key_name", utf8()), field("update_rule", arrow::uint8(), false),
       field("delete_rule", arrow::uint8(), false)});
}

arrow::Result<TablePtr> EmptyTable(const SchemaPtr& schema) {
  return arrow::Table::MakeEmpty(schema);
}

std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') quoted += '\'';
    quoted += c;
  }
  return quoted + "'";
}

// Runs a catalog query, which gives its rows at once, and gives them the specified
// schema.
arrow::Result<TablePtr> CatalogQuery(sql::SqlSession* session, const std::string& sql,
                                     const SchemaPtr& schema) {
  ARROW_ASSIGN_OR_RAISE(auto statement, session->Compile(sql));
  if (statement.kind != sql::Statement::Kind::kRows) {
    return InternalStatus("a catalog query became a job: " + sql);
  }
  std::vector<std::shared_ptr<arrow::ChunkedArray>> columns;
  for (int i = 0; i < schema->num_fields(); ++i) {
    ARROW_ASSIGN_OR_RAISE(auto column,
                          statement.rows->column(i)->View(schema->field(i)->type()));
    columns.push_back(std::move(column));
  }
  return arrow::Table::Make(schema, std::move(columns), statement.rows->num_rows());
}

// As information_schema.tables has them.
arrow::Result<TablePtr> TableTypes() {
  arrow::StringBuilder types;
  ARROW_RETURN_NOT_OK(types.AppendValues({"BASE TABLE", "LOCAL TEMPORARY", "VIEW"}));
  ARROW_ASSIGN_OR_RAISE(auto array, types.Finish());
  return arrow::Table::Make(TableTypesSchema(), {array});
}

arrow::Result<TablePtr> DbSchemas(sql::SqlSession* session,
                                  const sqlp::CommandGetDbSchemas& command) {
  std::string sql =
      "SELECT catalog_name::VARCHAR, schema_name::VARCHAR FROM "
      "information_schema.schemata WHERE catalog_name NOT IN ('system', 'temp')";
  if (command.has_catalog()) sql += " AND catalog_name = " + Quoted(command.catalog());
  if (command.has_db_schema_filter_pattern()) {
    sql += " AND schema_name LIKE " + Quoted(command.db_schema_filter_pattern()) +
           " ESCAPE '\\'";
  }
  return CatalogQuery(session, sql + " ORDER BY 1, 2", DbSchemasSchema());
}

std::string QuotedIdentifier(const std::string& name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

// The Arrow schema of a table, as an encapsulated IPC message.
arrow::Result<std::string> TableSchemaBytes(sql::SqlSession* session,
                                            const std::string& name) {
  auto described = session->Describe("SELECT * FROM " + name);
  // A table whose files are gone still lists, without columns.
  const auto schema =
      described.ok() ? described->schema : arrow::schema(arrow::FieldVector{});
  ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::ipc::SerializeSchema(*schema));
  return buffer->ToString();
}

arrow::Result<TablePtr> Tables(sql::SqlSession* session,
                               const sqlp::CommandGetTables& command) {
  std::string sql =
      "SELECT table_catalog::VARCHAR, table_schema::VARCHAR, table_name::VARCHAR, "
      "table_type::VARCHAR FROM information_schema.tables WHERE true";
  if (command.has_catalog()) sql += " AND table_catalog = " + Quoted(command.catalog());
  if (command.has_db_schema_filter_pattern()) {
    sql += " AND table_schema LIKE " + Quoted(command.db_schema_filter_pattern()) +
           " ESCAPE '\\'";
  }
  if (command.has_table_name_filter_pattern()) {
    sql += " AND table_name LIKE " + Quoted(command.table_name_filter_pattern()) +
           " ESCAPE '\\'";
  }
  if (command.table_types_size() > 0) {
    std::string types;
    for (const auto& type : command.table_types()) {
      types += (types.empty() ? "" : ", ") + Quoted(type);
    }
    sql += " AND table_type IN (" + types + ")";
  }
  sql += " ORDER BY 4, 1, 2, 3";
  ARROW_ASSIGN_OR_RAISE(auto rows, CatalogQuery(session, sql, TablesSchema(false)));
  if (!command.include_schema()) return rows;
  arrow::BinaryBuilder schemas;
  for (int64_t i = 0; i < rows->num_rows(); ++i) {
    std::string name;
    for (int column = 0; column < 3; ++column) {
      ARROW_ASSIGN_OR_RAISE(auto part, rows->column(column)->GetScalar(i));
      name += (column > 0 ? "." : "") + QuotedIdentifier(part->ToString());
    }
    ARROW_ASSIGN_OR_RAISE(const auto bytes, TableSchemaBytes(session, name));
    ARROW_RETURN_NOT_OK(schemas.Append(bytes));
  }
  ARROW_ASSIGN_OR_RAISE(auto array, schemas.Finish());
  return rows->AddColumn(4, TablesSchema(true)->field(4),
                         std::make_shared<arrow::ChunkedArray>(std::move(array)));
}

}  // namespace

arrow::Result<std::shared_ptr<arrow::Schema>> MetadataSchema(
    const google::protobuf::Any& command) {
  if (command.Is<sqlp::CommandGetCatalogs>()) return CatalogsSchema();
  if (command.Is<sqlp::CommandGetDbSchemas>()) return DbSchemasSchema();
  if (const auto tables = Unpack<sqlp::CommandGetTables>(command)) {
    return TablesSchema(tables->include_schema());
  }
  if (command.Is<sqlp::CommandGetTableTypes>()) return TableTypesSchema();
  if (command.Is<sqlp::CommandGetPrimaryKeys>()) return PrimaryKeysSchema();
  if (command.Is<sqlp::CommandGetExportedKeys>() ||
      command.Is<sqlp::CommandGetImportedKeys>() ||
      command.Is<sqlp::CommandGetCrossReference>()) {
    return ForeignKeysSchema();
  }
  if (command.Is<sqlp::CommandGetSqlInfo>()) return SqlInfoSchema();
  if (command.Is<sqlp::CommandGetXdbcTypeInfo>()) return XdbcTypeInfoSchema();
  return nullptr;
}

arrow::Result<std::shared_ptr<arrow::Table>> MetadataRows(
    sql::SqlSession* session, const google::protobuf::Any& command) {
  if (command.Is<sqlp::CommandGetCatalogs>()) {
    return CatalogQuery(session,
                        "SELECT DISTINCT catalog_name::VARCHAR FROM "
                        "information_schema.schemata WHERE catalog_name NOT IN "
                        "('system', 'temp') ORDER BY 1",
                        CatalogsSchema());
  }
  if (const auto schemas = Unpack<sqlp::CommandGetDbSchemas>(command)) {
    return DbSchemas(session, *schemas);
  }
  if (const auto tables = Unpack<sqlp::CommandGetTables>(command)) {
    return Tables(session, *tables);
  }
  if (command.Is<sqlp::CommandGetTableTypes>()) {
    return TableTypes();
  }
  if (const auto info = Unpack<sqlp::CommandGetSqlInfo>(command)) {
    return SqlInfoRows(*info);
  }
  if (const auto types = Unpack<sqlp::CommandGetXdbcTypeInfo>(command)) {
    return XdbcTypeInfoRows(*types);
  }
  ARROW_ASSIGN_OR_RAISE(auto schema, MetadataSchema(command));
  if (schema == nullptr) {
    return arrow::Status::Invalid("not a metadata command: ", command.type_url());
  }
  return EmptyTable(schema);  // keys: there are none
}

}  // namespace ballista::scheduler
