// What leaves a task comes back unchanged: every type, through the sink and the reader;
// and each row lands in the partition that the documented hash says.
#define XXH_INLINE_ALL
#include <arrow/vendored/xxhash.h>

#include <bit>
#include <thread>

#include "ballista/engine/duckdb/batch_partitioner.h"
#include "ballista/engine/duckdb/engine_test_internal.h"
#include "ballista/engine/duckdb/partition_hash_duckdb.h"
#include "ballista/engine/duckdb/types.h"
#include "ballista/shuffle/partition_hash.h"

namespace ballista::engine {
namespace {

using namespace testing;  // NOLINT: the test's own vocabulary
using Strings = std::vector<std::string>;

Type Named(Type::Id id, std::vector<std::pair<std::string, Type>> children) {
  Type type = MakeType(id);
  for (auto& [name, child] : children) {
    type.add_names(name);
    *type.add_children() = child;
  }
  return type;
}

struct TypeCase {
  std::string name;
  Type type;
  Strings values;  // as text that casts to the type
};

std::vector<TypeCase> TypeCases() {
  Type json = kVarchar;
  json.set_alias("JSON");
  Type mood = MakeType(Type::ENUM);
  for (const char* value : {"sad", "ok", "happy"}) mood.add_names(value);
  Type array = MakeType(Type::ARRAY);
  array.set_array_size(3);
  *array.add_children() = kInteger;
  Type map = MakeType(Type::MAP);
  *map.add_children() = kVarchar;
  *map.add_children() = MakeType(Type::HUGEINT);
  const Type point = Named(Type::STRUCT, {{"x", kInteger}, {"s", kVarchar}});
  const std::string long_text(300, 'z');
  return {
      {"boolean", kBoolean, {"true", "false"}},
      {"tinyint", MakeType(Type::TINYINT), {"-128", "127"}},
      {"smallint", MakeType(Type::SMALLINT), {"-32768", "5"}},
      {"integer", kInteger, {"-2147483648", "7"}},
      {"bigint", kBigint, {"-9223372036854775808", "8"}},
      {"hugeint",
       MakeType(Type::HUGEINT),
       {"-170141183460469231731687303715884105728",
        "170141183460469231731687303715884105727", "-1"}},
      {"utinyint", MakeType(Type::UTINYINT), {"255", "0"}},
      {"usmallint", MakeType(Type::USMALLINT), {"65535", "1"}},
      {"uinteger", MakeType(Type::UINTEGER), {"4294967295", "2"}},
      {"ubigint", MakeType(Type::UBIGINT), {"18446744073709551615", "3"}},
      {"uhugeint",
       MakeType(Type::UHUGEINT),
       {"340282366920938463463374607431768211455", "4"}},
      {"float", MakeType(Type::FLOAT), {"1.5", "nan", "-inf", "-0.0"}},
      {"double", kDouble, {"1e300", "nan", "-0.0"}},
      {"decimal4", plan::DecimalType(4, 1), {"-999.9", "0.1"}},
      {"decimal9", plan::DecimalType(9, 2), {"-9999999.99", "0.01"}},
      {"decimal18", plan::DecimalType(18, 3), {"-999999999999999.999", "1"}},
      {"decimal38",
       plan::DecimalType(38, 10),
       {"-9999999999999999999999999999.9999999999", "1"}},
      {"varchar", kVarchar, {"", "short", "twelve bytes", "thirteen byte", long_text}},
      {"json", json, {"{\"a\": [1, 2]}"}},
      {"blob", MakeType(Type::BLOB), {"\\x00\\xFF", "abc"}},
      {"bit", MakeType(Type::BIT), {"10101", "1"}},
      {"uuid",
       MakeType(Type::UUID),
       {"00000000-0000-0000-0000-000000000001", "ffffffff-ffff-ffff-ffff-ffffffffffff"}},
      {"date", MakeType(Type::DATE), {"1969-12-31", "9999-12-31", "infinity"}},
      {"time", MakeType(Type::TIME), {"23:59:59.999999", "00:00:00"}},
      {"time_ns", MakeType(Type::TIME_NS), {"23:59:59.999999999"}},
      {"time_tz", MakeType(Type::TIME_TZ), {"12:00:00+05:30", "00:00:00-11"}},
      {"timestamp", MakeType(Type::TIMESTAMP), {"1992-01-01 01:02:03.456789"}},
      {"timestamp_s", MakeType(Type::TIMESTAMP_S), {"1992-01-01 01:02:03"}},
      {"timestamp_ms", MakeType(Type::TIMESTAMP_MS), {"1992-01-01 01:02:03.456"}},
      {"timestamp_ns", MakeType(Type::TIMESTAMP_NS), {"1992-01-01 01:02:03.456789012"}},
      {"timestamp_tz", MakeType(Type::TIMESTAMP_TZ), {"1992-01-01 01:02:03+02"}},
      {"interval",
       MakeType(Type::INTERVAL),
       {"3 years 5 days 12 hours", "-1 month", "30000000 hours"}},
      {"enum", mood, {"happy", "sad"}},
      {"list", plan::ListType(kVarchar), {"[a, NULL, " + long_text + "]", "[]"}},
      {"nested list",
       plan::ListType(plan::ListType(kInteger)),
       {"[[1, 2], [], NULL]", "[]"}},
      {"array", array, {"[1, NULL, 3]"}},
      {"struct", point, {"{'x': 1, 's': abc}", "{'x': NULL, 's': NULL}"}},
      {"list of structs", plan::ListType(point), {"[{'x': 4, 's': d}, NULL]"}},
      {"map", map, {"{k=1, l=NULL}", "{}"}},
      {"bignum",
       MakeType(Type::BIGNUM),
       {"-123456789012345678901234567890123456789012345678901234567890", "1"}},
  };
}

// The values, and NULLs between them, many times over.
Node TypedRows(const TypeCase& type_case) {
  std::vector<std::vector<plan::Expression>> rows;
  for (const auto& value : type_case.values) rows.push_back({Text(value)});
  rows.push_back({Null(kVarchar)});
  Node values = ValuesNode(rows);
  Node join;
  *join.add_types() = kVarchar;
  *join.add_types() = kBigint;
  *join.add_inputs() = values;
  *join.add_inputs() = RangeNode(1500);
  join.mutable_join()->set_type(plan::Join::INNER);
  join.mutable_join()->add_output(0);
  join.mutable_join()->add_output(1);
  return ProjectNode(
      join, {CastTo(ColumnRef(0, kVarchar), type_case.type), ColumnRef(1, kBigint)});
}

Node AsText(Node input) {
  const Type type = input.types(0);
  return ProjectNode(std::move(input),
                     {CastTo(ColumnRef(0, type), kVarchar), ColumnRef(1, kBigint)});
}

class ExchangeTest : public EngineTest {
 protected:
  static void ExpectUnchanged(const TypeCase& type_case, uint32_t partitions) {
    SCOPED_TRACE(type_case.name + " over " + std::to_string(partitions));
    const Node rows = TypedRows(type_case);
    MemorySink exchange;
    const bool is_map = type_case.type.id() == Type::MAP;
    FragmentTask task = HashTask(rows, &exchange, {is_map ? 1U : 0U}, partitions);
    auto metrics = Run(task);
    ASSERT_TRUE(metrics.ok()) << metrics.status().ToString();
    MemorySource source(exchange);
    const Node read = AsText(ExchangeNode(rows.types()));
    MemorySink result;
    FragmentTask reader = ResultTask(read, &result);
    reader.inputs = {&source};
    auto read_metrics = Run(reader);
    ASSERT_TRUE(read_metrics.ok()) << read_metrics.status().ToString();
    EXPECT_EQ(read_metrics->input_rows(), 1500 * (type_case.values.size() + 1));
    EXPECT_EQ(Rows(result), RowsOf(AsText(rows)));
  }
};

TEST_F(ExchangeTest, EveryTypeComesBackUnchanged) {
  for (const auto& type_case : TypeCases()) {
    ExpectUnchanged(type_case, 5);
    ExpectUnchanged(type_case, 1);
  }
}

TEST_F(ExchangeTest, UnionsComeBackUnchanged) {
  const Type type = Named(Type::UNION, {{"i", kInteger}, {"s", kVarchar}});
  Node rows = ProjectNode(
      ValuesNode({{Int(1), Int(1)}}),
      {CastTo(CastTo(ColumnRef(0, kBigint), kInteger), type), ColumnRef(1, kBigint)});
  Node texts = ProjectNode(ValuesNode({{Text("t"), Int(2)}, {Null(kVarchar), Int(3)}}),
                           {CastTo(ColumnRef(0, kVarchar), type), ColumnRef(1, kBigint)});
  Node both;
  *both.mutable_types() = rows.types();
  *both.add_inputs() = rows;
  *both.add_inputs() = texts;
  both.mutable_set_operation()->set_op(plan::SetOperation::UNION);
  both.mutable_set_operation()->set_all(true);
  MemorySink exchange;
  ASSERT_TRUE(Run(HashTask(both, &exchange, {1}, 3)).ok());
  MemorySource source(exchange);
  const Node read = AsText(ExchangeNode(both.types()));
  MemorySink result;
  FragmentTask reader = ResultTask(read, &result);
  reader.inputs = {&source};
  auto metrics = Run(reader);
  ASSERT_TRUE(metrics.ok()) << metrics.status().ToString();
  EXPECT_EQ(Rows(result), RowsOf(AsText(both)));
  EXPECT_EQ(Rows(result)[0], "1|1");
}

TEST_F(ExchangeTest, UntypedNullsComeBackUnchanged) {
  const Type null = MakeType(Type::NULL_TYPE);
  const Node rows = ProjectNode(RangeNode(5), {Null(null), ColumnRef(0, kBigint)});
  for (const uint32_t partitions : {1U, 3U}) {
    MemorySink exchange;
    auto metrics = Run(HashTask(rows, &exchange, {0, 1}, partitions));
    ASSERT_TRUE(metrics.ok()) << metrics.status().ToString();
    MemorySource source(exchange);
    const Node read = ExchangeNode(rows.types());
    MemorySink result;
    FragmentTask reader = ResultTask(read, &result);
    reader.inputs = {&source};
    auto read_metrics = Run(reader);
    ASSERT_TRUE(read_metrics.ok()) << read_metrics.status().ToString();
    EXPECT_EQ(Rows(result), (Strings{"null|0", "null|1", "null|2", "null|3", "null|4"}));
  }
}

TEST_F(ExchangeTest, LiteralsOfEveryKindAreRead) {
  auto literal = [](const Type& type, auto set) {
    plan::Expression e;
    *e.mutable_type() = type;
    *e.mutable_literal()->mutable_type() = type;
    set(e.mutable_literal());
    return e;
  };
  const std::string uuid(
      "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef", 16);
  const std::string minus_one(16, '\xff');
  Type mood = MakeType(Type::ENUM);
  mood.add_names("sad");
  mood.add_names("ok");
  std::vector<plan::Expression> literals = {
      literal(plan::DecimalType(4, 2), [](auto* v) { v->set_int_(-150); }),
      literal(plan::DecimalType(18, 2), [](auto* v) { v->set_int_(12345); }),
      literal(plan::DecimalType(38, 2), [&](auto* v) { v->set_wide(minus_one); }),
      literal(MakeType(Type::HUGEINT), [&](auto* v) { v->set_wide(minus_one); }),
      literal(MakeType(Type::UUID), [&](auto* v) { v->set_wide(uuid); }),
      literal(MakeType(Type::DATE), [](auto* v) { v->set_int_(1); }),
      literal(MakeType(Type::UTINYINT), [](auto* v) { v->set_uint(200); }),
      literal(mood, [](auto* v) { v->set_int_(1); }),
      literal(MakeType(Type::INTERVAL),
              [](auto* v) { v->mutable_interval()->set_days(2); }),
      literal(MakeType(Type::FLOAT), [](auto* v) { v->set_float_(0.5F); }),
      literal(plan::ListType(kBigint),
              [](auto* v) { *v->mutable_nested()->add_values() = Int(9).literal(); }),
  };
  for (auto& e : literals) e = CastTo(e, kVarchar);
  EXPECT_EQ(RowsOf(ProjectNode(ValuesNode({{Int(1)}}), literals)),
            Strings{"-1.50|123.45|-0.01|-1|01234567-89ab-cdef-0123-456789abcdef|"
                    "1970-01-02|200|ok|2 days|0.5|[9]"});
}

TEST_F(ExchangeTest, AMalformedLiteralIsAnError) {
  plan::Expression e;
  *e.mutable_type() = MakeType(Type::UUID);
  *e.mutable_literal()->mutable_type() = e.type();
  e.mutable_literal()->set_wide("short");
  MemorySink sink;
  const Node node = ProjectNode(ValuesNode({{Int(1)}}), {e});
  auto result = Run(ResultTask(node, &sink));
  ASSERT_FALSE(result.ok());
  EXPECT_TRUE(GetErrorDetail(result.status())->has_internal());
}

// ---- the partition hash

uint64_t Mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33);
}

