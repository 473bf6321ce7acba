// Plans statements for a cluster, runs the stages in this process, and compares each
// result with that of the whole statement in one DuckDB.
//
//   job_runner [options] FILE.sql ...
//     --views DIR       one view for each folder of parquet files in DIR
//     --tasks N         executors to plan for, and tasks of a stage (2)
//     --plan-only       do not run
//     --show            print the logical plan and the graph
//     --stats           print rows, bytes and time of each stage
//     --broadcast N, --partitions N, --memory N, --threshold N: as PlannerOptions
//     --inflate N       multiply estimates by N, so that small tables are treated as
//     large
//     --replan          plan again after each stage
//     --sql             print the statement of each fragment
//     --lines           each line of a file is a statement
#include <arrow/api.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "ballista/base/version.h"
#include "ballista/engine/duckdb/duckdb_engine.h"
#include "ballista/plan/plan.h"
#include "ballista/planner/distributed_planner.h"
#include "ballista/sql/session.h"
#include "local_job.h"

namespace {

using namespace ballista;  // NOLINT: a program of one file

struct Options {
  std::string views;
  planner::PlannerOptions planner;
  bool plan_only = false;
  bool show = false;
  bool stats = false;
  bool lines = false;
  bool sql = false;
  bool replan = false;
  double inflate = 1;
  std::vector<std::string> files;
};

Options ParseOptions(int argc, char** argv) {
  Options options;
  options.planner.executors = 2;
  options.planner.threads = 2;
  options.planner.single_task_threshold = 0;
  // Its inputs in memory are not merged.
  options.planner.range_sort_threshold = UINT64_MAX;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const auto value = [&] { return std::string(i + 1 < argc ? argv[++i] : ""); };
    if (arg == "--views") {
      options.views = value();
    } else if (arg == "--tasks") {
      options.planner.executors = static_cast<uint32_t>(std::stoul(value()));
    } else if (arg == "--broadcast") {
      options.planner.broadcast_threshold = std::stoll(value());
    } else if (arg == "--partitions") {
      options.planner.shuffle_partitions = static_cast<uint32_t>(std::stoul(value()));
    } else if (arg == "--memory") {
      options.planner.memory_per_executor = std::stoull(value());
    } else if (arg == "--plan-only") {
      options.plan_only = true;
    } else if (arg == "--show") {
      options.show = true;
    } else if (arg == "--stats") {
      options.stats = true;
    } else if (arg == "--sql") {
      options.sql = true;
    } else if (arg == "--inflate") {
      options.inflate = std::stod(value());
    } else if (arg == "--replan") {
      options.replan = true;
    } else if (arg == "--threshold") {
      options.planner.single_task_threshold = std::stoull(value());
    } else if (arg == "--lines") {
      options.lines = true;
    } else {
      options.files.push_back(arg);
    }
  }
  return options;
}

std::vector<std::string> ViewStatements(const std::string& folder) {
  std::vector<std::string> statements;
  if (folder.empty()) return statements;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (!entry.is_directory()) continue;
    statements.push_back("CREATE VIEW " + entry.path().filename().string() +
                         " AS SELECT * FROM read_parquet('" + entry.path().string() +
                         "/*.parquet')");
  }
  return statements;
}

class Frontend {
 public:
  explicit Frontend(const std::vector<std::string>& views)
      : engine_(sql::SqlEngine::Make({}).ValueOrDie()),
        session_(engine_->OpenSession("job_runner").ValueOrDie()) {
    for (const auto& view : views) session_->Compile(view).ValueOrDie();
  }

  // Errors: also for a statement that is no distributed query.
  arrow::Result<plan::Plan> Compile(const std::string& sql) {
    ARROW_ASSIGN_OR_RAISE(sql::Statement statement, session_->Compile(sql));
    if (statement.kind != sql::Statement::Kind::kQuery) {
      return arrow::Status::Invalid("no query for the cluster");
    }
    if (statement.plan.root().has_statement()) {
      return arrow::Status::Invalid(statement.plan.root().statement().reason());
    }
    return std::move(statement.plan);
  }

 private:
  std::unique_ptr<sql::SqlEngine> engine_;
  std::shared_ptr<sql::SqlSession> session_;
};

std::string CellText(const std::shared_ptr<arrow::Array>& column, int64_t row) {
  const auto scalar = column->GetScalar(row).ValueOrDie();
  if (!scalar->is_valid) return "NULL";
  if (scalar->type->id() == arrow::Type::DOUBLE) {
    char text[64];
    snprintf(text, sizeof text, "%.9g",
             static_cast<const arrow::DoubleScalar&>(*scalar).value);
    return text;
  }
  return scalar->ToString();
}

