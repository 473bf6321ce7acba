#include "ballista/scheduler/service/sql_info.h"

#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_nested.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/array/builder_union.h>
#include <arrow/table_builder.h>
#include <arrow/util/config.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ballista/base/version.h"
#include "ballista/substrait/translate.h"

namespace ballista::scheduler {
namespace {

namespace sqlp = arrow::flight::protocol::sql;
using arrow::field;
using arrow::int32;
using arrow::utf8;

using Texts = std::vector<std::string>;
using Conversions = std::map<int32_t, std::vector<int32_t>>;
// In the order of the union's members.
using InfoValue = std::variant<std::string, bool, int64_t, int32_t, Texts, Conversions>;
using InfoMap = std::map<uint32_t, InfoValue>;

constexpr int32_t Bit(int number) {
  return int32_t{1} << number;
}

std::shared_ptr<arrow::DataType> SqlInfoType() {
  return arrow::dense_union(
      {field("string_value", utf8()), field("bool_value", arrow::boolean()),
       field("bigint_value", arrow::int64()), field("int32_bitmask", int32()),
       field("string_list", arrow::list(utf8())),
       field("int32_to_int32_list_map", arrow::map(int32(), arrow::list(int32())))},
      {0, 1, 2, 3, 4, 5});
}

// Reserved beyond those of SQL:2003.
Texts Keywords() {
  return {"ANALYSE", "ANTI",      "ASOF",         "ATTACH",      "DESCRIBE",
          "EXCLUDE", "GLOB",      "ILIKE",        "INSTALL",     "LAMBDA",
          "MACRO",   "PIVOT",     "PIVOT_LONGER", "PIVOT_WIDER", "POSITIONAL",
          "PRAGMA",  "QUALIFY",   "REPLACE",      "SAMPLE",      "SEMI",
          "SHOW",    "SUMMARIZE", "UNPIVOT",      "VARIADIC"};
}

Texts NumericFunctions() {
  return {"abs",       "acos",    "asin",  "atan",  "atan2",    "bit_count", "cbrt",
          "ceil",      "ceiling", "cos",   "cot",   "degrees",  "even",      "exp",
          "factorial", "floor",   "gamma", "gcd",   "greatest", "isfinite",  "isinf",
          "isnan",     "lcm",     "least", "ln",    "log",      "log10",     "log2",
          "mod",       "pi",      "pow",   "power", "radians",  "random",    "round",
          "sign",      "sin",     "sqrt",  "tan",   "trunc"};
}

Texts StringFunctions() {
  return {"ascii",
          "bar",
          "bit_length",
          "chr",
          "concat",
          "concat_ws",
          "contains",
          "ends_with",
          "format",
          "hash",
          "instr",
          "lcase",
          "left",
          "length",
          "levenshtein",
          "like_escape",
          "lower",
          "lpad",
          "ltrim",
          "md5",
          "ord",
          "position",
          "printf",
          "regexp_extract",
          "regexp_matches",
          "regexp_replace",
          "repeat",
          "replace",
          "reverse",
          "right",
          "rpad",
          "rtrim",
          "sha256",
          "split_part",
          "starts_with",
          "string_split",
          "strip_accents",
          "strlen",
          "strpos",
          "substring",
          "translate",
          "trim",
          "ucase",
          "unicode",
          "upper"};
}

Texts SystemFunctions() {
  return {"coalesce", "current_catalog", "current_database", "current_schema",
          "ifnull",   "nullif",          "typeof",           "version"};
}

Texts DatetimeFunctions() {
  return {"age",      "century",   "current_date", "current_time", "current_timestamp",
          "date_add", "date_diff", "date_part",    "date_sub",     "date_trunc",
          "day",      "dayname",   "dayofmonth",   "dayofweek",    "dayofyear",
          "epoch",    "epoch_ms",  "extract",      "hour",         "isodow",
          "isoyear",  "last_day",  "make_date",    "make_time",    "make_timestamp",
          "minute",   "month",     "monthname",    "now",          "quarter",
          "second",   "strftime",  "strptime",     "time_bucket",  "to_timestamp",
          "today",    "week",      "weekday",      "weekofyear",   "year"};
}

// Numbers and text become each other, times and text, numbers and truth.
Conversions SupportedConversions() {
  const std::vector<int32_t> numbers = {
      sqlp::SQL_CONVERT_BIGINT, sqlp::SQL_CONVERT_BIT,      sqlp::SQL_CONVERT_DECIMAL,
      sqlp::SQL_CONVERT_FLOAT,  sqlp::SQL_CONVERT_INTEGER,  sqlp::SQL_CONVERT_NUMERIC,
      sqlp::SQL_CONVERT_REAL,   sqlp::SQL_CONVERT_SMALLINT, sqlp::SQL_CONVERT_TINYINT};
  const std::vector<int32_t> texts = {
      sqlp::SQL_CONVERT_CHAR, sqlp::SQL_CONVERT_LONGVARCHAR, sqlp::SQL_CONVERT_VARCHAR};
  const std::vector<int32_t> times = {sqlp::SQL_CONVERT_DATE,
                                      sqlp::SQL_CONVERT_TIMESTAMP};
  const std::vector<int32_t> bytes = {sqlp::SQL_CONVERT_BINARY,
                                      sqlp::SQL_CONVERT_LONGVARBINARY,
                                      sqlp::SQL_CONVERT_VARBINARY};
  Conversions conversions;
  const auto add = [&](const std::vector<int32_t>& from, const std::vector<int32_t>& to) {
    for (const int32_t one : from) {
      auto& list = conversions[one];
      list.insert(list.end(), to.begin(), to.end());
    }
  };
  for (const auto* group : {&numbers, &times, &bytes}) {
    add(*group, *group);
    add(*group, texts);
    add(texts, *group);
  }
  add(texts, texts);
  add({sqlp::SQL_CONVERT_TIME}, {sqlp::SQL_CONVERT_TIME});
  add({sqlp::SQL_CONVERT_TIME}, texts);
  add(texts, {sqlp::SQL_CONVERT_TIME});
  return conversions;
}

void AddServer(InfoMap* info) {
  info->insert({
      {sqlp::FLIGHT_SQL_SERVER_NAME, std::string("Ballista")},
      {sqlp::FLIGHT_SQL_SERVER_VERSION, std::string(kVersion)},
      {sqlp::FLIGHT_SQL_SERVER_ARROW_VERSION, std::string(ARROW_VERSION_STRING)},
      {sqlp::FLIGHT_SQL_SERVER_READ_ONLY, false},
      {sqlp::FLIGHT_SQL_SERVER_SQL, true},
      {sqlp::FLIGHT_SQL_SERVER_SUBSTRAIT, true},
      {sqlp::FLIGHT_SQL_SERVER_SUBSTRAIT_MIN_VERSION,
       std::string(substrait::kOldestVersion)},
      {sqlp::FLIGHT_SQL_SERVER_SUBSTRAIT_MAX_VERSION, std::string(substrait::kVersion)},
      {sqlp::FLIGHT_SQL_SERVER_TRANSACTION,
       int32_t{sqlp::SQL_SUPPORTED_TRANSACTION_NONE}},
      {sqlp::FLIGHT_SQL_SERVER_CANCEL, true},
      {sqlp::FLIGHT_SQL_SERVER_BULK_INGESTION, true},
      {sqlp::FLIGHT_SQL_SERVER_INGEST_TRANSACTIONS_SUPPORTED, false},
      {sqlp::FLIGHT_SQL_SERVER_STATEMENT_TIMEOUT, int32_t{0}},  // none, unless set
      {sqlp::FLIGHT_SQL_SERVER_TRANSACTION_TIMEOUT, int32_t{0}},
  });
}

void AddLanguage(InfoMap* info) {
  info->insert({
      {sqlp::SQL_DDL_CATALOG, false},
      {sqlp::SQL_DDL_SCHEMA, true},
      {sqlp::SQL_DDL_TABLE, true},
      {sqlp::SQL_IDENTIFIER_CASE, int64_t{sqlp::SQL_CASE_SENSITIVITY_CASE_INSENSITIVE}},
      {sqlp::SQL_IDENTIFIER_QUOTE_CHAR, std::string("\"")},
      {sqlp::SQL_QUOTED_IDENTIFIER_CASE,
       int64_t{sqlp::SQL_CASE_SENSITIVITY_CASE_INSENSITIVE}},
      {sqlp::SQL_ALL_TABLES_ARE_SELECTABLE, true},
      {sqlp::SQL_NULL_ORDERING, int64_t{sqlp::SQL_NULLS_SORTED_AT_END}},
      {sqlp::SQL_KEYWORDS, Keywords()},
      {sqlp::SQL_NUMERIC_FUNCTIONS, NumericFunctions()},
      {sqlp::SQL_STRING_FUNCTIONS, StringFunctions()},
      {sqlp::SQL_SYSTEM_FUNCTIONS, SystemFunctions()},
      {sqlp::SQL_DATETIME_FUNCTIONS, DatetimeFunctions()},
      {sqlp::SQL_SEARCH_STRING_ESCAPE, std::string("\\")},
      {sqlp::SQL_EXTRA_NAME_CHARACTERS, std::string()},
      {sqlp::SQL_SUPPORTS_COLUMN_ALIASING, true},
      {sqlp::SQL_NULL_PLUS_NULL_IS_NULL, true},
      {sqlp::SQL_SUPPORTS_CONVERT, SupportedConversions()},
      {sqlp::SQL_SUPPORTS_TABLE_CORRELATION_NAMES, true},
      {sqlp::SQL_SUPPORTS_DIFFERENT_TABLE_CORRELATION_NAMES, false},
      {sqlp::SQL_SUPPORTS_EXPRESSIONS_IN_ORDER_BY, true},
      {sqlp::SQL_SUPPORTS_ORDER_BY_UNRELATED, true},
      {sqlp::SQL_SUPPORTED_GROUP_BY,
       Bit(sqlp::SQL_GROUP_BY_UNRELATED) | Bit(sqlp::SQL_GROUP_BY_BEYOND_SELECT)},
      {sqlp::SQL_SUPPORTS_LIKE_ESCAPE_CLAUSE, true},
      {sqlp::SQL_SUPPORTS_NON_NULLABLE_COLUMNS, true},
      {sqlp::SQL_SUPPORTED_GRAMMAR,
       Bit(sqlp::SQL_MINIMUM_GRAMMAR) | Bit(sqlp::SQL_CORE_GRAMMAR)},
      {sqlp::SQL_ANSI92_SUPPORTED_LEVEL, Bit(sqlp::ANSI92_ENTRY_SQL)},
      {sqlp::SQL_SUPPORTS_INTEGRITY_ENHANCEMENT_FACILITY, false},
      {sqlp::SQL_OUTER_JOINS_SUPPORT_LEVEL,
       Bit(sqlp::SQL_LIMITED_OUTER_JOINS) | Bit(sqlp::SQL_FULL_OUTER_JOINS)},
      {sqlp::SQL_SCHEMA_TERM, std::string("schema")},
      {sqlp::SQL_PROCEDURE_TERM, std::string("procedure")},
      {sqlp::SQL_CATALOG_TERM, std::string("catalog")},
      {sqlp::SQL_CATALOG_AT_START, true},
      {sqlp::SQL_SCHEMAS_SUPPORTED_ACTIONS, int32_t{0}},
      {sqlp::SQL_CATALOGS_SUPPORTED_ACTIONS, int32_t{0}},
      {sqlp::SQL_SUPPORTED_POSITIONED_COMMANDS, int32_t{0}},
      {sqlp::SQL_SELECT_FOR_UPDATE_SUPPORTED, false},
      {sqlp::SQL_STORED_PROCEDURES_SUPPORTED, false},
      {sqlp::SQL_SUPPORTED_SUBQUERIES,
       Bit(sqlp::SQL_SUBQUERIES_IN_COMPARISONS) | Bit(sqlp::SQL_SUBQUERIES_IN_EXISTS) |
           Bit(sqlp::SQL_SUBQUERIES_IN_INS) | Bit(sqlp::SQL_SUBQUERIES_IN_QUANTIFIEDS)},
      {sqlp::SQL_CORRELATED_SUBQUERIES_SUPPORTED, true},
      {sqlp::SQL_SUPPORTED_UNIONS, Bit(sqlp::SQL_UNION) | Bit(sqlp::SQL_UNION_ALL)},
  });
}

// 0: no limit, or none that is known.
void AddLimits(InfoMap* info) {
  for (uint32_t name = sqlp::SQL_MAX_BINARY_LITERAL_LENGTH;
       name <= sqlp::SQL_MAX_USERNAME_LENGTH; ++name) {
    (*info)[name] = int64_t{0};
  }
  (*info)[sqlp::SQL_MAX_ROW_SIZE_INCLUDES_BLOBS] = true;
}

void AddTransactions(InfoMap* info) {
  const int32_t read_only = Bit(sqlp::SQL_RESULT_SET_CONCURRENCY_READ_ONLY);
  info->insert({
      {sqlp::SQL_DEFAULT_TRANSACTION_ISOLATION, int64_t{sqlp::SQL_TRANSACTION_NONE}},
      {sqlp::SQL_TRANSACTIONS_SUPPORTED, false},
      {sqlp::SQL_SUPPORTED_TRANSACTIONS_ISOLATION_LEVELS,
       Bit(sqlp::SQL_TRANSACTION_NONE)},
      {sqlp::SQL_DATA_DEFINITION_CAUSES_TRANSACTION_COMMIT, false},
      {sqlp::SQL_DATA_DEFINITIONS_IN_TRANSACTIONS_IGNORED, false},
      {sqlp::SQL_SUPPORTED_RESULT_SET_TYPES, Bit(sqlp::SQL_RESULT_SET_TYPE_FORWARD_ONLY)},
      {sqlp::SQL_SUPPORTED_CONCURRENCIES_FOR_RESULT_SET_UNSPECIFIED, read_only},
      {sqlp::SQL_SUPPORTED_CONCURRENCIES_FOR_RESULT_SET_FORWARD_ONLY, read_only},
      {sqlp::SQL_SUPPORTED_CONCURRENCIES_FOR_RESULT_SET_SCROLL_SENSITIVE, int32_t{0}},
      {sqlp::SQL_SUPPORTED_CONCURRENCIES_FOR_RESULT_SET_SCROLL_INSENSITIVE, int32_t{0}},
      {sqlp::SQL_BATCH_UPDATES_SUPPORTED, true},
      {sqlp::SQL_SAVEPOINTS_SUPPORTED, false},
      {sqlp::SQL_NAMED_PARAMETERS_SUPPORTED,
       false},  // of procedures, which there are none
      {sqlp::SQL_LOCATORS_UPDATE_COPY, false},
      {sqlp::SQL_STORED_FUNCTIONS_USING_CALL_SYNTAX_SUPPORTED, false},
  });
}

const InfoMap& AllSqlInfo() {
  static const InfoMap kInfo = [] {
    InfoMap info;
    AddServer(&info);
    AddLanguage(&info);
    AddLimits(&info);
    AddTransactions(&info);
    return info;
  }();
  return kInfo;
}

arrow::Status AppendTexts(const Texts& texts, arrow::ListBuilder* lists) {
  ARROW_RETURN_NOT_OK(lists->Append());
  return static_cast<arrow::StringBuilder*>(lists->value_builder())->AppendValues(texts);
}

arrow::Status AppendConversions(const Conversions& conversions, arrow::MapBuilder* maps) {
  auto* keys = static_cast<arrow::Int32Builder*>(maps->key_builder());
  auto* lists = static_cast<arrow::ListBuilder*>(maps->item_builder());
  auto* items = static_cast<arrow::Int32Builder*>(lists->value_builder());
  ARROW_RETURN_NOT_OK(maps->Append());
  for (const auto& [from, to] : conversions) {
    ARROW_RETURN_NOT_OK(keys->Append(from));
    ARROW_RETURN_NOT_OK(lists->Append());
    ARROW_RETURN_NOT_OK(items->AppendValues(to));
  }
  return arrow::Status::OK();
}

arrow::Status AppendInfo(uint32_t name, const InfoValue& value,
                         arrow::UInt32Builder* names, arrow::DenseUnionBuilder* values) {
  ARROW_RETURN_NOT_OK(names->Append(name));
  ARROW_RETURN_NOT_OK(values->Append(static_cast<int8_t>(value.index())));
  auto* child = values->child_builder(static_cast<int>(value.index())).get();
  switch (value.index()) {
    case 0:
      return static_cast<arrow::StringBuilder*>(child)->Append(std::get<0>(value));
    case 1:
      return static_cast<arrow::BooleanBuilder*>(child)->Append(std::get<1>(value));
    case 2:
      return static_cast<arrow::Int64Builder*>(child)->Append(std::get<2>(value));
    case 3:
      return static_cast<arrow::Int32Builder*>(child)->Append(std::get<3>(value));
    case 4:
      return AppendTexts(std::get<4>(value), static_cast<arrow::ListBuilder*>(child));
    default:
      return AppendConversions(std::get<5>(value),
                               static_cast<arrow::MapBuilder*>(child));
  }
}

// ------------------------------------------------------------------------------ types

struct XdbcType {
  const char* name;
  int32_t data_type;
  std::optional<int32_t> size;
  const char* quote = nullptr;  // before and after a literal
  Texts create_params = {};
  bool case_sensitive = false;
  std::optional<bool> is_unsigned = {};
  std::optional<int32_t> max_scale = {};
  std::optional<int32_t> datetime_subcode = {};
  std::optional<int32_t> radix = {};
};

const std::vector<XdbcType>& XdbcTypes() {
  const char* const kQuote = "'";
  const auto number = [](const char* name, int32_t id, int32_t size, bool is_unsigned) {
    return XdbcType{name, id, size, nullptr, {}, false, is_unsigned, 0, {}, 10};
  };
  static const std::vector<XdbcType> kTypes = {
      {"BOOLEAN", sqlp::XDBC_BIT, 1},
      number("TINYINT", sqlp::XDBC_TINYINT, 3, false),
      number("UTINYINT", sqlp::XDBC_TINYINT, 3, true),
      number("BIGINT", sqlp::XDBC_BIGINT, 19, false),
      number("UBIGINT", sqlp::XDBC_BIGINT, 20, true),
      {"BLOB", sqlp::XDBC_VARBINARY, std::nullopt, kQuote},
      {"HUGEINT", sqlp::XDBC_NUMERIC, 38, nullptr, {}, false, false, 0, {}, 10},
      {"DECIMAL",
       sqlp::XDBC_DECIMAL,
       38,
       nullptr,
       {"precision", "scale"},
       false,
       false,
       38,
       {},
       10},
      number("INTEGER", sqlp::XDBC_INTEGER, 10, false),
      number("UINTEGER", sqlp::XDBC_INTEGER, 10, true),
      number("SMALLINT", sqlp::XDBC_SMALLINT, 5, false),
      number("USMALLINT", sqlp::XDBC_SMALLINT, 5, true),
      {"FLOAT", sqlp::XDBC_REAL, 24, nullptr, {}, false, false, {}, {}, 2},
      {"DOUBLE", sqlp::XDBC_DOUBLE, 53, nullptr, {}, false, false, {}, {}, 2},
      {"INTERVAL", sqlp::XDBC_INTERVAL, std::nullopt, kQuote},
      {"VARCHAR", sqlp::XDBC_VARCHAR, std::nullopt, kQuote, {}, true},
      {"UUID", sqlp::XDBC_VARCHAR, 36, kQuote},
      {"DATE", sqlp::XDBC_DATE, 10, kQuote, {}, false, {}, {}, sqlp::XDBC_SUBCODE_DATE},
      {"TIME", sqlp::XDBC_TIME, 15, kQuote, {}, false, {}, 6, sqlp::XDBC_SUBCODE_TIME},
      {"TIMESTAMP",
       sqlp::XDBC_TIMESTAMP,
       26,
       kQuote,
       {},
       false,
       {},
       6,
       sqlp::XDBC_SUBCODE_TIMESTAMP},
      {"TIMESTAMP WITH TIME ZONE",
       sqlp::XDBC_TIMESTAMP,
       32,
       kQuote,
       {},
       false,
       {},
       6,
       sqlp::XDBC_SUBCODE_TIMESTAMP_WITH_TIMEZONE},
  };
  return kTypes;
}

// ODBC's SQL_DATA_TYPE: dates, times and intervals are kinds of one type each.
int32_t SqlDataType(const XdbcType& type) {
  return type.datetime_subcode.has_value() ? int32_t{sqlp::XDBC_DATETIME}
                                           : type.data_type;
}

template <typename Builder, typename Value>
arrow::Status AppendOptional(const std::optional<Value>& value,
                             arrow::ArrayBuilder* builder) {
  auto* typed = static_cast<Builder*>(builder);
  return value.has_value() ? typed->Append(*value) : typed->AppendNull();
}

arrow::Status AppendType(const XdbcType& type, arrow::RecordBatchBuilder* row) {
  const auto text = [&](int column, const char* value) {
    return AppendOptional<arrow::StringBuilder>(
        value == nullptr ? std::nullopt : std::optional<std::string>(value),
        row->GetField(column));
  };
  const auto integer = [&](int column, const std::optional<int32_t>& value) {
    return AppendOptional<arrow::Int32Builder>(value, row->GetField(column));
  };
  const auto flag = [&](int column, const std::optional<bool>& value) {
    return AppendOptional<arrow::BooleanBuilder>(value, row->GetField(column));
  };
  ARROW_RETURN_NOT_OK(text(0, type.name));
  ARROW_RETURN_NOT_OK(integer(1, type.data_type));
  ARROW_RETURN_NOT_OK(integer(2, type.size));
  ARROW_RETURN_NOT_OK(text(3, type.quote));
  ARROW_RETURN_NOT_OK(text(4, type.quote));
  auto* params = static_cast<arrow::ListBuilder*>(row->GetField(5));
  if (type.create_params.empty()) {
    ARROW_RETURN_NOT_OK(params->AppendNull());
  } else {
    ARROW_RETURN_NOT_OK(AppendTexts(type.create_params, params));
  }
  ARROW_RETURN_NOT_OK(integer(6, sqlp::NULLABILITY_NULLABLE));
  ARROW_RETURN_NOT_OK(flag(7, type.case_sensitive));
  ARROW_RETURN_NOT_OK(integer(8, sqlp::SEARCHABLE_FULL));
  ARROW_RETURN_NOT_OK(flag(9, type.is_unsigned));
  ARROW_RETURN_NOT_OK(flag(10, false));
  ARROW_RETURN_NOT_OK(flag(11, false));
  ARROW_RETURN_NOT_OK(text(12, type.name));
  ARROW_RETURN_NOT_OK(
      integer(13, type.max_scale.has_value() ? std::optional<int32_t>(0) : std::nullopt));
  ARROW_RETURN_NOT_OK(integer(14, type.max_scale));
  ARROW_RETURN_NOT_OK(integer(15, SqlDataType(type)));
  ARROW_RETURN_NOT_OK(integer(16, type.datetime_subcode));
  ARROW_RETURN_NOT_OK(integer(17, type.radix));
  return integer(18, std::nullopt);
}

}  // namespace

std::shared_ptr<arrow::Schema> SqlInfoSchema() {
  return arrow::schema(
      {field("info_name", arrow::uint32(), false), field("value", SqlInfoType(), false)});
}

arrow::Result<std::shared_ptr<arrow::Table>> SqlInfoRows(
    const sqlp::CommandGetSqlInfo& command) {
  auto* pool = arrow::default_memory_pool();
  arrow::UInt32Builder names(pool);
  ARROW_ASSIGN_OR_RAISE(auto builder, arrow::MakeBuilder(SqlInfoType(), pool));
  auto* values = static_cast<arrow::DenseUnionBuilder*>(builder.get());
  if (command.info_size() == 0) {
    for (const auto& [name, value] : AllSqlInfo()) {
      ARROW_RETURN_NOT_OK(AppendInfo(name, value, &names, values));
    }
  }
  for (const uint32_t name : command.info()) {
    const auto known = AllSqlInfo().find(name);
    if (known == AllSqlInfo().end()) continue;
    ARROW_RETURN_NOT_OK(AppendInfo(name, known->second, &names, values));
  }
  ARROW_ASSIGN_OR_RAISE(auto name_array, names.Finish());
  ARROW_ASSIGN_OR_RAISE(auto value_array, values->Finish());
  return arrow::Table::Make(SqlInfoSchema(), {name_array, value_array});
}

std::shared_ptr<arrow::Schema> XdbcTypeInfoSchema() {
  const auto& flag = arrow::boolean();
  return arrow::schema(
      {field("type_name", utf8(), false), field("data_type", int32(), false),
       field("column_size", int32()), field("literal_prefix", utf8()),
       field("literal_suffix", utf8()),
       field("create_params", arrow::list(field("item", utf8(), false))),
       field("nullable", int32(), false), field("case_sensitive", flag, false),
       field("searchable", int32(), false), field("unsigned_attribute", flag),
       field("fixed_prec_scale", flag, false), field("auto_increment", flag),
       field("local_type_name", utf8()), field("minimum_scale", int32()),
       field("maximum_scale", int32()), field("sql_data_type", int32(), false),
       field("datetime_subcode", int32()), field("num_prec_radix", int32()),
       field("interval_precision", int32())});
}

arrow::Result<std::shared_ptr<arrow::Table>> XdbcTypeInfoRows(
    const sqlp::CommandGetXdbcTypeInfo& command) {
  ARROW_ASSIGN_OR_RAISE(auto rows,
                        arrow::RecordBatchBuilder::Make(XdbcTypeInfoSchema(),
                                                        arrow::default_memory_pool()));
  for (const auto& type : XdbcTypes()) {
    if (command.has_data_type() && command.data_type() != type.data_type) continue;
    ARROW_RETURN_NOT_OK(AppendType(type, rows.get()));
  }
  ARROW_ASSIGN_OR_RAISE(auto batch, rows->Flush());
  return arrow::Table::FromRecordBatches({batch});
}

}  // namespace ballista::scheduler
