// Data frames: what they mean is what SQL that says the same is planned to.
#include "ballista/plan/data_frame.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>

#include "ballista/sql/sql_test_internal.h"

namespace ballista::sql {
namespace {

using dataframe::CommandDataFrame;
using ::testing::HasSubstr;

class DataFrame : public SqlTest {
 protected:
  void SetUp() override {
    SqlTest::SetUp();
    Make(
        "COPY (SELECT i AS a, i % 3 AS b, 'x' || i AS s, DATE '2020-01-01' + i::INT AS "
        "d, "
        "(i / 4)::DECIMAL(15, 2) AS m FROM range(20) r(i)) TO '" +
        Path("t.parquet") + "' (FORMAT parquet)");
    Make("COPY (SELECT i AS a, i * 2 AS c FROM range(5) r(i)) TO '" + Path("u.parquet") +
         "' (FORMAT parquet)");
  }

  std::string T() const {
    return "read { format: 'parquet' paths: '" + Path("t.parquet") +
           "' columns: ['a', 'b', 's', 'd', 'm'] }";
  }
  std::string U() const {
    return "read { format: 'parquet' paths: '" + Path("u.parquet") +
           "' columns: ['a', 'c'] }";
  }

  static CommandDataFrame Frame(const std::string& root, const std::string& names = "") {
    CommandDataFrame frame;
    const std::string text = "version: 1 root { " + root + " } " + names;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &frame)) << text;
    return frame;
  }

  static std::string Names(std::initializer_list<const char*> names) {
    std::string text;
    for (const char* name : names) text += std::string("names: '") + name + "' ";
    return text;
  }

  static bool PassesColumns(const plan::Node& node) {
    if (!node.has_project()) return false;
    for (const auto& expression : node.project().expressions()) {
      if (!expression.has_column()) return false;
    }
    return true;
  }

  // The optimised plan; a column passed on twice is passed on once.
  static std::string Shape(plan::Plan plan) {
    plan::VisitNodes(plan.mutable_root(), [](plan::Node* node) {
      while (PassesColumns(*node) && PassesColumns(node->inputs(0))) {
        auto below = node->inputs(0);
        for (auto& expression : *node->mutable_project()->mutable_expressions()) {
          const auto column = static_cast<int>(expression.column());
          expression = plan::Expression(below.project().expressions(column));
        }
        auto input = below.inputs(0);
        *node->mutable_inputs(0) = std::move(input);
      }
    });
    return plan::ToString(plan.root());
  }

  void ExpectPlanOf(const CommandDataFrame& frame, const std::string& sql) {
    auto compiled = session_->CompileFrame(frame);
    ASSERT_TRUE(compiled.ok()) << compiled.status().ToString();
    auto expected = Compile(sql);
    EXPECT_EQ(Shape(compiled->plan), Shape(expected.plan)) << sql;
    EXPECT_TRUE(compiled->schema->Equals(*expected.schema))
        << compiled->schema->ToString() << "\n"
        << expected.schema->ToString();
    // What is described is what comes.
    const auto description = session_->DescribeFrame(frame);
    ASSERT_TRUE(description.ok()) << description.status().ToString();
    EXPECT_TRUE(description->schema->Equals(*expected.schema));
  }

  std::string ErrorOf(const CommandDataFrame& frame) {
    const auto compiled = session_->CompileFrame(frame);
    EXPECT_FALSE(compiled.ok());
    EXPECT_FALSE(session_->DescribeFrame(frame).ok());
    const auto* detail = GetErrorDetail(compiled.status());
    EXPECT_TRUE(detail != nullptr && detail->has_user()) << compiled.status().ToString();
    return compiled.status().message();
  }
};

TEST_F(DataFrame, SourceWithoutColumnsHasThemAll) {
  const auto frame =
      Frame("read { format: 'parquet' paths: '" + Path("t.parquet") + "' }");
  const auto description = session_->DescribeFrame(frame);
  ASSERT_TRUE(description.ok()) << description.status().ToString();
  EXPECT_THAT(description->schema->field_names(),
              ::testing::ElementsAre("a", "b", "s", "d", "m"));
  // A folder, and several files.
  ExpectPlanOf(Frame("read { format: 'parquet' paths: ['" + Path("u.parquet") + "', '" +
                     Path("u.parquet") + "'] }"),
               "SELECT * FROM read_parquet(['" + Path("u.parquet") + "', '" +
                   Path("u.parquet") + "'])");
  std::filesystem::create_directories(folder_ / "folder");
  std::filesystem::copy(folder_ / "u.parquet", folder_ / "folder");
  ExpectPlanOf(Frame("read { format: 'parquet' paths: '" + Path("folder") + "' }"),
               "SELECT * FROM '" + Path("folder") + "'");
}

