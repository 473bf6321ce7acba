#include "ballista/engine/duckdb/types.h"

#include <cstring>

#include "ballista/base/status.h"

namespace ballista::engine {
namespace {

using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using plan::Type;

LogicalTypeId SimpleTypeId(Type::Id id) {
  switch (id) {
    case Type::NULL_TYPE:
      return LogicalTypeId::SQLNULL;
    case Type::BOOLEAN:
      return LogicalTypeId::BOOLEAN;
    case Type::TINYINT:
      return LogicalTypeId::TINYINT;
    case Type::SMALLINT:
      return LogicalTypeId::SMALLINT;
    case Type::INTEGER:
      return LogicalTypeId::INTEGER;
    case Type::BIGINT:
      return LogicalTypeId::BIGINT;
    case Type::HUGEINT:
      return LogicalTypeId::HUGEINT;
    case Type::UTINYINT:
      return LogicalTypeId::UTINYINT;
    case Type::USMALLINT:
      return LogicalTypeId::USMALLINT;
    case Type::UINTEGER:
      return LogicalTypeId::UINTEGER;
    case Type::UBIGINT:
      return LogicalTypeId::UBIGINT;
    case Type::UHUGEINT:
      return LogicalTypeId::UHUGEINT;
    case Type::FLOAT:
      return LogicalTypeId::FLOAT;
    case Type::DOUBLE:
      return LogicalTypeId::DOUBLE;
    case Type::VARCHAR:
      return LogicalTypeId::VARCHAR;
    case Type::BLOB:
      return LogicalTypeId::BLOB;
    case Type::BIT:
      return LogicalTypeId::BIT;
    case Type::UUID:
      return LogicalTypeId::UUID;
    case Type::DATE:
      return LogicalTypeId::DATE;
    case Type::TIME:
      return LogicalTypeId::TIME;
    case Type::TIME_NS:
      return LogicalTypeId::TIME_NS;
    case Type::TIME_TZ:
      return LogicalTypeId::TIME_TZ;
    case Type::TIMESTAMP:
      return LogicalTypeId::TIMESTAMP;
    case Type::TIMESTAMP_S:
      return LogicalTypeId::TIMESTAMP_SEC;
    case Type::TIMESTAMP_MS:
      return LogicalTypeId::TIMESTAMP_MS;
    case Type::TIMESTAMP_NS:
      return LogicalTypeId::TIMESTAMP_NS;
    case Type::TIMESTAMP_TZ:
      return LogicalTypeId::TIMESTAMP_TZ;
    case Type::INTERVAL:
      return LogicalTypeId::INTERVAL;
    case Type::BIGNUM:
      return LogicalTypeId::BIGNUM;
    case Type::ANY:
      return LogicalTypeId::ANY;
    case Type::LAMBDA:
      return LogicalTypeId::LAMBDA;
    default:
      return LogicalTypeId::INVALID;
  }
}

arrow::Status BadType(const Type& type) {
  return InternalStatus("the plan has a malformed type: " + type.ShortDebugString());
}

LogicalType EnumType(const Type& type) {
  duckdb::Vector values(LogicalType::VARCHAR, type.names_size());
  auto* data = duckdb::FlatVector::GetData<duckdb::string_t>(values);
  for (int i = 0; i < type.names_size(); ++i) {
    data[i] = duckdb::StringVector::AddStringOrBlob(values, type.names(i));
  }
  return LogicalType::ENUM(values, type.names_size());
}

arrow::Result<LogicalType> NestedType(const Type& type) {
  duckdb::child_list_t<LogicalType> children;
  for (int i = 0; i < type.children_size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(auto child, ToLogicalType(type.children(i)));
    children.emplace_back(i < type.names_size() ? type.names(i) : "", std::move(child));
  }
  const size_t count = children.size();
  switch (type.id()) {
    case Type::LIST:
      if (count != 1) return BadType(type);
      return LogicalType::LIST(children[0].second);
    case Type::ARRAY:
      if (count != 1 || type.array_size() == 0 || type.array_size() > 100000) {
        return BadType(type);
      }
      return LogicalType::ARRAY(children[0].second, type.array_size());
    case Type::MAP:
      if (count != 2) return BadType(type);
      return LogicalType::MAP(children[0].second, children[1].second);
    case Type::STRUCT:
      if (count == 0) return BadType(type);
      return LogicalType::STRUCT(std::move(children));
    case Type::UNION:
      if (count == 0 || count > 256) return BadType(type);
      return LogicalType::UNION(std::move(children));
    default:
      return BadType(type);
  }
}

}  // namespace

arrow::Result<LogicalType> ToLogicalType(const Type& type) {
  LogicalType result;
  switch (type.id()) {
    case Type::DECIMAL:
      if (type.precision() < 1 || type.precision() > 38 ||
          type.scale() > type.precision()) {
        return BadType(type);
      }
      result = LogicalType::DECIMAL(static_cast<uint8_t>(type.precision()),
                                    static_cast<uint8_t>(type.scale()));
      break;
    case Type::ENUM:
      result = EnumType(type);
      break;
    case Type::LIST:
    case Type::ARRAY:
    case Type::MAP:
    case Type::STRUCT:
    case Type::UNION: {
      ARROW_ASSIGN_OR_RAISE(result, NestedType(type));
      break;
    }
    default:
      result = LogicalType(SimpleTypeId(type.id()));
      if (result.id() == LogicalTypeId::INVALID) return BadType(type);
  }
  if (type.alias() == "JSON" && type.id() == Type::VARCHAR) return LogicalType::JSON();
  if (!type.alias().empty()) result.SetAlias(type.alias());
  return result;
}

arrow::Result<duckdb::vector<LogicalType>> ToLogicalTypes(
    const google::protobuf::RepeatedPtrField<Type>& types) {
  duckdb::vector<LogicalType> result;
  for (const auto& type : types) {
    ARROW_ASSIGN_OR_RAISE(auto logical, ToLogicalType(type));
    result.push_back(std::move(logical));
  }
  return result;
}

namespace {

std::shared_ptr<arrow::Field> ExchangeField(const std::string& name,
                                            const LogicalType& type) {
  return arrow::field(name, ExchangeType(type));
}

std::shared_ptr<arrow::DataType> ExchangeDecimal(const LogicalType& type) {
  const int width = duckdb::DecimalType::GetWidth(type);
  const int scale = duckdb::DecimalType::GetScale(type);
  if (width <= 9) return arrow::decimal32(width, scale);
  if (width <= 18) return arrow::decimal64(width, scale);
  return arrow::decimal128(width, scale);
}

std::shared_ptr<arrow::DataType> ExchangeEnum(const LogicalType& type) {
  switch (type.InternalType()) {
    case duckdb::PhysicalType::UINT8:
      return arrow::uint8();
    case duckdb::PhysicalType::UINT16:
      return arrow::uint16();
    default:
      return arrow::uint32();
  }
}

std::shared_ptr<arrow::DataType> ExchangeNested(const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::LIST:
      return arrow::list(ExchangeType(duckdb::ListType::GetChildType(type)));
    case LogicalTypeId::ARRAY:
      return arrow::fixed_size_list(
          ExchangeType(duckdb::ArrayType::GetChildType(type)),
          static_cast<int32_t>(duckdb::ArrayType::GetSize(type)));
    case LogicalTypeId::MAP:
      return arrow::map(ExchangeType(duckdb::MapType::KeyType(type)),
                        ExchangeType(duckdb::MapType::ValueType(type)));
    default: {
      // STRUCT, and UNION, which DuckDB stores as a struct whose first field is the tag.
      arrow::FieldVector fields;
      for (const auto& child : duckdb::StructType::GetChildTypes(type)) {
        fields.push_back(ExchangeField(child.first, child.second));
      }
      return arrow::struct_(std::move(fields));
    }
  }
}

}  // namespace

