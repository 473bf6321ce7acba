#include "ballista/sql/value_conversion.h"

#include "ballista/base/status.h"
#include "ballista/plan/plan.h"
#include "ballista/sql/unsupported_internal.h"

namespace ballista::sql {
namespace {

using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::PhysicalType;
using duckdb::Value;

struct TypePair {
  LogicalTypeId engine;
  plan::Type::Id ir;
};

// Types without parameters.
constexpr TypePair kPlainTypes[] = {
    {LogicalTypeId::SQLNULL, plan::Type::NULL_TYPE},
    {LogicalTypeId::BOOLEAN, plan::Type::BOOLEAN},
    {LogicalTypeId::TINYINT, plan::Type::TINYINT},
    {LogicalTypeId::SMALLINT, plan::Type::SMALLINT},
    {LogicalTypeId::INTEGER, plan::Type::INTEGER},
    {LogicalTypeId::BIGINT, plan::Type::BIGINT},
    {LogicalTypeId::HUGEINT, plan::Type::HUGEINT},
    {LogicalTypeId::UTINYINT, plan::Type::UTINYINT},
    {LogicalTypeId::USMALLINT, plan::Type::USMALLINT},
    {LogicalTypeId::UINTEGER, plan::Type::UINTEGER},
    {LogicalTypeId::UBIGINT, plan::Type::UBIGINT},
    {LogicalTypeId::UHUGEINT, plan::Type::UHUGEINT},
    {LogicalTypeId::FLOAT, plan::Type::FLOAT},
    {LogicalTypeId::DOUBLE, plan::Type::DOUBLE},
    {LogicalTypeId::VARCHAR, plan::Type::VARCHAR},
    {LogicalTypeId::BLOB, plan::Type::BLOB},
    {LogicalTypeId::BIT, plan::Type::BIT},
    {LogicalTypeId::UUID, plan::Type::UUID},
    {LogicalTypeId::DATE, plan::Type::DATE},
    {LogicalTypeId::TIME, plan::Type::TIME},
    {LogicalTypeId::TIME_NS, plan::Type::TIME_NS},
    {LogicalTypeId::TIME_TZ, plan::Type::TIME_TZ},
    {LogicalTypeId::TIMESTAMP, plan::Type::TIMESTAMP},
    {LogicalTypeId::TIMESTAMP_SEC, plan::Type::TIMESTAMP_S},
    {LogicalTypeId::TIMESTAMP_MS, plan::Type::TIMESTAMP_MS},
    {LogicalTypeId::TIMESTAMP_NS, plan::Type::TIMESTAMP_NS},
    {LogicalTypeId::TIMESTAMP_TZ, plan::Type::TIMESTAMP_TZ},
    {LogicalTypeId::INTERVAL, plan::Type::INTERVAL},
    {LogicalTypeId::BIGNUM, plan::Type::BIGNUM},
    {LogicalTypeId::LAMBDA, plan::Type::LAMBDA},
    {LogicalTypeId::ANY, plan::Type::ANY},
};

void FillNestedType(const LogicalType& type, plan::Type* out) {
  switch (type.id()) {
    case LogicalTypeId::DECIMAL:
      out->set_id(plan::Type::DECIMAL);
      out->set_precision(duckdb::DecimalType::GetWidth(type));
      out->set_scale(duckdb::DecimalType::GetScale(type));
      return;
    case LogicalTypeId::ENUM:
      out->set_id(plan::Type::ENUM);
      for (duckdb::idx_t i = 0; i < duckdb::EnumType::GetSize(type); ++i) {
        out->add_names(duckdb::EnumType::GetString(type, i).GetString());
      }
      return;
    case LogicalTypeId::LIST:
      out->set_id(plan::Type::LIST);
      *out->add_children() = ToPlanType(duckdb::ListType::GetChildType(type));
      return;
    case LogicalTypeId::ARRAY:
      out->set_id(plan::Type::ARRAY);
      out->set_array_size(duckdb::ArrayType::GetSize(type));
      *out->add_children() = ToPlanType(duckdb::ArrayType::GetChildType(type));
      return;
    case LogicalTypeId::STRUCT:
      out->set_id(plan::Type::STRUCT);
      for (const auto& [name, child] : duckdb::StructType::GetChildTypes(type)) {
        out->add_names(name);
        *out->add_children() = ToPlanType(child);
      }
      return;
    case LogicalTypeId::MAP:
      out->set_id(plan::Type::MAP);
      *out->add_children() = ToPlanType(duckdb::MapType::KeyType(type));
      *out->add_children() = ToPlanType(duckdb::MapType::ValueType(type));
      return;
    case LogicalTypeId::UNION:
      out->set_id(plan::Type::UNION);
      for (duckdb::idx_t i = 0; i < duckdb::UnionType::GetMemberCount(type); ++i) {
        out->add_names(duckdb::UnionType::GetMemberName(type, i));
        *out->add_children() = ToPlanType(duckdb::UnionType::GetMemberType(type, i));
      }
      return;
    default:
      throw Unsupported("the type " + type.ToString() + " has no form in plans");
  }
}

void SetWide(uint64_t low, uint64_t high, plan::Value* out) {
  std::string bytes(16, '\0');
  for (int i = 0; i < 8; ++i) {
    bytes[i] = static_cast<char>(low >> (8 * i));
    bytes[8 + i] = static_cast<char>(high >> (8 * i));
  }
  out->set_wide(bytes);
}

void ReadWide(const std::string& bytes, uint64_t* low, uint64_t* high) {
  *low = *high = 0;
  for (int i = 7; i >= 0; --i) {
    *low = *low << 8 | static_cast<uint8_t>(bytes[i]);
    *high = *high << 8 | static_cast<uint8_t>(bytes[8 + i]);
  }
}

// A UUID is a HUGEINT whose sign bit is flipped, so that it sorts as it prints.
constexpr uint64_t kUuidSignBit = 1ULL << 63;

void SetUuid(const duckdb::hugeint_t& value, plan::Value* out) {
  const uint64_t high = static_cast<uint64_t>(value.upper) ^ kUuidSignBit;
  std::string bytes(16, '\0');
  for (int i = 0; i < 8; ++i) {
    bytes[i] = static_cast<char>(high >> (56 - 8 * i));
    bytes[8 + i] = static_cast<char>(value.lower >> (56 - 8 * i));
  }
  out->set_wide(bytes);
}

void SetDecimal(const Value& value, plan::Value* out) {
  const auto unscaled = duckdb::IntegralValue::Get(value);
  if (value.type().InternalType() == PhysicalType::INT128) {
    SetWide(unscaled.lower, static_cast<uint64_t>(unscaled.upper), out);
  } else {
    out->set_int_(static_cast<int64_t>(unscaled.lower));
  }
}

void SetEnum(const Value& value, plan::Value* out) {
  switch (value.type().InternalType()) {
    case PhysicalType::UINT8:
      return out->set_int_(value.GetValueUnsafe<uint8_t>());
    case PhysicalType::UINT16:
      return out->set_int_(value.GetValueUnsafe<uint16_t>());
    default:
      return out->set_int_(value.GetValueUnsafe<uint32_t>());
  }
}

void FillNestedValue(const Value& value, plan::Value* out) {
  auto* nested = out->mutable_nested();
  const auto add_all = [&](const auto& children) {
    for (const auto& child : children) *nested->add_values() = ToPlanValue(child);
  };
  switch (value.type().id()) {
    case LogicalTypeId::LIST:
      return add_all(duckdb::ListValue::GetChildren(value));
    case LogicalTypeId::ARRAY:
      return add_all(duckdb::ArrayValue::GetChildren(value));
    case LogicalTypeId::STRUCT:
      return add_all(duckdb::StructValue::GetChildren(value));
    case LogicalTypeId::MAP:
      for (const auto& entry : duckdb::MapValue::GetChildren(value)) {
        add_all(duckdb::StructValue::GetChildren(entry));
      }
      return;
    default:
      nested->set_union_tag(duckdb::UnionValue::GetTag(value));
      *nested->add_values() = ToPlanValue(duckdb::UnionValue::GetValue(value));
  }
}

}  // namespace

LogicalType StripCollation(const LogicalType& type) {
  if (type.id() == LogicalTypeId::STRING_LITERAL) return LogicalType::VARCHAR;
  if (type.id() == LogicalTypeId::INTEGER_LITERAL) {
    return duckdb::IntegerLiteral::GetType(type);
  }
  if (type.id() == LogicalTypeId::VARCHAR && !type.HasAlias() &&
      !duckdb::StringType::GetCollation(type).empty()) {
    return LogicalType::VARCHAR;
  }
  return type;
}

plan::Type ToPlanType(const LogicalType& raw) {
  const LogicalType type = StripCollation(raw);
  plan::Type out;
  if (type.HasAlias()) out.set_alias(type.GetAlias());
  for (const auto& pair : kPlainTypes) {
    if (pair.engine == type.id()) {
      out.set_id(pair.ir);
      return out;
    }
  }
  FillNestedType(type, &out);
  return out;
}

plan::Value ToPlanValue(const Value& value) {
  plan::Value out;
  *out.mutable_type() = ToPlanType(value.type());
  if (value.IsNull()) return out;
  switch (value.type().id()) {
    case LogicalTypeId::DECIMAL:
      SetDecimal(value, &out);
      return out;
    case LogicalTypeId::ENUM:
      SetEnum(value, &out);
      return out;
    case LogicalTypeId::UUID:
      SetUuid(value.GetValueUnsafe<duckdb::hugeint_t>(), &out);
      return out;
    case LogicalTypeId::BLOB:
    case LogicalTypeId::BIT:
    case LogicalTypeId::BIGNUM:
      out.set_blob(duckdb::StringValue::Get(value));
      return out;
    default:
      break;
  }
  switch (value.type().InternalType()) {
    case PhysicalType::BOOL:
      out.set_boolean(value.GetValueUnsafe<bool>());
      break;
    case PhysicalType::INT8:
      out.set_int_(value.GetValueUnsafe<int8_t>());
      break;
    case PhysicalType::INT16:
      out.set_int_(value.GetValueUnsafe<int16_t>());
      break;
    case PhysicalType::INT32:
      out.set_int_(value.GetValueUnsafe<int32_t>());
      break;
    case PhysicalType::INT64:
      out.set_int_(value.GetValueUnsafe<int64_t>());
      break;
    case PhysicalType::UINT8:
      out.set_uint(value.GetValueUnsafe<uint8_t>());
      break;
    case PhysicalType::UINT16:
      out.set_uint(value.GetValueUnsafe<uint16_t>());
      break;
    case PhysicalType::UINT32:
      out.set_uint(value.GetValueUnsafe<uint32_t>());
      break;
    case PhysicalType::UINT64:
      // TIME WITH TIME ZONE is stored as bits; its field is the signed one.
      if (value.type().id() == LogicalTypeId::TIME_TZ) {
        out.set_int_(static_cast<int64_t>(value.GetValueUnsafe<uint64_t>()));
      } else {
        out.set_uint(value.GetValueUnsafe<uint64_t>());
      }
      break;
    case PhysicalType::INT128: {
      const auto wide = value.GetValueUnsafe<duckdb::hugeint_t>();
      SetWide(wide.lower, static_cast<uint64_t>(wide.upper), &out);
      break;
    }
    case PhysicalType::UINT128: {
      const auto wide = value.GetValueUnsafe<duckdb::uhugeint_t>();
      SetWide(wide.lower, wide.upper, &out);
      break;
    }
    case PhysicalType::FLOAT:
      out.set_float_(value.GetValueUnsafe<float>());
      break;
    case PhysicalType::DOUBLE:
      out.set_double_(value.GetValueUnsafe<double>());
      break;
    case PhysicalType::VARCHAR:
      out.set_varchar(duckdb::StringValue::Get(value));
      break;
    case PhysicalType::INTERVAL: {
      const auto interval = value.GetValueUnsafe<duckdb::interval_t>();
      out.mutable_interval()->set_months(interval.months);
      out.mutable_interval()->set_days(interval.days);
      out.mutable_interval()->set_micros(interval.micros);
      break;
    }
    case PhysicalType::LIST:
    case PhysicalType::ARRAY:
    case PhysicalType::STRUCT:
      FillNestedValue(value, &out);
      break;
    default:
      throw Unsupported("a constant of type " + value.type().ToString() +
                        " has no form in plans");
  }
  return out;
}

// ------------------------------------------------------------------ from the IR

namespace {

constexpr int kMaxTypeDepth = 100;

arrow::Status BadValue(const std::string& what) {
  return UserErrorStatus(UserError::BINDER, "a parameter cannot be read: " + what);
}

arrow::Result<LogicalType> TypeAtDepth(const plan::Type& type, int depth);

arrow::Result<duckdb::child_list_t<LogicalType>> ChildTypes(const plan::Type& type,
                                                            int depth) {
  if (type.names_size() != type.children_size() && type.names_size() != 0) {
    return BadValue("a nested type has names for other children");
  }
  duckdb::child_list_t<LogicalType> children;
  for (int i = 0; i < type.children_size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(auto child, TypeAtDepth(type.children(i), depth + 1));
    children.emplace_back(type.names_size() ? type.names(i) : "", std::move(child));
  }
  return children;
}

arrow::Result<LogicalType> NestedTypeAtDepth(const plan::Type& type, int depth) {
  ARROW_ASSIGN_OR_RAISE(auto children, ChildTypes(type, depth));
  const size_t wanted = type.id() == plan::Type::MAP ? 2 : 1;
  const bool many = type.id() == plan::Type::STRUCT || type.id() == plan::Type::UNION;
  if (many ? children.empty() : children.size() != wanted) {
    return BadValue("a nested type has the wrong number of children");
  }
  switch (type.id()) {
    case plan::Type::LIST:
      return LogicalType::LIST(children[0].second);
    case plan::Type::ARRAY:
      if (type.array_size() == 0 ||
          type.array_size() > duckdb::ArrayType::MAX_ARRAY_SIZE) {
        return BadValue("an array type has size " + std::to_string(type.array_size()));
      }
      return LogicalType::ARRAY(children[0].second, type.array_size());
    case plan::Type::MAP:
      return LogicalType::MAP(children[0].second, children[1].second);
    case plan::Type::STRUCT:
      return LogicalType::STRUCT(std::move(children));
    default:
      if (children.size() > duckdb::UnionType::MAX_UNION_MEMBERS) {
        return BadValue("a union type has too many members");
      }
      return LogicalType::UNION(std::move(children));
  }
}

arrow::Result<LogicalType> TypeAtDepth(const plan::Type& type, int depth) {
  if (depth > kMaxTypeDepth) return BadValue("a type is nested too deeply");
  switch (type.id()) {
    case plan::Type::DECIMAL:
      if (type.precision() < 1 || type.precision() > 38 ||
          type.scale() > type.precision()) {
        return BadValue("a decimal type has precision " +
                        std::to_string(type.precision()) + " and scale " +
                        std::to_string(type.scale()));
      }
      return LogicalType::DECIMAL(static_cast<uint8_t>(type.precision()),
                                  static_cast<uint8_t>(type.scale()));
    case plan::Type::ENUM: {
      duckdb::Vector values(LogicalType::VARCHAR, std::max(1, type.names_size()));
      for (int i = 0; i < type.names_size(); ++i)
        values.SetValue(i, Value(type.names(i)));
      return LogicalType::ENUM(values, type.names_size());
    }
    case plan::Type::LIST:
    case plan::Type::ARRAY:
    case plan::Type::STRUCT:
    case plan::Type::MAP:
    case plan::Type::UNION:
      return NestedTypeAtDepth(type, depth);
    default:
      break;
  }
  for (const auto& pair : kPlainTypes) {
    if (pair.ir != type.id()) continue;
    LogicalType result(pair.engine);
    if (!type.alias().empty()) result.SetAlias(type.alias());
    return result;
  }
  return BadValue("its type is not known (" + std::to_string(type.id()) + ")");
}

arrow::Result<Value> NestedFromPlan(const plan::Value& value, const LogicalType& type) {
  duckdb::vector<Value> children;
  for (const auto& child : value.nested().values()) {
    ARROW_ASSIGN_OR_RAISE(auto converted, FromPlanValue(child));
    children.push_back(std::move(converted));
  }
  switch (type.id()) {
    case LogicalTypeId::LIST:
      return Value::LIST(duckdb::ListType::GetChildType(type), std::move(children));
    case LogicalTypeId::ARRAY:
      if (children.size() != duckdb::ArrayType::GetSize(type)) break;
      return Value::ARRAY(duckdb::ArrayType::GetChildType(type), std::move(children));
    case LogicalTypeId::STRUCT:
      if (children.size() != duckdb::StructType::GetChildCount(type)) break;
      return Value::STRUCT(type, std::move(children));
    case LogicalTypeId::MAP: {
      if (children.size() % 2 != 0) break;
      duckdb::vector<Value> keys, values;
      for (size_t i = 0; i < children.size(); i += 2) {
        keys.push_back(children[i]);
        values.push_back(children[i + 1]);
      }
      return Value::MAP(duckdb::MapType::KeyType(type), duckdb::MapType::ValueType(type),
                        std::move(keys), std::move(values));
    }
    case LogicalTypeId::UNION: {
      const auto tag = value.nested().union_tag();
      if (children.size() != 1 || tag >= duckdb::UnionType::GetMemberCount(type)) break;
      return Value::UNION(duckdb::UnionType::CopyMemberTypes(type),
                          static_cast<uint8_t>(tag), std::move(children[0]));
    }
    default:
      break;
  }
  return BadValue("a nested value does not fit " + type.ToString());
}

arrow::Result<Value> IntegerFromPlan(int64_t number, const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::DATE:
      return Value::DATE(duckdb::date_t(static_cast<int32_t>(number)));
    case LogicalTypeId::TIME:
      return Value::TIME(duckdb::dtime_t(number));
    case LogicalTypeId::TIME_NS:
      return Value::TIME_NS(duckdb::dtime_ns_t(number));
    case LogicalTypeId::TIME_TZ:
      return Value::TIMETZ(duckdb::dtime_tz_t(static_cast<uint64_t>(number)));
    case LogicalTypeId::TIMESTAMP:
      return Value::TIMESTAMP(duckdb::timestamp_t(number));
    case LogicalTypeId::TIMESTAMP_SEC:
      return Value::TIMESTAMPSEC(duckdb::timestamp_sec_t(number));
    case LogicalTypeId::TIMESTAMP_MS:
      return Value::TIMESTAMPMS(duckdb::timestamp_ms_t(number));
    case LogicalTypeId::TIMESTAMP_NS:
      return Value::TIMESTAMPNS(duckdb::timestamp_ns_t(number));
    case LogicalTypeId::TIMESTAMP_TZ:
      return Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(number));
    case LogicalTypeId::DECIMAL:
      return Value::DECIMAL(number, duckdb::DecimalType::GetWidth(type),
                            duckdb::DecimalType::GetScale(type));
    case LogicalTypeId::ENUM:
      if (number < 0 || number >= static_cast<int64_t>(duckdb::EnumType::GetSize(type))) {
        return BadValue("an enum position is out of range");
      }
      return Value::ENUM(static_cast<uint64_t>(number), type);
    default:
      return Value::BIGINT(number);
  }
}