uint64_t Row(const std::vector<uint64_t>& values) {
  uint64_t h = 0;
  for (uint64_t value : values) h = Mix(std::rotl(h, 1) ^ value);
  return h;
}

constexpr uint64_t kNullValue = 0x9e3779b97f4a7c15ULL;

uint64_t HashOf(const duckdb::vector<duckdb::Value>& row) {
  duckdb::DataChunk chunk;
  duckdb::vector<duckdb::LogicalType> types;
  std::vector<uint32_t> keys;
  for (const auto& value : row) {
    keys.push_back(static_cast<uint32_t>(types.size()));
    types.push_back(value.type());
  }
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), types);
  for (size_t i = 0; i < row.size(); ++i) chunk.SetValue(i, 0, row[i]);
  chunk.SetCardinality(1);
  uint64_t hash = 0;
  HashRows(chunk, keys, &hash);
  return hash;
}

TEST(PartitionHashTest, DocumentedVectors) {
  using duckdb::Value;
  EXPECT_EQ(HashOf({Value::BIGINT(1)}), 0xb456bcfc34c2cb2cULL);
  EXPECT_EQ(HashOf({Value::BIGINT(-1)}), 0x64b5720b4b825f21ULL);
  EXPECT_EQ(HashOf({Value::INTEGER(-1)}), 0x64b5720b4b825f21ULL);
  EXPECT_EQ(HashOf({Value::BIGINT(1), Value::BIGINT(2)}), 0xa63d583b52aa865aULL);
  EXPECT_EQ(HashOf({Value("AIR")}), 0x9922e6a5f44a357aULL);
  EXPECT_EQ(HashOf({Value(duckdb::LogicalType::BIGINT)}), 0x9ca066f1a4ab2eeaULL);
}

