#include "ballista/sql/upload_writer.h"

#include <filesystem>
#include <system_error>

#include "ballista/base/status.h"
#include "ballista/sql/error_conversion.h"
#include "ballista/sql/external_table.h"
#include "ballista/sql/names_internal.h"
#include "ballista/sql/result_conversion.h"

namespace ballista::sql {
namespace {

using duckdb::LogicalType;
using duckdb::LogicalTypeId;

// Of the rows of one file, which are in memory already.
constexpr const char* kMemoryLimit = "512MiB";
// Each is opened by who plans a query over the table.
constexpr size_t kMaxFiles = 4096;

bool SameName(const std::string& a, const std::string& b) {
  return duckdb::StringUtil::CIEquals(a, b);
}

// Whether a value of the type comes out of a Parquet file as it went in, but for a cast
// to the type.
bool ParquetKeeps(const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::BOOLEAN:
    case LogicalTypeId::TINYINT:
    case LogicalTypeId::SMALLINT:
    case LogicalTypeId::INTEGER:
    case LogicalTypeId::BIGINT:
    case LogicalTypeId::UTINYINT:
    case LogicalTypeId::USMALLINT:
    case LogicalTypeId::UINTEGER:
    case LogicalTypeId::UBIGINT:
    case LogicalTypeId::FLOAT:
    case LogicalTypeId::DOUBLE:
    case LogicalTypeId::DECIMAL:
    case LogicalTypeId::VARCHAR:
    case LogicalTypeId::BLOB:
    case LogicalTypeId::DATE:
    case LogicalTypeId::TIME:
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_SEC:
    case LogicalTypeId::TIMESTAMP_MS:
    case LogicalTypeId::TIMESTAMP_NS:
    case LogicalTypeId::TIMESTAMP_TZ:
    case LogicalTypeId::UUID:
    case LogicalTypeId::ENUM:
      return true;
    case LogicalTypeId::LIST:
      return ParquetKeeps(duckdb::ListType::GetChildType(type));
    case LogicalTypeId::ARRAY:
      return ParquetKeeps(duckdb::ArrayType::GetChildType(type));
    case LogicalTypeId::MAP:
      return ParquetKeeps(duckdb::MapType::KeyType(type)) &&
             ParquetKeeps(duckdb::MapType::ValueType(type));
    case LogicalTypeId::STRUCT: {
      const auto& fields = duckdb::StructType::GetChildTypes(type);
      return !fields.empty() &&
             std::all_of(fields.begin(), fields.end(),
                         [](const auto& field) { return ParquetKeeps(field.second); });
    }
    default:
      return false;
  }
}

// Its text says all of the value, and can be cast back.
bool TextKeeps(const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::SQLNULL:
    case LogicalTypeId::HUGEINT:
    case LogicalTypeId::UHUGEINT:
    case LogicalTypeId::INTERVAL:
    case LogicalTypeId::TIME_TZ:
    case LogicalTypeId::TIME_NS:
    case LogicalTypeId::BIT:
    case LogicalTypeId::BIGNUM:
      return true;
    default:
      return false;
  }
}

duckdb::unique_ptr<duckdb::ParsedExpression> Cast(
    const LogicalType& type, duckdb::unique_ptr<duckdb::ParsedExpression> value) {
  return duckdb::make_uniq<duckdb::CastExpression>(type, std::move(value));
}

arrow::Status CatalogError(const std::string& sentence) {
  return UserErrorStatus(UserError::CATALOG, sentence);
}

}  // namespace

bool IsUploadedTable(const duckdb::CatalogEntry& entry) {
  const auto tag = entry.tags.find(kExternalTag);
  return tag != entry.tags.end() && tag->second == kUploadedFormat;
}

arrow::Result<std::unique_ptr<UploadWriter>> UploadWriter::Make(
    UploadedTable table, const arrow::Schema& schema) {
  return Guarded([&]() -> arrow::Result<std::unique_ptr<UploadWriter>> {
    duckdb::DBConfig config;
    config.SetOptionByName("threads", duckdb::Value::INTEGER(1));
    config.SetOptionByName("memory_limit", duckdb::Value(kMemoryLimit));
    config.SetOptionByName("temp_directory", duckdb::Value(""));
    config.SetOptionByName("autoinstall_known_extensions", duckdb::Value::BOOLEAN(false));
    config.SetOptionByName("autoload_known_extensions", duckdb::Value::BOOLEAN(false));
    auto database = std::make_unique<duckdb::DuckDB>(nullptr, &config);
    std::unique_ptr<UploadWriter> writer(
        new UploadWriter(std::move(table), std::move(database)));
    if (writer->table_.columns.empty()) ARROW_RETURN_NOT_OK(writer->FindColumns(schema));
    ARROW_RETURN_NOT_OK(writer->CheckTypes());
    return writer;
  });
}

UploadWriter::~UploadWriter() {
  for (const auto& path : written_) table_.upload->Remove(path);
}

