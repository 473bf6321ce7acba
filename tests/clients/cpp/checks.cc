// What programs do with the C++ library, on a cluster that has TPC-H's tables: prints "ok
// NAME" or "failed NAME: why" for each check.
//
//   checks HOST:PORT FOLDER        # FOLDER: of the tables' files; OUT below it is
//   written
#include <arrow/api.h>
#include <ballista/client/session.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <iostream>
#include <sstream>
#include <thread>

namespace {

using arrow::Status;
using namespace ballista;  // NOLINT

struct Context {
  std::shared_ptr<Session> session;
  std::string address;
  std::filesystem::path folder;  // may be written to
};

#define DEMAND(condition, ...)                                                  \
  if (!(condition)) {                                                           \
    return Status::UnknownError(#condition,                                     \
                                " does not hold: " __VA_OPT__(, ) __VA_ARGS__); \
  }

// The same rows as of SQL, in any order unless `ordered`; the same types and names.
Status SameAsSql(Context& context, const DataFrame& frame, const std::string& sql,
                 bool ordered = false) {
  ARROW_ASSIGN_OR_RAISE(const auto rows, frame.Collect());
  ARROW_ASSIGN_OR_RAISE(const auto expected, context.session->Sql(sql));
  DEMAND(rows->schema()->Equals(*expected->schema()), rows->schema()->ToString(), "\n",
         expected->schema()->ToString());
  ARROW_ASSIGN_OR_RAISE(const auto described, frame.Schema());
  DEMAND(described->Equals(*rows->schema()), described->ToString());
  const auto lines = [&](const arrow::Table& table) {
    std::vector<std::string> all;
    for (int64_t row = 0; row < table.num_rows(); ++row) {
      std::string line;
      for (const auto& column : table.columns()) {
        line += column->GetScalar(row).ValueOrDie()->ToString() + "|";
      }
      all.push_back(std::move(line));
    }
    if (!ordered) std::sort(all.begin(), all.end());
    return all;
  };
  const auto got = lines(*rows);
  const auto wanted = lines(*expected);
  DEMAND(got == wanted, got.size(), " rows and ", wanted.size(), " by ", sql, "; first ",
         got.empty() ? "" : got[0], " and ", wanted.empty() ? "" : wanted[0]);
  DEMAND(!wanted.empty(), "the check compares nothing: ", sql);
  return Status::OK();
}

Status Steps(Context& context) {
  auto& session = *context.session;
  const auto nation = session.Table("nation");
  const auto orders = session.Table("orders");
  ARROW_RETURN_NOT_OK(SameAsSql(
      context,
      orders.Filter(Col("o_totalprice") > 100000 && Col("o_comment").NotLike("%special%"))
          .WithColumn("year", Year("o_orderdate"))
          .WithColumn("class", When(Col("o_totalprice") > 300000, "high")
                                   .Then(Col("o_totalprice") > 200000, "middle")
                                   .Otherwise("low"))
          .Select({"year", "class", (Col("o_totalprice") / 2).As("half"),
                   Substring("o_orderpriority", 1, 1).As("p"),
                   Col("o_custkey").Cast(arrow::utf8()).As("c")}),
      "SELECT year(o_orderdate) AS year, CASE WHEN o_totalprice > 300000 THEN 'high' "
      "WHEN "
      "o_totalprice > 200000 THEN 'middle' ELSE 'low' END AS class, o_totalprice / 2 AS "
      "half, substring(o_orderpriority, 1, 1) AS p, CAST(o_custkey AS VARCHAR) AS c FROM "
      "orders WHERE o_totalprice > 100000 AND o_comment NOT LIKE '%special%'"));
  ARROW_RETURN_NOT_OK(SameAsSql(context, orders.Select({"o_orderpriority"}).Distinct(),
                                "SELECT DISTINCT o_orderpriority FROM orders"));
  ARROW_RETURN_NOT_OK(SameAsSql(context,
                                nation.Drop({"n_comment"})
                                    .Rename("n_name", "name")
                                    .Sort({Col("name").Desc()})
                                    .Limit(3, 1),
                                "SELECT n_nationkey, n_name AS name, n_regionkey FROM "
                                "nation ORDER BY name DESC LIMIT "
                                "3 OFFSET 1",
                                true));
  return SameAsSql(
      context,
      orders
          .Filter(Col("o_orderdate").Between(Date("1995-01-01"), Date("1995-02-01")) &&
                  Col("o_orderpriority").In({"1-URGENT", "2-HIGH"}))
          .Aggregate({Month("o_orderdate").As("m"), "o_orderstatus"},
                     {CountRows().As("n"), CountDistinct("o_custkey").As("k"),
                      (Sum("o_totalprice") / CountRows()).As("mean"),
                      Sum("o_totalprice").Where(Col("o_orderstatus") == "F").As("f"),
                      AggregateFunction("string_agg", {Col("o_orderpriority"), ","})
                          .OrderBy({"o_orderkey"})
                          .As("p")}),
      "SELECT month(o_orderdate) AS m, o_orderstatus, count(*) AS n, count(DISTINCT "
      "o_custkey) AS k, sum(o_totalprice) / count(*) AS mean, sum(o_totalprice) FILTER "
      "(o_orderstatus = 'F') AS f, string_agg(o_orderpriority, ',' ORDER BY o_orderkey) "
      "AS "
      "p FROM orders WHERE o_orderdate BETWEEN DATE '1995-01-01' AND DATE '1995-02-01' "
      "AND "
      "o_orderpriority IN ('1-URGENT', '2-HIGH') GROUP BY ALL");
}

Status Joins(Context& context) {
  auto& session = *context.session;
  const auto customer =
      session.Table("customer").Select({Col("c_custkey").As("k"), "c_nationkey"});
  const auto orders = session.Table("orders")
                          .Filter(Col("o_totalprice") > 200000)
                          .Select({Col("o_custkey").As("k"), "o_orderkey"});
  const std::string sides =
      "(SELECT c_custkey AS k, c_nationkey FROM customer) c {} JOIN (SELECT o_custkey AS "
      "k, "
      "o_orderkey FROM orders WHERE o_totalprice > 200000) o ";
  const std::vector<std::pair<JoinType, std::string>> types = {
      {JoinType::kInner, "INNER"}, {JoinType::kLeft, "LEFT"}, {JoinType::kRight, "RIGHT"},
      {JoinType::kFull, "FULL"},   {JoinType::kSemi, "SEMI"}, {JoinType::kAnti, "ANTI"}};
  for (const auto& [type, word] : types) {
    auto sql = sides;
    sql.replace(sql.find("{}"), 2, word);
    const bool left_only = type == JoinType::kSemi || type == JoinType::kAnti;
    ARROW_RETURN_NOT_OK(
        SameAsSql(context, customer.Join(orders, {"k"}, type),
                  std::string(left_only ? "SELECT c.k, c_nationkey FROM "
                                        : "SELECT k, c_nationkey, o_orderkey FROM ") +
                      sql + (left_only ? "ON c.k = o.k" : "USING (k)")));
  }
  // Filtered on both sides, and joined once more.
  const auto few = customer.Filter(Col("c_nationkey") < 12);
  const auto nations = session.Table("nation")
                           .Filter(Col("n_nationkey") > 3)
                           .Select({Col("n_nationkey").As("n"), "n_name"});
  for (const auto& [type, word] : types) {
    auto sql = sides;
    sql.replace(sql.find("{}"), 2, word);
    sql.replace(sql.find("customer"), 8, "customer WHERE c_nationkey < 12");
    const bool left_only = type == JoinType::kSemi || type == JoinType::kAnti;
    const std::string joined =
        std::string(left_only ? "(SELECT c.k, c_nationkey FROM "
                              : "(SELECT k, c_nationkey, o_orderkey FROM ") +
        sql + (left_only ? "ON c.k = o.k)" : "USING (k))");
    for (const auto& [above, word_above] : types) {
      const bool left_above = above == JoinType::kSemi || above == JoinType::kAnti;
      ARROW_RETURN_NOT_OK(
          SameAsSql(context,
                    few.Join(orders, {"k"}, type)
                        .JoinOn(nations, Col("c_nationkey") == Col("n"), above),
                    std::string("SELECT j.*") + (left_above ? "" : ", n, n_name") +
                        " FROM " + joined + " j " + word_above +
                        " JOIN (SELECT n_nationkey AS n, n_name FROM nation WHERE "
                        "n_nationkey > 3) m "
                        "ON j.c_nationkey = n"));
    }
  }
  ARROW_RETURN_NOT_OK(SameAsSql(
      context,
      customer
          .JoinOn(orders, Left("k") == Right("k") && Col("o_orderkey") % 2 == 0,
                  JoinType::kLeft)
          .Aggregate({"c_nationkey"}, {Count("o_orderkey").As("n")}),
      "SELECT c_nationkey, count(o_orderkey) AS n FROM customer LEFT JOIN orders ON "
      "c_custkey = o_custkey AND o_totalprice > 200000 AND o_orderkey % 2 = 0 GROUP BY "
      "1"));
  return SameAsSql(context,
                   session.Table("nation")
                       .Select({"n_name"})
                       .CrossJoin(session.Table("region").Select({"r_name"})),
                   "SELECT n_name, r_name FROM nation, region");
}

Status Sets(Context& context) {
  const auto a = context.session->Table("customer").Select({Col("c_nationkey").As("n")});
  const auto b = context.session->Table("supplier")
                     .Filter(Col("s_nationkey") > 5)
                     .Select({"s_nationkey"});
  const std::vector<std::pair<DataFrame, std::string>> sets = {
      {a.Union(b), "UNION ALL"},     {a.UnionDistinct(b), "UNION"},
      {a.Except(b), "EXCEPT"},       {a.ExceptAll(b), "EXCEPT ALL"},
      {a.Intersect(b), "INTERSECT"}, {a.IntersectAll(b), "INTERSECT ALL"}};
  for (const auto& [frame, word] : sets) {
    ARROW_RETURN_NOT_OK(SameAsSql(context, frame,
                                  "SELECT c_nationkey AS n FROM customer " + word +
                                      " SELECT s_nationkey FROM supplier WHERE "
                                      "s_nationkey > 5"));
  }
  return Status::OK();
}

Status Windows(Context& context) {
  const auto by_day =
      Window().PartitionBy({"o_orderstatus"}).OrderBy({"o_orderdate", "o_orderkey"});
  const auto orders = context.session->Table("orders").Select(
      {"o_orderkey", "o_orderstatus", "o_orderdate", "o_totalprice"});
  return SameAsSql(
      context,
      orders
          .Window({RowNumber().Over(by_day).As("r"),
                   Sum("o_totalprice").Over(Window(by_day).Rows(-3, 0)).As("s"),
                   Lag("o_orderkey", 2, 0).Over(by_day).As("l")})
          .WithColumn(
              "share",
              Col("o_totalprice") /
                  Sum("o_totalprice").Over(Window().PartitionBy({"o_orderstatus"})))
          .Filter(Col("r") <= 5),
      "SELECT * FROM (SELECT o_orderkey, o_orderstatus, o_orderdate, o_totalprice, "
      "row_number() OVER w AS r, sum(o_totalprice) OVER (w ROWS BETWEEN 3 PRECEDING AND "
      "CURRENT ROW) AS s, lag(o_orderkey, 2, 0) OVER w AS l, o_totalprice / "
      "sum(o_totalprice) OVER (PARTITION BY o_orderstatus) AS share FROM orders WINDOW w "
      "AS "
      "(PARTITION BY o_orderstatus ORDER BY o_orderdate, o_orderkey)) WHERE r <= 5");
}

Status Files(Context& context) {
  auto& session = *context.session;
  const auto nation = session.Table("nation");
  const auto out = [&](const char* name) { return (context.folder / name).string(); };
  ARROW_ASSIGN_OR_RAISE(auto rows, nation.WriteParquet(out("parquet")));
  DEMAND(rows == 25, rows);
  ARROW_RETURN_NOT_OK(
      SameAsSql(context, session.ReadParquet(out("parquet")), "SELECT * FROM nation"));
  ARROW_ASSIGN_OR_RAISE(rows, nation.WriteCsv(out("n.csv"), {{"delimiter", "|"}}));
  DEMAND(rows == 25, rows);
  ARROW_RETURN_NOT_OK(SameAsSql(
      context, session.ReadCsv(out("n.csv"), {{"delim", "|"}, {"header", true}}),
      "SELECT n_nationkey::BIGINT AS n_nationkey, n_name, n_regionkey::BIGINT AS "
      "n_regionkey, "
      "n_comment FROM nation"));
  ARROW_ASSIGN_OR_RAISE(
      rows, nation.Select({"n_nationkey", "n_name"}).WriteJson(out("n.json")));
  ARROW_RETURN_NOT_OK(
      SameAsSql(context, session.ReadJson(out("n.json")),
                "SELECT n_nationkey::BIGINT AS n_nationkey, n_name FROM nation"));
  ARROW_ASSIGN_OR_RAISE(rows, nation.WriteParquet(out("parts"), {}, {"n_regionkey"}));
  DEMAND(std::filesystem::exists(out("parts") + "/n_regionkey=3"), "no partition");
  ARROW_RETURN_NOT_OK(SameAsSql(context,
                                session
                                    .ReadFiles("parquet", {out("parts") + "/*/*.parquet"},
                                               {{"hive_partitioning", true}})
                                    .Filter(Col("n_regionkey") == 3)
                                    .Select({"n_name"}),
                                "SELECT n_name FROM nation WHERE n_regionkey = 3"));
  ARROW_ASSIGN_OR_RAISE(const auto count, session.ReadParquet(out("parquet")).Count());
  DEMAND(count == 25, count);
  return Status::OK();
}

Status ShowAndExplain(Context& context) {
  const auto frame = context.session->Table("region").Select({"r_regionkey", "r_name"});
  std::ostringstream text;
  ARROW_RETURN_NOT_OK(frame.Sort({"r_regionkey"}).Show(text, 2));
  DEMAND(text.str() ==
             "+-------------+---------+\n| r_regionkey | r_name  |\n"
             "+-------------+---------+\n| 0           | AFRICA  |\n"
             "| 1           | AMERICA |\n+-------------+---------+\n",
         text.str());
  const auto query = context.session->Table("lineitem")
                         .Filter(Col("l_quantity") < 10)
                         .Aggregate({"l_orderkey"}, {CountRows().As("n")});
  ARROW_ASSIGN_OR_RAISE(const auto plan, query.Explain());
  // The filter is below, and of 16 columns two are read.
  DEMAND(plan.find("[l_orderkey, l_quantity]") != std::string::npos, plan);
  DEMAND(
      plan.find("Stage") != std::string::npos || plan.find("stage") != std::string::npos,
      plan);
  ARROW_ASSIGN_OR_RAISE(const auto analyzed, query.Explain(true));
  DEMAND(analyzed.find("rows") != std::string::npos, analyzed);
  return Status::OK();
}

Status Errors(Context& context) {
  auto& session = *context.session;
  const auto nation = session.Table("nation");
  auto status = nation.Filter(Col("n_nam") == "x").Collect().status();
  DEMAND(status.IsInvalid() && status.message().find("\"n_name\"") != std::string::npos,
         status.ToString());
  // The step at fault is named, and what is made of it names no other one.
  DEMAND(status.message().rfind("Filter: ", 0) == 0, status.ToString());
  status = nation.Select({"n_name"}).Sort({"n_key"}).Limit(1).status();
  DEMAND(status.message().rfind("Sort: ", 0) == 0 &&
             status.message().find("n_key") != std::string::npos,
         status.ToString());
  status = session.Table("natoin").status();
  DEMAND(status.message().find("nation") != std::string::npos, status.ToString());
  status = session.ReadParquet("/no/such/file.parquet").status();
  DEMAND(status.message().find("/no/such/file.parquet") != std::string::npos,
         status.ToString());
  status = nation.Select({Sum("n_name").Over(Window()).As("s")}).Schema().status();
  DEMAND(status.message().find("sum(VARCHAR)") != std::string::npos, status.ToString());
  status = nation.Filter(Col("n_name") > Date("2020-01-01")).Collect().status();
  DEMAND(!status.ok(), "a text is no date");
  status = nation.Select({Function("no_such_function", {1})}).Collect().status();
  DEMAND(status.message().find("no_such_function") != std::string::npos,
         status.ToString());
  status = session.Sql("SELECT * FROM nowhere").status();
  DEMAND(status.IsInvalid(), status.ToString());
  status = Session::Connect("localhost:1").status();
  DEMAND(status.IsIOError(), status.ToString());
  status = Session::Connect("ftp://x").status();
  DEMAND(status.IsInvalid(), status.ToString());
  return Status::OK();
}

std::shared_ptr<arrow::Table> Numbers(int64_t first, int64_t count) {
  arrow::Int64Builder keys;
  arrow::StringBuilder texts;
  for (int64_t i = first; i < first + count; ++i) {
    if (!keys.Append(i).ok() || !texts.Append(std::string(64, 'x')).ok()) return nullptr;
  }
  const auto schema = arrow::schema(
      {arrow::field("k", arrow::int64()), arrow::field("t", arrow::utf8())});
  return arrow::Table::Make(schema,
                            {keys.Finish().ValueOrDie(), texts.Finish().ValueOrDie()});
}

class FailingReader : public arrow::RecordBatchReader {
 public:
  std::shared_ptr<arrow::Schema> schema() const override { return rows_->schema(); }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    if (given_++ > 0) return Status::Invalid("no more, on purpose");
    return arrow::TableBatchReader(*rows_).ReadNext(batch);
  }