TEST(PartitionHashTest, OtherTypes) {
  using duckdb::Value;
  EXPECT_EQ(HashOf({Value::DOUBLE(-0.0)}), Row({0}));
  EXPECT_EQ(HashOf({Value::FLOAT(1.5F)}), HashOf({Value::DOUBLE(1.5)}));
  EXPECT_EQ(HashOf({Value::DECIMAL(int16_t{15}, 4, 1)}),
            HashOf({Value::DECIMAL(duckdb::hugeint_t(15), 38, 1)}));
  EXPECT_EQ(HashOf({Value::HUGEINT(duckdb::hugeint_t(1, 7))}), Row({Mix(7) ^ 1}));
  EXPECT_EQ(HashOf({Value::BOOLEAN(true)}), Row({1}));
  const uint8_t uuid[16] = {0x01, 0x23};
  EXPECT_EQ(HashOf({Value::UUID("01230000-0000-0000-0000-000000000000")}),
            Row({XXH3_64bits(uuid, 16)}));
  EXPECT_EQ(HashOf({Value::LIST({Value::BIGINT(3), Value::BIGINT(4)})}), Row({[] {
              uint64_t h = Mix(2);
              for (uint64_t v : {3, 4}) h = Mix(std::rotl(h, 1) ^ v);
              return h;
            }()}));
  EXPECT_EQ(HashOf({Value::STRUCT(
                {{"a", Value::BIGINT(1)}, {"b", Value(duckdb::LogicalType::VARCHAR)}})}),
            Row({Row({1, kNullValue})}));
  // What compares equal falls together.
  EXPECT_EQ(HashOf({Value::INTERVAL(1, 0, 0)}), HashOf({Value::INTERVAL(0, 30, 0)}));
}

