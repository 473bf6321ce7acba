// The sort keys of exchanges against DuckDB's own ORDER BY, type by type and mixed.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "ballista/engine/duckdb/arrow_encode.h"
#include "ballista/engine/duckdb/pch_internal.h"
#include "ballista/engine/duckdb/types.h"
#include "ballista/plan/plan.h"
#include "ballista/shuffle/sort_key.h"

namespace ballista::engine {
namespace {

using plan::Type;

// A type, and an expression of random values of it, equal ones among them; r() is a
// random integer below 2^32, i the number of the row.
struct Case {
  Type::Id type;
  std::string values;
};

const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {
      {Type::BOOLEAN, "r() % 2 = 0"},
      {Type::TINYINT, "(r() % 256 - 128)::TINYINT"},
      {Type::SMALLINT, "(r() % 65536 - 32768)::SMALLINT"},
      {Type::INTEGER, "(r() - 2147483648)::INTEGER"},
      {Type::BIGINT,
       "(r() - 2147483648) * CASE WHEN r() % 3 = 0 THEN 1 ELSE 4294967296 END"},
      {Type::HUGEINT,
       "(r() - 2147483648)::HUGEINT * CASE WHEN r() % 3 = 0 THEN 1 ELSE "
       "39614081257132168796771975168::HUGEINT END"},
      {Type::UTINYINT, "(r() % 256)::UTINYINT"},
      {Type::USMALLINT, "(r() % 65536)::USMALLINT"},
      {Type::UINTEGER, "r()::UINTEGER"},
      {Type::UBIGINT,
       "(r()::UBIGINT * CASE WHEN r() % 3 = 0 THEN 1 ELSE 4294967296 END)::UBIGINT"},
      {Type::UHUGEINT,
       "r()::UHUGEINT * CASE WHEN r() % 3 = 0 THEN 1 ELSE "
       "79228162514264337593543950336::UHUGEINT END"},
      {Type::FLOAT,
       "([0.0, -0.0, 'nan', '-nan', 'inf', '-inf', 1e-40, -1e-40, (r() - 2147483648) / "
       "1000]::FLOAT[])[1 + r() % 12]"},
      {Type::DOUBLE,
       "([0.0, -0.0, 'nan', '-nan', 'inf', '-inf', 5e-324, -5e-324, (r() - 2147483648) / "
       "1000]::DOUBLE[])[1 + r() % 12]"},
      {Type::DECIMAL, "((r() - 2147483648) % 10000)::DECIMAL(9, 3)"},
      {Type::DECIMAL, "(r() - 2147483648)::DECIMAL(18, 4)"},
      {Type::DECIMAL, "((r() - 2147483648) * 1000)::DECIMAL(38, 10)"},
      {Type::VARCHAR,
       "([chr((r() % 100)::INT + 1), '', repeat('x', (r() % 40)::INT), 'a' || chr(0), "
       "'a' || chr(0) || chr(0) || 'b', 'a', 'ab', 'é' || chr((r() % 5000)::INT + 200), "
       "'prefix ' || (r() % 1000)])[1 + r() % 9]"},
      {Type::BLOB,
       "([''::BLOB, '\\x00'::BLOB, '\\x00\\x00'::BLOB, '\\xFF'::BLOB, "
       "'\\x00\\xFF'::BLOB, '\\xFF\\x00'::BLOB, ('b' || r())::BLOB])[1 + r() % 7]"},
      {Type::BIT, "(repeat('01', (r() % 5)::INT) || bin(r() % 1024))::BIT"},
      {Type::BIGNUM,
       "((r() - 2147483648)::HUGEINT * ([1, 0, 4294967296, "
       "39614081257132168796771975168]::HUGEINT[])[1 + r() % 4])::BIGNUM"},
      {Type::UUID, "md5((r() % 500)::VARCHAR)::UUID"},
      {Type::DATE,
       "(['infinity', '-infinity', (DATE '2000-01-01' + (r() % 100000 - "
       "50000)::INT)::VARCHAR]::DATE[])[1 + r() % 3]"},
      {Type::TIME, "TIME '00:00:00' + to_microseconds(r())"},
      {Type::TIME_NS, "(TIME '00:00:00' + to_microseconds(r()))::VARCHAR::TIME_NS"},
      {Type::TIME_TZ,
       "((TIME '00:00:00' + to_seconds(r() % 86400))::VARCHAR || (['+00', '+05:30', "
       "'-11', '+15:59:59', '-15:59:59'])[1 + r() % 5])::TIMETZ"},
      {Type::TIMESTAMP,
       "(['infinity', '-infinity', (TIMESTAMP '1970-01-01' + to_seconds(r() - "
       "2147483648))::VARCHAR]::TIMESTAMP[])[1 + r() % 3]"},
      {Type::TIMESTAMP_S,
       "(TIMESTAMP '1970-01-01' + to_seconds(r() - 2147483648))::TIMESTAMP_S"},
      {Type::TIMESTAMP_MS,
       "(TIMESTAMP '1970-01-01' + to_milliseconds(r() - 2147483648))::TIMESTAMP_MS"},
      {Type::TIMESTAMP_NS,
       "(TIMESTAMP '1970-01-01' + to_microseconds(r() - 2147483648))::TIMESTAMP_NS"},
      {Type::TIMESTAMP_TZ,
       "(TIMESTAMP '1970-01-01' + to_seconds(r() - 2147483648))::TIMESTAMPTZ"},
      {Type::INTERVAL,
       "to_months((r() % 7)::INT - 3) + to_days((r() % 130)::INT - 65) + "
       "to_microseconds(([0, 86400000000, -86400000000, 2592000000000, -2592000000000, "
       "r() * 1000, -r()])[1 + r() % 7])"},
      {Type::ENUM, "(['b', 'a', 'zz', 'c'])[1 + r() % 4]::ENUM('zz', 'a', 'c', 'b')"},
  };
  return cases;
}

plan::SortKey Key(uint32_t column, Type::Id type, bool descending, bool nulls_first) {
  plan::SortKey key;
  *key.mutable_expression() = plan::ColumnRef(column, plan::MakeType(type));
  key.set_descending(descending);
  key.set_nulls_first(nulls_first);
  return key;
}

// Runs the query, whose last column numbers the groups of equal rows in order, and
// compares with the order of the rows' sort keys.
void ExpectSameOrder(duckdb::Connection* connection, const std::string& sql,
                     const std::vector<plan::SortKey>& keys) {
  auto result = connection->Query(sql);
  ASSERT_FALSE(result->HasError()) << result->GetError() << "\n" << sql;
  const auto encoder = shuffle::SortKeyEncoder::Make(keys).ValueOrDie();
  std::string last;
  int64_t last_group = 0;
  int64_t rows = 0;
  while (auto chunk = result->Fetch()) {
    if (chunk->size() == 0) break;
    const auto count = static_cast<int64_t>(chunk->size());
    const auto schema = ExchangeSchema(chunk->GetTypes());
    arrow::ArrayDataVector columns;
    for (size_t i = 0; i < chunk->ColumnCount(); ++i) {
      columns.push_back(EncodeVector(schema->field(static_cast<int>(i))->type(),
                                     chunk->data[i], chunk->size(), nullptr, count)
                            .ValueOrDie());
    }
    const auto batch = arrow::RecordBatch::Make(schema, count, columns);
    const auto groups = std::static_pointer_cast<arrow::Int64Array>(
        batch->column(batch->num_columns() - 1));
    const auto encoded = encoder.Encode(*batch, 0, count);
    ASSERT_TRUE(encoded.ok()) << encoded.status().ToString() << "\n" << sql;
    for (int64_t i = 0; i < count; ++i, ++rows) {
      const std::string key((*encoded)[i]);
      const int64_t group = groups->Value(i);
      if (rows > 0) {
        ASSERT_EQ(last < key, last_group < group)
            << sql << "\nrow " << rows << " " << chunk->GetValue(0, i).ToString();
        ASSERT_EQ(last == key, last_group == group)
            << sql << "\nrow " << rows << " " << chunk->GetValue(0, i).ToString();
      }
      ASSERT_EQ(encoder.EncodeRow(*batch, i).ValueOrDie(), key);
      last = key;
      last_group = group;
    }
  }
  EXPECT_EQ(rows, 3000);
}

std::string Direction(bool descending, bool nulls_first) {
  return std::string(descending ? " DESC" : " ASC") +
         (nulls_first ? " NULLS FIRST" : " NULLS LAST");
}

class SortKeyOrder : public ::testing::Test {
 protected:
  SortKeyOrder() : database_(nullptr), connection_(database_) {
    const auto made = connection_.Query(
        "CREATE MACRO r() AS (random() * 4294967295)::BIGINT; SELECT setseed(0.25)");
    EXPECT_FALSE(made->HasError()) << made->GetError();
  }

