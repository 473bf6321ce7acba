#include "ballista/client/shell/value_text.h"

#include <arrow/api.h>
#include <arrow/array/array_run_end.h>
#include <arrow/extension/bool8.h>
#include <arrow/extension/json.h>
#include <arrow/extension/opaque.h>
#include <arrow/extension/uuid.h>
#include <arrow/json/from_string.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "ballista/client/shell/temporal_text.h"

namespace ballista::shell {
namespace {

using ::testing::ElementsAre;

std::shared_ptr<arrow::Array> Array(const std::shared_ptr<arrow::DataType>& type,
                                    std::string_view json) {
  auto array = arrow::json::ArrayFromJSONString(type, json);
  EXPECT_TRUE(array.ok()) << array.status();
  return *array;
}

std::vector<std::string> Texts(const arrow::Array& array) {
  std::vector<std::string> texts(static_cast<size_t>(array.length()));
  for (int64_t i = 0; i < array.length(); ++i) {
    AppendText(array, i, &texts[static_cast<size_t>(i)]);
  }
  return texts;
}

std::vector<std::string> Jsons(const arrow::Array& array) {
  std::vector<std::string> texts(static_cast<size_t>(array.length()));
  for (int64_t i = 0; i < array.length(); ++i) {
    AppendJson(array, i, &texts[static_cast<size_t>(i)]);
  }
  return texts;
}

std::shared_ptr<arrow::Array> Extension(const std::shared_ptr<arrow::DataType>& type,
                                        const std::vector<std::string>& values) {
  const auto& storage_type =
      static_cast<const arrow::ExtensionType&>(*type).storage_type();
  auto builder = *arrow::MakeBuilder(storage_type);
  for (const auto& value : values) {
    switch (storage_type->id()) {
      case arrow::Type::FIXED_SIZE_BINARY:
        EXPECT_TRUE(
            static_cast<arrow::FixedSizeBinaryBuilder&>(*builder).Append(value).ok());
        break;
      case arrow::Type::BINARY_VIEW:
        EXPECT_TRUE(static_cast<arrow::BinaryViewBuilder&>(*builder).Append(value).ok());
        break;
      default:
        EXPECT_TRUE(static_cast<arrow::StringBuilder&>(*builder).Append(value).ok());
        break;
    }
  }
  return arrow::ExtensionType::WrapArray(type, *builder->Finish());
}

std::shared_ptr<arrow::Array> Opaque(const std::shared_ptr<arrow::DataType>& storage,
                                     const std::string& name,
                                     const std::vector<std::string>& values) {
  return Extension(arrow::extension::opaque(storage, name, "DuckDB"), values);
}

TEST(ValueText, Integers) {
  EXPECT_THAT(Texts(*Array(arrow::int8(), "[-128, null]")), ElementsAre("-128", "NULL"));
  EXPECT_THAT(Texts(*Array(arrow::uint8(), "[255]")), ElementsAre("255"));
  EXPECT_THAT(Texts(*Array(arrow::uint64(), "[18446744073709551615]")),
              ElementsAre("18446744073709551615"));
  EXPECT_THAT(Jsons(*Array(arrow::int64(), "[9007199254740993, null]")),
              ElementsAre("9007199254740993", "null"));
}

TEST(ValueText, Floats) {
  const auto doubles = Array(arrow::float64(), "[1, 0.1, 1e20, -1e-7, NaN, Inf, -Inf]");
  EXPECT_THAT(Texts(*doubles),
              ElementsAre("1.0", "0.1", "1e+20", "-1e-07", "nan", "inf", "-inf"));
  EXPECT_THAT(Jsons(*doubles), ElementsAre("1.0", "0.1", "1e+20", "-1e-07", "\"NaN\"",
                                           "\"Infinity\"", "\"-Infinity\""));
  EXPECT_THAT(Texts(*Array(arrow::float32(), "[0.1]")), ElementsAre("0.1"));
  EXPECT_THAT(Texts(*Array(arrow::float16(), "[0.5]")), ElementsAre("0.5"));
}

TEST(ValueText, BooleansAndNulls) {
  EXPECT_THAT(Texts(*Array(arrow::boolean(), "[true, false, null]")),
              ElementsAre("true", "false", "NULL"));
  EXPECT_THAT(Jsons(*Array(arrow::boolean(), "[true, null]")),
              ElementsAre("true", "null"));
  EXPECT_THAT(Texts(*Array(arrow::null(), "[null]")), ElementsAre("NULL"));
  EXPECT_THAT(Jsons(*Array(arrow::null(), "[null]")), ElementsAre("null"));
}

TEST(ValueText, DecimalsWithAllTheirDigits) {
  EXPECT_THAT(Texts(*Array(arrow::decimal64(10, 2), R"(["1.50", "-0.05", null])")),
              ElementsAre("1.50", "-0.05", "NULL"));
  EXPECT_THAT(Texts(*Array(arrow::decimal32(5, 0), R"(["12345"])")),
              ElementsAre("12345"));
  EXPECT_THAT(Texts(*Array(arrow::decimal128(38, 10), R"(["0.0000000001"])")),
              ElementsAre("0.0000000001"));
  EXPECT_THAT(
      Jsons(*Array(arrow::decimal128(38, 2), R"(["123456789012345678901234567890.12"])")),
      ElementsAre("123456789012345678901234567890.12"));
  EXPECT_THAT(Texts(*Array(arrow::decimal256(50, 1), R"(["-0.1"])")),
              ElementsAre("-0.1"));
}

TEST(ValueText, Strings) {
  for (const auto& type : {arrow::utf8(), arrow::large_utf8(), arrow::utf8_view()}) {
    const auto strings = Array(type, R"(["Zürich", "a\"b\\c\n\u0001", "", null])");
    EXPECT_THAT(Texts(*strings), ElementsAre("Zürich", "a\"b\\c\n\x01", "", "NULL"));
    EXPECT_THAT(Jsons(*strings),
                ElementsAre("\"Zürich\"", R"("a\"b\\c\n\u0001")", "\"\"", "null"));
  }
}