TEST_F(DataFrame, ReadersTakeOptions) {
  Make("COPY (SELECT 1 AS a, 'x' AS s) TO '" + Path("t.csv") +
       "' (FORMAT csv, DELIMITER '|', HEADER false)");
  ExpectPlanOf(
      Frame("read { format: 'csv' paths: '" + Path("t.csv") +
            "' options { name: 'delim' value { type { id: VARCHAR } varchar: '|' } } "
            "options { name: 'header' value { type { id: BOOLEAN } boolean: false } } }"),
      "SELECT * FROM read_csv('" + Path("t.csv") + "', delim = '|', header = false)");
}

TEST_F(DataFrame, TablesByName) {
  Compile("CREATE SCHEMA other");
  Compile("CREATE VIEW other.v AS SELECT a, c FROM '" + Path("u.parquet") + "'");
  ExpectPlanOf(Frame("table { name: ['other', 'v'] columns: 'c' }", "names: 'z'"),
               "SELECT c AS z FROM other.v");
  EXPECT_THAT(ErrorOf(Frame("table { name: 'nowhere' }")), HasSubstr("nowhere"));
}

TEST_F(DataFrame, FilterAndProjectReachTheScan) {
  const auto frame = Frame(
      "inputs { inputs { " + T() +
          " } filter { predicates { comparison { op: LESS } "
          "args { column: 0 } args { literal { type { id: INTEGER } int: 5 } } } } } "
          "project { expressions { column: 2 } expressions { call { name: '*' } "
          "args { column: 4 } args { call { name: '-' } "
          "args { literal { type { id: INTEGER } int: 1 } } args { column: 4 } } } }",
      Names({"s", "price"}));
  ExpectPlanOf(frame, "SELECT s, m * (1 - m) AS price FROM '" + Path("t.parquet") +
                          "' WHERE a < 5");
  const auto plan = session_->CompileFrame(frame)->plan;
  plan::VisitNodes(plan.root(), [](const plan::Node& node) {
    if (node.has_scan()) {
      EXPECT_EQ(node.scan().columns_size(), 3);
    }
  });
}

TEST_F(DataFrame, ExpressionsHaveSqlsTypes) {
  const auto frame = Frame(
      "inputs { " + T() +
          " } project { "
          "expressions { type { id: DOUBLE } cast { } args { column: 0 } } "
          "expressions { case { } args { operator { op: IS_NULL } args { column: 2 } } "
          "  args { literal { type { id: VARCHAR } varchar: 'none' } } args { column: 2 "
          "} } "
          "expressions { operator { op: IN } args { column: 1 } "
          "  args { literal { type { id: INTEGER } int: 1 } } "
          "  args { literal { type { id: INTEGER } int: 2 } } } "
          "expressions { between { lower_inclusive: true upper_inclusive: true } "
          "  args { column: 3 } args { literal { type { id: DATE } int: 18263 } } "
          "  args { call { name: '+' } args { literal { type { id: DATE } int: 18263 } } "
          "    args { literal { type { id: INTERVAL } interval { months: 1 } } } } } "
          "expressions { call { name: 'year' } args { column: 3 } } "
          "expressions { literal { type { id: DECIMAL precision: 3 scale: 2 } int: 5 } } "
          "expressions { call { name: '~~' } args { column: 2 } "
          "  args { literal { type { id: VARCHAR } varchar: '%1%' } } } }",
      Names({"f", "g", "h", "i", "j", "k", "l"}));
  ExpectPlanOf(
      frame,
      "SELECT CAST(a AS DOUBLE) AS f, CASE WHEN s IS NULL THEN 'none' ELSE s END "
      "AS g, b IN (1, 2) AS h, d BETWEEN DATE '2020-01-02' AND DATE '2020-01-02' "
      "+ INTERVAL 1 MONTH AS i, year(d) AS j, 0.05 AS k, s LIKE '%1%' AS l FROM '" +
          Path("t.parquet") + "'");
}

