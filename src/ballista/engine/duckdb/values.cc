#include <cstring>

#include "ballista/base/status.h"
#include "ballista/engine/duckdb/types.h"

namespace ballista::engine {
namespace {

using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::Value;

arrow::Status BadValue(const plan::Value& value) {
  return InternalStatus("a constant of the plan does not fit its type: " +
                        value.ShortDebugString().substr(0, 200));
}

duckdb::hugeint_t WideBits(const std::string& bytes) {
  duckdb::hugeint_t wide;
  std::memcpy(&wide.lower, bytes.data(), 8);
  std::memcpy(&wide.upper, bytes.data() + 8, 8);
  return wide;
}

duckdb::hugeint_t UuidFromBytes(const std::string& bytes) {
  return duckdb::BaseUUID::FromBlob(duckdb::const_data_ptr_cast(bytes.data()));
}

arrow::Result<Value> FromInt(int64_t v, const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::DATE:
      return Value::DATE(duckdb::date_t(static_cast<int32_t>(v)));
    case LogicalTypeId::TIME:
      return Value::TIME(duckdb::dtime_t(v));
    case LogicalTypeId::TIME_NS:
      return Value::TIME_NS(duckdb::dtime_ns_t(v));
    case LogicalTypeId::TIME_TZ:
      return Value::TIMETZ(duckdb::dtime_tz_t(static_cast<uint64_t>(v)));
    case LogicalTypeId::TIMESTAMP:
      return Value::TIMESTAMP(duckdb::timestamp_t(v));
    case LogicalTypeId::TIMESTAMP_SEC:
      return Value::TIMESTAMPSEC(duckdb::timestamp_sec_t(v));
    case LogicalTypeId::TIMESTAMP_MS:
      return Value::TIMESTAMPMS(duckdb::timestamp_ms_t(v));
    case LogicalTypeId::TIMESTAMP_NS:
      return Value::TIMESTAMPNS(duckdb::timestamp_ns_t(v));
    case LogicalTypeId::TIMESTAMP_TZ:
      return Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(v));
    case LogicalTypeId::ENUM:
      return Value::ENUM(static_cast<uint64_t>(v), type);
    case LogicalTypeId::DECIMAL: {
      const uint8_t width = duckdb::DecimalType::GetWidth(type);
      const uint8_t scale = duckdb::DecimalType::GetScale(type);
      switch (type.InternalType()) {
        case duckdb::PhysicalType::INT16:
          return Value::DECIMAL(static_cast<int16_t>(v), width, scale);
        case duckdb::PhysicalType::INT32:
          return Value::DECIMAL(static_cast<int32_t>(v), width, scale);
        case duckdb::PhysicalType::INT64:
          return Value::DECIMAL(v, width, scale);
        default:
          return Value::DECIMAL(duckdb::hugeint_t(v), width, scale);
      }
    }
    default:
      return Value::Numeric(type, v);
  }
}

arrow::Result<Value> FromWide(const std::string& bytes, const LogicalType& type,
                              const plan::Value& value) {
  if (bytes.size() != 16) return BadValue(value);
  switch (type.id()) {
    case LogicalTypeId::HUGEINT:
      return Value::HUGEINT(WideBits(bytes));
    case LogicalTypeId::UHUGEINT: {
      const auto bits = WideBits(bytes);
      duckdb::uhugeint_t wide;
      wide.lower = bits.lower;
      wide.upper = static_cast<uint64_t>(bits.upper);
      return Value::UHUGEINT(wide);
    }
    case LogicalTypeId::UUID:
      return Value::UUID(UuidFromBytes(bytes));
    case LogicalTypeId::DECIMAL:
      if (type.InternalType() != duckdb::PhysicalType::INT128) return BadValue(value);
      return Value::DECIMAL(WideBits(bytes), duckdb::DecimalType::GetWidth(type),
                            duckdb::DecimalType::GetScale(type));
    default:
      return BadValue(value);
  }
}

