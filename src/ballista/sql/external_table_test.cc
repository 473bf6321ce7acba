#include "ballista/sql/external_table.h"

#include <filesystem>
#include <fstream>

#include "ballista/sql/sql_test_internal.h"

namespace ballista::sql {
namespace {

class ExternalTables : public SqlTest {
 protected:
  const plan::Scan& OnlyScan(const plan::Plan& plan) {
    const plan::Scan* found = nullptr;
    plan::VisitNodes(plan.root(), [&](const plan::Node& node) {
      if (node.has_scan()) found = &node.scan();
    });
    EXPECT_NE(found, nullptr) << plan::ToString(plan.root());
    static const plan::Scan none;
    return found ? *found : none;
  }
  const plan::Value* Option(const plan::Scan& scan, const std::string& name) {
    for (const auto& option : scan.options()) {
      if (option.name() == name) return &option.value();
    }
    return nullptr;
  }
};

TEST_F(ExternalTables, Parses) {
  const auto parsed = ParseExternalTable(
      "create or replace external table if not exists a.\"b c\" (x int, y decimal(3, 1) "
      "not null) stored as csv with header row options ('format.delimiter' ';', "
      "null_value 'NA') location '/tmp/it''s' partitioned by (year int, month);");
  ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
  ASSERT_TRUE(parsed->has_value());
  const auto& table = **parsed;
  EXPECT_EQ(table.name, "a.\"b c\"");
  EXPECT_TRUE(table.or_replace && table.if_not_exists && table.header_row);
  ASSERT_EQ(table.columns.size(), 3u);
  EXPECT_EQ(table.columns[1].second, "decimal(3, 1)");
  EXPECT_EQ(table.location, "/tmp/it's");
  ASSERT_EQ(table.options.size(), 2u);
  EXPECT_EQ(table.options[1].second, "NA");
  EXPECT_EQ(table.partitions, (std::vector<std::string>{"year", "month"}));
  EXPECT_FALSE(ParseExternalTable("CREATE TABLE t (a INT)")->has_value());
}

TEST_F(ExternalTables, SyntaxErrorsHavePositions) {
  const std::string sql = "CREATE EXTERNAL TABLE t STORED AS ORC LOCATION 'x'";
  std::string message;
  const auto error = Error(sql, &message);
  EXPECT_EQ(error.kind(), UserError::SYNTAX);
  EXPECT_EQ(error.position(), static_cast<int>(sql.find("ORC")));
  EXPECT_NE(message.find("PARQUET"), std::string::npos);
  Error("CREATE EXTERNAL TABLE t STORED AS CSV");
}

TEST_F(ExternalTables, FoldersAreReadByTheirPath) {
  Make("COPY (SELECT i AS a, i % 3 AS part FROM range(30) t(i)) TO '" + Path("trips") +
       "' (FORMAT parquet, PARTITION_BY (part))");
  for (const std::string end : {"", "/"}) {
    const auto sql =
        "SELECT trips.a, part FROM '" + Path("trips") + end + "' WHERE a > 3";
    const auto plan = Plan(sql);
    EXPECT_EQ(OnlyScan(plan).files_size(), 3) << sql;
  }
  const auto nested = "WITH t AS (SELECT * FROM '" + Path("trips") +
                      "') SELECT count(*) FROM range(3) WHERE range IN (SELECT a FROM t)";
  const auto plan = Plan(nested);
  EXPECT_EQ(OnlyScan(plan).files_size(), 3);

  std::string message;
  std::filesystem::create_directories(Path("none"));
  EXPECT_EQ(Error("SELECT * FROM '" + Path("none") + "'", &message).kind(),
            UserError::NOT_FOUND);
  EXPECT_NE(message.find("no Parquet, CSV or JSON file"), std::string::npos) << message;
  std::filesystem::create_directories(Path("mixed"));
  std::ofstream(Path("mixed/a.csv")) << "a\n1\n";
  std::ofstream(Path("mixed/a.json")) << "{}\n";
  Error("SELECT * FROM '" + Path("mixed") + "'", &message);
  EXPECT_NE(message.find("several kinds"), std::string::npos) << message;
}

TEST_F(ExternalTables, ParquetFolderWithHivePartitions) {
  Make("COPY (SELECT i AS a, i % 3 AS part FROM range(30) t(i)) TO '" + Path("sales") +
       "' (FORMAT parquet, PARTITION_BY (part))");
  Compile("CREATE EXTERNAL TABLE sales STORED AS PARQUET LOCATION '" + Path("sales") +
          "'");
  auto plan = Plan("SELECT sum(a) FROM sales");
  EXPECT_EQ(OnlyScan(plan).files_size(), 3);
  uint64_t rows = 0;
  for (const auto& file : OnlyScan(plan).files()) {
    EXPECT_GT(file.file_size(), 0u);
    EXPECT_GT(file.modified_ns(), 0);
    ASSERT_EQ(file.row_group_ends_size(), 1);
    rows += file.total_rows();
  }
  EXPECT_EQ(rows, 30u);
  plan = Plan("SELECT sum(a) FROM sales WHERE part = 1");
  EXPECT_EQ(OnlyScan(plan).files_size(), 1);
  ASSERT_NE(Option(OnlyScan(plan), "hive_types"), nullptr);
  EXPECT_TRUE(Option(OnlyScan(plan), "hive_partitioning")->boolean());
  plan = Plan("SELECT count(*) FROM sales WHERE part = 77");
  EXPECT_EQ(Count(plan, plan::Node::kScan), 0);
  EXPECT_EQ(Count(plan, plan::Node::kEmpty), 1);
}

TEST_F(ExternalTables, ScansAreCalledByTheTable) {
  Make("COPY (SELECT i AS a, i % 3 AS part FROM range(30) t(i)) TO '" + Path("things") +
       "' (FORMAT parquet, PARTITION_BY (part))");
  Make("COPY (SELECT 1 AS a) TO '" + Path("one.parquet") + "'");
  const auto scanned = [&](const std::string& sql) {
    const auto plan = Plan(sql);
    return OnlyScan(plan).table();
  };
  Compile("CREATE EXTERNAL TABLE things STORED AS PARQUET LOCATION '" + Path("things") +
          "'");
  EXPECT_EQ(scanned("SELECT count(*) FROM things"), "things (3 files)");
  Compile("CREATE VIEW over_things AS SELECT * FROM things");
  EXPECT_EQ(scanned("SELECT * FROM over_things t WHERE a > 1"), "things (3 files)");
  Compile("CREATE VIEW one AS SELECT * FROM '" + Path("one.parquet") + "'");
  EXPECT_EQ(scanned("WITH c AS (SELECT a FROM one) SELECT sum(a) FROM c"), "one");
  EXPECT_EQ(scanned("SELECT * FROM '" + Path("one.parquet") + "'"), Path("one.parquet"));
}

TEST_F(ExternalTables, CsvPinsSchemaAndDialect) {
  std::ofstream(Path("a.csv")) << "id;day\n1;31.12.2020\n2;\n";
  Compile("CREATE EXTERNAL TABLE days STORED AS CSV LOCATION '" + Path("a.csv") + "'");
  const auto plan = Plan("SELECT * FROM days");
  const auto& scan = OnlyScan(plan);
  EXPECT_EQ(scan.format(), "csv");
  EXPECT_EQ(Option(scan, "delim")->varchar(), ";");
  EXPECT_TRUE(Option(scan, "header")->boolean());
  EXPECT_FALSE(Option(scan, "auto_detect")->boolean());
  EXPECT_EQ(Option(scan, "dateformat")->varchar(), "%d.%m.%Y");
  EXPECT_EQ(plan.root().types(1).id(), plan::Type::DATE);
}

TEST_F(ExternalTables, BehavesLikeATable) {
  Make("COPY (SELECT 1 AS a) TO '" + Path("t.parquet") + "'");
  const auto create =
      "EXTERNAL TABLE t STORED AS PARQUET LOCATION '" + Path("t.parquet") + "'";
  EXPECT_FALSE(Compile("CREATE " + create).is_query);
  EXPECT_EQ(Row("SHOW TABLES")[0], "t");
  EXPECT_EQ(Row("DESCRIBE t")[0], "a");
  EXPECT_EQ(Error("CREATE " + create).kind(), UserError::CATALOG);
  Compile("CREATE OR REPLACE " + create);
  EXPECT_EQ(Error("DROP VIEW t").kind(), UserError::CATALOG);
  Compile("DROP TABLE t");
  Error("SELECT * FROM t");
  Compile("DROP TABLE IF EXISTS t");
}

TEST_F(ExternalTables, MissingLocationIsAnError) {
  std::string message;
  EXPECT_EQ(Error("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '" +
                      Path("nothing") + "'",
                  &message)
                .kind(),
            UserError::NOT_FOUND);
  EXPECT_NE(message.find("nothing"), std::string::npos);
  std::filesystem::create_directories(Path("empty"));
  EXPECT_EQ(
      Error("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '" + Path("empty") + "'")
          .kind(),
      UserError::NOT_FOUND);
}

TEST_F(ExternalTables, FilesByPath) {
  Make("COPY (SELECT 1 AS a, {'x': 2} AS s) TO '" + Path("t.parquet") + "'");
  const auto plan = Plan("SELECT s.x, filename FROM '" + Path("*.parquet") + "'");
  const auto& scan = OnlyScan(plan);
  EXPECT_EQ(scan.files(0).path(), Path("t.parquet"));
  std::string message;
  EXPECT_EQ(Error("SELECT * FROM '" + Path("none*.parquet") + "'", &message).kind(),
            UserError::NOT_FOUND)
      << message;
}

TEST_F(ExternalTables, InsertsFromFilesThroughTheCluster) {
  Make("COPY (SELECT 1 AS a) TO '" + Path("t.parquet") + "'");
  Compile("CREATE TABLE numbers (a BIGINT)");
  for (const auto& sql : {"INSERT INTO numbers SELECT a FROM '" + Path("t.parquet") + "'",
                          "COPY numbers FROM '" + Path("t.parquet") + "'"}) {
    const auto statement = Compile(sql);
    EXPECT_EQ(statement.kind, Statement::Kind::kInsertRows) << sql;
    EXPECT_TRUE(statement.consume) << sql;
  }
  EXPECT_EQ(
      Error("DELETE FROM numbers WHERE a IN (SELECT a FROM '" + Path("t.parquet") + "')")
          .kind(),
      UserError::NOT_SUPPORTED);
}

}  // namespace
}  // namespace ballista::sql