 private:
  const std::shared_ptr<arrow::Table> rows_ = Numbers(0, 10);
  int given_ = 0;
};

// Whether the session has a table of a name that begins so.
arrow::Result<bool> HasTable(Session* session, const std::string& prefix) {
  ARROW_ASSIGN_OR_RAISE(
      const auto found,
      session->Sql("SELECT table_name FROM information_schema.tables WHERE table_name "
                   "LIKE '" +
                   prefix + "%'"));
  return found->num_rows() > 0;
}

Status RowsOfTheProgram(Context& context) {
  auto& session = *context.session;
  {
    const auto few = session.FromArrow(Numbers(3, 4)).Rename("k", "n_nationkey");
    ARROW_RETURN_NOT_OK(SameAsSql(
        context,
        session.Table("nation").Join(few, {"n_nationkey"}).Select({"n_name", "t"}),
        "SELECT n_name, repeat('x', 64) AS t FROM nation WHERE n_nationkey BETWEEN 3 AND "
        "6"));
    // More than is kept in memory.
    const auto many = session.FromArrow(Numbers(0, 1200000));
    ARROW_ASSIGN_OR_RAISE(const auto rows, many.Filter(Col("k") % 2 == 0).Count());
    DEMAND(rows == 600000, rows);
    ARROW_ASSIGN_OR_RAISE(auto query, session.FromArrow(Numbers(0, 7)).Submit());
    ARROW_ASSIGN_OR_RAISE(const auto seven, query.ToTable());
    DEMAND(seven->num_rows() == 7, seven->num_rows());
    ARROW_ASSIGN_OR_RAISE(const bool there, HasTable(&session, "frame_"));
    DEMAND(there, "the tables of the frames");
  }
  ARROW_ASSIGN_OR_RAISE(const bool left, HasTable(&session, "frame_"));
  DEMAND(!left, "a table of a frame that is gone");
  FailingReader failing;
  auto status = session.FromArrow(&failing).status();
  DEMAND(status.message().find("on purpose") != std::string::npos, status.ToString());

  const auto ingest = [&](int64_t count, const IngestOptions& options = {}) {
    arrow::TableBatchReader reader(Numbers(0, count));
    return session.Ingest("ingested", &reader, options);
  };
  IngestOptions append;
  append.create = false;
  append.if_exists = IngestOptions::IfExists::kAppend;
  DEMAND(!ingest(1, append).ok(), "there is no table to append to");
  ARROW_ASSIGN_OR_RAISE(int64_t count, ingest(10));
  DEMAND(count == 10, count);
  DEMAND(!ingest(10).ok(), "the table is there");
  ARROW_ASSIGN_OR_RAISE(count, ingest(5, append));
  ARROW_ASSIGN_OR_RAISE(count, session.Table("ingested").Count());
  DEMAND(count == 15, count);
  IngestOptions replace;
  replace.if_exists = IngestOptions::IfExists::kReplace;
  ARROW_RETURN_NOT_OK(ingest(2, replace).status());
  ARROW_ASSIGN_OR_RAISE(count, session.Table("ingested").Count());
  DEMAND(count == 2, count);
  return session.Update("DROP TABLE ingested").status();
}

