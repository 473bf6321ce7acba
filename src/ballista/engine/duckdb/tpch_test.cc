// The 22 TPC-H queries: SQL to a plan, and the whole plan as one fragment, against DuckDB
// itself on the same files; then with the plan cut at every aggregate and join.
#include <cstdlib>
#include <filesystem>

#include "ballista/engine/duckdb/engine_test_internal.h"
#include "ballista/engine/duckdb/pch_internal.h"
#include "ballista/sql/session.h"

namespace ballista::engine {
namespace {

using namespace testing;  // NOLINT: the test's own vocabulary
namespace fs = std::filesystem;

constexpr const char* kTables[] = {"customer", "lineitem", "nation", "orders",
                                   "part",     "partsupp", "region", "supplier"};

std::string ExtensionPath() {
  const char* source = std::getenv("BALLISTA_SOURCE_DIR");
  const fs::path root = source ? source : ".";
  for (const char* python : {"python3.11", "python3.12"}) {
    const fs::path path = root / ".deps/venv/lib" / python /
                          "site-packages/duckdb_extension_tpch/extensions/v1.5.5/"
                          "tpch.duckdb_extension";
    if (fs::exists(path)) return path.string();
  }
  return "";
}

class TpchTest : public EngineTest {
 protected:
  static void SetUpTestSuite() {
    EngineTest::SetUpTestSuite();
    std::string path = (fs::temp_directory_path() / "ballista-tpch-XXXXXX").string();
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    folder_ = path;
    duckdb::DBConfig config;
    config.SetOptionByName("allow_unsigned_extensions", duckdb::Value::BOOLEAN(true));
    database_ = std::make_unique<duckdb::DuckDB>(nullptr, &config);
    Sql("LOAD '" + ExtensionPath() + "'");
    Sql("CREATE SCHEMA made");
    Sql("CALL dbgen(sf = 0.01, schema = 'made')");
    sql_engine_ = sql::SqlEngine::Make({}).ValueOrDie();
    session_ = sql_engine_->OpenSession("test").ValueOrDie();
    for (const std::string table : kTables) {
      const std::string file = (folder_ / (table + ".parquet")).string();
      Sql("COPY made." + table + " TO '" + file + "' (ROW_GROUP_SIZE 4096)");
      Sql("CREATE VIEW " + table + " AS FROM read_parquet('" + file + "')");
      auto created = session_->Compile("CREATE EXTERNAL TABLE " + table +
                                       " STORED AS PARQUET LOCATION '" + file + "'");
      ASSERT_TRUE(created.ok()) << created.status().ToString();
    }
  }
  static void TearDownTestSuite() {
    session_.reset();
    sql_engine_.reset();
    database_.reset();
    fs::remove_all(folder_);
    EngineTest::TearDownTestSuite();
  }

  static duckdb::unique_ptr<duckdb::MaterializedQueryResult> Sql(const std::string& sql) {
    duckdb::Connection connection(*database_);
    auto result = connection.Query(sql);
    EXPECT_FALSE(result->HasError()) << result->GetError() << "\n" << sql;
    return result;
  }

  static std::string Query(int number) {
    return Sql("SELECT query FROM tpch_queries() WHERE query_nr = " +
               std::to_string(number))
        ->GetValue(0, 0)
        .ToString();
  }

  // DuckDB's own rows as text, in order; doubles are not compared to the last digit.
  static std::vector<std::string> Expected(const std::string& sql) {
    std::vector<std::string> rows;
    auto result = Sql(sql);
    for (auto& row : result->Collection().GetRows()) {
      std::string text;
      for (size_t i = 0; i < result->types.size(); ++i) {
        if (i > 0) text += '|';
        text += Cell(row.GetValue(i));
      }
      rows.push_back(text);
    }
    return rows;
  }

  static std::string Cell(const duckdb::Value& value) {
    if (value.IsNull()) return "NULL";
    if (value.type().id() == duckdb::LogicalTypeId::DOUBLE) {
      char text[32];
      std::snprintf(text, sizeof(text), "%.6g", value.GetValue<double>());
      return text;
    }
    return value.ToString();
  }

  // Gives each scan its number, and all its files as splits.
  static std::vector<job::ScanSplits> TakeScans(Node* root) {
    std::vector<job::ScanSplits> scans;
    plan::VisitNodes(root, [&](Node* node) {
      if (!node->has_scan()) return;
      node->mutable_scan()->set_scan_index(static_cast<uint32_t>(scans.size()));
      auto& splits = scans.emplace_back();
      for (const auto& file : node->scan().files()) {
        // Two ranges, so that every scan is also a union of ranges.
        const uint64_t half = file.total_rows() / 2;
        auto* first = splits.add_splits();
        *first = file;
        if (half == 0) continue;
        first->set_row_count(half);
        auto* second = splits.add_splits();
        *second = file;
        second->set_first_row(half + 1);
        second->set_row_count(file.total_rows() - half - 1);
        auto* middle = splits.add_splits();
        *middle = file;
        middle->set_first_row(half);
        middle->set_row_count(1);
      }
      node->mutable_scan()->clear_files();
    });
    return scans;
  }

