#include <algorithm>

#include "ballista/base/status.h"
#include "ballista/substrait/translator_internal.h"

namespace ballista::substrait {
namespace {

using plan::Type;
using Literal = pb::Expression::Literal;

// DataFusion's, which it does not declare.
constexpr uint32_t kUnsigned = 1;

template <typename Integer>
Type IntegerType(const Integer& type, Type::Id is_signed, Type::Id is_unsigned) {
  return plan::MakeType(type.type_variation_reference() == kUnsigned ? is_unsigned
                                                                     : is_signed);
}

arrow::Result<Type> DecimalOf(int32_t precision, int32_t scale) {
  if (precision < 1 || precision > 38 || scale < 0 || scale > precision) {
    return BadPlan("a decimal of precision " + std::to_string(precision) + " and scale " +
                   std::to_string(scale));
  }
  return plan::DecimalType(static_cast<uint32_t>(precision),
                           static_cast<uint32_t>(scale));
}

arrow::Result<Type> TimestampOf(int32_t precision) {
  if (precision < 0 || precision > 9) {
    return NotSupported("a timestamp of precision " + std::to_string(precision));
  }
  if (precision == 0) return plan::MakeType(Type::TIMESTAMP_S);
  if (precision <= 3) return plan::MakeType(Type::TIMESTAMP_MS);
  return plan::MakeType(precision <= 6 ? Type::TIMESTAMP : Type::TIMESTAMP_NS);
}

int DigitsOf(Type::Id id) {
  switch (id) {
    case Type::TIMESTAMP_S:
      return 0;
    case Type::TIMESTAMP_MS:
      return 3;
    case Type::TIMESTAMP_NS:
    case Type::TIME_NS:
      return 9;
    default:
      return 6;
  }
}

arrow::Result<int64_t> Rescale(int64_t value, int from, int to) {
  for (; from < to; ++from) {
    if (__builtin_mul_overflow(value, int64_t{10}, &value)) {
      return BadPlan("a literal of a time that is out of range");
    }
  }
  for (; from > to; --from) value = value / 10 - (value % 10 < 0 ? 1 : 0);
  return value;
}

arrow::Result<plan::Value> TimeOf(const Type& type, int64_t number, int precision) {
  ARROW_ASSIGN_OR_RAISE(number, Rescale(number, precision, DigitsOf(type.id())));
  return IntegerOf(type, number);
}

// Of as many digits as it has, however many it is declared with: what is computed from it
// then has no more than it needs, as in SQL.
arrow::Result<plan::Value> DecimalValue(const Literal::Decimal& decimal) {
  if (decimal.value().size() != 16) {
    return BadPlan("a decimal literal of " + std::to_string(decimal.value().size()) +
                   " bytes, which must be 16");
  }
  ARROW_ASSIGN_OR_RAISE(auto type, DecimalOf(decimal.precision(), decimal.scale()));
  unsigned __int128 bits = 0;
  for (int i = 15; i >= 0; --i) {
    bits = bits << 8 | static_cast<unsigned char>(decimal.value()[i]);
  }
  const bool negative = static_cast<__int128>(bits) < 0;
  unsigned __int128 left = negative ? -bits : bits;
  uint32_t digits = 0;
  for (; left != 0; left /= 10) ++digits;
  if (digits > 38) return BadPlan("a decimal literal of more than 38 digits");
  type.set_precision(std::max({digits, type.scale(), 1u}));
  if (type.precision() <= 18) {
    return IntegerOf(type, static_cast<int64_t>(static_cast<__int128>(bits)));
  }
  auto value = NullOf(type);
  value.set_wide(decimal.value());
  return value;
}

arrow::Result<plan::Value> IntervalOf(const Literal::IntervalYearToMonth* years,
                                      const Literal::IntervalDayToSecond* days) {
  auto value = NullOf(plan::MakeType(Type::INTERVAL));
  auto* interval = value.mutable_interval();
  if (years != nullptr) {
    int32_t months = 0;
    if (__builtin_mul_overflow(years->years(), 12, &months) ||
        __builtin_add_overflow(months, years->months(), &months)) {
      return BadPlan("an interval of too many months");
    }
    interval->set_months(months);
  }
  if (days != nullptr) {
    interval->set_days(days->days());
    int64_t micros = days->microseconds();
    if (days->precision_mode_case() == Literal::IntervalDayToSecond::kPrecision) {
      if (days->precision() < 0 || days->precision() > 9) {
        return NotSupported("an interval of precision " +
                            std::to_string(days->precision()));
      }
      ARROW_ASSIGN_OR_RAISE(micros, Rescale(days->subseconds(), days->precision(), 6));
    }
    if (__builtin_add_overflow(int64_t{days->seconds()} * 1'000'000, micros, &micros)) {
      return BadPlan("an interval of too many seconds");
    }
    interval->set_micros(micros);
  }
  return value;
}

arrow::Result<plan::Value> PlainValue(const Literal& literal) {
  using plan::MakeType;
  switch (literal.literal_type_case()) {
    case Literal::kBoolean:
      return TruthOf(literal.boolean());
    case Literal::kI8:
      return IntegerOf(MakeType(Type::TINYINT), static_cast<int8_t>(literal.i8()));
    case Literal::kI16:
      return IntegerOf(MakeType(Type::SMALLINT), static_cast<int16_t>(literal.i16()));
    case Literal::kI32:
      return IntegerOf(MakeType(Type::INTEGER), literal.i32());
    case Literal::kI64:
      return IntegerOf(MakeType(Type::BIGINT), literal.i64());
    case Literal::kFp32: {
      auto value = NullOf(MakeType(Type::FLOAT));
      value.set_float_(literal.fp32());
      return value;
    }
    case Literal::kFp64: {
      auto value = NullOf(MakeType(Type::DOUBLE));
      value.set_double_(literal.fp64());
      return value;
    }
    case Literal::kString:
    case Literal::kFixedChar:
    case Literal::kVarChar:
      return TextOf(literal.has_string()       ? literal.string()
                    : literal.has_fixed_char() ? literal.fixed_char()
                                               : literal.var_char().value());
    case Literal::kBinary:
    case Literal::kFixedBinary: {
      auto value = NullOf(MakeType(Type::BLOB));
      value.set_blob(literal.has_binary() ? literal.binary() : literal.fixed_binary());
      return value;
    }
    case Literal::kDate:
      return IntegerOf(MakeType(Type::DATE), literal.date());
    case Literal::kTime:
      return IntegerOf(MakeType(Type::TIME), literal.time());
    case Literal::kTimestamp:
      return IntegerOf(MakeType(Type::TIMESTAMP), literal.timestamp());
    case Literal::kTimestampTz:
      return IntegerOf(MakeType(Type::TIMESTAMP_TZ), literal.timestamp_tz());
    case Literal::kPrecisionTime: {
      const auto& time = literal.precision_time();
      if (time.precision() < 0 || time.precision() > 9) {
        return NotSupported("a time of precision " + std::to_string(time.precision()));
      }
      return TimeOf(MakeType(time.precision() <= 6 ? Type::TIME : Type::TIME_NS),
                    time.value(), time.precision());
    }
    case Literal::kPrecisionTimestamp: {
      const auto& time = literal.precision_timestamp();
      ARROW_ASSIGN_OR_RAISE(const auto type, TimestampOf(time.precision()));
      return TimeOf(type, time.value(), time.precision());
    }
    case Literal::kPrecisionTimestampTz: {
      const auto& time = literal.precision_timestamp_tz();
      ARROW_RETURN_NOT_OK(TimestampOf(time.precision()));
      return TimeOf(MakeType(Type::TIMESTAMP_TZ), time.value(), time.precision());
    }
    case Literal::kIntervalYearToMonth:
      return IntervalOf(&literal.interval_year_to_month(), nullptr);
    case Literal::kIntervalDayToSecond:
      return IntervalOf(nullptr, &literal.interval_day_to_second());
    case Literal::kIntervalCompound:
      return IntervalOf(&literal.interval_compound().interval_year_to_month(),
                        &literal.interval_compound().interval_day_to_second());
    case Literal::kDecimal:
      return DecimalValue(literal.decimal());
    case Literal::kUuid: {
      if (literal.uuid().size() != 16) return BadPlan("a UUID that is not of 16 bytes");
      auto value = NullOf(MakeType(Type::UUID));
      value.set_wide(literal.uuid());
      return value;
    }
    case Literal::kNull: {
      ARROW_ASSIGN_OR_RAISE(auto type, TypeOf(literal.null()));
      return NullOf(type);
    }
    default: {
      const auto* field =
          Literal::descriptor()->FindFieldByNumber(literal.literal_type_case());
      return NotSupported("a literal of the type " +
                          (field == nullptr ? "that is not known here" : field->name()));
    }
  }
}

}  // namespace

arrow::Status NotSupported(const std::string& what) {
  return UserErrorStatus(
      UserError::NOT_SUPPORTED,
      "the Substrait plan has " + what + ", which this server does not support");
}

arrow::Status BadPlan(const std::string& what) {
  return UserErrorStatus(UserError::BINDER, "the Substrait plan is not valid: " + what);
}

namespace {

constexpr int kMaxTypeDepth = 50;

arrow::Result<Type> TypeAt(const pb::Type& type, int depth) {
  using plan::MakeType;
  if (depth > kMaxTypeDepth) return BadPlan("a type that is nested too deeply");
  switch (type.kind_case()) {
    case pb::Type::KIND_NOT_SET:
      return Type();
    case pb::Type::kBool:
      return MakeType(Type::BOOLEAN);
    case pb::Type::kI8:
      return IntegerType(type.i8(), Type::TINYINT, Type::UTINYINT);
    case pb::Type::kI16:
      return IntegerType(type.i16(), Type::SMALLINT, Type::USMALLINT);
    case pb::Type::kI32:
      return IntegerType(type.i32(), Type::INTEGER, Type::UINTEGER);
    case pb::Type::kI64:
      return IntegerType(type.i64(), Type::BIGINT, Type::UBIGINT);
    case pb::Type::kFp32:
      return MakeType(Type::FLOAT);
    case pb::Type::kFp64:
      return MakeType(Type::DOUBLE);
    case pb::Type::kString:
    case pb::Type::kFixedChar:
    case pb::Type::kVarchar:
      return MakeType(Type::VARCHAR);
    case pb::Type::kBinary:
    case pb::Type::kFixedBinary:
      return MakeType(Type::BLOB);
    case pb::Type::kDate:
      return MakeType(Type::DATE);
    case pb::Type::kTime:
      return MakeType(Type::TIME);
    case pb::Type::kPrecisionTime:
      return MakeType(type.precision_time().precision() <= 6 ? Type::TIME
                                                             : Type::TIME_NS);
    case pb::Type::kTimestamp:
      return MakeType(Type::TIMESTAMP);
    case pb::Type::kPrecisionTimestamp:
      return TimestampOf(type.precision_timestamp().precision());
    case pb::Type::kTimestampTz:
    case pb::Type::kPrecisionTimestampTz:
      return MakeType(Type::TIMESTAMP_TZ);
    case pb::Type::kIntervalYear:
    case pb::Type::kIntervalDay:
    case pb::Type::kIntervalCompound:
      return MakeType(Type::INTERVAL);
    case pb::Type::kUuid:
      return MakeType(Type::UUID);
    case pb::Type::kDecimal:
      return DecimalOf(type.decimal().precision(), type.decimal().scale());
    case pb::Type::kList: {
      ARROW_ASSIGN_OR_RAISE(auto element, TypeAt(type.list().type(), depth + 1));
      if (element.id() == Type::INVALID) return BadPlan("a list of nothing");
      return plan::ListType(std::move(element));
    }
    // Their fields have no names here: the planner finds the type.
    case pb::Type::kStruct:
    case pb::Type::kMap:
      return Type();
    default: {
      const auto* field = pb::Type::descriptor()->FindFieldByNumber(type.kind_case());
      return NotSupported("a value of the type " +
                          (field == nullptr ? "that is not known here" : field->name()));
    }
  }
}

}  // namespace

arrow::Result<Type> TypeOf(const pb::Type& type) {
  return TypeAt(type, 0);
}

arrow::Result<plan::Expression> LiteralOf(const Literal& literal) {
  ARROW_ASSIGN_OR_RAISE(auto value, PlainValue(literal));
  return LiteralOf(std::move(value));
}

plan::Expression LiteralOf(plan::Value value) {
  plan::Expression expression;
  *expression.mutable_type() = value.type();
  *expression.mutable_literal() = std::move(value);
  return expression;
}

plan::Value NullOf(const Type& type) {
  plan::Value value;
  *value.mutable_type() =
      type.id() == Type::INVALID ? plan::MakeType(Type::NULL_TYPE) : type;
  return value;
}

plan::Value TextOf(const std::string& text) {
  auto value = NullOf(plan::MakeType(Type::VARCHAR));
  value.set_varchar(text);
  return value;
}

plan::Value IntegerOf(const Type& type, int64_t number) {
  auto value = NullOf(type);
  value.set_int_(number);
  return value;
}

plan::Value TruthOf(bool truth) {
  auto value = NullOf(plan::MakeType(Type::BOOLEAN));
  value.set_boolean(truth);
  return value;
}

std::string KindOf(const google::protobuf::Descriptor* message, int field_number) {
  const auto* field = message->FindFieldByNumber(field_number);
  return field == nullptr ? "of an unknown kind" : "'" + field->name() + "'";
}

}  // namespace ballista::substrait
