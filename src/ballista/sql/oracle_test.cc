// Translated plans against DuckDB: each statement is compiled, its plan is run whole by
// the execution engine, and the rows must be those that DuckDB gives for the text.
//
//   BALLISTA_SQL_SETUP=setup.sql BALLISTA_SQL_FILE=statements.sql sql_test
//       --gtest_filter=Oracle.File       does so for the statements of a file
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include "ballista/engine/duckdb/duckdb_engine.h"
#include "ballista/sql/result_conversion.h"
#include "ballista/sql/sql_test_internal.h"

namespace ballista::sql {
namespace {

class CollectingSink : public shuffle::OutputSink {
 public:
  arrow::Status SetSchema(std::shared_ptr<arrow::Schema> schema) override {
    std::lock_guard lock(mutex_);
    schema_ = std::move(schema);
    return arrow::Status::OK();
  }
  arrow::Status Write(shuffle::PartitionedBatch batch) override {
    std::lock_guard lock(mutex_);
    batches_.push_back(std::move(batch.batch));
    return arrow::Status::OK();
  }
  arrow::Result<std::shared_ptr<arrow::Table>> Table() const {
    return arrow::Table::FromRecordBatches(schema_, batches_);
  }

 private:
  std::mutex mutex_;
  std::shared_ptr<arrow::Schema> schema_;
  arrow::RecordBatchVector batches_;
};

// Doubles to 6 digits: sums in another order differ behind them.
std::string Cell(const arrow::ChunkedArray& column, int64_t row) {
  const auto scalar = column.GetScalar(row).ValueOrDie();
  if (!scalar->is_valid) return "NULL";
  double number;
  if (scalar->type->id() == arrow::Type::DOUBLE) {
    number = static_cast<const arrow::DoubleScalar&>(*scalar).value;
  } else if (scalar->type->id() == arrow::Type::FLOAT) {
    number = static_cast<const arrow::FloatScalar&>(*scalar).value;
  } else {
    return scalar->ToString();
  }
  char text[64];
  std::snprintf(text, sizeof(text), "%.6g", number == 0 ? 0.0 : number);
  return text;
}

std::vector<std::string> RowsOf(const arrow::Table& table, bool ordered) {
  std::vector<std::string> rows;
  for (int64_t r = 0; r < table.num_rows(); ++r) {
    std::string row;
    for (const auto& column : table.columns()) row += Cell(*column, r) + "|";
    rows.push_back(std::move(row));
  }
  if (!ordered) std::sort(rows.begin(), rows.end());
  return rows;
}

class Oracle : public SqlTest {
 protected:
  // Not a static of its own: a DuckDB instance must be gone before its thread's locals.
  static void SetUpTestSuite() {
    engine::DuckDbEngineOptions options;
    options.threads = 2;
    options.memory_limit = 2ULL << 30;
    instance_ = engine::DuckDbEngine::Make(options).ValueOrDie();
  }
  static void TearDownTestSuite() { instance_.reset(); }
  static engine::DuckDbEngine& Engine() { return *instance_; }

  static arrow::Result<std::shared_ptr<arrow::Table>> Run(plan::Plan plan) {
    CollectingSink sink;
    engine::FragmentTask task;
    std::vector<job::ScanSplits> scans;
    plan::VisitNodes(plan.mutable_root(), [&](plan::Node* node) {
      if (!node->has_scan()) return;
      node->mutable_scan()->set_scan_index(scans.size());
      scans.emplace_back();
      for (const auto& file : node->scan().files()) {
        *scans.back().add_splits() = file;
        scans.back().mutable_splits()->rbegin()->clear_row_group_ends();
      }
      node->mutable_scan()->clear_files();
    });
    task.fragment = &plan.root();
    task.settings.assign(plan.settings().begin(), plan.settings().end());
    task.scans = std::move(scans);
    task.names.assign(plan.names().begin(), plan.names().end());
    task.output.set_kind(job::Output::UNPARTITIONED);
    task.output.set_is_result(true);
    task.output.set_ordered(true);
    task.sink = &sink;
    ARROW_RETURN_NOT_OK(Engine().Run(task, Engine().MakeInterrupt()).status());
    return sink.Table();
  }

  // What a client would get.
  arrow::Result<std::shared_ptr<arrow::Table>> Execute(const std::string& sql,
                                                       bool* whole = nullptr) {
    ARROW_ASSIGN_OR_RAISE(auto statement, session_->Compile(sql));
    if (statement.kind == Statement::Kind::kRows) return statement.rows;
    if (whole) *whole = Count(statement.plan, plan::Node::kStatement) > 0;
    ARROW_ASSIGN_OR_RAISE(auto table, Run(statement.plan));
    if (statement.kind == Statement::Kind::kInsertRows) return statement.consume(table);
    return table;
  }