TEST_F(DataFrame, Aggregates) {
  ExpectPlanOf(
      Frame(
          "inputs { " + T() +
              " } aggregate { groups { column: 1 } "
              "aggregates { aggregate { name: 'sum' } args { column: 4 } } "
              "aggregates { aggregate { name: 'count' } } "
              "aggregates { aggregate { name: 'count' distinct: true } args { column: 2 "
              "} } "
              "aggregates { aggregate { name: 'min' filter { comparison { op: GREATER } "
              "args { column: 0 } args { literal { type { id: INTEGER } int: 3 } } } } "
              "args { column: 3 } } }",
          Names({"b", "m", "n", "k", "d"})),
      "SELECT b, sum(m) AS m, count(*) AS n, count(DISTINCT s) AS k, "
      "min(d) FILTER (a > 3) AS d FROM '" +
          Path("t.parquet") + "' GROUP BY b");
  ExpectPlanOf(Frame("inputs { " + T() +
                         " } aggregate { "
                         "aggregates { aggregate { name: 'max' } args { column: 0 } } }",
                     Names({"a"})),
               "SELECT max(a) AS a FROM '" + Path("t.parquet") + "'");
}

TEST_F(DataFrame, Joins) {
  const auto join = [&](const std::string& type, const std::string& output) {
    return Frame("inputs { " + T() + " } inputs { " + U() + " } join { type: " + type +
                     " conditions { op: EQUAL left { column: 0 } right { column: 0 } } "
                     "output: [" +
                     output + "] }",
                 Names({"p", "q"}));
  };
  const auto files = " FROM '" + Path("t.parquet") + "' l ";
  const auto other = " JOIN '" + Path("u.parquet") + "' r ON l.a = r.a";
  for (const std::string type : {"INNER", "LEFT", "RIGHT", "FULL"}) {
    ExpectPlanOf(join(type, "2, 6"), "SELECT l.s AS p, r.c AS q" + files + type + other);
  }
  for (const std::string type : {"SEMI", "ANTI"}) {
    ExpectPlanOf(join(type, "0, 2"), "SELECT l.a AS p, l.s AS q" + files + type + other);
  }
  ExpectPlanOf(Frame("inputs { " + T() + " } inputs { " + U() +
                         " } join { type: INNER "
                         "predicate { comparison { op: LESS } args { column: 0 } "
                         "args { column: 6 } } output: [0, 6] }",
                     Names({"p", "q"})),
               "SELECT l.a AS p, r.c AS q" + files + ", '" + Path("u.parquet") +
                   "' r WHERE l.a < r.c");
}

// Projections and filters between joins do not keep the optimizer from ordering them.
TEST_F(DataFrame, JoinsInAChainAreOrderedTogether) {
  const std::string few =
      "inputs { " + T() +
      " } filter { predicates { comparison { op: EQUAL } args { column: 1 } "
      "args { literal { type { id: INTEGER } int: 1 } } } }";
  const std::string lower =
      "inputs { " + U() + " } inputs { " + T() +
      " } join { type: INNER conditions { op: EQUAL left { column: 0 "
      "} right { column: 0 } } output: [0, 1, 4] }";
  const std::string passed =
      "inputs { " + lower +
      " } project { expressions { column: 1 } expressions { column: 0 } }";
  const auto frame =
      Frame("inputs { " + passed + " } inputs { " + few +
                " } join { type: INNER conditions { op: EQUAL left { column: "
                "1 } right { column: 0 } } output: [0, 1, 4] }",
            Names({"c", "a", "s"}));
  const auto t = "'" + Path("t.parquet") + "'";
  ExpectPlanOf(frame, "SELECT u.c, u.a, f.s FROM '" + Path("u.parquet") + "' u JOIN " +
                          t + " t ON u.a = t.a JOIN " + t +
                          " f ON u.a = f.a WHERE f.b = 1");
}