// Partitions by each type, and asks the hash of Arrow arrays where the rows belong.
TEST_F(ExchangeTest, TheArrowHashAgreesForEveryType) {
  constexpr uint32_t kPartitions = 7;
  for (const auto& type_case : TypeCases()) {
    if (type_case.type.id() == Type::MAP || type_case.type.id() == Type::INTERVAL) {
      continue;  // no key; and in Arrow form no longer known to be an interval
    }
    SCOPED_TRACE(type_case.name);
    const Node rows = TypedRows(type_case);
    MemorySink sink;
    auto metrics = Run(HashTask(rows, &sink, {0, 1}, kPartitions));
    ASSERT_TRUE(metrics.ok()) << metrics.status().ToString();
    for (const auto& piece : sink.batches_) {
      auto partitions = shuffle::PartitionRows(
          {piece.batch->column(0), piece.batch->column(1)}, kPartitions);
      ASSERT_TRUE(partitions.ok()) << partitions.status().ToString();
      for (uint32_t p = 0; p < kPartitions; ++p) {
        for (uint32_t r = piece.offsets[p]; r < piece.offsets[p + 1]; ++r) {
          ASSERT_EQ((*partitions)[r], p);
        }
      }
    }
  }
}

TEST_F(ExchangeTest, RowsAreInTheirPartitionsAndAllThere) {
  constexpr int64_t kRows = 300000;
  constexpr uint32_t kPartitions = 13;
  auto text = plan::MakeCall("concat", kVarchar,
                             {Text("customer number "), ColumnRef(0, kBigint)});
  const Node rows = ProjectNode(RangeNode(kRows), {text, ColumnRef(0, kBigint)});
  MemorySink sink;
  auto metrics = Run(HashTask(rows, &sink, {1}, kPartitions));
  ASSERT_TRUE(metrics.ok()) << metrics.status().ToString();
  EXPECT_EQ(metrics->output_rows(), static_cast<uint64_t>(kRows));
  std::vector<bool> seen(kRows);
  for (const auto& piece : sink.batches_) {
    ASSERT_EQ(piece.offsets.size(), kPartitions + 1);
    EXPECT_EQ(piece.offsets.back(), piece.batch->num_rows());
    const auto& texts = static_cast<const arrow::StringArray&>(*piece.batch->column(0));
    const auto& ids = static_cast<const arrow::Int64Array&>(*piece.batch->column(1));
    for (uint32_t p = 0; p < kPartitions; ++p) {
      for (uint32_t r = piece.offsets[p]; r < piece.offsets[p + 1]; ++r) {
        const int64_t id = ids.Value(r);
        EXPECT_EQ(((Row({static_cast<uint64_t>(id)}) >> 32) * kPartitions) >> 32, p);
        EXPECT_FALSE(seen[id]);
        seen[id] = true;
        ASSERT_EQ(texts.GetView(r), "customer number " + std::to_string(id));
      }
    }
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), kRows);
}