  std::shared_ptr<arrow::Table> Reference(const std::string& sql) {
    const auto result = writer_.Query(sql);
    if (result->HasError()) return nullptr;
    auto table = ToArrowTable(*writer_.context, *result);
    EXPECT_TRUE(table.ok()) << table.status().ToString();
    return table.ok() ? *table : nullptr;
  }

  // Runs a statement of the setup in both.
  void Both(const std::string& sql) {
    Make(sql);
    const auto done = Execute(sql);
    ASSERT_TRUE(done.ok()) << sql << "\n" << done.status().ToString();
  }

  // Empty: the same rows. ORDER BY at the end is respected.
  std::string Difference(const std::string& sql, bool ordered) {
    const auto wanted = Reference(sql);
    if (!wanted) return "";
    bool whole = false;
    const auto got = Execute(sql, &whole);
    if (whole) ++whole_;
    ++checked_;
    if (!got.ok()) return got.status().ToString();
    if (!(*got)->schema()->Equals(*wanted->schema())) {
      return "schema " + (*got)->schema()->ToString() + "\n  wanted " +
             wanted->schema()->ToString();
    }
    const auto got_rows = RowsOf(**got, ordered);
    const auto wanted_rows = RowsOf(*wanted, ordered);
    if (got_rows == wanted_rows) return "";
    std::string text = std::to_string(got_rows.size()) + " rows, wanted " +
                       std::to_string(wanted_rows.size());
    for (size_t i = 0; i < got_rows.size() && i < wanted_rows.size(); ++i) {
      if (got_rows[i] == wanted_rows[i]) continue;
      return text + "; row " + std::to_string(i) + "\n  got    " + got_rows[i] +
             "\n  wanted " + wanted_rows[i];
    }
    return text;
  }

  void Check(const std::string& sql, bool ordered = false) {
    EXPECT_EQ(Difference(sql, ordered), "") << sql;
  }

