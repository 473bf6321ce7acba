#include "ballista/sql/sql_test_internal.h"
#include "ballista/sql/value_conversion.h"

namespace ballista::sql {
namespace {

using Session = SqlTest;

TEST_F(Session, ConstantsStillMakeAPlan) {
  const auto plan = Plan("SELECT 1 AS a, 'x' AS b;");
  ASSERT_EQ(plan.names_size(), 2);
  EXPECT_EQ(plan.names(1), "b");
  EXPECT_EQ(plan.root().types(0).id(), plan::Type::INTEGER);
  EXPECT_EQ(Count(plan, plan::Node::kValues), 1);
}

TEST_F(Session, LiteralsAreAnsweredAtOnce) {
  const auto answer = Compile("SELECT 1 + 1 AS a, 'x' AS b, NULL AS c");
  ASSERT_NE(answer.rows, nullptr);
  EXPECT_TRUE(answer.rows->schema()->Equals(*answer.schema));
  EXPECT_EQ(answer.rows->column(0)->GetScalar(0).ValueOrDie()->ToString(), "2");
  EXPECT_NE(Compile("VALUES (1), (2)").rows, nullptr);
  EXPECT_EQ(Compile("SELECT random()").rows, nullptr);
  EXPECT_EQ(Compile("SELECT * FROM range(3)").rows, nullptr);
  EXPECT_EQ(Compile("SELECT count(*) FROM range(3)").rows, nullptr);
  Compile("SET ballista.single_task_threshold = 0");
  EXPECT_EQ(Compile("SELECT 1").rows, nullptr);
}

TEST_F(Session, NodesAreNumberedInPreOrder) {
  const auto plan = Plan("SELECT a FROM (VALUES (2), (1)) t(a) ORDER BY a");
  uint32_t last = 0;
  plan::VisitNodes(plan.root(),
                   [&](const plan::Node& node) { EXPECT_EQ(node.id(), ++last); });
  EXPECT_GE(last, 2u);
}

TEST_F(Session, ErrorsHaveKindAndPosition) {
  std::string message;
  auto error = Error("SELECT *\nFROM nowhere", &message);
  EXPECT_EQ(error.kind(), UserError::CATALOG);
  EXPECT_EQ(error.position(), 14);
  EXPECT_EQ(message.find("LINE 1"), std::string::npos) << message;
  error = Error("SELECT a FROM (SELECT 1 AS ab) t", &message);
  EXPECT_EQ(error.kind(), UserError::BINDER);
  EXPECT_EQ(error.position(), 7);
  EXPECT_NE(message.find("ab"), std::string::npos) << message;
  error = Error("SELEC 1");
  EXPECT_EQ(error.kind(), UserError::SYNTAX);
  EXPECT_EQ(error.position(), 0);
  EXPECT_EQ(Error("").kind(), UserError::SYNTAX);
}

TEST_F(Session, RefusesWhatTheClusterCannotHonour) {
  for (const char* sql :
       {"BEGIN", "COMMIT", "ATTACH 'x.db'", "INSTALL httpfs", "LOAD httpfs",
        "EXPORT DATABASE 'x'", "CHECKPOINT", "VACUUM", "PRAGMA enable_profiling",
        "CREATE SECRET s (TYPE s3)", "SELECT 1; SELECT 2", "CALL force_checkpoint()",
        "SET GLOBAL TimeZone = 'UTC'", "SET threads = 4", "SET memory_limit = '1GB'",
        "SET enable_external_access = false", "PRAGMA threads = 4"}) {
    std::string message;
    const auto error = Error(sql, &message);
    EXPECT_EQ(error.kind(), UserError::NOT_SUPPORTED) << sql << ": " << message;
  }
}

TEST_F(Session, SettingsBelongToTheSession) {
  auto other = engine_->OpenSession("other").ValueOrDie();
  Compile("SET TimeZone = 'Asia/Tokyo'");
  Compile("SET default_null_order = 'NULLS_FIRST'");
  EXPECT_EQ(*session_->GetOption("TimeZone"), "Asia/Tokyo");
  EXPECT_NE(*other->GetOption("TimeZone"), "Asia/Tokyo");
  EXPECT_EQ(*other->GetOption("default_null_order"), "NULLS_LAST");
  const std::string sql = "SELECT a FROM (VALUES (1), (NULL)) t(a) ORDER BY a";
  const auto first = [](const plan::Plan& plan) {
    bool nulls_first = false;
    plan::VisitNodes(plan.root(), [&](const plan::Node& node) {
      if (node.has_sort()) nulls_first = node.sort().keys(0).nulls_first();
    });
    return nulls_first;
  };
  EXPECT_TRUE(first(Plan(sql)));
  EXPECT_FALSE(first(other->Compile(sql)->plan));
  bool zone = false;
  const auto plan = Plan("SELECT 1");
  for (const auto& setting : plan.settings()) {
    zone = zone || (setting.name() == "TimeZone" && setting.value() == "Asia/Tokyo");
  }
  EXPECT_TRUE(zone);
  Compile("RESET default_null_order");
  EXPECT_FALSE(first(Plan(sql)));
  EXPECT_EQ(Error("SET default_order = 'SIDEWAYS'").kind(), UserError::RUNTIME);
}

TEST_F(Session, UnknownSettingsAreRefusedWithTheNearestName) {
  std::string message;
  Error("SET ballista.shuffle_partition = 4", &message);
  EXPECT_NE(message.find("did you mean ballista.shuffle_partitions?"), std::string::npos)
      << message;
  EXPECT_EQ(Error("SET timezon = 'UTC'", &message).kind(), UserError::CATALOG);
  EXPECT_NE(message.find("Did you mean"), std::string::npos) << message;
}

TEST_F(Session, OwnOptions) {
  EXPECT_EQ(*session_->GetOption("ballista.shuffle_partitions"), "0");
  Compile("SET ballista.shuffle_partitions = 2 + 5");
  EXPECT_EQ(*session_->GetOption("ballista.shuffle_partitions"), "7");
  EXPECT_EQ(Row("SHOW ballista.shuffle_partitions"),
            (std::vector<std::string>{"ballista.shuffle_partitions", "7"}));
  Compile("SET \"ballista.replan\" = off");
  EXPECT_EQ(*session_->GetOption("ballista.replan"), "false");
  Compile("RESET ballista.shuffle_partitions");
  EXPECT_EQ(*session_->GetOption("ballista.shuffle_partitions"), "0");
  Error("SET ballista.replan = maybe");
  Error("SET ballista.shuffle_partitions = -1");
  EXPECT_EQ(Row("SHOW TimeZone")[0], "TimeZone");
}

TEST_F(Session, CatalogQueriesRunInTheScheduler) {
  Compile("CREATE TABLE numbers (a INTEGER, b DECIMAL(10, 2))");
  Compile("INSERT INTO numbers VALUES (1, 2.50), (2, NULL)");
  EXPECT_EQ(Row("SHOW TABLES")[0], "numbers");
  EXPECT_EQ(Row("DESCRIBE numbers")[0], "a");
  EXPECT_EQ(Row("DESCRIBE SELECT 1 AS one")[0], "one");
  EXPECT_EQ(Row("SELECT table_name FROM information_schema.tables")[0], "numbers");
  EXPECT_EQ(Row("PRAGMA table_info('numbers')")[1], "a");
  EXPECT_EQ(Row("SELECT current_setting('TimeZone') FROM duckdb_tables()").size(), 1u);
}

TEST_F(Session, LocalTablesTravelInThePlan) {
  Compile("CREATE TABLE numbers (a INTEGER, b VARCHAR)");
  const auto inserted = Compile("INSERT INTO numbers VALUES (1, 'x'), (2, 'y')");
  EXPECT_FALSE(inserted.is_query);
  EXPECT_EQ(inserted.rows->column(0)->GetScalar(0).ValueOrDie()->ToString(), "2");
  const auto plan = Plan("SELECT sum(a) FROM numbers");
  ASSERT_EQ(Count(plan, plan::Node::kLocalTable), 1);
  plan::VisitNodes(plan.root(), [](const plan::Node& node) {
    if (!node.has_local_table()) return;
    EXPECT_EQ(node.local_table().name(), "numbers");
    EXPECT_EQ(node.local_table().rows(), 2u);
    EXPECT_EQ(node.types_size(), 1);
  });
  Compile("UPDATE numbers SET b = 'z' WHERE a = 1");
  Compile("DELETE FROM numbers WHERE a = 2");
  EXPECT_EQ(Row("INSERT INTO numbers VALUES (5, 'q') RETURNING b")[0], "q");
}

TEST_F(Session, TemporaryObjectsAreTheSessions) {
  auto other = engine_->OpenSession("other").ValueOrDie();
  Compile("CREATE TEMP VIEW mine AS SELECT 1 AS a");
  Compile("CREATE VIEW ours AS SELECT 2 AS a");
  EXPECT_FALSE(other->Compile("SELECT * FROM mine").ok());
  EXPECT_TRUE(other->Compile("SELECT * FROM ours").ok());
}

TEST_F(Session, CreateTableAsTakesRowsOfThePlan) {
  const auto statement = Compile("CREATE TABLE copies AS SELECT 7 AS a, 'x' AS b");
  ASSERT_EQ(statement.kind, Statement::Kind::kInsertRows);
  EXPECT_FALSE(session_->Compile("SELECT * FROM copies").ok());
  arrow::Int32Builder numbers;
  arrow::StringBuilder texts;
  ASSERT_TRUE(numbers.AppendValues({7, 8}).ok());
  ASSERT_TRUE(texts.AppendValues({"x", "y"}).ok());
  const auto rows = arrow::Table::Make(arrow::schema({arrow::field("a", arrow::int32()),
                                                      arrow::field("b", arrow::utf8())}),
                                       {*numbers.Finish(), *texts.Finish()});
  const auto count = statement.consume(rows);
  ASSERT_TRUE(count.ok()) << count.status().ToString();
  EXPECT_EQ((*count)->column(0)->GetScalar(0).ValueOrDie()->ToString(), "2");
  EXPECT_EQ(Row("SELECT estimated_size FROM duckdb_tables()")[0], "2");
  EXPECT_EQ(Error("CREATE TABLE copies AS SELECT 1 AS a").kind(), UserError::CATALOG);
  EXPECT_EQ(Compile("CREATE TABLE IF NOT EXISTS copies AS SELECT 1 AS a").kind,
            Statement::Kind::kRows);
}

// A client that prepares a statement takes one without columns for an update.
TEST_F(Session, DescribesWhatIsShown) {
  Compile("CREATE TABLE t (a INTEGER)");
  for (const std::string sql :
       {"SHOW ballista.shuffle_partitions", "SHOW TimeZone", "SHOW TABLES", "DESCRIBE t",
        "SHOW ALL TABLES", "SUMMARIZE t", "SHOW t"}) {
    const auto description = session_->Describe(sql);
    ASSERT_TRUE(description.ok()) << sql << ": " << description.status().ToString();
    EXPECT_TRUE(description->is_query) << sql;
    EXPECT_GT(description->schema->num_fields(), 0) << sql;
    const auto statement = Compile(sql);
    EXPECT_TRUE(description->schema->Equals(*statement.schema))
        << sql << ": " << description->schema->ToString() << " and "
        << statement.schema->ToString();
  }
}

TEST_F(Session, ParametersAreConstantsOfThePlan) {
  const auto value = ToPlanValue(duckdb::Value::BIGINT(42));
  const auto statement = Compile("SELECT a FROM range(100) t(a) WHERE a = ?", {value});
  EXPECT_NE(plan::ToString(statement.plan.root()).find("42"), std::string::npos);
  EXPECT_FALSE(session_->Compile("SELECT ?", {}).ok());
  EXPECT_FALSE(session_->Compile("SELECT 1", {value}).ok());
  const auto described =
      session_->Describe("SELECT a, $1 AS p FROM range(9) t(a) WHERE a < $2");
  ASSERT_TRUE(described.ok()) << described.status().ToString();
  EXPECT_EQ(described->schema->num_fields(), 2);
  ASSERT_EQ(described->parameters->num_fields(), 2);
  EXPECT_TRUE(described->parameters->field(1)->type()->Equals(arrow::int64()));
}

// A statement that is described is planned then; what has changed since is seen all the
// same.
TEST_F(Session, PlansWhatWasDescribedWithWhatHasChangedSince) {
  Make("COPY (SELECT 1 AS a) TO '" + Path("one.parquet") + "'");
  const std::string sql = "SELECT a FROM '" + Path("*.parquet") + "'";
  const auto files = [](const Statement& statement) {
    int count = 0;
    plan::VisitNodes(statement.plan.root(), [&](const plan::Node& node) {
      count += node.has_scan() ? node.scan().files_size() : 0;
    });
    return count;
  };
  const auto description = session_->Describe(sql);
  ASSERT_TRUE(description.ok()) << description.status().ToString();
  EXPECT_TRUE(description->schema->Equals(*Compile(sql).schema));
  // Taken once: the next execution plans again.
  Make("COPY (SELECT 2 AS a) TO '" + Path("two.parquet") + "'");
  EXPECT_EQ(files(Compile(sql)), 2);
  // The end of a COPY, of whatever session, is a change.
  auto other = engine_->OpenSession("other").ValueOrDie();
  auto copy = other
                  ->Compile("COPY (SELECT 3 AS a FROM range(1)) TO '" +
                            Path("three.parquet") + "' (FORMAT parquet)")
                  .ValueOrDie();
  ASSERT_TRUE(session_->Describe(sql).ok());
  Make("COPY (SELECT 3 AS a) TO '" + Path("three.parquet") + "'");
  const auto text = arrow::utf8();
  const auto written = arrow::Table::MakeEmpty(arrow::schema(
      {arrow::field("rows", arrow::int64()), arrow::field("staged", arrow::list(text)),
       arrow::field("final", arrow::list(text))}));
  ASSERT_TRUE(copy.consume(written.ValueOrDie()).ok());
  EXPECT_EQ(files(Compile(sql)), 3);
  // So is a view that is made anew.
  Compile("CREATE VIEW v AS SELECT a FROM '" + Path("one.parquet") + "'");
  ASSERT_TRUE(session_->Describe("SELECT * FROM v").ok());
  ASSERT_TRUE(other
                  ->Compile("CREATE OR REPLACE VIEW v AS SELECT a, a AS b FROM '" +
                            Path("one.parquet") + "'")
                  .ok());
  EXPECT_EQ(Compile("SELECT * FROM v").schema->num_fields(), 2);
  // And a setting of the session.
  ASSERT_TRUE(session_->Describe("SELECT a, now() AS t FROM v").ok());
  Compile("SET TimeZone = 'Asia/Tokyo'");
  const auto zoned = Compile("SELECT a, now() AS t FROM v").schema->field(1)->type();
  EXPECT_NE(zoned->ToString().find("Asia/Tokyo"), std::string::npos) << zoned->ToString();
}

TEST_F(Session, PreparedStatementsInSql) {
  Compile("PREPARE p AS SELECT $1 + $2 AS s");
  EXPECT_EQ(Plan("EXECUTE p(1, 2)").names(0), "s");
  Error("EXECUTE p(1)");
  Error("EXECUTE q(1)");
  Compile("DEALLOCATE p");
  Error("EXECUTE p(1, 2)");
}

TEST_F(Session, ExplainHasThePlan) {
  auto statement = Compile("EXPLAIN SELECT 1");
  EXPECT_EQ(statement.kind, Statement::Kind::kExplain);
  EXPECT_EQ(statement.plan.names_size(), 1);
  statement = Compile("EXPLAIN ANALYZE SELECT 1");
  EXPECT_EQ(statement.kind, Statement::Kind::kExplainAnalyze);
}

TEST_F(Session, CopyWritesAtTheRoot) {
  auto statement =
      Compile("COPY (SELECT 1 AS a, 2 AS b) TO '" + Path("out.parquet") + "'");
  ASSERT_EQ(statement.kind, Statement::Kind::kInsertRows);
  EXPECT_FALSE(statement.is_query);
  ASSERT_TRUE(statement.plan.root().has_write());
  EXPECT_TRUE(statement.plan.root().write().single_file());
  EXPECT_EQ(statement.plan.root().write().format(), "parquet");
  statement = Compile("COPY (SELECT 1 AS a, 2 AS b) TO '" + Path("out") +
                      "' (FORMAT csv, PARTITION_BY (b), HEADER)");
  const auto& write = statement.plan.root().write();
  EXPECT_FALSE(write.single_file());
  ASSERT_EQ(write.partition_by_size(), 1);
  EXPECT_EQ(write.partition_by(0), 1u);
  EXPECT_EQ(write.names_size(), 2);
  EXPECT_FALSE(std::filesystem::exists(Path("out")));
  EXPECT_EQ(
      Error("COPY (SELECT 1) TO '" + Path("out") + "' (FORMAT parquet, RETURN_FILES)")
          .kind(),
      UserError::NOT_SUPPORTED);
}

TEST_F(Session, SequencesLiveInTheScheduler) {
  Compile("CREATE SEQUENCE s");
  EXPECT_EQ(Row("SELECT nextval('s')")[0], "1");
  EXPECT_EQ(Row("SELECT nextval('s')")[0], "2");
}

TEST_F(Session, WholeStatementsCarryWhatTheyName) {
  Compile("CREATE TABLE numbers (a INTEGER)");
  Compile("INSERT INTO numbers VALUES (1)");
  Compile("CREATE VIEW doubled AS SELECT a * 2 AS a FROM numbers");
  Compile("CREATE VIEW unused AS SELECT 1 AS a");
  Compile("CREATE MACRO plus_one(x) AS x + 1");
  const auto plan = Plan(
      "SELECT plus_one(a) FROM doubled GROUP BY GROUPING SETS ((), ()), plus_one(a)"
      " UNION ALL SELECT list_aggregate([a, 2], 'string_agg', '-')::INTEGER FROM "
      "doubled");
  ASSERT_TRUE(plan.root().has_statement()) << plan::ToString(plan.root());
  const auto& statement = plan.root().statement();
  EXPECT_FALSE(statement.reason().empty());
  ASSERT_EQ(statement.tables_size(), 1);
  EXPECT_EQ(statement.tables(0).name(), "numbers");
  ASSERT_EQ(statement.prelude_size(), 2) << statement.DebugString();
  EXPECT_NE(statement.prelude(0).find("plus_one"), std::string::npos);
  EXPECT_NE(statement.prelude(1).find("doubled"), std::string::npos);
}

TEST_F(Session, PivotWithoutValues) {
  Compile("CREATE TABLE sales (year INTEGER, amount INTEGER)");
  Compile("INSERT INTO sales VALUES (2020, 1), (2021, 2)");
  const auto plan = Plan("PIVOT sales ON year USING sum(amount)");
  ASSERT_EQ(plan.names_size(), 2);
  EXPECT_EQ(plan.names(0), "2020");
}

TEST_F(Session, SplitsStatements) {
  const auto split = engine_->SplitStatements(
      "-- first\nSELECT ';' AS a; ; SELECT $$;$$ -- last\n;\nSELECT \"x;y\" /* ; */");
  ASSERT_TRUE(split.ok());
  ASSERT_EQ(split->size(), 3u);
  EXPECT_EQ((*split)[0], "SELECT ';' AS a");
}

TEST_F(Session, StrangeInputIsOnlyAnError) {
  std::string deep = "SELECT ";
  for (int i = 0; i < 5000; ++i) deep += "(";
  for (const auto& sql :
       {std::string("\0\x01\xff", 3), deep, std::string("CREATE EXTERNAL TABLE"),
        std::string("'"), std::string("SELECT '"),
        std::string("CREATE EXTERNAL TABLE t (a"), std::string("EXECUTE"),
        std::string("CREATE EXTERNAL TABLE t (a INT STORED"), std::string("SELECT $")}) {
    EXPECT_FALSE(session_->Compile(sql).ok()) << sql;
    EXPECT_FALSE(session_->Describe(sql + " x y z").ok() &&
                 session_->Compile(sql + " x y z").ok());
  }
}

}  // namespace
}  // namespace ballista::sql