std::shared_ptr<arrow::DataType> ExchangeType(const LogicalType& type) {
  using Unit = arrow::TimeUnit;
  switch (type.id()) {
    case LogicalTypeId::SQLNULL:
      return arrow::null();
    case LogicalTypeId::BOOLEAN:
      return arrow::boolean();
    case LogicalTypeId::TINYINT:
      return arrow::int8();
    case LogicalTypeId::SMALLINT:
      return arrow::int16();
    case LogicalTypeId::INTEGER:
      return arrow::int32();
    case LogicalTypeId::BIGINT:
      return arrow::int64();
    case LogicalTypeId::UTINYINT:
      return arrow::uint8();
    case LogicalTypeId::USMALLINT:
      return arrow::uint16();
    case LogicalTypeId::UINTEGER:
      return arrow::uint32();
    case LogicalTypeId::UBIGINT:
    case LogicalTypeId::TIME_TZ:
      return arrow::uint64();
    case LogicalTypeId::HUGEINT:
    case LogicalTypeId::UHUGEINT:
      return arrow::decimal128(38, 0);
    case LogicalTypeId::FLOAT:
      return arrow::float32();
    case LogicalTypeId::DOUBLE:
      return arrow::float64();
    case LogicalTypeId::DECIMAL:
      return ExchangeDecimal(type);
    case LogicalTypeId::VARCHAR:
      return arrow::utf8();
    case LogicalTypeId::BLOB:
    case LogicalTypeId::BIT:
    case LogicalTypeId::BIGNUM:
      return arrow::binary();
    case LogicalTypeId::UUID:
      return arrow::fixed_size_binary(16);
    case LogicalTypeId::DATE:
      return arrow::date32();
    case LogicalTypeId::TIME:
      return arrow::time64(Unit::MICRO);
    case LogicalTypeId::TIME_NS:
      return arrow::time64(Unit::NANO);
    case LogicalTypeId::TIMESTAMP:
      return arrow::timestamp(Unit::MICRO);
    case LogicalTypeId::TIMESTAMP_SEC:
      return arrow::timestamp(Unit::SECOND);
    case LogicalTypeId::TIMESTAMP_MS:
      return arrow::timestamp(Unit::MILLI);
    case LogicalTypeId::TIMESTAMP_NS:
      return arrow::timestamp(Unit::NANO);
    case LogicalTypeId::TIMESTAMP_TZ:
      return arrow::timestamp(Unit::MICRO, "UTC");
    case LogicalTypeId::INTERVAL:
      return arrow::struct_({arrow::field("months", arrow::int32()),
                             arrow::field("days", arrow::int32()),
                             arrow::field("micros", arrow::int64())});
    case LogicalTypeId::ENUM:
      return ExchangeEnum(type);
    default:
      return ExchangeNested(type);
  }
}