  inline static std::unique_ptr<engine::DuckDbEngine> instance_;
  int checked_ = 0;
  int whole_ = 0;
};

std::string ReadFile(const char* path) {
  std::ifstream file(path ? path : "");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_F(Oracle, File) {
  if (!std::getenv("BALLISTA_SQL_FILE")) GTEST_SKIP() << "BALLISTA_SQL_FILE is not set";
  const auto setup = ReadFile(std::getenv("BALLISTA_SQL_SETUP"));
  for (const auto& sql : engine_->SplitStatements(setup).ValueOrDie()) {
    if (sql.rfind("copy", 0) == 0) {
      Make(sql);
    } else {
      Both(sql);
    }
  }
  const auto text = ReadFile(std::getenv("BALLISTA_SQL_FILE"));
  for (const auto& sql : engine_->SplitStatements(text).ValueOrDie()) {
    const auto difference = Difference(sql, false);
    if (!difference.empty()) {
      std::cout << "DIFFERS " << sql.substr(0, 400) << "\n  " << difference << "\n";
      const auto statement = session_->Compile(sql);
      if (statement.ok() && !statement->rows) {
        const auto text = Engine().Describe(statement->plan.root());
        std::cout << "  run as " << (text.ok() ? *text : text.status().ToString())
                  << "\n";
      }
    }
  }
  std::cout << checked_ << " statements, " << whole_ << " of them whole\n";
}

TEST_F(Oracle, LocalTables) {
  Both("CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')");
  Both(
      "CREATE TABLE t AS SELECT i::INT AS id, (i % 7)::INT AS g, CASE WHEN i % 11 = 0 "
      "THEN NULL ELSE i * 3 END AS v, (i * 1.25)::DECIMAL(12, 2) AS d, i / 7.0 AS f, "
      "'name' || (i % 13) AS s, DATE '2020-01-01' + i::INT AS dt FROM range(200) r(i)");
  Both(
      "CREATE TABLE w AS SELECT i::INT AS id, (['sad', 'ok', 'happy'])[1 + i % 3]::mood "
      "AS m, i::HUGEINT * 100000000000000000000 AS h, "
      "('00000000-0000-0000-0000-0000000000' || lpad(i::VARCHAR, 2, '0'))::UUID AS u, "
      "[i, i + 1, NULL] AS li, {'a': i, 'b': 'x' || i} AS st, MAP {'k' || i: i} AS mp, "
      "TIMESTAMPTZ '2021-03-04 05:06:07+00' + to_days(i::INT) AS tz, "
      "to_minutes(i) AS iv FROM range(40) r(i)");
  for (const char* sql :
       {"SELECT g, sum(d * (1 - d) * 1.10), avg(v), count(*) FROM t GROUP BY g",
        "SELECT * FROM w",
        "SELECT DISTINCT ON (g) g, id FROM t ORDER BY g, id DESC",
        "SELECT id FROM t WHERE g NOT IN (SELECT v % 5 FROM t WHERE id < 10)",
        "SELECT id, v IN (SELECT v FROM t x WHERE x.g = t.g AND x.id < 50) FROM t",
        "SELECT id, (SELECT max(v) FROM t x WHERE x.g = t.g AND x.id < t.id) FROM t",
        "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM t x WHERE x.id = t.g * 2)",
        "SELECT id, sum(v) OVER (PARTITION BY g ORDER BY id RANGE BETWEEN 10 PRECEDING "
        "AND 5 FOLLOWING) FROM t",
        "SELECT id, sum(v) OVER (ORDER BY dt DESC RANGE BETWEEN INTERVAL 3 DAY PRECEDING "
        "AND CURRENT ROW) FROM t",
        "SELECT id, lag(v, 2, -1 IGNORE NULLS) OVER (PARTITION BY g ORDER BY id) FROM t",
        "SELECT g, string_agg(s, '+' ORDER BY id), quantile_cont(v, [0.25, 0.5]) FROM t "
        "GROUP BY g",
        "SELECT g, s, grouping(g, s), count(*) FROM t GROUP BY ROLLUP (g, s)",
        "SELECT list_transform(li, lambda x, i: x + i * id), "
        "list_filter(li, lambda x: x > id), "
        "list_reduce(li[:2], lambda a, b: a + b) FROM w",
        "SELECT struct_insert(st, c := id), struct_pack(p := id, q := m), st.b FROM w",
        "SELECT date_part(['year', 'month'], dt), s COLLATE NOCASE > 'NAME5' FROM t",
        "SELECT unnest(li), id FROM w",
        "SELECT t.id, r.x FROM t, LATERAL (SELECT unnest([t.g, t.id]) AS x) r",
        "SELECT * FROM (SELECT g, id FROM t WHERE id < 20) PIVOT (count(*) FOR g IN (1, "
        "2))",
        "SELECT g FROM t WHERE id < 5 UNION SELECT id FROM t WHERE g = 1 EXCEPT SELECT 3",
        "SELECT count(*) FROM t WHERE id IN (1, 5, 9, 13, 17, 21, 25, 29, 33)",
        "SELECT m, count(*) FROM w GROUP BY m HAVING m <> 'ok'",
        "SELECT list_aggregate(li, 'string_agg', '-') FROM w",
        "SELECT a.id FROM t a ASOF JOIN w b ON a.g = b.id AND a.id >= b.id",
        "SELECT strftime(dt, '%Y-%m'), regexp_replace(s, 'n(.)', '\\1', 'g') FROM t"}) {
    Check(sql);
  }
  Check("SELECT id, v FROM t ORDER BY v DESC NULLS LAST, id LIMIT 7 OFFSET 3", true);
  for (const char* setting :
       {"SET default_order = 'DESC'", "SET default_null_order = 'NULLS_FIRST'"}) {
    Make(setting);
    Compile(setting);
  }
  Check("SELECT list_sort(li), list_reverse_sort(li), list_sort(li, 'ASC') FROM w");
  Check("SELECT v, id FROM t ORDER BY v, id", true);
}

TEST_F(Oracle, Files) {
  Make(
      "COPY (SELECT i AS a, 'x' || i AS b, DATE '2020-01-01' + (i % 9)::INT AS c, "
      "i % 3 AS part FROM range(100) t(i)) TO '" +
      Path("p") + "' (FORMAT parquet, PARTITION_BY (part))");
  Make(
      "COPY (SELECT i AS a, strftime(DATE '2020-01-01' + i::INT, '%d.%m.%Y') AS day, "
      "CASE WHEN i % 4 = 0 THEN NULL ELSE 'q;' || i END AS txt FROM range(50) t(i)) TO "
      "'" +
      Path("c.csv") + "' (DELIMITER ';', HEADER)");
  Make(
      "COPY (SELECT i AS id, {'q': i, 'r': 'w' || i} AS o, [i, i] AS l, "
      "DATE '2021-02-03' + i::INT AS d FROM range(20) t(i)) TO '" +
      Path("j.json") + "'");
  for (const auto& from :
       {"'" + Path("p/*/*.parquet") + "'", "'" + Path("c.csv") + "'",
        "'" + Path("j.json") + "'",
        "read_csv('" + Path("c.csv") + "', all_varchar = true, header = false)",
        "read_parquet('" + Path("p/*/*.parquet") +
            "', filename = 'f', hive_types_autocast = false)"}) {
    Check("SELECT * FROM " + from);
    Check("SELECT count(*) FROM " + from);
  }
  const auto files = "'" + Path("p/*/*.parquet") + "'";
  Check("SELECT part, min(filename), sum(a) FROM " + files +
        " WHERE part > 0 GROUP BY 1");
  Check("SELECT o.r, l[1] FROM '" + Path("j.json") + "' WHERE o.q > 7");
  Check("SELECT b FROM " + files + " WHERE c = DATE '2020-01-03' AND b LIKE 'x1%'");
}

}  // namespace
}  // namespace ballista::sql