arrow::Result<Value> WideFromPlan(const std::string& bytes, const LogicalType& type) {
  if (bytes.size() != 16) return BadValue("a wide number is not 16 bytes long");
  uint64_t low, high;
  if (type.id() == LogicalTypeId::UUID) {
    const std::string reversed(bytes.rbegin(), bytes.rend());
    ReadWide(reversed, &low, &high);
    duckdb::hugeint_t uuid;
    uuid.lower = low;
    uuid.upper = static_cast<int64_t>(high ^ kUuidSignBit);
    return Value::UUID(uuid);
  }
  ReadWide(bytes, &low, &high);
  if (type.id() == LogicalTypeId::UHUGEINT) {
    duckdb::uhugeint_t number;
    number.lower = low;
    number.upper = high;
    return Value::UHUGEINT(number);
  }
  duckdb::hugeint_t number;
  number.lower = low;
  number.upper = static_cast<int64_t>(high);
  if (type.id() == LogicalTypeId::DECIMAL) {
    return Value::DECIMAL(number, duckdb::DecimalType::GetWidth(type),
                          duckdb::DecimalType::GetScale(type));
  }
  return Value::HUGEINT(number);
}

arrow::Result<Value> BlobFromPlan(const std::string& bytes, const LogicalType& type) {
  const auto* data = reinterpret_cast<duckdb::const_data_ptr_t>(bytes.data());
  if (type.id() == LogicalTypeId::BIT) {
    if (bytes.size() < 2 || static_cast<uint8_t>(bytes[0]) > 7) {
      return BadValue("a bit string is malformed");
    }
    return Value::BIT(data, bytes.size());
  }
  if (type.id() == LogicalTypeId::BIGNUM) {
    if (bytes.size() < 4) return BadValue("a big number is malformed");
    return Value::BIGNUM(data, bytes.size());
  }
  return Value::BLOB_RAW(bytes);
}

