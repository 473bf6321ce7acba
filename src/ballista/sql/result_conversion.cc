#include "ballista/sql/result_conversion.h"

#include "ballista/base/status.h"
#include "ballista/plan/plan.h"
#include "ballista/sql/error_conversion.h"
#include "ballista/sql/value_conversion.h"
#include "duckdb/common/arrow/arrow_type_extension.hpp"

namespace ballista::sql {
namespace {

arrow::Result<std::shared_ptr<arrow::Schema>> SchemaOf(const duckdb::QueryResult& result,
                                                       const std::string& time_zone) {
  std::vector<std::shared_ptr<arrow::Field>> fields;
  for (size_t i = 0; i < result.types.size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(auto type,
                          plan::ToArrowType(ToPlanType(result.types[i]), time_zone));
    fields.push_back(arrow::field(result.names[i], std::move(type)));
  }
  return arrow::schema(std::move(fields));
}

// The same buffers as `type`, which may differ in names of nested fields only.
std::shared_ptr<arrow::ArrayData> Retyped(const arrow::ArrayData& data,
                                          const std::shared_ptr<arrow::DataType>& type) {
  auto copy = data.Copy();
  copy->type = type;
  for (size_t i = 0; i < copy->child_data.size(); ++i) {
    copy->child_data[i] =
        Retyped(*copy->child_data[i], type->field(static_cast<int>(i))->type());
  }
  return copy;
}

bool SameLayout(const arrow::DataType& a, const arrow::DataType& b) {
  if (a.id() != b.id() || a.num_fields() != b.num_fields()) return false;
  for (int i = 0; i < a.num_fields(); ++i) {
    if (!SameLayout(*a.field(i)->type(), *b.field(i)->type())) return false;
  }
  return a.num_fields() > 0 || a.Equals(b) || a.id() == arrow::Type::TIMESTAMP;
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> WithSchema(
    const arrow::RecordBatch& batch, const std::shared_ptr<arrow::Schema>& schema) {
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (int i = 0; i < batch.num_columns(); ++i) {
    const auto& wanted = schema->field(i)->type();
    const auto& column = batch.column(i);
    if (column->type()->Equals(*wanted)) {
      columns.push_back(column);
    } else if (SameLayout(*column->type(), *wanted)) {
      columns.push_back(arrow::MakeArray(Retyped(*column->data(), wanted)));
    } else {
      return InternalStatus("column " + schema->field(i)->name() + " came as " +
                            column->type()->ToString() + " instead of " +
                            wanted->ToString());
    }
  }
  return arrow::RecordBatch::Make(schema, batch.num_rows(), std::move(columns));
}

// Bit strings and big numbers are text in Arrow.
duckdb::vector<duckdb::LogicalType> ExportedTypes(
    const duckdb::vector<duckdb::LogicalType>& types) {
  auto exported = types;
  for (auto& type : exported) {
    if (type.id() == duckdb::LogicalTypeId::BIT ||
        type.id() == duckdb::LogicalTypeId::BIGNUM) {
      type = duckdb::LogicalType::VARCHAR;
    }
  }
  return exported;
}

void CastChunk(duckdb::ClientContext& context, duckdb::DataChunk& from,
               duckdb::DataChunk* to) {
  for (duckdb::idx_t i = 0; i < from.ColumnCount(); ++i) {
    if (from.data[i].GetType() == to->data[i].GetType()) {
      to->data[i].Reference(from.data[i]);
    } else {
      duckdb::VectorOperations::Cast(context, from.data[i], to->data[i], from.size());
    }
  }
  to->SetCardinality(from.size());
}

}  // namespace

arrow::Result<std::shared_ptr<arrow::Table>> ToArrowTable(duckdb::ClientContext& context,
                                                          duckdb::QueryResult& result) {
  if (result.HasError()) return ToStatus(result.GetErrorObject());
  return Guarded([&]() -> arrow::Result<std::shared_ptr<arrow::Table>> {
    auto properties = context.GetClientProperties();
    ARROW_ASSIGN_OR_RAISE(auto schema, SchemaOf(result, properties.time_zone));
    duckdb::unordered_map<duckdb::idx_t,
                          const duckdb::shared_ptr<duckdb::ArrowTypeExtensionData>>
        extensions;
    const auto types = ExportedTypes(result.types);
    context.RunFunctionInTransaction([&] {
      extensions = duckdb::ArrowTypeExtensionData::GetExtensionTypes(context, types);
    });
    std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
    while (auto chunk = result.Fetch()) {
      if (chunk->size() == 0) break;
      ArrowSchema c_schema;
      ArrowArray c_array;
      context.RunFunctionInTransaction([&] {
        duckdb::DataChunk exported;
        exported.Initialize(context, types, chunk->size());
        CastChunk(context, *chunk, &exported);
        duckdb::ArrowConverter::ToArrowSchema(&c_schema, types, result.names, properties);
        duckdb::ArrowConverter::ToArrowArray(exported, &c_array, properties, extensions);
      });
      ARROW_ASSIGN_OR_RAISE(auto batch, arrow::ImportRecordBatch(&c_array, &c_schema));
      ARROW_ASSIGN_OR_RAISE(batch, WithSchema(*batch, schema));
      batches.push_back(std::move(batch));
    }
    return arrow::Table::FromRecordBatches(schema, batches);
  });
}

arrow::Result<std::string> ToIpc(const arrow::Table& table) {
  ARROW_ASSIGN_OR_RAISE(auto out, arrow::io::BufferOutputStream::Create());
  ARROW_ASSIGN_OR_RAISE(auto writer, arrow::ipc::MakeStreamWriter(out, table.schema()));
  ARROW_RETURN_NOT_OK(writer->WriteTable(table));
  ARROW_RETURN_NOT_OK(writer->Close());
  ARROW_ASSIGN_OR_RAISE(auto buffer, out->Finish());
  return buffer->ToString();
}

// ------------------------------------------------------------------ Arrow to DuckDB

namespace {

duckdb::unique_ptr<duckdb::ArrowArrayStreamWrapper> OpenSource(
    uintptr_t source, duckdb::ArrowStreamParameters&) {
  return reinterpret_cast<const ArrowSource*>(source)->Open();
}

// arrow_scan hands its first argument on, typed as a stream.
void SourceSchema(ArrowArrayStream* source, ArrowSchema& out) {
  reinterpret_cast<const ArrowSource*>(source)->ExportSchema(&out);
}

}  // namespace

duckdb::unique_ptr<duckdb::ArrowArrayStreamWrapper> ArrowSource::Open() const {
  auto wrapper = duckdb::make_uniq<duckdb::ArrowArrayStreamWrapper>();
  auto reader = std::make_shared<arrow::TableBatchReader>(table_);
  const auto status =
      arrow::ExportRecordBatchReader(std::move(reader), &wrapper->arrow_array_stream);
  if (!status.ok()) throw duckdb::InvalidInputException(status.message());
  return wrapper;
}

void ArrowSource::ExportSchema(ArrowSchema* out) const {
  const auto status = arrow::ExportSchema(*table_->schema(), out);
  if (!status.ok()) throw duckdb::InvalidInputException(status.message());
}

duckdb::unique_ptr<duckdb::TableRef> ArrowSource::MakeTableRef() {
  const auto pointer = [](auto value) {
    return duckdb::make_uniq<duckdb::ConstantExpression>(
        duckdb::Value::POINTER(reinterpret_cast<uintptr_t>(value)));
  };
  duckdb::vector<duckdb::unique_ptr<duckdb::ParsedExpression>> arguments;
  arguments.push_back(pointer(this));
  arguments.push_back(pointer(&OpenSource));
  arguments.push_back(pointer(&SourceSchema));
  auto ref = duckdb::make_uniq<duckdb::TableFunctionRef>();
  // The variant without projection pushdown: the stream gives all columns.
  ref->function = duckdb::make_uniq<duckdb::FunctionExpression>("arrow_scan_dumb",
                                                                std::move(arguments));
  ref->alias = "rows";
  for (int i = 0; i < table_->num_columns(); ++i) {
    ref->column_name_alias.push_back("c" + std::to_string(i));
  }
  return ref;
}

std::shared_ptr<arrow::Table> CountTable(int64_t count) {
  arrow::Int64Builder builder;
  std::shared_ptr<arrow::Array> array;
  const auto status = builder.Append(count);
  if (status.ok() && builder.Finish(&array).ok()) {
    return arrow::Table::Make(arrow::schema({arrow::field("Count", arrow::int64())}),
                              {array});
  }
  return nullptr;
}

}  // namespace ballista::sql