TEST_F(ExchangeTest, OrderedOutputKeepsTheOrder) {
  Node sort = plan::WithInput(RangeNode(200000));
  auto* key = sort.mutable_sort()->add_keys();
  *key->mutable_expression() = ColumnRef(0, kBigint);
  key->set_descending(true);
  MemorySink sink;
  FragmentTask task = ResultTask(sort, &sink);
  task.output.set_is_result(false);
  task.output.set_ordered(true);
  ASSERT_TRUE(Run(task).ok());
  int64_t expected = 200000;
  for (const auto& batch : sink.batches()) {
    const auto& ids = static_cast<const arrow::Int64Array&>(*batch->column(0));
    for (int64_t r = 0; r < ids.length(); ++r) ASSERT_EQ(ids.Value(r), --expected);
  }
  EXPECT_EQ(expected, 0);
}

TEST_F(ExchangeTest, AnOutputWithoutRowsHasASchema) {
  Node none = FilterNode(RangeNode(10),
                         Compare(plan::Comparison::LESS, ColumnRef(0, kBigint), Int(0)));
  MemorySink sink;
  ASSERT_TRUE(Run(HashTask(none, &sink, {0}, 4)).ok());
  ASSERT_NE(sink.schema_, nullptr);
  EXPECT_EQ(sink.schema_->num_fields(), 1);
  EXPECT_TRUE(sink.batches_.empty());
}

