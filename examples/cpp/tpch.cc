// TPC-H's queries 1, 3, 5 and 10 as DataFrames, each compared with SQL on the same
// cluster.
//
//   tpch localhost:50050 /data/tpch        # a folder for each table, or TABLE.parquet
//
// A third argument is a folder that gets each result as an Arrow IPC file; further ones
// are statements that are run first, such as SET.
#include <arrow/io/file.h>
#include <arrow/ipc/writer.h>
#include <ballista/client/session.h>

#include <filesystem>
#include <functional>
#include <iostream>
#include <map>

namespace {

using ballista::Avg;
using ballista::Col;
using ballista::CountRows;
using ballista::DataFrame;
using ballista::Date;
using ballista::Expr;
using ballista::Interval;
using ballista::Session;
using ballista::Sum;

// The tables, as the cluster's machines see them.
class Tables {
 public:
  Tables(std::shared_ptr<Session> session, std::string folder)
      : session_(std::move(session)), folder_(std::move(folder)) {}

  Session* session() const { return session_.get(); }

  std::string Path(const std::string& name) const {
    const auto file = folder_ / (name + ".parquet");
    return std::filesystem::exists(file) ? file.string() : (folder_ / name).string();
  }
  DataFrame operator[](const std::string& name) const {
    return session_->ReadParquet(Path(name));
  }