TEST(ValueText, Blobs) {
  for (const auto& type :
       {arrow::binary(), arrow::large_binary(), arrow::binary_view()}) {
    const auto blobs = Array(type, R"(["a\u0000b", "\\", null])");
    EXPECT_THAT(Texts(*blobs), ElementsAre("a\\x00b", "\\x5C", "NULL"));
    EXPECT_THAT(Jsons(*blobs), ElementsAre("\"a\\\\x00b\"", "\"\\\\x5C\"", "null"));
  }
  EXPECT_THAT(Texts(*Array(arrow::fixed_size_binary(2), R"(["ab"])")), ElementsAre("ab"));
}

TEST(ValueText, Dates) {
  EXPECT_THAT(Texts(*Array(arrow::date32(),
                           "[0, 19782, -1, -735160, 2147483647, "
                           "-2147483647, null]")),
              ElementsAre("1970-01-01", "2024-02-29", "1969-12-31", "0044-03-15 (BC)",
                          "infinity", "-infinity", "NULL"));
  EXPECT_THAT(Texts(*Array(arrow::date64(), "[86400000]")), ElementsAre("1970-01-02"));
}

TEST(ValueText, Times) {
  EXPECT_THAT(Texts(*Array(arrow::time64(arrow::TimeUnit::MICRO), "[43201500000, 0]")),
              ElementsAre("12:00:01.5", "00:00:00"));
  EXPECT_THAT(Texts(*Array(arrow::time64(arrow::TimeUnit::NANO), "[1]")),
              ElementsAre("00:00:00.000000001"));
  EXPECT_THAT(Texts(*Array(arrow::time32(arrow::TimeUnit::SECOND), "[86399]")),
              ElementsAre("23:59:59"));
}

TEST(ValueText, Timestamps) {
  const auto local =
      Array(arrow::timestamp(arrow::TimeUnit::MICRO), "[1709208000500000, -1]");
  EXPECT_THAT(Texts(*local),
              ElementsAre("2024-02-29 12:00:00.5", "1969-12-31 23:59:59.999999"));
  EXPECT_THAT(Jsons(*local),
              ElementsAre("\"2024-02-29T12:00:00.5\"", "\"1969-12-31T23:59:59.999999\""));
  EXPECT_THAT(Texts(*Array(arrow::timestamp(arrow::TimeUnit::SECOND), "[0]")),
              ElementsAre("1970-01-01 00:00:00"));
  EXPECT_THAT(Texts(*Array(arrow::timestamp(arrow::TimeUnit::NANO), "[1]")),
              ElementsAre("1970-01-01 00:00:00.000000001"));
}

TEST(ValueText, TimestampsWithZone) {
  auto with_zone = [](const std::string& zone) {
    return Array(arrow::timestamp(arrow::TimeUnit::MICRO, zone),
                 "[1709208000000000, 1719835200000000]");
  };
  EXPECT_THAT(Texts(*with_zone("Etc/UTC")),
              ElementsAre("2024-02-29 12:00:00+00", "2024-07-01 12:00:00+00"));
  EXPECT_THAT(Jsons(*with_zone("UTC")),
              ElementsAre("\"2024-02-29T12:00:00Z\"", "\"2024-07-01T12:00:00Z\""));
  EXPECT_THAT(Texts(*with_zone("Europe/Zurich")),
              ElementsAre("2024-02-29 13:00:00+01", "2024-07-01 14:00:00+02"));
  EXPECT_THAT(
      Jsons(*with_zone("Asia/Kolkata")),
      ElementsAre("\"2024-02-29T17:30:00+05:30\"", "\"2024-07-01T17:30:00+05:30\""));
  EXPECT_THAT(Texts(*with_zone("-08:00")),
              ElementsAre("2024-02-29 04:00:00-08", "2024-07-01 04:00:00-08"));
  EXPECT_THAT(Texts(*with_zone("No/Where")),
              ElementsAre("2024-02-29 12:00:00+00", "2024-07-01 12:00:00+00"));
}

