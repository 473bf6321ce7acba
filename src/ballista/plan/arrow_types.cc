#include <arrow/type.h>

#include "ballista/base/status.h"
#include "ballista/plan/plan.h"

namespace ballista::plan {
namespace {

arrow::Result<std::vector<std::shared_ptr<arrow::Field>>> ChildFields(
    const Type& type, const std::string& time_zone) {
  std::vector<std::shared_ptr<arrow::Field>> fields;
  for (int i = 0; i < type.children_size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(auto child, ToArrowType(type.children(i), time_zone));
    const bool named = i < type.names_size() && !type.names(i).empty();
    fields.push_back(arrow::field(named ? type.names(i) : "", std::move(child)));
  }
  return fields;
}

// Positions of an enum's values: the narrowest unsigned type, as the engine stores them.
std::shared_ptr<arrow::DataType> EnumIndexType(int values) {
  if (values <= 0xff) return arrow::uint8();
  if (values <= 0xffff) return arrow::uint16();
  return arrow::uint32();
}

arrow::Result<std::shared_ptr<arrow::DataType>> NestedToArrow(
    const Type& type, const std::string& time_zone) {
  ARROW_ASSIGN_OR_RAISE(auto fields, ChildFields(type, time_zone));
  switch (type.id()) {
    case Type::LIST:
      if (fields.size() != 1) break;
      return arrow::list(arrow::field("l", fields[0]->type()));
    case Type::ARRAY:
      if (fields.size() != 1) break;
      return arrow::fixed_size_list(fields[0]->type(),
                                    static_cast<int32_t>(type.array_size()));
    case Type::STRUCT:
      return arrow::struct_(fields);
    case Type::MAP:
      if (fields.size() != 2) break;
      return arrow::map(fields[0]->type(), fields[1]->type());
    default: {
      std::vector<int8_t> codes;
      for (size_t i = 0; i < fields.size(); ++i) codes.push_back(static_cast<int8_t>(i));
      return arrow::sparse_union(fields, codes);
    }
  }
  return InternalStatus("a nested type has the wrong number of children: " +
                        ToString(type));
}

}  // namespace

arrow::Result<std::shared_ptr<arrow::DataType>> ToArrowType(
    const Type& type, const std::string& time_zone) {
  switch (type.id()) {
    case Type::NULL_TYPE:
      return arrow::null();
    case Type::BOOLEAN:
      return arrow::boolean();
    case Type::TINYINT:
      return arrow::int8();
    case Type::SMALLINT:
      return arrow::int16();
    case Type::INTEGER:
      return arrow::int32();
    case Type::BIGINT:
      return arrow::int64();
    case Type::UTINYINT:
      return arrow::uint8();
    case Type::USMALLINT:
      return arrow::uint16();
    case Type::UINTEGER:
      return arrow::uint32();
    case Type::UBIGINT:
      return arrow::uint64();
    case Type::HUGEINT:
    case Type::UHUGEINT:
      return arrow::decimal128(38, 0);
    case Type::FLOAT:
      return arrow::float32();
    case Type::DOUBLE:
      return arrow::float64();
    case Type::DECIMAL:
      return arrow::decimal128(static_cast<int32_t>(type.precision()),
                               static_cast<int32_t>(type.scale()));
    case Type::VARCHAR:
    case Type::UUID:
    case Type::BIT:
    case Type::BIGNUM:
      return arrow::utf8();
    case Type::BLOB:
      return arrow::binary();
    case Type::DATE:
      return arrow::date32();
    case Type::TIME:
    case Type::TIME_TZ:
      return arrow::time64(arrow::TimeUnit::MICRO);
    case Type::TIME_NS:
      return arrow::time64(arrow::TimeUnit::NANO);
    case Type::TIMESTAMP:
      return arrow::timestamp(arrow::TimeUnit::MICRO);
    case Type::TIMESTAMP_S:
      return arrow::timestamp(arrow::TimeUnit::SECOND);
    case Type::TIMESTAMP_MS:
      return arrow::timestamp(arrow::TimeUnit::MILLI);
    case Type::TIMESTAMP_NS:
      return arrow::timestamp(arrow::TimeUnit::NANO);
    case Type::TIMESTAMP_TZ:
      return arrow::timestamp(arrow::TimeUnit::MICRO, time_zone);
    case Type::INTERVAL:
      return arrow::month_day_nano_interval();
    case Type::ENUM:
      return arrow::dictionary(EnumIndexType(type.names_size()), arrow::utf8());
    case Type::LIST:
    case Type::ARRAY:
    case Type::STRUCT:
    case Type::MAP:
    case Type::UNION:
      return NestedToArrow(type, time_zone);
    default:
      return UserErrorStatus(UserError::NOT_SUPPORTED,
                             "a column of type " + ToString(type) +
                                 " cannot be sent to a client; cast it to VARCHAR");
  }
}

arrow::Result<std::shared_ptr<arrow::Schema>> ResultSchema(const Plan& plan) {
  if (plan.names_size() != plan.root().types_size()) {
    return InternalStatus("a plan has " + std::to_string(plan.names_size()) +
                          " names for " + std::to_string(plan.root().types_size()) +
                          " columns");
  }
  std::string time_zone = "UTC";
  for (const auto& setting : plan.settings()) {
    if (setting.name() == "TimeZone") time_zone = setting.value();
  }
  std::vector<std::shared_ptr<arrow::Field>> fields;
  for (int i = 0; i < plan.names_size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(auto type, ToArrowType(plan.root().types(i), time_zone));
    fields.push_back(arrow::field(plan.names(i), std::move(type)));
  }
  return arrow::schema(std::move(fields));
}

namespace {

double TypeBytes(const Type& type) {
  switch (type.id()) {
    case Type::BOOLEAN:
    case Type::TINYINT:
    case Type::UTINYINT:
      return 1;
    case Type::SMALLINT:
    case Type::USMALLINT:
      return 2;
    case Type::INTEGER:
    case Type::UINTEGER:
    case Type::FLOAT:
    case Type::DATE:
    case Type::ENUM:
      return 4;
    case Type::DECIMAL:
      return type.precision() <= 18 ? 8 : 16;
    case Type::HUGEINT:
    case Type::UHUGEINT:
    case Type::UUID:
    case Type::INTERVAL:
      return 16;
    case Type::VARCHAR:
    case Type::BLOB:
    case Type::BIT:
    case Type::BIGNUM:
      return 28;
    case Type::LIST:
    case Type::MAP: {
      double bytes = 0;
      for (const auto& child : type.children()) bytes += TypeBytes(child);
      return 4 + 4 * bytes;
    }
    case Type::ARRAY:
      return static_cast<double>(type.array_size()) *
             (type.children_size() == 1 ? TypeBytes(type.children(0)) : 8);
    case Type::STRUCT:
    case Type::UNION: {
      double bytes = 0;
      for (const auto& child : type.children()) bytes += TypeBytes(child);
      return bytes;
    }
    default:
      return 8;
  }
}

}  // namespace

double EstimatedRowBytes(const google::protobuf::RepeatedPtrField<Type>& types) {
  double bytes = 0;
  for (const auto& type : types) bytes += TypeBytes(type);
  return bytes;
}

}  // namespace ballista::plan