  // Tables t0, t1, ...: a column x of each case's values, one in ten of them NULL.
  void MakeTable(size_t i) {
    const auto made =
        connection_.Query("CREATE TABLE t" + std::to_string(i) +
                          " AS SELECT i, CASE WHEN r() % 10 > 0 THEN " +
                          Cases()[i].values + " END AS x FROM range(3000) AS rows(i)");
    ASSERT_FALSE(made->HasError()) << made->GetError() << "\n" << Cases()[i].values;
  }

  duckdb::DuckDB database_;
  duckdb::Connection connection_;
};

TEST_F(SortKeyOrder, OfEachTypeIsDuckDbs) {
  for (size_t i = 0; i < Cases().size(); ++i) {
    MakeTable(i);
    if (HasFatalFailure()) return;
    for (int way = 0; way < 4; ++way) {
      const bool descending = way % 2 == 1;
      const bool nulls_first = way / 2 == 1;
      const auto by = "x" + Direction(descending, nulls_first);
      ExpectSameOrder(&connection_,
                      "SELECT x, dense_rank() OVER (ORDER BY " + by + ")::BIGINT FROM t" +
                          std::to_string(i) + " ORDER BY " + by,
                      {Key(0, Cases()[i].type, descending, nulls_first)});
      if (HasFatalFailure()) return;
    }
  }
}

// A string before another key must not run into it.
TEST_F(SortKeyOrder, OfSeveralKeysIsDuckDbs) {
  for (size_t i = 0; i < Cases().size(); ++i) {
    MakeTable(i);
    if (HasFatalFailure()) return;
  }
  for (size_t i = 0; i < Cases().size(); ++i) {
    const size_t j = (i * 7 + 3) % Cases().size();
    const bool first = i % 2 == 0;
    ExpectSameOrder(
        &connection_,
        "SELECT x, y, k, dense_rank() OVER (ORDER BY k, x" + Direction(first, !first) +
            ", y" + Direction(!first, first) + ")::BIGINT FROM (SELECT s.x, t.x AS y, " +
            "(s.i % 5)::BIGINT AS k FROM t" + std::to_string(i) + " s JOIN t" +
            std::to_string(j) + " t ON s.i = t.i) ORDER BY k, x" +
            Direction(first, !first) + ", y" + Direction(!first, first),
        {Key(2, Type::BIGINT, false, false), Key(0, Cases()[i].type, first, !first),
         Key(1, Cases()[j].type, !first, first)});
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace ballista::engine