TEST(ValueText, InfiniteTimestampsAndFarYears) {
  std::string text;
  AppendTimestamp(std::numeric_limits<int64_t>::max(), arrow::TimeUnit::MICRO, "UTC",
                  TemporalStyle::kSql, &text);
  EXPECT_EQ(text, "infinity");
  text.clear();
  AppendDate(2147483646, &text);
  EXPECT_EQ(text, "5881580-07-10");
  text.clear();
  AppendTimestamp(-63517824000, arrow::TimeUnit::SECOND, "", TemporalStyle::kSql, &text);
  EXPECT_EQ(text, "0044-03-15 (BC) 00:00:00");
}

TEST(ValueText, Intervals) {
  EXPECT_THAT(
      Texts(*Array(arrow::month_day_nano_interval(),
                   "[[14, 3, 14706500000000], [0, 0, 0], [-1, -3, -14706500000000], "
                   "[0, 1, 0], [0, 0, -500000000], null]")),
      ElementsAre("1 year 2 months 3 days 04:05:06.5", "00:00:00",
                  "-1 month -3 days -04:05:06.5", "1 day", "-00:00:00.5", "NULL"));
  EXPECT_THAT(Texts(*Array(arrow::month_interval(), "[25]")),
              ElementsAre("2 years 1 month"));
  EXPECT_THAT(Texts(*Array(arrow::duration(arrow::TimeUnit::SECOND), "[3661]")),
              ElementsAre("01:01:01"));
}

TEST(ValueText, Lists) {
  for (const auto& type :
       {arrow::list(arrow::int32()), arrow::large_list(arrow::int32()),
        arrow::list_view(arrow::int32()), arrow::large_list_view(arrow::int32())}) {
    const auto lists = Array(type, "[[1, null, 3], [], null]");
    EXPECT_THAT(Texts(*lists), ElementsAre("[1, NULL, 3]", "[]", "NULL"));
    EXPECT_THAT(Jsons(*lists), ElementsAre("[1,null,3]", "[]", "null"));
    EXPECT_THAT(Texts(*lists->Slice(1)), ElementsAre("[]", "NULL"));
  }
  const auto fixed = Array(arrow::fixed_size_list(arrow::int32(), 2), "[[1, 2], [3, 4]]");
  EXPECT_THAT(Texts(*fixed->Slice(1)), ElementsAre("[3, 4]"));
}

