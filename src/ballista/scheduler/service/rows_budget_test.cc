#include "ballista/scheduler/service/rows_budget.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <optional>

namespace ballista::scheduler {
namespace {

std::shared_ptr<arrow::Table> Numbers(int64_t rows) {
  arrow::Int64Builder builder;
  for (int64_t i = 0; i < rows; ++i) EXPECT_TRUE(builder.Append(i).ok());
  return arrow::Table::Make(arrow::schema({arrow::field("i", arrow::int64())}),
                            {builder.Finish().ValueOrDie()});
}

TEST(RowsBudget, IsOfAllSharesAndComesBack) {
  const RowsBudget budget(100);
  auto first = budget.Open();
  EXPECT_TRUE(first.TryTake(60));
  {
    auto second = budget.Open();
    EXPECT_FALSE(second.TryTake(41));
    EXPECT_TRUE(second.TryTake(40));
    EXPECT_EQ(budget.used(), 100);
    const auto refused = second.Take(1, "the upload");
    EXPECT_FALSE(refused.ok());
    EXPECT_NE(refused.message().find("the upload of at least 41 bytes"),
              std::string::npos);
    EXPECT_NE(refused.message().find("--result-memory-limit"), std::string::npos);
  }
  EXPECT_EQ(budget.used(), 60);
  auto moved = std::move(first);
  moved = budget.Open();
  first = budget.Open();
  EXPECT_EQ(budget.used(), 0);
}

TEST(RowsBudget, OutlivedByAShare) {
  auto budget = std::make_optional<RowsBudget>(10);
  auto share = budget->Open();
  budget.reset();
  EXPECT_TRUE(share.TryTake(10));
  EXPECT_FALSE(share.TryTake(1));
}

TEST(RowsBudget, BoundsWhatIsRead) {
  const RowsBudget budget(20'000);
  const auto rows = Numbers(1000);
  {
    auto share = budget.Open();
    arrow::TableBatchReader reader(*rows);
    const auto read = ReadWithin(&reader, &share, "the result");
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_TRUE((*read)->Equals(*rows));
    EXPECT_GE(budget.used(), 8000);
    auto held = ReadHeld(*read, std::move(share));
    EXPECT_GE(budget.used(), 8000);
    EXPECT_TRUE(held->ToTable().ValueOrDie()->Equals(*rows));
    held.reset();
    EXPECT_EQ(budget.used(), 0);
  }
  auto share = budget.Open();
  arrow::TableBatchReader large(Numbers(10'000));
  EXPECT_FALSE(ReadWithin(&large, &share, "the result").ok());
}

}  // namespace
}  // namespace ballista::scheduler