arrow::Result<Value> ScalarFromPlan(const plan::Value& value, const LogicalType& type) {
  switch (value.kind_case()) {
    case plan::Value::kBoolean:
      return Value::BOOLEAN(value.boolean());
    case plan::Value::kInt:
      return IntegerFromPlan(value.int_(), type);
    case plan::Value::kUint:
      return Value::UBIGINT(value.uint());
    case plan::Value::kWide:
      return WideFromPlan(value.wide(), type);
    case plan::Value::kFloat:
      return Value::FLOAT(value.float_());
    case plan::Value::kDouble:
      return Value::DOUBLE(value.double_());
    case plan::Value::kVarchar:
      if (!Value::StringIsValid(value.varchar())) {
        return BadValue("a string is not valid UTF-8");
      }
      return Value(value.varchar());
    case plan::Value::kBlob:
      return BlobFromPlan(value.blob(), type);
    case plan::Value::kInterval:
      return Value::INTERVAL(value.interval().months(), value.interval().days(),
                             value.interval().micros());
    default:
      return NestedFromPlan(value, type);
  }
}

}  // namespace

arrow::Result<LogicalType> FromPlanType(const plan::Type& type) {
  return TypeAtDepth(type, 0);
}

arrow::Result<Value> FromPlanValue(const plan::Value& value) {
  ARROW_ASSIGN_OR_RAISE(auto type, FromPlanType(value.type()));
  if (value.kind_case() == plan::Value::KIND_NOT_SET) return Value(type);
  try {
    ARROW_ASSIGN_OR_RAISE(auto result, ScalarFromPlan(value, type));
    if (result.type() != type) result = result.DefaultCastAs(type, true);
    return result;
  } catch (const std::exception& error) {
    return BadValue(duckdb::ErrorData(error).RawMessage());
  }
}

}  // namespace ballista::sql