TEST_F(DataFrame, SortsLimitsAndDistinct) {
  const auto from = " FROM '" + Path("u.parquet") + "'";
  ExpectPlanOf(
      Frame("inputs { " + U() +
                " } sort { keys { expression { column: 1 } "
                "descending: true } keys { expression { column: 0 } nulls_first: true "
                "} limit: 3 offset: 1 }",
            Names({"a", "c"})),
      "SELECT a, c" + from +
          " ORDER BY c DESC NULLS LAST, a NULLS FIRST LIMIT 3 "
          "OFFSET 1");
  ExpectPlanOf(Frame("inputs { " + U() +
                         " } limit { limit { literal { type { id: BIGINT } "
                         "int: 2 } } }",
                     Names({"a", "c"})),
               "SELECT a, c" + from + " LIMIT 2");
  ExpectPlanOf(Frame("inputs { " + U() + " } distinct { }", Names({"a", "c"})),
               "SELECT DISTINCT a, c" + from);
}

TEST_F(DataFrame, WindowsAndSets) {
  ExpectPlanOf(
      Frame("inputs { " + T() +
                " } window { calls { window { name: 'sum' partition_by { "
                "column: 1 } order_by { expression { column: 0 } } start: "
                "UNBOUNDED_PRECEDING "
                "end: CURRENT_ROW_RANGE } args { column: 4 } } calls { window { name: "
                "'lag' "
                "order_by { expression { column: 0 } } start: UNBOUNDED_PRECEDING end: "
                "CURRENT_ROW_RANGE offset { literal { type { id: INTEGER } int: 2 } } } "
                "args { "
                "column: 2 } } }",
            Names({"a", "b", "s", "d", "m", "w", "l"})),
      "SELECT *, sum(m) OVER (PARTITION BY b ORDER BY a) AS w, lag(s, 2) OVER (ORDER BY "
      "a) "
      "AS l FROM '" +
          Path("t.parquet") + "'");
  for (const std::string op : {"UNION", "EXCEPT", "INTERSECT"}) {
    for (const bool all : {false, true}) {
      const auto set = "set_operation { op: " + op + (all ? " all: true }" : " }");
      ExpectPlanOf(Frame("inputs { " + U() + " } inputs { " + U() + " } " + set,
                         Names({"x", "y"})),
                   "SELECT a AS x, c AS y FROM (SELECT a, c FROM '" + Path("u.parquet") +
                       "' " + op + (all ? " ALL" : "") + " SELECT a, c FROM '" +
                       Path("u.parquet") + "') t");
    }
  }
}

TEST_F(DataFrame, SubQueries) {
  const auto with = [](const std::string& subquery) {
    return " subqueries { " + subquery + " }";
  };
  const std::string least =
      "kind: SCALAR relation { aggregate { aggregates { aggregate { name: 'min' } args { "
      "column: 1 } } } inputs { ";
  // The value is the column after those of the input.
  ExpectPlanOf(
      Frame("filter { predicates { comparison { op: LESS } args { column: 0 } args { "
            "column: 5 } } } inputs { " +
                T() + " }" + with(least + U() + " } }"),
            Names({"a", "b", "s", "d", "m"})),
      "SELECT * FROM '" + Path("t.parquet") + "' WHERE a < (SELECT min(c) FROM '" +
          Path("u.parquet") + "')");
  // Within it, the row's columns are those after its own.
  const std::string matching =
      "filter { predicates { comparison { op: EQUAL } args { "
      "column: 0 } args { column: 3 } } } inputs { " +
      U() + " }";
  const std::string correlated = "SELECT a, (SELECT min(c) FROM '" + Path("u.parquet") +
                                 "' u WHERE u.a = t.b) AS x FROM '" + Path("t.parquet") +
                                 "' t";
  ExpectPlanOf(Frame("project { expressions { column: 0 } expressions { column: 5 } } "
                     "inputs { " +
                         T() + " }" + with(least + matching + " } }"),
                     Names({"a", "x"})),
               correlated);
  ExpectPlanOf(
      Frame("project { expressions { column: 0 } } inputs { filter { predicates "
            "{ column: 5 } } inputs { " +
                T() + " }" + with("kind: EXISTS relation { " + matching + " }") + " }",
            Names({"a"})),
      "SELECT a FROM '" + Path("t.parquet") + "' t WHERE EXISTS (SELECT * FROM '" +
          Path("u.parquet") + "' u WHERE u.a = t.b)");
  const std::string pair =
      with("kind: ANY op: EQUAL needles { column: 0 } needles { column: 1 } relation { " +
           U() + " }");
  ExpectPlanOf(Frame("project { expressions { column: 0 } } inputs { filter { predicates "
                     "{ column: 5 } } inputs { " +
                         T() + " }" + pair + " }",
                     Names({"a"})),
               "SELECT a FROM '" + Path("t.parquet") +
                   "' WHERE (a, b) IN (SELECT a, c "
                   "FROM '" +
                   Path("u.parquet") + "')");
}