// A query that would take very long. Each of its tasks has its rows to count.
DataFrame Endless(Context& context) {
  const auto lines =
      context.session->Table("lineitem").Select({"l_orderkey", "l_quantity"});
  return lines
      .JoinOn(lines.Select({Col("l_orderkey").As("k"), Col("l_quantity").As("q")}),
              Col("l_orderkey") + Col("k") != Col("q") * Col("l_quantity"))
      .JoinOn(lines.Select({Col("l_orderkey").As("k2")}),
              Col("k2") + Col("k") != Col("q"))
      .Aggregate({}, {CountRows().As("n"), Max(Col("k") * Col("k2")).As("m")});
}

Status ProgressAndCancel(Context& context) {
  ARROW_ASSIGN_OR_RAISE(auto query, Endless(context).Submit());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  QueryProgress progress;
  while (progress.tasks == 0) {
    DEMAND(std::chrono::steady_clock::now() < deadline, "no task begins");
    ARROW_ASSIGN_OR_RAISE(progress, query.Progress());
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  DEMAND(progress.state == QueryProgress::State::kRunning ||
             progress.state == QueryProgress::State::kQueued,
         static_cast<int>(progress.state));
  DEMAND(!query.id().empty(), "no id");
  DEMAND(progress.fraction < 1, progress.fraction);
  std::thread waiting([&] { (void)query.Wait(); });
  query.Cancel();
  waiting.join();
  const auto status = query.Wait();
  DEMAND(status.IsCancelled(), status.ToString());
  DEMAND(query.ToTable().status().IsCancelled(), "rows of a cancelled query");
  ARROW_ASSIGN_OR_RAISE(progress, query.Progress());
  DEMAND(progress.state == QueryProgress::State::kCancelled,
         static_cast<int>(progress.state));
  return Status::OK();
}

// One that nobody wants any more ends, too; the test sees that nothing is left of it.
Status DroppedQueries(Context& context) {
  ARROW_ASSIGN_OR_RAISE(const auto query, Endless(context).Submit());
  ARROW_RETURN_NOT_OK(query.Schema().status());
  return Status::OK();
}

Status SeveralAtOnce(Context& context) {
  const auto nation = context.session->Table("nation");
  std::vector<Query> queries;
  for (int i = 0; i < 8; ++i) {
    ARROW_ASSIGN_OR_RAISE(auto query, nation.Filter(Col("n_nationkey") >= i).Submit());
    queries.push_back(std::move(query));
  }
  for (int i = 7; i >= 0; --i) {
    auto& query = queries[static_cast<size_t>(i)];
    ARROW_RETURN_NOT_OK(query.Wait());
    ARROW_ASSIGN_OR_RAISE(const auto table, query.ToTable());
    DEMAND(table->num_rows() == 25 - i, table->num_rows());
    ARROW_ASSIGN_OR_RAISE(const auto progress, query.Progress());
    DEMAND(progress.state == QueryProgress::State::kFinished && progress.fraction == 1,
           progress.fraction);
  }
  return Status::OK();
}

Status Streams(Context& context) {
  ARROW_ASSIGN_OR_RAISE(auto reader, context.session->Table("lineitem").ToReader());
  int64_t rows = 0;
  std::shared_ptr<arrow::RecordBatch> batch;
  ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
  while (batch != nullptr) {
    rows += batch->num_rows();
    ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
  }
  ARROW_ASSIGN_OR_RAISE(const auto count, context.session->Table("lineitem").Count());
  DEMAND(rows == count && rows > 50000, rows, " and ", count);
  // Left in the middle.
  ARROW_ASSIGN_OR_RAISE(reader, context.session->Table("lineitem").ToReader());
  return reader->ReadNext(&batch);
}

Status SessionsAndSql(Context& context) {
  ARROW_ASSIGN_OR_RAISE(auto other, Session::Connect("grpc://" + context.address));
  ARROW_RETURN_NOT_OK(other->Update("CREATE TEMP VIEW mine AS SELECT 7 AS x").status());
  ARROW_ASSIGN_OR_RAISE(const auto rows, other->Table("mine").Collect());
  DEMAND(rows->num_rows() == 1, rows->num_rows());
  DEMAND(!context.session->Table("mine").status().ok(), "a view of another session");
  const auto status =
      other->Table("mine").Union(context.session->Table("nation")).status();
  DEMAND(status.message().find("different sessions") != std::string::npos,
         status.ToString());
  auto query = other->Submit("SELECT 1 AS one UNION ALL SELECT 2");
  ARROW_ASSIGN_OR_RAISE(const auto table, query.ToTable());
  DEMAND(table->num_rows() == 2, table->num_rows());
  ARROW_RETURN_NOT_OK(
      other->Update("CREATE OR REPLACE TABLE cpp_test (a INTEGER)").status());
  ARROW_ASSIGN_OR_RAISE(const auto count,
                        other->Update("INSERT INTO cpp_test VALUES (1), (2)"));
  DEMAND(count == 2, count);
  ARROW_RETURN_NOT_OK(other->Update("DROP TABLE cpp_test").status());
  return other->Close();
}

Status Constants(Context& context) {
  return SameAsSql(
      context,
      context.session->Table("region").Limit(1).Select(
          {Lit(1).As("a"), Lit(int64_t{1} << 40).As("b"), Lit(0.5).As("c"),
           Decimal("12345678901234567890.25").As("d"), Lit("it's").As("e"),
           Date("2024-02-29").As("f"), Timestamp("2024-02-29 12:30:00.5").As("g"),
           (Date("2024-01-31") + Interval(1, 1)).As("h"), Null().As("i"),
           Lit(*arrow::MakeScalar(arrow::uint8(), 200).ValueOrDie()).As("j"),
           Coalesce({Null(), 3}).As("k"), Lit(true).As("l"), (-Lit(5) % 3).As("m"),
           Lit("7").TryCast(arrow::decimal128(5, 2)).As("n")}),
      "SELECT 1 AS a, 1099511627776 AS b, 0.5::DOUBLE AS c, 12345678901234567890.25 AS "
      "d, "
      "'it''s' AS e, DATE '2024-02-29' AS f, TIMESTAMP '2024-02-29 12:30:00.5' AS g, "
      "DATE "
      "'2024-01-31' + INTERVAL '1 month 1 day' AS h, NULL AS i, 200::UTINYINT AS j, "
      "coalesce(NULL, 3) AS k, true AS l, (-5) % 3 AS m, TRY_CAST('7' AS DECIMAL(5, 2)) "
      "AS "
      "n FROM region LIMIT 1");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  auto session = Session::Connect(argv[1]);
  if (!session.ok()) {
    std::cerr << session.status().message() << "\n";
    return 1;
  }
  Context context{*session, argv[1], argv[2]};
  // Small as they are, queries are spread.
  for (const char* setting : {"SET ballista.single_task_threshold = 0",
                              "SET ballista.broadcast_threshold = 0"}) {
    const auto set = context.session->Update(setting).status();
    if (!set.ok()) std::cerr << set.message() << "\n";
  }
  const std::vector<std::pair<const char*, Status (*)(Context&)>> checks = {
      {"steps", Steps},
      {"joins", Joins},
      {"sets", Sets},
      {"windows", Windows},
      {"constants", Constants},
      {"files", Files},
      {"show_and_explain", ShowAndExplain},
      {"errors", Errors},
      {"rows_of_the_program", RowsOfTheProgram},
      {"streams", Streams},
      {"several_at_once", SeveralAtOnce},
      {"progress_and_cancel", ProgressAndCancel},
      {"dropped_queries", DroppedQueries},
      {"sessions_and_sql", SessionsAndSql}};
  for (const auto& [name, check] : checks) {
    const auto status = check(context);
    std::cout << (status.ok() ? "ok " : "failed ") << name
              << (status.ok() ? "" : ": " + status.ToString()) << std::endl;
  }
  return 0;
}