 private:
  std::shared_ptr<Session> session_;
  std::filesystem::path folder_;
};

Expr Revenue() {
  return Col("l_extendedprice") * (1 - Col("l_discount"));
}

// Pricing summary of what was shipped.
DataFrame Query1(const Tables& tables) {
  return tables["lineitem"]
      .Filter(Col("l_shipdate") <= Date("1998-12-01") - Interval(0, 90))
      .Aggregate(
          {"l_returnflag", "l_linestatus"},
          {Sum("l_quantity").As("sum_qty"), Sum("l_extendedprice").As("sum_base_price"),
           Sum(Revenue()).As("sum_disc_price"),
           Sum(Revenue() * (1 + Col("l_tax"))).As("sum_charge"),
           Avg("l_quantity").As("avg_qty"), Avg("l_extendedprice").As("avg_price"),
           Avg("l_discount").As("avg_disc"), CountRows().As("count_order")})
      .Sort({"l_returnflag", "l_linestatus"});
}

// The ten orders not yet shipped that are worth most.
DataFrame Query3(const Tables& tables) {
  return tables["customer"]
      .Filter(Col("c_mktsegment") == "BUILDING")
      .JoinOn(tables["orders"].Filter(Col("o_orderdate") < Date("1995-03-15")),
              Col("c_custkey") == Col("o_custkey"))
      .JoinOn(tables["lineitem"].Filter(Col("l_shipdate") > Date("1995-03-15")),
              Col("l_orderkey") == Col("o_orderkey"))
      .Aggregate({"l_orderkey", "o_orderdate", "o_shippriority"},
                 {Sum(Revenue()).As("revenue")})
      .Select({"l_orderkey", "revenue", "o_orderdate", "o_shippriority"})
      .Sort({Col("revenue").Desc(), "o_orderdate"})
      .Limit(10);
}

// Revenue within Asia, by nation.
DataFrame Query5(const Tables& tables) {
  const auto orders =
      tables["orders"].Filter(Col("o_orderdate") >= Date("1994-01-01") &&
                              Col("o_orderdate") < Date("1994-01-01") + Interval(12, 0));
  return tables["customer"]
      .JoinOn(orders, Col("c_custkey") == Col("o_custkey"))
      .JoinOn(tables["lineitem"], Col("l_orderkey") == Col("o_orderkey"))
      .JoinOn(tables["supplier"], Col("l_suppkey") == Col("s_suppkey") &&
                                      Col("c_nationkey") == Col("s_nationkey"))
      .JoinOn(tables["nation"], Col("s_nationkey") == Col("n_nationkey"))
      .JoinOn(tables["region"].Filter(Col("r_name") == "ASIA"),
              Col("n_regionkey") == Col("r_regionkey"))
      .Aggregate({"n_name"}, {Sum(Revenue()).As("revenue")})
      .Sort({Col("revenue").Desc()});
}

// Customers who sent back most.
DataFrame Query10(const Tables& tables) {
  const auto orders =
      tables["orders"].Filter(Col("o_orderdate") >= Date("1993-10-01") &&
                              Col("o_orderdate") < Date("1993-10-01") + Interval(3, 0));
  return tables["customer"]
      .JoinOn(orders, Col("c_custkey") == Col("o_custkey"))
      .JoinOn(tables["lineitem"].Filter(Col("l_returnflag") == "R"),
              Col("l_orderkey") == Col("o_orderkey"))
      .JoinOn(tables["nation"], Col("c_nationkey") == Col("n_nationkey"))
      .Aggregate({"c_custkey", "c_name", "c_acctbal", "c_phone", "n_name", "c_address",
                  "c_comment"},
                 {Sum(Revenue()).As("revenue")})
      .Select({"c_custkey", "c_name", "revenue", "c_acctbal", "n_name", "c_address",
               "c_phone", "c_comment"})
      .Sort({Col("revenue").Desc()})
      .Limit(20);
}

struct Query {
  std::function<DataFrame(const Tables&)> frame;
  const char* sql;
};

const std::map<int, Query>& Queries() {
  static const std::map<int, Query> queries = {{1, {Query1, R"(
SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty,
       sum(l_extendedprice) AS sum_base_price,
       sum(l_extendedprice * (1 - l_discount)) AS sum_disc_price,
       sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS sum_charge,
       avg(l_quantity) AS avg_qty, avg(l_extendedprice) AS avg_price,
       avg(l_discount) AS avg_disc, count(*) AS count_order
FROM lineitem WHERE l_shipdate <= DATE '1998-12-01' - INTERVAL 90 DAY
GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus)"}},
                                               {3, {Query3, R"(
SELECT l_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, o_orderdate,
       o_shippriority
FROM customer, orders, lineitem
WHERE c_mktsegment = 'BUILDING' AND c_custkey = o_custkey AND l_orderkey = o_orderkey
  AND o_orderdate < DATE '1995-03-15' AND l_shipdate > DATE '1995-03-15'
GROUP BY l_orderkey, o_orderdate, o_shippriority
ORDER BY revenue DESC, o_orderdate LIMIT 10)"}},
                                               {5, {Query5, R"(
SELECT n_name, sum(l_extendedprice * (1 - l_discount)) AS revenue
FROM customer, orders, lineitem, supplier, nation, region
WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND l_suppkey = s_suppkey
  AND c_nationkey = s_nationkey AND s_nationkey = n_nationkey
  AND n_regionkey = r_regionkey AND r_name = 'ASIA'
  AND o_orderdate >= DATE '1994-01-01' AND o_orderdate < DATE '1994-01-01' + INTERVAL 1 YEAR
GROUP BY n_name ORDER BY revenue DESC)"}},
                                               {10, {Query10, R"(
SELECT c_custkey, c_name, sum(l_extendedprice * (1 - l_discount)) AS revenue, c_acctbal,
       n_name, c_address, c_phone, c_comment
FROM customer, orders, lineitem, nation
WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND l_returnflag = 'R'
  AND o_orderdate >= DATE '1993-10-01' AND o_orderdate < DATE '1993-10-01' + INTERVAL 3 MONTH
  AND c_nationkey = n_nationkey
GROUP BY c_custkey, c_name, c_acctbal, c_phone, n_name, c_address, c_comment
ORDER BY revenue DESC LIMIT 20)"}}};
  return queries;
}

// Views for the SQL, seen by this session alone.
arrow::Status MakeViews(const Tables& tables) {
  for (const char* name :
       {"customer", "lineitem", "nation", "orders", "region", "supplier"}) {
    ARROW_RETURN_NOT_OK(tables.session()
                            ->Update(std::string("CREATE OR REPLACE TEMP VIEW ") + name +
                                     " AS SELECT * FROM '" + tables.Path(name) + "'")
                            .status());
  }
  return arrow::Status::OK();
}

arrow::Status Write(const arrow::Table& table, const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(auto file, arrow::io::FileOutputStream::Open(path));
  ARROW_ASSIGN_OR_RAISE(auto writer, arrow::ipc::MakeFileWriter(file, table.schema()));
  ARROW_RETURN_NOT_OK(writer->WriteTable(table));
  ARROW_RETURN_NOT_OK(writer->Close());
  return file->Close();
}

arrow::Status Run(const std::string& address, const std::string& folder,
                  const std::string& results, const std::vector<std::string>& first) {
  ARROW_ASSIGN_OR_RAISE(auto session, Session::Connect(address));
  for (const auto& statement : first) {
    ARROW_RETURN_NOT_OK(session->Update(statement).status());
  }
  const Tables tables(session, folder);
  ARROW_RETURN_NOT_OK(MakeViews(tables));
  for (const auto& [number, query] : Queries()) {
    const auto frame = query.frame(tables);
    ARROW_ASSIGN_OR_RAISE(const auto rows, frame.Collect());
    ARROW_ASSIGN_OR_RAISE(const auto expected, session->Sql(query.sql));
    if (!rows->Equals(*expected)) {
      std::cerr << rows->ToString() << expected->ToString();
      return arrow::Status::UnknownError("query ", number, " differs from its SQL");
    }
    std::cout << "query " << number << ": " << rows->num_rows()
              << " rows, equal to SQL\n";
    if (!results.empty()) {
      ARROW_RETURN_NOT_OK(
          Write(*rows, results + "/" + std::to_string(number) + ".arrow"));
    }
  }
  return arrow::Status::OK();
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 2) {
    std::cerr << "usage: tpch HOST:PORT FOLDER [FOLDER-FOR-RESULTS [STATEMENT...]]\n";
    return 2;
  }
  const std::vector<std::string> first(words.begin() + std::min<size_t>(words.size(), 3),
                                       words.end());
  const auto status = Run(words[0], words[1], words.size() > 2 ? words[2] : "", first);
  if (!status.ok()) std::cerr << "tpch: " << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