TEST_F(DataFrame, RefusesWhatIsNoSubQuery) {
  const auto filter = [&](const std::string& subquery, int column = 5) {
    return Frame("filter { predicates { column: " + std::to_string(column) +
                     " } } inputs { " + T() + " } subqueries { " + subquery + " }",
                 Names({"a", "b", "s", "d", "m"}));
  };
  EXPECT_THAT(ErrorOf(filter("relation { " + U() + " }")), HasSubstr("unknown kind"));
  EXPECT_THAT(ErrorOf(filter("kind: SCALAR relation { " + U() + " }")),
              HasSubstr("2 columns"));
  EXPECT_THAT(ErrorOf(filter("kind: ANY op: EQUAL needles { column: 0 } relation { " +
                             U() + " }")),
              HasSubstr("1 values are compared"));
  EXPECT_THAT(ErrorOf(filter("kind: EXISTS relation { " + U() + " }", 6)),
              HasSubstr("column 6 of 6"));
  // A needle is not one of the sub-query's own columns.
  EXPECT_THAT(
      ErrorOf(filter("kind: ANY op: EQUAL needles { column: 5 } needles { column: "
                     "0 } relation { " +
                     U() + " }")),
      HasSubstr("column 5 of 5"));
  EXPECT_THAT(ErrorOf(Frame("sort { keys { expression { column: 0 } } } inputs { " + U() +
                                " } subqueries { kind: EXISTS relation { " + U() + " } }",
                            Names({"a", "c"}))),
              HasSubstr("outside of a filter"));
  // Each level twice, thirty levels deep.
  std::string nested = "kind: EXISTS relation { " + U() + " }";
  int outer = 2;
  for (int i = 0; i < 30; ++i, outer += 2) {
    const std::string use = "predicates { column: " + std::to_string(62 - 2 * i) + " } ";
    nested = "kind: EXISTS relation { filter { " + use + use + "} inputs { " + U() +
             " } subqueries { " + nested + " } }";
  }
  EXPECT_THAT(ErrorOf(Frame("filter { predicates { column: 2 } } inputs { " + U() +
                                " } subqueries { " + nested + " }",
                            Names({"a", "c"}))),
              HasSubstr("more than 10000 relations"));
}

TEST_F(DataFrame, RowsOfValues) {
  const auto row = [](int number, const std::string& text) {
    return "rows { cells { literal { type { id: INTEGER } int: " +
           std::to_string(number) +
           " } } cells { literal { type { id: VARCHAR } varchar: '" + text + "' } } } ";
  };
  const auto frame =
      Frame("values { " + row(1, "x") + row(2, "y") + "}", Names({"a", "s"}));
  auto compiled = session_->CompileFrame(frame);
  ASSERT_TRUE(compiled.ok()) << compiled.status().ToString();
  EXPECT_TRUE(compiled->schema->Equals(
      *Compile("SELECT * FROM (VALUES (1, 'x'), (2, 'y')) v(a, s)").schema));
  EXPECT_THAT(ErrorOf(Frame("values { }", Names({"a"}))), HasSubstr("without a row"));
  EXPECT_THAT(ErrorOf(Frame("values { rows { cells { column: 0 } } }", Names({"a"}))),
              HasSubstr("column 0 of 0"));
}

TEST_F(DataFrame, WritesAndExplains) {
  auto frame = Frame("inputs { " + U() +
                         " } limit { limit { literal { type { id: BIGINT } "
                         "int: 2 } } }",
                     Names({"a", "c"}));
  frame.set_mode(CommandDataFrame::EXPLAIN);
  EXPECT_EQ(session_->CompileFrame(frame)->kind, Statement::Kind::kExplain);
  frame.set_mode(CommandDataFrame::EXPLAIN_ANALYZE);
  EXPECT_EQ(session_->CompileFrame(frame)->kind, Statement::Kind::kExplainAnalyze);
  frame.set_mode(CommandDataFrame::RUN);
  auto* write = frame.mutable_write();
  write->set_path(Path("out"));
  write->set_format("parquet");
  write->add_partition_by("c");
  const auto compiled = session_->CompileFrame(frame);
  ASSERT_TRUE(compiled.ok()) << compiled.status().ToString();
  EXPECT_EQ(compiled->kind, Statement::Kind::kInsertRows);
  const auto& node = compiled->plan.root().write();
  EXPECT_EQ(node.path(), Path("out"));
  ASSERT_EQ(node.partition_by_size(), 1);
  EXPECT_EQ(node.partition_by(0), 1U);
  write->set_format("xml");
  EXPECT_THAT(ErrorOf(frame), HasSubstr("xml"));
}

