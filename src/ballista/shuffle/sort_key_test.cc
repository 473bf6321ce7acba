#include "ballista/shuffle/sort_key.h"

#include <arrow/api.h>
#include <arrow/json/from_string.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ballista/plan/plan.h"

namespace ballista::shuffle {
namespace {

using plan::Type;

plan::SortKey Key(uint32_t column, const Type& type, bool descending = false,
                  bool nulls_first = false) {
  plan::SortKey key;
  *key.mutable_expression() = plan::ColumnRef(column, type);
  key.set_descending(descending);
  key.set_nulls_first(nulls_first);
  return key;
}

std::string Hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return text;
}

std::string KeyOf(Type::Id id, const std::shared_ptr<arrow::DataType>& layout,
                  std::string_view json, bool descending = false,
                  bool nulls_first = false) {
  const auto array = arrow::json::ArrayFromJSONString(layout, json).ValueOrDie();
  const auto batch = arrow::RecordBatch::Make(arrow::schema({arrow::field("c0", layout)}),
                                              array->length(), {array});
  const auto encoder =
      SortKeyEncoder::Make({Key(0, plan::MakeType(id), descending, nulls_first)})
          .ValueOrDie();
  return Hex(encoder.EncodeRow(*batch, 0).ValueOrDie());
}

// The vectors of docs/plan-ir.md.
TEST(SortKey, DocumentedVectors) {
  EXPECT_EQ(KeyOf(Type::INTEGER, arrow::int32(), "[1]"), "0180000001");
  EXPECT_EQ(KeyOf(Type::INTEGER, arrow::int32(), "[-1]"), "017fffffff");
  EXPECT_EQ(KeyOf(Type::INTEGER, arrow::int32(), "[1]", true), "017ffffffe");
  EXPECT_EQ(KeyOf(Type::INTEGER, arrow::int32(), "[null]"), "0200000000");
  EXPECT_EQ(KeyOf(Type::INTEGER, arrow::int32(), "[null]", true, true), "0000000000");
  EXPECT_EQ(KeyOf(Type::UTINYINT, arrow::uint8(), "[200]"), "01c8");
  EXPECT_EQ(KeyOf(Type::DOUBLE, arrow::float64(), "[1.5]"), "01bff8000000000000");
  EXPECT_EQ(KeyOf(Type::DOUBLE, arrow::float64(), "[-1.5]"), "014007ffffffffffff");
  EXPECT_EQ(KeyOf(Type::DOUBLE, arrow::float64(), "[-0.0]"), "018000000000000000");
  EXPECT_EQ(KeyOf(Type::DOUBLE, arrow::float64(), "[NaN]"), "01fff8000000000000");
  EXPECT_EQ(KeyOf(Type::VARCHAR, arrow::utf8(), R"(["ab"])"), "0161620000");
  EXPECT_EQ(KeyOf(Type::VARCHAR, arrow::utf8(), R"(["ab"])", true), "019e9dffff");
  EXPECT_EQ(KeyOf(Type::VARCHAR, arrow::utf8(), R"(["a\u0000"])"), "016100ff0000");
  EXPECT_EQ(KeyOf(Type::VARCHAR, arrow::utf8(), "[null]"), "02");
  EXPECT_EQ(KeyOf(Type::DECIMAL, arrow::decimal128(38, 2), R"(["-0.01"])"),
            "017fffffffffffffffffffffffffffffff");
  EXPECT_EQ(KeyOf(Type::DATE, arrow::date32(), "[1]"), "0180000001");
}

TEST(SortKey, OfASliceIsThatOfItsRows) {
  const auto strings =
      arrow::json::ArrayFromJSONString(arrow::utf8(), R"(["x", "longer", null, "y"])")
          .ValueOrDie();
  const auto numbers =
      arrow::json::ArrayFromJSONString(arrow::int64(), "[1, 2, 3, null]").ValueOrDie();
  const auto batch =
      arrow::RecordBatch::Make(arrow::schema({arrow::field("c0", arrow::utf8()),
                                              arrow::field("c1", arrow::int64())}),
                               4, {strings, numbers});
  const auto encoder = SortKeyEncoder::Make({Key(1, plan::MakeType(Type::BIGINT), true),
                                             Key(0, plan::MakeType(Type::VARCHAR))})
                           .ValueOrDie();
  const auto whole = encoder.Encode(*batch, 0, 4).ValueOrDie();
  const auto slice = batch->Slice(1, 3);
  const auto part = encoder.Encode(*slice, 1, 2).ValueOrDie();
  EXPECT_EQ(part[0], whole[2]);
  EXPECT_EQ(part[1], whole[3]);
  EXPECT_EQ(encoder.EncodeRow(*slice, 0).ValueOrDie(), whole[1]);
}

TEST(SortKey, RefusesWhatHasNone) {
  const auto list = arrow::list(arrow::int32());
  const auto array = arrow::json::ArrayFromJSONString(list, "[[1]]").ValueOrDie();
  const auto batch =
      arrow::RecordBatch::Make(arrow::schema({arrow::field("c0", list)}), 1, {array});
  const auto of_list =
      SortKeyEncoder::Make({Key(0, plan::ListType(plan::MakeType(Type::INTEGER)))})
          .ValueOrDie();
  EXPECT_FALSE(of_list.EncodeRow(*batch, 0).ok());
  const auto of_other_layout =
      SortKeyEncoder::Make({Key(0, plan::MakeType(Type::BIGINT))}).ValueOrDie();
  EXPECT_FALSE(of_other_layout.EncodeRow(*batch, 0).ok());
  const auto of_no_column =
      SortKeyEncoder::Make({Key(1, plan::MakeType(Type::BIGINT))}).ValueOrDie();
  EXPECT_FALSE(of_no_column.EncodeRow(*batch, 0).ok());
  EXPECT_FALSE(SortKeyEncoder::Make({}).ok());
}

}  // namespace
}  // namespace ballista::shuffle
