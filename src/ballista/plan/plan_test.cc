#include "ballista/plan/plan.h"

#include <gtest/gtest.h>

#include <random>

#include "ballista/base/status.h"
#include "ballista/base/version.h"

namespace ballista::plan {
namespace {

Node OneColumnScan() {
  Node node;
  *node.add_types() = MakeType(Type::BIGINT);
  node.mutable_scan()->set_format("parquet");
  node.mutable_scan()->add_columns()->set_name("a");
  return node;
}

Plan PlanOf(Node root) {
  Plan plan;
  plan.set_version(kPlanVersion);
  for (int i = 0; i < root.types_size(); ++i) plan.add_names("c" + std::to_string(i));
  *plan.mutable_root() = std::move(root);
  return plan;
}

Expression Less(Expression left, Expression right) {
  Expression e;
  *e.mutable_type() = MakeType(Type::BOOLEAN);
  e.mutable_comparison()->set_op(Comparison::LESS);
  *e.add_args() = std::move(left);
  *e.add_args() = std::move(right);
  return e;
}

Node FilterOf(Node input, Expression predicate) {
  Node node = WithInput(std::move(input));
  *node.mutable_filter()->add_predicates() = std::move(predicate);
  return node;
}

TEST(Validate, AcceptsAFilterOverAScan) {
  auto less = Less(ColumnRef(0, MakeType(Type::BIGINT)), BigintLiteral(5));
  EXPECT_TRUE(Validate(PlanOf(FilterOf(OneColumnScan(), less))).ok());
}

TEST(Validate, RefusesAColumnThatIsNotThere) {
  auto less = Less(ColumnRef(1, MakeType(Type::BIGINT)), BigintLiteral(5));
  const auto status = Validate(PlanOf(FilterOf(OneColumnScan(), less)));
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("column 1 of 1"), std::string::npos) << status;
}

TEST(Validate, RefusesAnotherVersionWithAdvice) {
  auto plan = PlanOf(OneColumnScan());
  plan.set_version(kPlanVersion + 1);
  const auto status = Validate(plan);
  ASSERT_NE(GetErrorDetail(status), nullptr);
  EXPECT_TRUE(GetErrorDetail(status)->has_version_mismatch());
  EXPECT_NE(status.message().find("upgrade"), std::string::npos);
}

TEST(Validate, RefusesAnUnresolvedSharedReference) {
  Node ref;
  *ref.add_types() = MakeType(Type::BIGINT);
  ref.mutable_shared_ref()->set_id(3);
  EXPECT_FALSE(Validate(PlanOf(ref)).ok());
  Node shared;
  *shared.add_types() = MakeType(Type::BIGINT);
  shared.mutable_shared()->set_id(3);
  *shared.add_inputs() = OneColumnScan();
  *shared.add_inputs() = ref;
  EXPECT_TRUE(Validate(PlanOf(shared)).ok());
}

TEST(Validate, RefusesExchangeReadsInALogicalPlan) {
  Node read;
  *read.add_types() = MakeType(Type::BIGINT);
  read.mutable_exchange_read()->set_input(0);
  EXPECT_FALSE(Validate(PlanOf(read)).ok());
  EXPECT_TRUE(ValidateFragment(read, 1).ok());
  EXPECT_FALSE(ValidateFragment(read, 0).ok());
}

TEST(ParseMessage, TakesDeepAndWidePlans) {
  Node node = OneColumnScan();
  for (int i = 0; i < 900; ++i) {
    node = FilterOf(std::move(node),
                    Less(ColumnRef(0, MakeType(Type::BIGINT)), BigintLiteral(i)));
  }
  Node project = WithInput(std::move(node));
  project.clear_types();
  for (int i = 0; i < 20000; ++i) {
    *project.mutable_project()->add_expressions() = BigintLiteral(i);
    *project.add_types() = MakeType(Type::BIGINT);
  }
  const auto plan = PlanOf(std::move(project));
  Plan parsed;
  ASSERT_TRUE(ParseMessage(plan.SerializeAsString(), &parsed).ok());
  EXPECT_TRUE(Validate(parsed).ok());
  EXPECT_EQ(parsed.SerializeAsString(), plan.SerializeAsString());
}

// Damaged bytes either fail to parse, or parse to something that Validate judges without
// a crash.
TEST(ParseMessage, SurvivesDamagedBytes) {
  auto less = Less(ColumnRef(0, MakeType(Type::BIGINT)), BigintLiteral(5));
  const std::string good = PlanOf(FilterOf(OneColumnScan(), less)).SerializeAsString();
  std::mt19937 random(7);
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = good;
    for (int k = 0; k < 3; ++k)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    Plan plan;
    if (!ParseMessage(bytes, &plan).ok() || !Validate(plan).ok()) ++refused;
    ToString(plan.root());
  }
  EXPECT_GT(refused, 10000);
}

TEST(RemapColumns, ReachesFiltersAndKeys) {
  Expression call;
  *call.mutable_type() = MakeType(Type::BIGINT);
  auto* aggregate = call.mutable_aggregate();
  aggregate->set_name("sum");
  *call.add_args() = ColumnRef(0, MakeType(Type::BIGINT));
  *aggregate->mutable_filter() =
      Less(ColumnRef(1, MakeType(Type::BIGINT)), BigintLiteral(1));
  *aggregate->add_order_by()->mutable_expression() = ColumnRef(2, MakeType(Type::BIGINT));
  ASSERT_TRUE(RemapColumns(&call, {5, 6, 7}).ok());
  EXPECT_EQ(ToString(call), "sum(#5 ORDER BY #7) FILTER ((#6 < 1))");
  EXPECT_FALSE(RemapColumns(&call, {0}).ok());
}

TEST(ToArrowType, KeepsDecimalsAndZones) {
  EXPECT_EQ((*ToArrowType(DecimalType(15, 2)))->ToString(), "decimal128(15, 2)");
  EXPECT_EQ((*ToArrowType(MakeType(Type::TIMESTAMP_TZ), "Europe/Berlin"))->ToString(),
            "timestamp[us, tz=Europe/Berlin]");
  EXPECT_EQ((*ToArrowType(ListType(MakeType(Type::INTEGER))))->ToString(),
            "list<l: int32>");
}

}  // namespace
}  // namespace ballista::plan