// What has no form in the plan IR runs whole, from the text that the tree prints as.
TEST_F(DataFrame, WhatCannotBeDistributedRunsWhole) {
  const auto frame =
      Frame("inputs { inputs { " + T() +
                " } limit { limit { literal { type { "
                "id: BIGINT } int: 7 } } } } aggregate { groups { column: 1 } "
                "aggregates { aggregate { name: 'histogram' } args { column: 0 } } }",
            Names({"b", "h"}));
  const auto compiled = session_->CompileFrame(frame);
  ASSERT_TRUE(compiled.ok()) << compiled.status().ToString();
  EXPECT_EQ(compiled->schema->field(1)->name(), "h");
}

TEST_F(DataFrame, RefusesWhatSqlRefuses) {
  const auto call = [&](const std::string& expression) {
    return Frame("inputs { " + T() + " } project { expressions { " + expression + " } }",
                 Names({"x"}));
  };
  EXPECT_THAT(ErrorOf(call("call { name: 'yaer' } args { column: 3 }")),
              HasSubstr("year"));
  EXPECT_THAT(
      ErrorOf(call("call { name: 'year' } args { column: 2 } args { column: 2 }")),
      HasSubstr("year"));
  EXPECT_THAT(
      ErrorOf(call("comparison { op: LESS } args { column: 3 } args { column: 0 }")),
      HasSubstr("compare"));
  EXPECT_THAT(ErrorOf(call("call { name: 'sum' } args { column: 0 }")),
              HasSubstr("Aggregate"));
  EXPECT_THAT(ErrorOf(Frame("read { format: 'parquet' paths: '/nowhere/x.parquet' }")),
              HasSubstr("/nowhere/x.parquet"));
  // The file is another one than the client was told of.
  EXPECT_THAT(ErrorOf(Frame("read { format: 'parquet' paths: '" + Path("t.parquet") +
                                "' columns: 'z' }",
                            Names({"z"}))),
              HasSubstr("z"));
}