std::shared_ptr<arrow::Schema> ExchangeSchema(const duckdb::vector<LogicalType>& types) {
  arrow::FieldVector fields;
  for (size_t i = 0; i < types.size(); ++i) {
    fields.push_back(ExchangeField("c" + std::to_string(i), types[i]));
  }
  return arrow::schema(std::move(fields));
}

bool SameLayout(const LogicalType& a, const LogicalType& b) {
  if (a.id() != b.id() || a.InternalType() != b.InternalType()) return false;
  switch (a.id()) {
    case LogicalTypeId::DECIMAL:
      return duckdb::DecimalType::GetWidth(a) == duckdb::DecimalType::GetWidth(b) &&
             duckdb::DecimalType::GetScale(a) == duckdb::DecimalType::GetScale(b);
    case LogicalTypeId::LIST:
    case LogicalTypeId::MAP:
      return SameLayout(duckdb::ListType::GetChildType(a),
                        duckdb::ListType::GetChildType(b));
    case LogicalTypeId::ARRAY:
      return duckdb::ArrayType::GetSize(a) == duckdb::ArrayType::GetSize(b) &&
             SameLayout(duckdb::ArrayType::GetChildType(a),
                        duckdb::ArrayType::GetChildType(b));
    case LogicalTypeId::STRUCT:
    case LogicalTypeId::UNION: {
      const auto& left = duckdb::StructType::GetChildTypes(a);
      const auto& right = duckdb::StructType::GetChildTypes(b);
      if (left.size() != right.size()) return false;
      for (size_t i = 0; i < left.size(); ++i) {
        if (!SameLayout(left[i].second, right[i].second)) return false;
      }
      return true;
    }
    case LogicalTypeId::ENUM:
      return duckdb::EnumType::GetSize(a) == duckdb::EnumType::GetSize(b);
    default:
      return true;
  }
}

LogicalType ResultType(const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::VARCHAR:
    case LogicalTypeId::BIT:
    case LogicalTypeId::BIGNUM:
      return LogicalType::VARCHAR;
    case LogicalTypeId::LIST:
      return LogicalType::LIST(ResultType(duckdb::ListType::GetChildType(type)));
    case LogicalTypeId::ARRAY:
      return LogicalType::ARRAY(ResultType(duckdb::ArrayType::GetChildType(type)),
                                duckdb::ArrayType::GetSize(type));
    case LogicalTypeId::MAP:
      return LogicalType::MAP(ResultType(duckdb::MapType::KeyType(type)),
                              ResultType(duckdb::MapType::ValueType(type)));
    case LogicalTypeId::STRUCT: {
      duckdb::child_list_t<LogicalType> children;
      for (const auto& child : duckdb::StructType::GetChildTypes(type)) {
        children.emplace_back(child.first, ResultType(child.second));
      }
      return LogicalType::STRUCT(std::move(children));
    }
    default:
      return type;
  }
}

arrow::Result<std::shared_ptr<arrow::Schema>> ResultSchema(
    const duckdb::vector<LogicalType>& result_types,
    const std::vector<std::string>& names, duckdb::ClientProperties properties) {
  duckdb::vector<std::string> columns(names.begin(), names.end());
  while (columns.size() < result_types.size()) {
    columns.push_back("c" + std::to_string(columns.size()));
  }
  ArrowSchema schema;
  duckdb::ArrowConverter::ToArrowSchema(&schema, result_types, columns, properties);
  return arrow::ImportSchema(&schema);
}

}  // namespace ballista::engine
