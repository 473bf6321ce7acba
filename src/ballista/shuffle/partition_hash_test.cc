#include "ballista/shuffle/partition_hash.h"

#include <arrow/api.h>
#include <arrow/json/from_string.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace ballista::shuffle {
namespace {

std::shared_ptr<arrow::Array> FromJson(const std::shared_ptr<arrow::DataType>& type,
                                       std::string_view json) {
  return arrow::json::ArrayFromJSONString(type, json).ValueOrDie();
}

std::vector<uint64_t> Hashes(const std::shared_ptr<arrow::DataType>& type,
                             std::string_view json) {
  return HashRows({FromJson(type, json)}).ValueOrDie();
}

// The vectors of docs/plan-ir.md.
TEST(PartitionHash, DocumentedVectors) {
  EXPECT_EQ(Mix(1), 0xb456bcfc34c2cb2cULL);
  EXPECT_EQ(Mix(~0ULL), 0x64b5720b4b825f21ULL);
  EXPECT_EQ(BytesCode("AIR"), 0xf6a3f3211ef9486aULL);
  EXPECT_EQ(Hashes(arrow::int64(), "[1, -1, 0, null]"),
            (std::vector<uint64_t>{0xb456bcfc34c2cb2cULL, 0x64b5720b4b825f21ULL, 0,
                                   0x9ca066f1a4ab2eeaULL}));
  EXPECT_EQ(Hashes(arrow::utf8(), R"(["AIR"])"),
            std::vector<uint64_t>{0x9922e6a5f44a357aULL});
  const auto pair =
      HashRows({FromJson(arrow::int64(), "[1]"), FromJson(arrow::int64(), "[2]")});
  EXPECT_EQ(pair.ValueOrDie(), std::vector<uint64_t>{0xa63d583b52aa865aULL});
  EXPECT_EQ(PartitionOf(0xb456bcfc34c2cb2cULL, 16), 11u);
}

TEST(PartitionHash, StorageDoesNotMatter) {
  const auto ints = Hashes(arrow::int64(), "[7, -7, null]");
  for (const auto& type : {arrow::int8(), arrow::int16(), arrow::int32()}) {
    EXPECT_EQ(Hashes(type, "[7, -7, null]"), ints) << type->ToString();
  }
  EXPECT_EQ(Hashes(arrow::date32(), "[7, -7, null]"), ints);
  EXPECT_EQ(Hashes(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), "[7, -7, null]"),
            ints);
  EXPECT_EQ(Hashes(arrow::decimal64(15, 2), R"(["0.07", "-0.07", null])"), ints);
  EXPECT_EQ(Hashes(arrow::decimal128(38, 2), R"(["0.07", "-0.07", null])"), ints);
  EXPECT_EQ(Hashes(arrow::float32(), "[1.5, -0.0, null]"),
            Hashes(arrow::float64(), "[1.5, 0.0, null]"));
  const auto strings = Hashes(arrow::utf8(), R"(["", "a longer string value", null])");
  for (const auto& type : {arrow::large_utf8(), arrow::utf8_view(), arrow::binary(),
                           arrow::dictionary(arrow::uint8(), arrow::utf8())}) {
    EXPECT_EQ(Hashes(type, R"(["", "a longer string value", null])"), strings)
        << type->ToString();
  }
}

TEST(PartitionHash, FloatsThatAreEqualAgree) {
  EXPECT_EQ(FloatCode(0.0), FloatCode(-0.0));
  EXPECT_EQ(FloatCode(std::nan("1")), FloatCode(-std::nan("77")));
  EXPECT_EQ(FloatCode(std::numeric_limits<float>::quiet_NaN()), 0x7ff8000000000000ULL);
}

TEST(PartitionHash, WideIntegers) {
  EXPECT_EQ(WideIntegerCode(5, 0), IntegerCode(5));
  EXPECT_EQ(WideIntegerCode(~0ULL, -1), IntegerCode(-1));
  EXPECT_EQ(WideIntegerCode(1, 1), Mix(1) ^ 1);
  // 2^63 does not fit a signed 64-bit integer.
  EXPECT_EQ(WideIntegerCode(1ULL << 63, 0), Mix(1ULL << 63));
}

TEST(PartitionHash, IntervalsAsTheyCompare) {
  EXPECT_EQ(IntervalCode(1, 0, 0), IntervalCode(0, 30, 0));
  EXPECT_EQ(IntervalCode(0, 1, 0), IntervalCode(0, 0, 86'400'000'000));
  EXPECT_NE(IntervalCode(0, 1, 0), IntervalCode(1, 0, 0));
}

TEST(PartitionHash, NestedKeys) {
  const auto type = arrow::struct_(
      {arrow::field("a", arrow::int32()), arrow::field("b", arrow::utf8())});
  const auto rows = Hashes(type, R"([{"a": 1, "b": "x"}, null, {"a": null, "b": "x"}])");
  const uint64_t inner = FoldCode(FoldCode(0, 1), BytesCode("x"));
  EXPECT_EQ(rows[0], FoldCode(0, inner));
  EXPECT_EQ(rows[1], FoldCode(0, kNullCode));
  EXPECT_NE(rows[2], rows[1]);

  const uint64_t list = FoldCode(FoldCode(Mix(2), 1), kNullCode);
  for (const auto& lists :
       {arrow::list(arrow::int32()), arrow::large_list(arrow::int32()),
        arrow::fixed_size_list(arrow::int32(), 2)}) {
    const auto hashes = Hashes(lists, "[[1, null], null, [1, null]]");
    EXPECT_EQ(hashes[0], FoldCode(0, list)) << lists->ToString();
    EXPECT_EQ(hashes[1], FoldCode(0, kNullCode));
    EXPECT_EQ(hashes[2], hashes[0]);
  }
}

TEST(PartitionHash, SlicesAndLongColumns) {
  arrow::Int64Builder builder;
  for (int64_t i = 0; i < 5000; ++i) {
    ASSERT_TRUE((i % 7 == 0 ? builder.AppendNull() : builder.Append(i * 31)).ok());
  }
  const auto column = builder.Finish().ValueOrDie();
  const auto all = HashRows({column}).ValueOrDie();
  const auto slice = HashRows({column->Slice(1000, 3000)}).ValueOrDie();
  EXPECT_TRUE(std::equal(slice.begin(), slice.end(), all.begin() + 1000));
}

TEST(PartitionHash, PartitionsAreBalanced) {
  arrow::Int64Builder builder;
  constexpr int64_t kRows = 200'000;
  constexpr double kExpected = kRows / 16.0;
  for (int64_t i = 0; i < kRows; ++i) ASSERT_TRUE(builder.Append(i * 8).ok());
  const auto partitions = PartitionRows({builder.Finish().ValueOrDie()}, 16).ValueOrDie();
  std::vector<int64_t> rows(16, 0);
  for (const uint32_t partition : partitions) ++rows.at(partition);
  for (const int64_t count : rows) EXPECT_NEAR(count, kExpected, kExpected * 0.05);
}

TEST(PartitionHash, RefusesWhatIsNoKey) {
  const auto map = FromJson(arrow::map(arrow::utf8(), arrow::int32()), R"([[["a", 1]]])");
  EXPECT_TRUE(HashRows({map}).status().IsNotImplemented());
  EXPECT_FALSE(PartitionRows({FromJson(arrow::int64(), "[1]")}, 0).ok());
  EXPECT_FALSE(PartitionRows({FromJson(arrow::int64(), "[1]")}, 65536).ok());
}

}  // namespace
}  // namespace ballista::shuffle