TEST(ValueText, QuotesNestedTextThatCouldBeMistaken) {
  EXPECT_THAT(Texts(*Array(arrow::list(arrow::utf8()),
                           R"([["a", "", "NULL", " x", "a, b", "it's", "x y"]])")),
              ElementsAre(R"([a, '', 'NULL', ' x', 'a, b', 'it\'s', x y])"));
  EXPECT_THAT(
      Texts(*Array(arrow::list(arrow::timestamp(arrow::TimeUnit::SECOND)), "[[0]]")),
      ElementsAre("['1970-01-01 00:00:00']"));
}

TEST(ValueText, StructsAndMaps) {
  const auto type = arrow::struct_(
      {arrow::field("a", arrow::int32()), arrow::field("b", arrow::utf8())});
  const auto structs =
      Array(type, R"([{"a": 1, "b": "x"}, {"a": null, "b": null}, null])");
  EXPECT_THAT(Texts(*structs),
              ElementsAre("{'a': 1, 'b': x}", "{'a': NULL, 'b': NULL}", "NULL"));
  EXPECT_THAT(Jsons(*structs),
              ElementsAre(R"({"a":1,"b":"x"})", R"({"a":null,"b":null})", "null"));
  EXPECT_THAT(Texts(*structs->Slice(1)), ElementsAre("{'a': NULL, 'b': NULL}", "NULL"));

  const auto maps = Array(arrow::map(arrow::utf8(), arrow::int32()),
                          R"([[["k", 1], ["l", null]], [], null])");
  EXPECT_THAT(Texts(*maps), ElementsAre("{k=1, l=NULL}", "{}", "NULL"));
  EXPECT_THAT(Jsons(*maps), ElementsAre(R"({"k":1,"l":null})", "{}", "null"));
  EXPECT_THAT(Jsons(*Array(arrow::map(arrow::int32(), arrow::int32()), "[[[1, 2]]]")),
              ElementsAre(R"({"1":2})"));
}

TEST(ValueText, Unions) {
  const arrow::FieldVector fields = {arrow::field("n", arrow::int32()),
                                     arrow::field("s", arrow::utf8())};
  for (const auto& type : {arrow::sparse_union(fields), arrow::dense_union(fields)}) {
    const auto unions = Array(type, R"([[0, 7], [1, "x"], [0, null]])");
    EXPECT_THAT(Texts(*unions), ElementsAre("7", "x", "NULL"));
    EXPECT_THAT(Jsons(*unions), ElementsAre("7", "\"x\"", "null"));
    EXPECT_THAT(Texts(*unions->Slice(1)), ElementsAre("x", "NULL"));
  }
}

TEST(ValueText, EncodedArrays) {
  const auto dictionary = *arrow::DictionaryArray::FromArrays(
      Array(arrow::uint8(), "[1, 0, null]"), Array(arrow::utf8(), R"(["a", "b"])"));
  EXPECT_THAT(Texts(*dictionary), ElementsAre("b", "a", "NULL"));
  EXPECT_THAT(Jsons(*dictionary), ElementsAre("\"b\"", "\"a\"", "null"));
  const auto runs = *arrow::RunEndEncodedArray::Make(
      5, Array(arrow::int32(), "[2, 5]"), Array(arrow::utf8(), R"(["a", null])"));
  EXPECT_THAT(Texts(*runs), ElementsAre("a", "a", "NULL", "NULL", "NULL"));
  EXPECT_THAT(Texts(*runs->Slice(1, 2)), ElementsAre("a", "NULL"));
}

TEST(ValueText, ExtensionTypes) {
  const std::string id =
      "\x12\x34\x56\x78\x9a\xbc\xde\xf0\x01\x02\x03\x04\x05\x06\x07\x08";
  EXPECT_THAT(Texts(*Extension(arrow::extension::uuid(), {id})),
              ElementsAre("12345678-9abc-def0-0102-030405060708"));
  const auto json = Extension(arrow::extension::json(), {"{\"a\":\n1}"});
  EXPECT_THAT(Texts(*json), ElementsAre("{\"a\":\n1}"));
  EXPECT_THAT(Jsons(*json), ElementsAre("{\"a\": 1}"));
  const auto flags = arrow::ExtensionType::WrapArray(
      arrow::extension::bool8(), Array(arrow::int8(), "[1, 0, null]"));
  EXPECT_THAT(Jsons(*flags), ElementsAre("true", "false", "null"));
}

TEST(ValueText, DuckDbsOpaqueTypes) {
  using std::string_literals::operator""s;
  const auto wide = arrow::fixed_size_binary(16);
  const auto ones = std::string(16, '\xff');
  EXPECT_THAT(Texts(*Opaque(wide, "hugeint", {ones, "\x05"s + std::string(15, '\0')})),
              ElementsAre("-1", "5"));
  EXPECT_THAT(Jsons(*Opaque(wide, "uhugeint", {ones})),
              ElementsAre("340282366920938463463374607431768211455"));
  const auto& view = arrow::binary_view();
  EXPECT_THAT(
      Texts(*Opaque(view, "bignum",
                    {"\x80\x00\x01\x7b"s, "\x7f\xff\xfe\x84"s, "\x80\x00\x01\x00"s,
                     "\x80\x00\x0d\x01\x8e\xe9\x0f\xf6\xc3s\xe0\xeeN?\n\xd2"s,
                     "\x7f\xff\xfd\xfe\xff"s})),
      ElementsAre("123", "-123", "0", "123456789012345678901234567890", "-256"));
  EXPECT_THAT(Texts(*Opaque(view, "bit", {"\x05\xfd"s, "\x07\xfe\x01"s})),
              ElementsAre("101", "000000001"));
  EXPECT_THAT(Texts(*Opaque(arrow::fixed_size_binary(8), "time_tz",
                            {"\xDF\xC4\x00\x00\xB0\xEB\x0E\x0A"s,
                             "\x87\x58\x01\x60\xE3\x16\x00\x00"s})),
              ElementsAre("12:00:00+02", "00:00:01.5-08:30"));
}

TEST(ValueText, KnowsWhatIsNumeric) {
  EXPECT_TRUE(IsNumeric(*arrow::int8()));
  EXPECT_TRUE(IsNumeric(*arrow::decimal64(10, 2)));
  EXPECT_TRUE(IsNumeric(
      *arrow::extension::opaque(arrow::fixed_size_binary(16), "hugeint", "DuckDB")));
  EXPECT_FALSE(IsNumeric(*arrow::utf8()));
  EXPECT_FALSE(IsNumeric(*arrow::date32()));
}

}  // namespace
}  // namespace ballista::shell