TEST_F(DataFrame, RefusesWhatIsNoDataFrame) {
  const auto over = [&](const std::string& kind) {
    return Frame("inputs { " + U() + " } " + kind, Names({"a", "c"}));
  };
  const std::string literal = "literal { type { id: INTEGER } int: 1 }";
  for (const auto& [kind, why] : std::vector<std::pair<std::string, std::string>>{
           {"filter { predicates { column: 2 } }", "column 2 of 2"},
           {"filter { }", "a filter of nothing"},
           {"project { }", "empty projection"},
           {"project { expressions { } expressions { } }", "unknown kind"},
           {"aggregate { groups { " + literal + " } }", "no column"},
           {"aggregate { aggregates { column: 1 } }", "no aggregate call"},
           {"aggregate { }", "without groups"},
           {"filter { predicates { aggregate { name: 'sum' } args { column: 0 } } }",
            "outside of an aggregate"},
           {"filter { predicates { window { name: 'rank' } } }", "outside of a window"},
           {"filter { predicates { case { } args { column: 0 } } }", "CASE"},
           {"filter { predicates { operator { op: IN } args { column: 0 } } }",
            "wrong number of arguments"},
           {"filter { predicates { between { } args { column: 0 } args { column: 0 } "
            "args "
            "{ column: 0 } } }",
            "without its bounds"},
           {"filter { predicates { lambda { } args { column: 0 } } }", "lambdas"},
           {"filter { predicates { cast { } args { column: 0 } } }", "without a type"},
           {"filter { predicates { literal { type { id: HUGEINT } wide: 'x' } } }",
            "wide"},
           {"window { calls { window { name: 'rank' } } }", "without a frame"},
           {"window { calls { window { name: 'sum' start: PRECEDING_ROWS end: "
            "CURRENT_ROW_ROWS } args { column: 0 } } }",
            "without its offset"},
           {"limit { limit { column: 0 } }", "no BIGINT"},
           {"limit { limit { literal { type { id: BIGINT } int: -1 } } }", "no BIGINT"},
           {"join { type: INNER output: 0 }", "1 inputs"},
           {"set_operation { op: UNION }", "1 inputs"},
           {"read { format: 'parquet' paths: 'x' }", "1 inputs"},
           {"", "unknown kind"}}) {
    EXPECT_THAT(ErrorOf(over(kind)), HasSubstr(why)) << kind;
  }
  EXPECT_THAT(ErrorOf(Frame("read { format: 'xml' paths: 'x' }")), HasSubstr("xml"));
  EXPECT_THAT(ErrorOf(Frame("read { format: 'csv' }")), HasSubstr("without a path"));
  EXPECT_THAT(ErrorOf(Frame("table { }")), HasSubstr("0 parts"));
  EXPECT_THAT(ErrorOf(Frame("inputs { table { name: 't' } } distinct { }")),
              HasSubstr("names its columns"));
  EXPECT_THAT(ErrorOf(Frame(U(), Names({"a"}))), HasSubstr("1 names for 2 columns"));
  EXPECT_THAT(ErrorOf(Frame("inputs { " + T() + " } inputs { " + U() +
                            " } set_operation { op: UNION }")),
              HasSubstr("5 and 2 columns"));
  for (const std::string type : {"MARK", "SINGLE"}) {
    EXPECT_THAT(ErrorOf(Frame("inputs { " + U() + " } inputs { " + U() +
                                  " } join { type: " + type + " output: 0 }",
                              Names({"a"}))),
                HasSubstr("a join of a type"));
  }
  auto other = Frame(U(), Names({"a", "c"}));
  other.set_version(2);
  const auto refused = session_->CompileFrame(other).status();
  ASSERT_NE(GetErrorDetail(refused), nullptr);
  EXPECT_TRUE(GetErrorDetail(refused)->has_version_mismatch()) << refused.ToString();
}

CommandDataFrame Chain(const CommandDataFrame& source, int steps) {
  auto frame = source;
  for (int i = 0; i < steps; ++i) {
    dataframe::Relation next;
    *next.add_inputs() = std::move(*frame.mutable_root());
    auto* project = next.mutable_project();
    for (uint32_t column = 0; column < 2; ++column) {
      auto* sum = project->add_expressions();
      sum->mutable_call()->set_name("+");
      sum->add_args()->set_column(column);
      sum->add_args()->set_column(1 - column);
    }
    *frame.mutable_root() = std::move(next);
  }
  return frame;
}

TEST_F(DataFrame, DepthIsBounded) {
  const auto source = Frame(U(), Names({"a", "c"}));
  const auto deepest = Chain(source, plan::kMaxRelationDepth - 1);
  // Planned, or refused by the engine; not a crash.
  auto window = deepest;
  (void)session_->DescribeFrame(window);
  EXPECT_THAT(ErrorOf(Chain(source, plan::kMaxRelationDepth)), HasSubstr("200 steps"));
  auto frame = Frame("inputs { " + U() + " } filter { predicates { column: 0 } }",
                     Names({"a", "c"}));
  auto* predicate = frame.mutable_root()->mutable_filter()->mutable_predicates(0);
  for (int i = 0; i < plan::kMaxFrameExpressionDepth; ++i) {
    plan::Expression negated;
    negated.mutable_operator_()->set_op(plan::Operator::NOT);
    *negated.add_args() = std::move(*predicate);
    *predicate = std::move(negated);
    if (i == plan::kMaxFrameExpressionDepth - 2) {
      EXPECT_TRUE(session_->DescribeFrame(frame).ok());
    }
  }
  EXPECT_THAT(ErrorOf(frame), HasSubstr("200 deep"));
}

TEST_F(DataFrame, SummaryIsForPeople) {
  EXPECT_EQ(plan::Summary(Frame("inputs { read { format: 'csv' paths: '/x' } } inputs { "
                                "table { name: ['s', 't'] } } join { }")),
            "DataFrame: join(read_csv /x, s.t)");
}

}  // namespace
}  // namespace ballista::sql