TEST_F(ExchangeTest, AVeryLargeRowPasses) {
  auto big = plan::MakeCall("repeat", kVarchar, {Text("0123456789"), Int(30000000)});
  const Node node =
      ProjectNode(ValuesNode({{Int(1)}, {Int(2)}}), {big, ColumnRef(0, kBigint)});
  MemorySink sink;
  auto metrics = Run(HashTask(node, &sink, {1}, 2));
  ASSERT_TRUE(metrics.ok()) << metrics.status().ToString();
  int64_t rows = 0;
  for (const auto& batch : sink.batches()) {
    rows += batch->num_rows();
    const auto& texts = static_cast<const arrow::StringArray&>(*batch->column(0));
    for (int64_t r = 0; r < texts.length(); ++r) {
      EXPECT_EQ(texts.GetView(r).size(), 300000000U);
    }
  }
  EXPECT_EQ(rows, 2);
  MemorySource source(sink);
  const Node read =
      ProjectNode(ExchangeNode(node.types()),
                  {plan::MakeCall("length", kBigint, {ColumnRef(0, kVarchar)})});
  MemorySink result;
  FragmentTask reader = ResultTask(read, &result);
  reader.inputs = {&source};
  ASSERT_TRUE(Run(reader).ok());
  EXPECT_EQ(Rows(result), (Strings{"300000000", "300000000"}));
}

TEST_F(ExchangeTest, WideNestedRowsBecomeSmallBatches) {
  auto list = plan::MakeCall("range", plan::ListType(kBigint), {Int(4000)});
  const Node node = ProjectNode(RangeNode(2048), {list, ColumnRef(0, kBigint)});
  MemorySink sink;
  auto metrics = Run(HashTask(node, &sink, {1}, 3));
  ASSERT_TRUE(metrics.ok()) << metrics.status().ToString();
  EXPECT_EQ(metrics->output_rows(), 2048U);
  EXPECT_GT(sink.batches_.size(), 2U);
  EXPECT_LT(sink.batches_.size(), 64U);
}

