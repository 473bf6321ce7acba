// A planning engine with one session and a folder of small files, for tests of sql/.
#pragma once

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "ballista/base/status.h"
#include "ballista/plan/plan.h"
#include "ballista/sql/pch_internal.h"
#include "ballista/sql/session.h"

namespace ballista::sql {

class SqlTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("ballista_sql_test_" + std::to_string(::getpid()) + "_" +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
    engine_ = SqlEngine::Make({}).ValueOrDie();
    session_ = engine_->OpenSession("test").ValueOrDie();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return (folder_ / name).string(); }

  // Runs SQL in a DuckDB of its own: makes files.
  void Make(const std::string& sql) {
    const auto result = writer_.Query(sql);
    ASSERT_FALSE(result->HasError()) << result->GetError() << "\n" << sql;
  }

  Statement Compile(const std::string& sql,
                    const std::vector<plan::Value>& parameters = {}) {
    auto result = session_->Compile(sql, parameters);
    EXPECT_TRUE(result.ok()) << sql << "\n" << result.status().ToString();
    return result.ok() ? std::move(*result) : Statement{};
  }

  plan::Plan Plan(const std::string& sql) {
    auto statement = Compile(sql);
    EXPECT_EQ(statement.kind, Statement::Kind::kQuery) << sql;
    return statement.plan;
  }

  // The first row of a statement whose rows are known at once, as text.
  std::vector<std::string> Row(const std::string& sql) {
    const auto statement = Compile(sql);
    EXPECT_EQ(statement.kind, Statement::Kind::kRows) << sql;
    std::vector<std::string> cells;
    if (!statement.rows || statement.rows->num_rows() == 0) return cells;
    for (const auto& column : statement.rows->columns()) {
      cells.push_back(column->GetScalar(0).ValueOrDie()->ToString());
    }
    return cells;
  }

  UserError Error(const std::string& sql, std::string* message = nullptr) {
    const auto result = session_->Compile(sql);
    EXPECT_FALSE(result.ok()) << sql;
    if (message) *message = result.status().message();
    const auto* detail = GetErrorDetail(result.status());
    EXPECT_TRUE(detail && detail->has_user()) << result.status().ToString();
    return detail ? detail->user() : UserError();
  }

  static int Count(const plan::Plan& plan, plan::Node::KindCase kind) {
    int count = 0;
    plan::VisitNodes(plan.root(), [&](const plan::Node& node) {
      count += node.kind_case() == kind ? 1 : 0;
    });
    return count;
  }

  duckdb::DuckDB writer_database_{nullptr};
  duckdb::Connection writer_{writer_database_};
  std::filesystem::path folder_;
  std::unique_ptr<SqlEngine> engine_;
  std::shared_ptr<SqlSession> session_;
};

}  // namespace ballista::sql
