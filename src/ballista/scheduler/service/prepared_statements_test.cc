#include "ballista/scheduler/service/prepared_statements.h"

#include <arrow/array/builder_primitive.h>
#include <gtest/gtest.h>

namespace ballista::scheduler {
namespace {

std::shared_ptr<arrow::Table> Rows(int count) {
  arrow::Int64Builder builder;
  for (int i = 0; i < count; ++i) EXPECT_TRUE(builder.Append(i).ok());
  return arrow::Table::Make(arrow::schema({arrow::field("n", arrow::int64())}),
                            {*builder.Finish()});
}

TEST(PreparedStatements, AHandleOfAnotherSchedulerIsGoodByItsText) {
  PreparedStatements one;
  PreparedStatements other;
  const auto handle = one.Add({"session", "SELECT ':'", nullptr, nullptr});
  EXPECT_EQ(one.Find(handle)->session_id, "session");
  EXPECT_EQ(other.Find(handle)->sql, "SELECT ':'");
  one.Remove(handle);
  EXPECT_FALSE(one.Find(handle).ok());
  EXPECT_TRUE(other.Find(handle).ok());
  ASSERT_TRUE(other.Bind(handle, "elsewhere", Rows(2)).ok());
  EXPECT_EQ(other.Find(handle)->bound->num_rows(), 2);
  other.CloseSession("elsewhere");
  EXPECT_EQ(other.Find(handle)->bound, nullptr);
}

TEST(PreparedStatements, AHandleOfAnotherProcessSaysWhatItsTextIs) {
  PreparedStatements one;
  PreparedStatements other;
  const std::string plan("\x0a:\0;", 4);
  const auto handle = one.Add({"session", plan, nullptr, nullptr, true});
  const auto found = other.Find(handle).ValueOrDie();
  EXPECT_EQ(found.sql, plan);
  EXPECT_TRUE(found.is_substrait);
  const auto sql = other.Find(one.Add({"session", "SELECT ';'", nullptr, nullptr}));
  EXPECT_EQ(sql->sql, "SELECT ';'");
  EXPECT_FALSE(sql->is_substrait);
}

TEST(PreparedStatements, ATextThatIsTooLongStaysHere) {
  PreparedStatements one;
  PreparedStatements other;
  const auto handle = one.Add({"session", std::string(100 << 10, ' '), nullptr, nullptr});
  EXPECT_LT(handle.size(), 100u);
  EXPECT_TRUE(one.Find(handle).ok());
  EXPECT_FALSE(other.Find(handle).ok());
}

TEST(PreparedStatements, TheOldestOfASessionGoesFirst) {
  PreparedStatements statements({.statements_per_session = 2, .statements = 3});
  const auto first = statements.Add({"a", "1", nullptr, nullptr});
  const auto second = statements.Add({"b", "2", nullptr, nullptr});
  const auto third = statements.Add({"a", "3", nullptr, nullptr});
  const auto fourth = statements.Add({"a", "4", nullptr, nullptr});
  EXPECT_FALSE(statements.Find(first).ok());
  EXPECT_TRUE(statements.Find(second).ok());
  statements.Add({"c", "5", nullptr, nullptr});  // beyond the limit of all
  EXPECT_FALSE(statements.Find(second).ok());
  EXPECT_TRUE(statements.Find(third).ok());
  statements.CloseSession("a");
  EXPECT_FALSE(statements.Find(third).ok());
  EXPECT_FALSE(statements.Find(fourth).ok());
}

TEST(PreparedStatements, WhatIsBoundIsBounded) {
  PreparedStatements statements({.bound_bytes = 100});
  const auto one = statements.Add({"a", "1", nullptr, nullptr});
  const auto other = statements.Add({"a", "2", nullptr, nullptr});
  EXPECT_FALSE(statements.Bind(one, "a", Rows(1000)).ok());
  EXPECT_EQ(statements.Find(one)->bound, nullptr);
  auto few = Rows(8);
  ASSERT_TRUE(statements.Bind(one, "a", few->Slice(0, 1)).ok());
  ASSERT_TRUE(statements.Bind(one, "a", few).ok());  // in place of the first
  EXPECT_FALSE(statements.Bind(other, "a", Rows(8)).ok());
  ASSERT_TRUE(statements.Bind(one, "a", nullptr).ok());
  EXPECT_TRUE(statements.Bind(other, "a", Rows(8)).ok());
}

}  // namespace
}  // namespace ballista::scheduler