arrow::Status UploadWriter::FindColumns(const arrow::Schema& schema) {
  ARROW_ASSIGN_OR_RAISE(auto none,
                        arrow::Table::MakeEmpty(std::make_shared<arrow::Schema>(schema)));
  ArrowSource source(none);
  auto node = duckdb::make_uniq<duckdb::SelectNode>();
  node->from_table = source.MakeTableRef();
  node->select_list.push_back(duckdb::make_uniq<duckdb::StarExpression>());
  auto select = duckdb::make_uniq<duckdb::SelectStatement>();
  select->node = std::move(node);
  const auto prepared = connection_.Prepare(std::move(select));
  if (prepared->HasError()) return ToStatus(prepared->GetErrorObject());
  const auto& types = prepared->GetTypes();
  for (int i = 0; i < schema.num_fields(); ++i) {
    const auto& name = schema.field(i)->name();
    for (const auto& other : table_.columns) {
      if (SameName(other.name, name)) {
        return CatalogError("the upload has two columns of the name " + name);
      }
    }
    auto type = types.at(static_cast<size_t>(i));
    // As in a table of DuckDB's.
    if (type.id() == LogicalTypeId::SQLNULL) type = LogicalType::INTEGER;
    table_.columns.push_back({name, std::move(type)});
  }
  return arrow::Status::OK();
}

arrow::Status UploadWriter::CheckTypes() const {
  for (const auto& column : table_.columns) {
    if (ParquetKeeps(column.type) || TextKeeps(column.type)) continue;
    return UserErrorStatus(UserError::NOT_SUPPORTED,
                           "the column " + column.name + " is of the type " +
                               column.type.ToString() +
                               ", which a table that is too large for memory cannot "
                               "have; cast it, or upload less");
  }
  return arrow::Status::OK();
}

arrow::Result<duckdb::unique_ptr<duckdb::SelectNode>> UploadWriter::Select(
    const arrow::Schema& schema) const {
  for (const auto& field : schema.fields()) {
    const bool known = std::any_of(
        table_.columns.begin(), table_.columns.end(),
        [&](const auto& column) { return SameName(column.name, field->name()); });
    if (!known) {
      return CatalogError("the table does not have a column with the name \"" +
                          field->name() + "\"");
    }
  }
  auto node = duckdb::make_uniq<duckdb::SelectNode>();
  for (size_t i = 0; i < table_.columns.size(); ++i) {
    const auto& [name, type] = table_.columns[i];
    duckdb::unique_ptr<duckdb::ParsedExpression> value =
        duckdb::make_uniq<duckdb::ConstantExpression>(duckdb::Value());
    for (int j = 0; j < schema.num_fields(); ++j) {
      if (!SameName(name, schema.field(j)->name())) continue;
      value = duckdb::make_uniq<duckdb::ColumnRefExpression>("c" + std::to_string(j));
    }
    value = Cast(type, std::move(value));
    if (TextKeeps(type)) value = Cast(LogicalType::VARCHAR, std::move(value));
    value->SetAlias("c" + std::to_string(i));
    node->select_list.push_back(std::move(value));
  }
  return node;
}

arrow::Status UploadWriter::Add(const std::shared_ptr<arrow::Table>& rows) {
  if (files() >= kMaxFiles) {
    return UserErrorStatus(UserError::NOT_SUPPORTED,
                           "an uploaded table has at most " + std::to_string(kMaxFiles) +
                               " files; append rows in larger pieces");
  }
  return Guarded([&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(auto node, Select(*rows->schema()));
    ArrowSource source(rows);
    node->from_table = source.MakeTableRef();
    auto select = duckdb::make_uniq<duckdb::SelectStatement>();
    select->node = std::move(node);
    ARROW_ASSIGN_OR_RAISE(const auto file, table_.upload->NewFile());
    duckdb::Parser parser;
    parser.ParseQuery("COPY (SELECT 1) TO " + duckdb::Value(file).ToSQLString() +
                      " (FORMAT parquet)");
    auto copy = std::move(parser.statements.at(0));
    copy->Cast<duckdb::CopyStatement>().info->select_statement = std::move(select->node);
    const auto done = connection_.Query(std::move(copy));
    if (done->HasError()) {
      std::error_code ignored;
      std::filesystem::remove(file, ignored);
      return ToStatus(done->GetErrorObject());
    }
    ARROW_ASSIGN_OR_RAISE(auto path, table_.upload->Keep(file));
    written_.push_back(std::move(path));
    return arrow::Status::OK();
  });
}

std::string UploadWriter::ViewText() const {
  std::string columns;
  for (size_t i = 0; i < table_.columns.size(); ++i) {
    const auto& [name, type] = table_.columns[i];
    columns += (i == 0 ? "" : ", ") + ("CAST(c" + std::to_string(i)) + " AS " +
               type.ToString() + ") AS " + Quoted(name);
  }
  std::string files;
  for (const auto* paths : {&table_.paths, &written_}) {
    for (const auto& path : *paths) {
      files += (files.empty() ? "" : ", ") + duckdb::Value(path).ToSQLString();
    }
  }
  return "AS SELECT " + columns + " FROM read_parquet([" + files + "])";
}

}  // namespace ballista::sql