  // The rows that a sink got, by way of DuckDB, so that both sides print alike.
  static std::vector<std::string> Printed(const MemorySink& sink) {
    std::vector<std::string> rows;
    for (const auto& batch : sink.batches()) {
      for (int64_t r = 0; r < batch->num_rows(); ++r) {
        std::string text;
        for (int c = 0; c < batch->num_columns(); ++c) {
          if (c > 0) text += '|';
          text += ArrowCell(*(*batch->column(c)->GetScalar(r)));
        }
        rows.push_back(text);
      }
    }
    return rows;
  }

  static std::string ArrowCell(const arrow::Scalar& scalar) {
    if (!scalar.is_valid) return "NULL";
    if (scalar.type->id() == arrow::Type::DOUBLE) {
      char text[32];
      std::snprintf(text, sizeof(text), "%.6g",
                    static_cast<const arrow::DoubleScalar&>(scalar).value);
      return text;
    }
    return scalar.ToString();
  }

  static inline fs::path folder_;
  static inline std::unique_ptr<duckdb::DuckDB> database_;
  static inline std::unique_ptr<sql::SqlEngine> sql_engine_;
  static inline std::shared_ptr<sql::SqlSession> session_;
};

// Runs `root`, its inputs first where `cut` says so: each of those goes through a sink of
// its own and comes back as an exchange.
class PieceRunner {
 public:
  PieceRunner(DuckDbEngine* engine, std::vector<job::ScanSplits> scans)
      : engine_(engine), scans_(std::move(scans)) {}

  arrow::Status Run(const Node& root, MemorySink* sink) {
    Node fragment = root;
    std::vector<std::unique_ptr<MemorySource>> sources;
    ARROW_RETURN_NOT_OK(Cut(&fragment, &sources));
    return RunFragment(fragment, sources, true, sink);
  }

  int pieces() const { return pieces_; }

 private:
  using Sources = std::vector<std::unique_ptr<MemorySource>>;

  static bool HasReferences(const Node& node) {
    bool found = false;
    plan::VisitNodes(node, [&](const Node& n) {
      found |= n.has_shared_ref() || n.has_shared() || n.has_recursive_cte();
    });
    return found;
  }

  arrow::Status Cut(Node* node, Sources* sources) {
    for (auto& input : *node->mutable_inputs()) {
      if (HasReferences(input) || node->has_shared()) {
        ARROW_RETURN_NOT_OK(Cut(&input, sources));
        continue;
      }
      const bool cut = node->has_join() || node->has_aggregate() || node->has_sort();
      if (!cut || input.has_values()) {
        ARROW_RETURN_NOT_OK(Cut(&input, sources));
        continue;
      }
      Node piece = input;
      Sources inner;
      ARROW_RETURN_NOT_OK(Cut(&piece, &inner));
      MemorySink sink;
      ARROW_RETURN_NOT_OK(RunFragment(piece, inner, false, &sink));
      Node read = ExchangeNode(input.types());
      read.mutable_exchange_read()->set_input(static_cast<uint32_t>(sources->size()));
      sources->push_back(std::make_unique<MemorySource>(sink));
      input = read;
    }
    return arrow::Status::OK();
  }

  arrow::Status RunFragment(const Node& fragment, const Sources& sources, bool is_result,
                            MemorySink* sink) {
    ++pieces_;
    FragmentTask task;
    task.fragment = &fragment;
    task.sink = sink;
    task.scans = scans_;
    for (const auto& source : sources) task.inputs.push_back(source.get());
    task.output.set_is_result(is_result);
    task.output.set_ordered(is_result);
    task.output.set_kind(is_result ? job::Output::UNPARTITIONED : job::Output::HASH);
    if (!is_result) {
      task.output.set_partitions(3);
      for (int i = 0; i < fragment.types_size(); ++i) task.output.add_keys(i);
    }
    return engine_->Run(task, nullptr).status();
  }

  DuckDbEngine* const engine_;
  const std::vector<job::ScanSplits> scans_;
  int pieces_ = 0;
};

TEST_F(TpchTest, WholePlansGiveDuckDbsRows) {
  for (int number = 1; number <= 22; ++number) {
    SCOPED_TRACE("query " + std::to_string(number));
    const std::string text = Query(number);
    auto statement = session_->Compile(text);
    ASSERT_TRUE(statement.ok()) << statement.status().ToString();
    Node root = statement->plan.root();
    ASSERT_FALSE(root.has_statement()) << root.statement().reason();
    auto scans = TakeScans(&root);
    MemorySink sink;
    FragmentTask task = ResultTask(root, &sink);
    task.output.set_ordered(true);
    task.scans = scans;
    auto metrics = Run(task);
    ASSERT_TRUE(metrics.ok()) << metrics.status().ToString();
    EXPECT_EQ(Printed(sink), Expected(text));
    EXPECT_TRUE(engine().Describe(root).ok());
  }
}

TEST_F(TpchTest, PlansInPiecesGiveDuckDbsRows) {
  for (int number = 1; number <= 22; ++number) {
    SCOPED_TRACE("query " + std::to_string(number));
    const std::string text = Query(number);
    auto statement = session_->Compile(text);
    ASSERT_TRUE(statement.ok()) << statement.status().ToString();
    Node root = statement->plan.root();
    PieceRunner runner(&engine(), TakeScans(&root));
    MemorySink sink;
    auto status = runner.Run(root, &sink);
    ASSERT_TRUE(status.ok()) << status.ToString();
    EXPECT_GT(runner.pieces(), 1);
    EXPECT_EQ(Printed(sink), Expected(text));
  }
}

}  // namespace
}  // namespace ballista::engine
