// Scans of files, whole statements, writes, errors and cancellation.
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "ballista/engine/duckdb/engine_test_internal.h"
#include "ballista/engine/duckdb/pch_internal.h"

namespace ballista::engine {
namespace {

using namespace testing;  // NOLINT: the test's own vocabulary
namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

plan::NamedValue BoolOption(const std::string& name, bool value) {
  plan::NamedValue option;
  option.set_name(name);
  *option.mutable_value()->mutable_type() = kBoolean;
  option.mutable_value()->set_boolean(value);
  return option;
}

class TaskTest : public EngineTest {
 protected:
  void SetUp() override {
    const std::string pattern = (fs::temp_directory_path() / "ballista-XXXXXX").string();
    std::string path = pattern;
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    folder_ = path;
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Runs SQL on an engine of the test's own.
  static void Sql(const std::string& sql) {
    duckdb::DuckDB database(nullptr);
    duckdb::Connection connection(database);
    auto result = connection.Query(sql);
    ASSERT_FALSE(result->HasError()) << result->GetError();
  }

  // rows (id BIGINT, name VARCHAR), 100,000 of them in row groups of 10,000.
  std::string MakeParquet(const std::string& name,
                          const std::string& columns = "i AS id, 'n' || i AS name") {
    const std::string path = folder_ / name;
    Sql("COPY (SELECT " + columns + " FROM range(100000) t(i)) TO '" + path +
        "' (FORMAT parquet, ROW_GROUP_SIZE 10000)");
    return path;
  }

  static Node ScanNode(const std::string& format,
                       std::vector<std::pair<std::string, Type>> columns) {
    Node node;
    for (const auto& [name, type] : columns) {
      *node.add_types() = type;
      node.mutable_scan()->add_columns()->set_name(name);
    }
    node.mutable_scan()->set_format(format);
    return node;
  }

  static plan::FileSplit Split(const std::string& path, uint64_t first = 0,
                               uint64_t count = 0) {
    plan::FileSplit split;
    split.set_path(path);
    split.set_first_row(first);
    split.set_row_count(count);
    split.set_total_rows(100000);
    return split;
  }

  static std::vector<job::ScanSplits> Splits(std::vector<plan::FileSplit> splits) {
    std::vector<job::ScanSplits> scans(1);
    for (auto& split : splits) *scans[0].add_splits() = std::move(split);
    return scans;
  }

  static Node CountAndSum(Node input) {
    Node node;
    *node.add_types() = kBigint;
    *node.add_types() = kBigint;
    *node.add_inputs() = std::move(input);
    *node.mutable_aggregate()->add_aggregates() = AggregateOf("count_star", kBigint, {});
    *node.mutable_aggregate()->add_aggregates() =
        AggregateOf("sum", kBigint, {ColumnRef(0, kBigint)});
    return node;
  }

  fs::path folder_;
};

TEST_F(TaskTest, ScansFilesAndRanges) {
  const std::string a = MakeParquet("a.parquet");
  const std::string b = MakeParquet("b [x].parquet");
  const Node count = CountAndSum(ScanNode("parquet", {{"id", kBigint}}));
  EXPECT_EQ(RowsOf(count, false, Splits({Split(a)})), Strings{"100000|4999950000"});
  EXPECT_EQ(RowsOf(count, false, Splits({Split(a), Split(b)})),
            Strings{"200000|9999900000"});
  // Rows 10 to 19, of two touching ranges, and a whole file.
  EXPECT_EQ(RowsOf(count, false, Splits({Split(a, 15, 5), Split(a, 10, 5)})),
            Strings{"10|145"});
  EXPECT_EQ(RowsOf(count, false, Splits({Split(a, 0, 2), Split(b), Split(a, 50, 1)})),
            Strings{"100003|4999950051"});
  EXPECT_EQ(RowsOf(count, false, Splits({})), Strings{"0|null"});
  EXPECT_EQ(RowsOf(count), Strings{"0|null"});
}

TEST_F(TaskTest, ScanWithFilesOfItsOwnIsReadWhole) {
  const std::string a = MakeParquet("a.parquet");
  Node scan = ScanNode("parquet", {{"", kBoolean}});
  *scan.mutable_scan()->add_files() = Split(a);
  scan.mutable_scan()->mutable_files(0)->set_total_rows(100000);
  MemorySink sink;
  FragmentTask task = ResultTask(scan, &sink);
  task.scans = Splits({Split(a, 100, 50)});  // of another scan
  auto metrics = Run(task);
  ASSERT_TRUE(metrics.ok()) << metrics.status().ToString();
  EXPECT_EQ(metrics->output_rows(), 100000U);
  EXPECT_EQ(metrics->scan_rows(), 100050U);
  // As with splits, it must be the file that was planned with.
  scan.mutable_scan()->mutable_files(0)->set_file_size(1);
  MemorySink other;
  EXPECT_FALSE(Run(ResultTask(scan, &other)).ok());
}

TEST_F(TaskTest, ScanReportsItsRows) {
  const std::string a = MakeParquet("a.parquet");
  const Node scan = ScanNode("parquet", {{"", kBoolean}});
  MemorySink sink;
  FragmentTask task = ResultTask(scan, &sink);
  task.scans = Splits({Split(a, 100, 50)});
  auto metrics = Run(task);
  ASSERT_TRUE(metrics.ok()) << metrics.status().ToString();
  EXPECT_EQ(metrics->scan_rows(), 50U);
  EXPECT_EQ(metrics->output_rows(), 50U);
  EXPECT_EQ(Rows(sink)[0], "true");
}

TEST_F(TaskTest, FiltersAndProjectionsReachTheParquetReader) {
  const std::string a = MakeParquet("a.parquet", "i AS id, 'n' || i AS name, i AS other");
  Node scan = ScanNode("parquet", {{"id", kBigint}, {"name", kVarchar}});
  Node fragment = ProjectNode(
      FilterNode(scan,
                 Compare(plan::Comparison::EQUAL, ColumnRef(0, kBigint), Int(77777))),
      {ColumnRef(1, kVarchar)});
  MemorySink sink;
  FragmentTask task = ResultTask(fragment, &sink);
  task.scans = Splits({Split(a, 70000, 30000)});
  task.collect_metrics = true;
  auto metrics = Run(task);
  ASSERT_TRUE(metrics.ok()) << metrics.status().ToString();
  EXPECT_EQ(Rows(sink), Strings{"n77777"});
  std::string detail;
  bool scanned = false;
  for (const auto& op : metrics->operators()) {
    detail += op.name() + ": " + op.detail() + "\n";
    // The row groups outside of the range and of the filter were never read.
    if (op.name().find("PARQUET") != std::string::npos) {
      scanned = true;
      EXPECT_LE(op.rows(), 10000U);
    }
    EXPECT_EQ(op.name().find("FILTER"), std::string::npos);
  }
  EXPECT_TRUE(scanned) << detail;
  EXPECT_NE(detail.find("id=77777"), std::string::npos) << detail;
  EXPECT_NE(detail.find("file_row_number>=70000"), std::string::npos) << detail;
  EXPECT_EQ(detail.find("other"), std::string::npos) << detail;
}

// The keys of an exchange come from a stage that has filtered them.
TEST_F(TaskTest, KeysOfAnExchangeFilterTheScan) {
  const std::string a = MakeParquet("a.parquet", "7919 * i AS id, 'n' || i AS name");
  MemorySink keys;
  // Keys too far apart for an array instead of a hash table.
  const Node every_49th = ProjectNode(
      RangeNode(2000),
      {plan::MakeCall("*", kBigint, {ColumnRef(0, kBigint), Int(49 * 7919)})});
  ASSERT_TRUE(Run(HashTask(every_49th, &keys, {0}, 1)).ok());
  Node join;
  *join.add_types() = kBigint;
  *join.add_types() = kVarchar;
  *join.add_inputs() = ScanNode("parquet", {{"id", kBigint}, {"name", kVarchar}});
  *join.add_inputs() = ExchangeNode(every_49th.types());
  auto* condition = join.mutable_join()->add_conditions();
  *condition->mutable_left() = *condition->mutable_right() = ColumnRef(0, kBigint);
  condition->set_op(plan::Comparison::EQUAL);
  join.mutable_join()->set_type(plan::Join::INNER);
  join.mutable_join()->add_output(0);
  join.mutable_join()->add_output(1);
  MemorySource source(keys);
  MemorySink sink;
  FragmentTask task = ResultTask(join, &sink);
  task.scans = Splits({Split(a)});
  task.inputs = {&source};
  task.collect_metrics = true;
  auto metrics = Run(task);
  ASSERT_TRUE(metrics.ok()) << metrics.status().ToString();
  EXPECT_EQ(metrics->output_rows(), 2000U);
  uint64_t scanned = 0;
  for (const auto& op : metrics->operators()) {
    if (op.name() == "READ_PARQUET") scanned += op.rows();
  }
  EXPECT_GE(scanned, 2000U);
  EXPECT_LT(scanned, 50000U);
}

TEST_F(TaskTest, StructFieldsCsvAndJson) {
  const std::string nested = MakeParquet("s.parquet", "{'a': {'b': i}} AS s");
  Node scan = ScanNode("parquet", {{"s", kBigint}});
  scan.mutable_scan()->mutable_columns(0)->add_path("a");
  scan.mutable_scan()->mutable_columns(0)->add_path("b");
  EXPECT_EQ(RowsOf(CountAndSum(scan), false, Splits({Split(nested, 1, 3)})),
            Strings{"3|6"});

  const std::string csv = folder_ / "rows.csv";
  std::ofstream(csv) << "id,name\n1,one\n2,two\n";
  Node csv_scan = ScanNode("csv", {{"name", kVarchar}, {"id", kBigint}});
  *csv_scan.mutable_scan()->add_options() = BoolOption("header", true);
  EXPECT_EQ(RowsOf(csv_scan, false, Splits({Split(csv)})), (Strings{"one|1", "two|2"}));

  const std::string json = folder_ / "rows.json";
  std::ofstream(json) << "{\"id\": 1}\n{\"id\": 2}\n";
  EXPECT_EQ(RowsOf(ScanNode("json", {{"id", kBigint}}), false, Splits({Split(json)})),
            (Strings{"1", "2"}));
}

TEST_F(TaskTest, HivePartitionsAndUnionByName) {
  fs::create_directories(folder_ / "region=007");
  const std::string a = MakeParquet("region=007/a.parquet");
  Node hive = ScanNode("parquet", {{"region", kVarchar}, {"id", kBigint}});
  *hive.mutable_scan()->add_options() = BoolOption("hive_partitioning", true);
  EXPECT_EQ(RowsOf(hive, false, Splits({Split(a, 5, 1)})), Strings{"007|5"});

  // A column that none of this task's files has is NULL.
  const std::string b = MakeParquet("b.parquet");
  Node by_name = ScanNode("parquet", {{"ID", kBigint}, {"added_later", kVarchar}});
  *by_name.mutable_scan()->add_options() = BoolOption("union_by_name", true);
  EXPECT_EQ(RowsOf(by_name, false, Splits({Split(b, 5, 1)})), Strings{"5|null"});
}

TEST_F(TaskTest, AFileThatChangedIsRefused) {
  const std::string a = MakeParquet("a.parquet");
  plan::FileSplit split = Split(a);
  struct stat info {};
  ASSERT_EQ(stat(a.c_str(), &info), 0);
  split.set_file_size(static_cast<uint64_t>(info.st_size));
  split.set_modified_ns(int64_t{info.st_mtim.tv_sec} * 1000000000 + info.st_mtim.tv_nsec);
  const Node count = CountAndSum(ScanNode("parquet", {{"id", kBigint}}));
  EXPECT_EQ(RowsOf(count, false, Splits({split})), Strings{"100000|4999950000"});
  split.set_file_size(17);
  MemorySink sink;
  FragmentTask task = ResultTask(count, &sink);
  task.scans = Splits({split});
  auto result = Run(task);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(GetErrorDetail(result.status())->user().kind(), UserError::RUNTIME);
  EXPECT_NE(result.status().message().find("has changed"), std::string::npos);
}

// ---- whole statements

Node StatementNode(const std::string& sql, std::vector<Type> types) {
  Node node;
  for (const auto& type : types) *node.add_types() = type;
  node.mutable_statement()->set_sql(sql);
  return node;
}

TEST_F(TaskTest, StatementWithPreludeAndTables) {
  auto array = arrow::Int64Builder();
  ASSERT_TRUE(array.AppendValues({4, 5}).ok());
  auto batch = arrow::RecordBatch::Make(
      arrow::schema({arrow::field("my id", arrow::int64())}), 2, {*array.Finish()});
  auto stream = *arrow::io::BufferOutputStream::Create();
  auto writer = *arrow::ipc::MakeStreamWriter(stream, batch->schema());
  ASSERT_TRUE(writer->WriteRecordBatch(*batch).ok());
  ASSERT_TRUE(writer->Close().ok());
  const std::string ipc = (*stream->Finish())->ToString();

  Node node = StatementNode("SELECT twice(\"my id\") FROM v ORDER BY 1", {kBigint});
  auto* table = node.mutable_statement()->add_tables();
  table->set_name("local rows");
  table->mutable_table()->set_arrow_ipc(ipc);
  node.mutable_statement()->add_prelude("CREATE MACRO twice(x) AS 2 * x");
  node.mutable_statement()->add_prelude("CREATE VIEW v AS FROM \"local rows\"");
  EXPECT_EQ(RowsOf(node, true), (Strings{"8", "10"}));
  // Nothing is left of it.
  EXPECT_EQ(RowsOf(node, true), (Strings{"8", "10"}));

  Node local;
  *local.add_types() = kInteger;
  local.mutable_local_table()->set_arrow_ipc(ipc);
  EXPECT_EQ(RowsOf(local), (Strings{"4", "5"}));
}

TEST_F(TaskTest, StatementErrorsAreTheUsers) {
  const std::vector<std::pair<std::string, UserError::Kind>> cases = {
      {"SELEC 1", UserError::SYNTAX},
      {"SELECT nope FROM range(1)", UserError::BINDER},
      {"SELECT * FROM no_such_table", UserError::CATALOG},
      {"SELECT 'x'::INTEGER + i FROM range(1) t(i)", UserError::RUNTIME},
      {"FROM ballista_input(12345::UBIGINT)", UserError::BINDER},
  };
  for (const auto& [sql, kind] : cases) {
    SCOPED_TRACE(sql);
    const Node node = StatementNode(sql, {kBigint});
    MemorySink sink;
    auto result = Run(ResultTask(node, &sink));
    ASSERT_FALSE(result.ok());
    const auto* detail = GetErrorDetail(result.status());
    ASSERT_NE(detail, nullptr) << result.status().ToString();
    EXPECT_EQ(detail->user().kind(), kind) << result.status().ToString();
  }
}

// ---- writes

TEST_F(TaskTest, WriteStagesFilesThatARenameCommits) {
  Node node;
  for (const Type& type : {kBigint, plan::ListType(kVarchar), plan::ListType(kVarchar)}) {
    *node.add_types() = type;
  }
  *node.add_inputs() = RangeNode(10);
  auto* write = node.mutable_write();
  write->set_path(folder_ / "out");
  write->set_format("parquet");
  write->add_names("my id");
  MemorySink sink;
  FragmentTask task = ResultTask(node, &sink);
  task.output.set_is_result(false);
  task.collect_metrics = true;
  auto metrics = Run(task);
  ASSERT_TRUE(metrics.ok()) << metrics.status().ToString();
  // The operators are those of the COPY.
  const auto& operators = metrics->operators();
  EXPECT_TRUE(std::any_of(operators.begin(), operators.end(), [](const auto& op) {
    return op.name().find("COPY") != std::string::npos;
  })) << metrics->ShortDebugString();
  ASSERT_EQ(sink.batches().size(), 1U);
  const auto& batch = *sink.batches()[0];
  EXPECT_EQ((*batch.column(0)->GetScalar(0))->ToString(), "10");
  auto path = [&](int column) {
    const auto& list = static_cast<const arrow::ListArray&>(*batch.column(column));
    EXPECT_EQ(list.values()->length(), 1);
    return static_cast<const arrow::StringArray&>(*list.values()).GetString(0);
  };
  EXPECT_EQ(path(2), folder_ / "out/part-job-0-0-0.parquet");
  EXPECT_FALSE(fs::exists(path(2)));
  fs::rename(path(1), path(2));
  EXPECT_EQ(RowsOf(CountAndSum(ScanNode("parquet", {{"my id", kBigint}})), false,
                   Splits({Split(path(2))})),
            Strings{"10|45"});
}

TEST_F(TaskTest, WritePartitionedAndSingleFile) {
  Node node;
  for (const Type& type : {kBigint, plan::ListType(kVarchar), plan::ListType(kVarchar)}) {
    *node.add_types() = type;
  }
  *node.add_inputs() = ProjectNode(
      RangeNode(10), {ColumnRef(0, kBigint),
                      plan::MakeCall("%", kBigint, {ColumnRef(0, kBigint), Int(2)})});
  auto* write = node.mutable_write();
  write->set_path(folder_ / "out");
  write->set_format("csv");
  write->add_names("id");
  write->add_names("odd");
  write->add_partition_by(1);
  *write->add_options() = BoolOption("header", true);
  MemorySink sink;
  ASSERT_TRUE(Run(ResultTask(node, &sink)).ok());
  const std::string row = Rows(sink)[0];
  EXPECT_NE(row.find("odd=0/part-job-0-0-0-0.csv"), std::string::npos) << row;
  EXPECT_NE(row.find("odd=1/part-job-0-0-0-0.csv"), std::string::npos) << row;

  write->clear_partition_by();
  write->set_single_file(true);
  write->set_path(folder_ / "one.csv");
  MemorySink single;
  ASSERT_TRUE(Run(ResultTask(node, &single)).ok());
  EXPECT_TRUE(fs::exists(folder_ / ".ballista-staging/job-0-0-0/one.csv"));
}

TEST_F(TaskTest, AFailedWriteLeavesNothing) {
  Node node;
  for (const Type& type : {kBigint, plan::ListType(kVarchar), plan::ListType(kVarchar)}) {
    *node.add_types() = type;
  }
  *node.add_inputs() =
      ProjectNode(ValuesNode({{Text("x")}}), {CastTo(ColumnRef(0, kVarchar), kBigint)});
  node.mutable_write()->set_path(folder_ / "out");
  node.mutable_write()->set_format("parquet");
  node.mutable_write()->add_names("id");
  MemorySink sink;
  ASSERT_FALSE(Run(ResultTask(node, &sink)).ok());
  EXPECT_FALSE(fs::exists(folder_ / "out/.ballista-staging/job-0-0-0"));
}

// ---- errors and cancellation

TEST_F(TaskTest, ErrorsOfInputsAndSinksKeepTheirType) {
  google::protobuf::RepeatedPtrField<Type> types;
  *types.Add() = kBigint;
  const Node node = ExchangeNode(types);
  MemorySource source(arrow::schema({arrow::field("c0", arrow::int64())}), {});
  FetchFailed what;
  what.set_stage_id(3);
  what.set_executor_id("lost");
  source.fail_with_ = FetchFailedStatus("gone", what);
  MemorySink sink;
  FragmentTask task = ResultTask(node, &sink);
  task.inputs = {&source};
  auto result = Run(task);
  ASSERT_FALSE(result.ok());
  ASSERT_NE(GetErrorDetail(result.status()), nullptr) << result.status().ToString();
  EXPECT_EQ(GetErrorDetail(result.status())->fetch_failed().executor_id(), "lost");

  MemorySink full;
  full.fail_with_ = ResourcesExhaustedStatus("no disk", ResourcesExhausted::DISK, 1);
  const Node rows = RangeNode(1000);
  result = Run(HashTask(rows, &full, {0}, 3));
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(GetErrorDetail(result.status())->resources_exhausted().resource(),
            ResourcesExhausted::DISK);
}

TEST_F(TaskTest, WindowsOverAnInputReadItOnce) {
  const Node rows = ProjectNode(
      RangeNode(1000), {ColumnRef(0, kBigint),
                        plan::MakeCall("%", kBigint, {ColumnRef(0, kBigint), Int(3)})});
  MemorySink exchange;
  ASSERT_TRUE(Run(HashTask(rows, &exchange, {0}, 3)).ok());
  for (const bool partitioned : {false, true}) {
    Node window = plan::WithInput(ExchangeNode(rows.types()));
    for (const char* name : {"sum", "count_star"}) {
      plan::Expression call;
      *call.mutable_type() = kBigint;
      call.mutable_window()->set_name(name);
      if (std::string(name) == "sum") *call.add_args() = ColumnRef(0, kBigint);
      if (partitioned) {
        *call.mutable_window()->add_partition_by() = ColumnRef(1, kBigint);
      }
      call.mutable_window()->set_start(plan::WindowCall::UNBOUNDED_PRECEDING);
      call.mutable_window()->set_end(plan::WindowCall::UNBOUNDED_FOLLOWING);
      *window.add_types() = kBigint;
      *window.mutable_window()->add_calls() = call;
    }
    Node total = CountAndSum(ProjectNode(window, {ColumnRef(2, kBigint)}));
    MemorySource source(exchange);
    MemorySink sink;
    FragmentTask task = ResultTask(total, &sink);
    task.inputs = {&source};
    auto metrics = Run(task);
    ASSERT_TRUE(metrics.ok()) << metrics.status().ToString();
    // The sum of each group's sum times its rows: 334 rows of 0 mod 3, then 333 and 333.
    EXPECT_EQ(Rows(sink),
              partitioned ? Strings{"1000|166500333"} : Strings{"1000|499500000"});
  }
}

TEST_F(TaskTest, ARecursiveStepCanReadAnInput) {
  // Edges 0-1, 1-2, ..., 9-10: from 0 all of 0 .. 10 are reached.
  const Node edges = ProjectNode(
      RangeNode(10), {ColumnRef(0, kBigint),
                      plan::MakeCall("+", kBigint, {ColumnRef(0, kBigint), Int(1)})});
  MemorySink exchange;
  ASSERT_TRUE(Run(HashTask(edges, &exchange, {0}, 3)).ok());
  Node reference;
  *reference.add_types() = kBigint;
  reference.mutable_shared_ref()->set_id(1);
  Node step;
  *step.add_types() = kBigint;
  *step.add_inputs() = reference;
  *step.add_inputs() = ExchangeNode(edges.types());
  step.mutable_join()->set_type(plan::Join::INNER);
  step.mutable_join()->add_output(2);
  auto* condition = step.mutable_join()->add_conditions();
  *condition->mutable_left() = ColumnRef(0, kBigint);
  *condition->mutable_right() = ColumnRef(0, kBigint);
  condition->set_op(plan::Comparison::EQUAL);
  Node node;
  *node.add_types() = kBigint;
  *node.add_inputs() = ValuesNode({{Int(0)}});
  *node.add_inputs() = step;
  node.mutable_recursive_cte()->set_id(1);
  const Node total = CountAndSum(node);
  MemorySource source(exchange);
  MemorySink sink;
  FragmentTask task = ResultTask(total, &sink);
  task.inputs = {&source};
  auto metrics = Run(task);
  ASSERT_TRUE(metrics.ok()) << metrics.status().ToString();
  EXPECT_EQ(Rows(sink), Strings{"11|55"});
}

TEST_F(TaskTest, RuntimeErrorsAreTheUsers) {
  const Node node =
      ProjectNode(ValuesNode({{Text("x")}}), {CastTo(ColumnRef(0, kVarchar), kBigint)});
  MemorySink sink;
  auto result = Run(ResultTask(node, &sink));
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(GetErrorDetail(result.status())->user().kind(), UserError::RUNTIME);
}

TEST_F(TaskTest, MemoryThatRunsOutIsTyped) {
  DuckDbEngineOptions options;
  options.threads = 1;
  options.memory_limit = 20 << 20;
  auto small = DuckDbEngine::Make(options);
  ASSERT_TRUE(small.ok()) << small.status().ToString();
  Node node;
  *node.add_types() = plan::ListType(kBigint);
  *node.add_inputs() = RangeNode(20000000);
  *node.mutable_aggregate()->add_aggregates() =
      AggregateOf("list", plan::ListType(kBigint), {ColumnRef(0, kBigint)});
  MemorySink sink;
  auto result = (*small)->Run(ResultTask(node, &sink), nullptr);
  ASSERT_FALSE(result.ok());
  ASSERT_NE(GetErrorDetail(result.status()), nullptr) << result.status().ToString();
  EXPECT_EQ(GetErrorDetail(result.status())->resources_exhausted().resource(),
            ResourcesExhausted::MEMORY)
      << result.status().ToString();
}

class ThrowingSink : public MemorySink {
 public:
  arrow::Status Write(shuffle::PartitionedBatch) override {
    throw duckdb::InternalException("a bug");
  }
};

TEST_F(TaskTest, ABrokenInstanceIsReplaced) {
  const Node rows = RangeNode(10);
  ThrowingSink broken;
  auto result = Run(ResultTask(rows, &broken));
  ASSERT_FALSE(result.ok());
  EXPECT_TRUE(GetErrorDetail(result.status())->has_internal());
  EXPECT_EQ(RowsOf(rows).size(), 10U);
}

TEST_F(TaskTest, SettingsHoldForOneTask) {
  const Type zoned = MakeType(Type::TIMESTAMP_TZ);
  const Node node =
      ProjectNode(ValuesNode({{Text("2020-01-01 00:00:00+00")}}),
                  {CastTo(CastTo(ColumnRef(0, kVarchar), zoned), kVarchar)});
  EXPECT_EQ(RowsOf(node), Strings{"2020-01-01 00:00:00+00"});
  MemorySink sink;
  FragmentTask task = ResultTask(node, &sink);
  task.settings.emplace_back();
  task.settings[0].set_name("TimeZone");
  task.settings[0].set_value("Asia/Tokyo");
  ASSERT_TRUE(Run(task).ok());
  EXPECT_EQ(Rows(sink), Strings{"2020-01-01 09:00:00+09"});
  EXPECT_EQ(RowsOf(node), Strings{"2020-01-01 00:00:00+00"});
}

TEST_F(TaskTest, CancelStopsALongQuerySoon) {
  Node cross;
  *cross.add_types() = kBigint;
  *cross.add_inputs() = RangeNode(10000000);
  *cross.add_inputs() = RangeNode(10000000);
  cross.mutable_join()->set_type(plan::Join::INNER);
  cross.mutable_join()->add_output(0);
  const Node fragment = CountAndSum(cross);
  for (const auto delay :
       {std::chrono::milliseconds(0), std::chrono::milliseconds(300)}) {
    MemorySink sink;
    const FragmentTask task = ResultTask(fragment, &sink);
    auto interrupt = engine().MakeInterrupt();
    if (delay.count() == 0) interrupt->Cancel();
    std::chrono::steady_clock::time_point cancelled = std::chrono::steady_clock::now();
    std::thread canceller([&] {
      std::this_thread::sleep_for(delay);
      cancelled = std::chrono::steady_clock::now();
      interrupt->Cancel();
    });
    auto result = engine().Run(task, interrupt);
    canceller.join();
    ASSERT_FALSE(result.ok());
    ASSERT_NE(GetErrorDetail(result.status()), nullptr) << result.status().ToString();
    EXPECT_TRUE(GetErrorDetail(result.status())->has_cancelled());
    EXPECT_LT(std::chrono::steady_clock::now() - cancelled, std::chrono::seconds(1));
    interrupt->Cancel();
  }
}

TEST_F(TaskTest, CancelledTasksLeaveNoThreadBehind) {
  const Node rows = ProjectNode(RangeNode(3000000), {ColumnRef(0, kBigint), Text("t")});
  for (int i = 0; i < 50; ++i) {
    MemorySink sink;
    auto interrupt = engine().MakeInterrupt();
    std::thread canceller([&] {
      std::this_thread::sleep_for(std::chrono::microseconds(40 * i));
      interrupt->Cancel();
    });
    if (i == 0) interrupt->Cancel();
    auto result = engine().Run(HashTask(rows, &sink, {0}, 4), interrupt);
    canceller.join();
    if (!result.ok()) {
      ASSERT_NE(GetErrorDetail(result.status()), nullptr) << result.status().ToString();
      EXPECT_TRUE(GetErrorDetail(result.status())->has_cancelled());
    }
  }
}

TEST_F(TaskTest, ManyTasksAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      for (int k = 0; k < 20; ++k) {
        const Node node = CountAndSum(RangeNode(1000 + i));
        MemorySink sink;
        if (Run(ResultTask(node, &sink)).ok() &&
            Rows(sink)[0].substr(0, 4) == std::to_string(1000 + i)) {
          ++right;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 160);
}

TEST_F(TaskTest, ATrivialTaskIsQuick) {
  const Node node = ProjectNode(ValuesNode({{Int(1)}}), {ColumnRef(0, kBigint)});
  RowsOf(node);
  double best = 1e9;
  for (int i = 0; i < 200; ++i) {
    MemorySink sink;
    const auto start = std::chrono::steady_clock::now();
    ASSERT_TRUE(Run(ResultTask(node, &sink)).ok());
    best = std::min(best, std::chrono::duration<double, std::milli>(
                              std::chrono::steady_clock::now() - start)
                              .count());
  }
  RecordProperty("best_ms", std::to_string(best));
  EXPECT_LT(best, 1.0);
}

}  // namespace
}  // namespace ballista::engine