Value FromBytes(const std::string& bytes, const LogicalType& type) {
  const auto* data = duckdb::const_data_ptr_cast(bytes.data());
  switch (type.id()) {
    case LogicalTypeId::BIT:
      return Value::BIT(data, bytes.size());
    case LogicalTypeId::BIGNUM:
      return Value::BIGNUM(data, bytes.size());
    default:
      return Value::BLOB(data, bytes.size());
  }
}

arrow::Result<Value> FromNested(const plan::NestedValue& nested, const LogicalType& type,
                                const plan::Value& value) {
  duckdb::vector<Value> children;
  for (const auto& child : nested.values()) {
    ARROW_ASSIGN_OR_RAISE(auto converted, ToDuckDbValue(child));
    children.push_back(std::move(converted));
  }
  switch (type.id()) {
    case LogicalTypeId::LIST:
      return Value::LIST(duckdb::ListType::GetChildType(type), std::move(children));
    case LogicalTypeId::ARRAY:
      return Value::ARRAY(duckdb::ArrayType::GetChildType(type), std::move(children));
    case LogicalTypeId::STRUCT:
      if (children.size() != duckdb::StructType::GetChildCount(type)) {
        return BadValue(value);
      }
      return Value::STRUCT(type, std::move(children));
    case LogicalTypeId::MAP: {
      if (children.size() % 2 != 0) return BadValue(value);
      duckdb::vector<Value> keys;
      duckdb::vector<Value> values;
      for (size_t i = 0; i < children.size(); i += 2) {
        keys.push_back(std::move(children[i]));
        values.push_back(std::move(children[i + 1]));
      }
      return Value::MAP(duckdb::MapType::KeyType(type), duckdb::MapType::ValueType(type),
                        std::move(keys), std::move(values));
    }
    case LogicalTypeId::UNION: {
      auto members = duckdb::UnionType::CopyMemberTypes(type);
      if (children.size() != 1 || nested.union_tag() >= members.size()) {
        return BadValue(value);
      }
      return Value::UNION(std::move(members), static_cast<uint8_t>(nested.union_tag()),
                          std::move(children[0]));
    }
    default:
      return BadValue(value);
  }
}

arrow::Result<Value> Convert(const plan::Value& value, const LogicalType& type) {
  switch (value.kind_case()) {
    case plan::Value::kBoolean:
      return Value::BOOLEAN(value.boolean());
    case plan::Value::kInt:
      return FromInt(value.int_(), type);
    case plan::Value::kUint:
      return Value::UBIGINT(value.uint()).DefaultCastAs(type);
    case plan::Value::kWide:
      return FromWide(value.wide(), type, value);
    case plan::Value::kFloat:
      return Value::FLOAT(value.float_());
    case plan::Value::kDouble:
      return Value::DOUBLE(value.double_());
    case plan::Value::kVarchar:
      return Value(value.varchar());
    case plan::Value::kBlob:
      return FromBytes(value.blob(), type);
    case plan::Value::kInterval:
      return Value::INTERVAL(value.interval().months(), value.interval().days(),
                             value.interval().micros());
    case plan::Value::kNested:
      return FromNested(value.nested(), type, value);
    default:
      return Value(type);
  }
}

}  // namespace

arrow::Result<Value> ToDuckDbValue(const plan::Value& value) {
  ARROW_ASSIGN_OR_RAISE(auto type, ToLogicalType(value.type()));
  try {
    ARROW_ASSIGN_OR_RAISE(auto result, Convert(value, type));
    if (result.type().InternalType() != type.InternalType()) return BadValue(value);
    if (!type.GetAlias().empty()) result.Reinterpret(type);
    return result;
  } catch (const std::exception& e) {
    return BadValue(value).WithMessage(BadValue(value).message(), ": ", e.what());
  }
}

}  // namespace ballista::engine