TEST_F(ExchangeTest, BatchesHaveAtMostTheRowsAskedFor) {
  auto list = plan::MakeCall("range", plan::ListType(kBigint), {ColumnRef(0, kBigint)});
  const Node node = ProjectNode(RangeNode(1000), {ColumnRef(0, kBigint), list});
  MemorySink exchange;
  FragmentTask writer = HashTask(node, &exchange, {0}, 3);
  writer.batch_rows = 7;
  ASSERT_TRUE(Run(writer).ok());
  int64_t rows = 0;
  for (const auto& batch : exchange.batches()) {
    EXPECT_LE(batch->num_rows(), 7);
    rows += batch->num_rows();
  }
  EXPECT_EQ(rows, 1000);
  MemorySource source(exchange);
  Node sum;
  *sum.add_types() = kBigint;
  *sum.add_inputs() = ProjectNode(
      ExchangeNode(node.types()),
      {plan::MakeCall("length", kBigint, {ColumnRef(1, plan::ListType(kBigint))})});
  *sum.mutable_aggregate()->add_aggregates() =
      AggregateOf("max", kBigint, {ColumnRef(0, kBigint)});
  MemorySink most;
  FragmentTask reader = ResultTask(sum, &most);
  reader.inputs = {&source};
  reader.batch_rows = 3;
  ASSERT_TRUE(Run(reader).ok());
  EXPECT_EQ(Rows(most), Strings{"999"});
  MemorySink result;
  const Node range = RangeNode(5000);  // which the task borrows
  FragmentTask last = ResultTask(range, &result);
  last.batch_rows = 100;
  ASSERT_TRUE(Run(last).ok());
  EXPECT_EQ(Rows(result).size(), 5000U);
  for (const auto& batch : result.batches()) EXPECT_LE(batch->num_rows(), 100);
}

TEST_F(ExchangeTest, ProjectionAndCountOfAnExchange) {
  const Node rows = ProjectNode(RangeNode(5000), {ColumnRef(0, kBigint), Text("t")});
  MemorySink sink;
  ASSERT_TRUE(Run(HashTask(rows, &sink, {0}, 3)).ok());
  Node count;
  *count.add_types() = kBigint;
  *count.add_inputs() = ExchangeNode(rows.types());
  *count.mutable_aggregate()->add_aggregates() = AggregateOf("count_star", kBigint, {});
  MemorySource source(sink);
  MemorySink result;
  FragmentTask reader = ResultTask(count, &result);
  reader.inputs = {&source};
  auto metrics = Run(reader);
  ASSERT_TRUE(metrics.ok()) << metrics.status().ToString();
  EXPECT_EQ(Rows(result), Strings{"5000"});
}

TEST_F(ExchangeTest, AnInputOfOtherTypesIsRefused) {
  MemorySource source(arrow::schema({arrow::field("c0", arrow::utf8())}), {});
  google::protobuf::RepeatedPtrField<Type> types;
  *types.Add() = kBigint;
  const Node node = ExchangeNode(types);
  MemorySink sink;
  FragmentTask task = ResultTask(node, &sink);
  task.inputs = {&source};
  auto result = Run(task);
  ASSERT_FALSE(result.ok());
  EXPECT_TRUE(GetErrorDetail(result.status())->has_internal());
}

TEST_F(ExchangeTest, ResultSchemaIsThePlansOwn) {
  plan::Plan described;
  std::vector<plan::Expression> columns;
  for (const auto& type_case : TypeCases()) {
    columns.push_back(Null(type_case.type));
    described.add_names(type_case.name);
  }
  *described.mutable_root() = ProjectNode(ValuesNode({{Int(1)}}), columns);
  MemorySink sink;
  FragmentTask task = ResultTask(described.root(), &sink);
  for (const auto& name : described.names()) task.names.push_back(name);
  auto metrics = Run(task);
  ASSERT_TRUE(metrics.ok()) << metrics.status().ToString();
  auto expected = plan::ResultSchema(described);
  ASSERT_TRUE(expected.ok());
  for (int i = 0; i < (*expected)->num_fields(); ++i) {
    EXPECT_TRUE(sink.schema_->field(i)->Equals((*expected)->field(i)))
        << sink.schema_->field(i)->ToString() << " against "
        << (*expected)->field(i)->ToString();
  }
}

}  // namespace
}  // namespace ballista::engine