std::vector<std::string> SortedRows(const arrow::Table& table) {
  std::vector<std::string> rows;
  const auto batch = table.CombineChunksToBatch().ValueOrDie();
  for (int64_t i = 0; i < batch->num_rows(); ++i) {
    std::string text;
    for (const auto& column : batch->columns()) text += CellText(column, i) + "|";
    rows.push_back(std::move(text));
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

// Equal but for the last digits of floating point numbers.
bool NearlyEqual(const std::string& a, const std::string& b) {
  if (a == b) return true;
  std::istringstream left(a);
  std::istringstream right(b);
  std::string x;
  std::string y;
  while (std::getline(left, x, '|')) {
    if (!std::getline(right, y, '|')) return false;
    if (x == y) continue;
    char* end = nullptr;
    const double dx = std::strtod(x.c_str(), &end);
    if (*end != 0 || x.empty()) return false;
    const double dy = std::strtod(y.c_str(), &end);
    if (*end != 0 || y.empty()) return false;
    if (std::abs(dx - dy) > 1e-6 * std::max(std::abs(dx), std::abs(dy))) return false;
  }
  return true;
}

std::string Compare(const arrow::Table& expected, const arrow::Table& actual) {
  const auto want = SortedRows(expected);
  const auto have = SortedRows(actual);
  if (!expected.schema()->Equals(*actual.schema(), false)) {
    return "schemas differ: " + expected.schema()->ToString() + " against " +
           actual.schema()->ToString();
  }
  if (want.size() != have.size()) {
    return std::to_string(want.size()) + " rows are due and " +
           std::to_string(have.size()) + " came";
  }
  for (size_t i = 0; i < want.size(); ++i) {
    if (!NearlyEqual(want[i], have[i])) return want[i] + "\n  against " + have[i];
  }
  return "";
}

std::vector<std::string> Statements(const Options& options, const std::string& file) {
  std::ifstream stream(file);
  std::stringstream text;
  text << stream.rdbuf();
  std::vector<std::string> statements;
  if (!options.lines) return {text.str()};
  for (std::string line; std::getline(text, line);) {
    if (!line.empty() && line[0] != '-') statements.push_back(line);
  }
  return statements;
}

class Runner {
 public:
  explicit Runner(const Options& options)
      : options_(options),
        views_(ViewStatements(options.views)),
        frontend_(views_),
        engine_(engine::DuckDbEngine::Make({}).ValueOrDie()) {}

  // What is wrong; empty where the results are equal.
  std::string Check(const std::string& sql) {
    auto compiled = frontend_.Compile(sql);
    if (!compiled.ok()) return "no plan: " + compiled.status().message();
    plan::Plan plan = *std::move(compiled);
    plan::VisitNodes(plan.mutable_root(), [&](plan::Node* node) {
      node->set_estimated_rows(node->estimated_rows() * options_.inflate);
    });
    if (options_.show) std::cout << plan::ToString(plan.root());
    const auto graph = planner::PlanJob(plan, options_.planner);
    if (!graph.ok()) return graph.status().ToString();
    if (options_.show) std::cout << plan::ToString(*graph);
    if (graph->single_task_reason().find("refused") != std::string::npos) {
      return graph->single_task_reason();
    }
    if (options_.sql) {
      for (const auto& stage : graph->stages()) {
        std::cout << stage.id() << ": "
                  << engine_->Describe(stage.fragment()).ValueOr("?") << "\n";
      }
    }
    if (options_.plan_only) return "";
    const auto run =
        testing::RunJob(*graph, engine_.get(), options_.planner, options_.replan);
    if (!run.ok()) return run.status().ToString();
    if (options_.stats) PrintStats(*run);
    const auto expected = RunWhole(sql, plan);
    if (!expected.ok()) return "whole: " + expected.status().ToString();
    return Compare(**expected, *run->result);
  }

 private:
  static void PrintStats(const testing::JobRun& run) {
    for (int i = 0; i < run.graph.stages_size(); ++i) {
      const auto& stage = run.graph.stages(i);
      const auto& stats = run.stages[static_cast<size_t>(i)];
      if (stats.tasks == 0) continue;
      std::cout << "  " << i << " [" << stats.tasks << "] " << stage.description()
                << ": rows " << stats.rows << " (estimated " << stage.estimated_rows()
                << "), bytes " << stats.bytes << " (" << stage.estimated_bytes() << "), "
                << stats.seconds * 1000 << " ms\n";
    }
  }

  arrow::Result<std::shared_ptr<arrow::Table>> RunWhole(const std::string& sql,
                                                        const plan::Plan& like) {
    plan::Plan plan;
    plan.set_version(kPlanVersion);
    *plan.mutable_names() = like.names();
    *plan.mutable_settings() = like.settings();
    *plan.mutable_root()->mutable_types() = like.root().types();
    auto* statement = plan.mutable_root()->mutable_statement();
    statement->set_sql(sql);
    for (const auto& view : views_) {
      statement->add_prelude("CREATE TEMP " + view.substr(7));
    }
    ARROW_ASSIGN_OR_RAISE(const auto graph, planner::PlanJob(plan, options_.planner));
    ARROW_ASSIGN_OR_RAISE(auto run,
                          testing::RunJob(graph, engine_.get(), options_.planner, false));
    return run.result;
  }

  const Options options_;
  const std::vector<std::string> views_;
  Frontend frontend_;
  std::unique_ptr<engine::ExecutionEngine> engine_;
};

}  // namespace

int main(int argc, char** argv) {
  const Options options = ParseOptions(argc, argv);
  Runner runner(options);
  int failed = 0;
  int total = 0;
  for (const auto& file : options.files) {
    for (const auto& sql : Statements(options, file)) {
      ++total;
      const std::string name = options.lines ? sql : file;
      if (options.show || options.stats) std::cout << "== " << name << "\n";
      const std::string problem = runner.Check(sql);
      if (problem.empty()) continue;
      ++failed;
      std::cout << "FAILED " << name << "\n  " << problem.substr(0, 600) << std::endl;
    }
  }
  std::cout << total - failed << " of " << total << " statements are right" << std::endl;
  return failed == 0 ? 0 : 1;
}
