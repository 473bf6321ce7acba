// What plans become, and what they are refused with. That they mean what DuckDB's SQL
// does is tested on a cluster (tests/clients/substrait_test.py).
#include "ballista/substrait/translate.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>

#include <random>

#include "ballista/base/status.h"
#include "ballista/plan/data_frame.h"
#include "substrait/plan.pb.h"

namespace ballista::substrait {
namespace {

using dataframe::Relation;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const char* const kFunctions = R"(
  extensions { extension_function { function_anchor: 1 name: "equal:any_any" } }
  extensions { extension_function { function_anchor: 2 name: "sum:i64" } }
  extensions { extension_function { function_anchor: 3 name: "divide:i64_i64" } }
  extensions { extension_function { function_anchor: 4 name: "and:bool" } }
  extensions { extension_function { function_anchor: 5 name: "extract:req_date" } }
  extensions { extension_function { function_anchor: 6 name: "teleport:i64" } }
  extensions { extension_function { function_anchor: 7 name: "std_dev:fp64" } }
)";

const char* const kTable = R"(read {
  base_schema { names: "a" names: "b" struct { types { i64 {} } types { i64 {} } } }
  named_table { names: "t" } })";

std::string PlanOf(const std::string& root, const std::string& names = "names: 'x'") {
  ::substrait::Plan plan;
  const std::string text =
      kFunctions + ("relations { root { input { " + root + " } " + names + " } }");
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &plan)) << text;
  return plan.SerializeAsString();
}

std::string Field(int position, const std::string& root = "root_reference {}") {
  return "selection { direct_reference { struct_field { field: " +
         std::to_string(position) + " } } " + root + " }";
}

std::string Value(const std::string& expression) {
  return "arguments { value { " + expression + " } }";
}

std::string Call(int function, std::initializer_list<std::string> values,
                 const std::string& type = "") {
  std::string text = "scalar_function { function_reference: " + std::to_string(function);
  for (const auto& value : values) text += " " + Value(value);
  return text + (type.empty() ? "" : " output_type { " + type + " {} }") + " }";
}

dataframe::CommandDataFrame Made(const std::string& bytes) {
  auto frame = Translate(bytes);
  EXPECT_TRUE(frame.ok()) << frame.status().ToString();
  if (!frame.ok()) return {};
  const auto valid = plan::Validate(*frame);
  EXPECT_TRUE(valid.ok()) << valid.ToString() << frame->DebugString();
  return *std::move(frame);
}

std::string ErrorOf(const std::string& bytes) {
  const auto frame = Translate(bytes);
  EXPECT_FALSE(frame.ok());
  const auto* detail = GetErrorDetail(frame.status());
  EXPECT_TRUE(detail != nullptr && detail->has_user()) << frame.status().ToString();
  return frame.status().message();
}

TEST(Translate, PassesColumnsOnWithoutARelation) {
  const std::string project =
      std::string("project { common { emit { output_mapping: [2, 3] } } input { ") +
      kTable + " } expressions { " + Field(1) + " } expressions { " + Field(0) + " } }";
  const auto frame = Made(PlanOf(project, "names: ['x', 'y']"));
  EXPECT_THAT(frame.names(), ElementsAre("x", "y"));
  ASSERT_TRUE(frame.root().has_project());
  EXPECT_EQ(frame.root().project().expressions(0).column(), 1u);
  EXPECT_EQ(frame.root().project().expressions(1).column(), 0u);
  EXPECT_TRUE(frame.root().inputs(0).has_table());
}

TEST(Translate, IntegersDivideAndAddUpToIntegers) {
  const auto divided = Made(PlanOf(
      std::string("project { common { emit { output_mapping: 2 } } input { ") + kTable +
      " } expressions { " + Call(3, {Field(0), Field(1)}, "i64") + " } }"));
  EXPECT_THAT(divided.DebugString(), HasSubstr("\"//\""));
  const std::string aggregate =
      std::string("aggregate { input { ") + kTable +
      " } groupings {} measures { measure { function_reference: 2 " + Value(Field(0)) +
      " } } }";
  const auto summed = Made(PlanOf(aggregate));
  ASSERT_TRUE(summed.root().has_project());
  const auto& cast = summed.root().project().expressions(0);
  EXPECT_TRUE(cast.has_cast());
  EXPECT_EQ(cast.type().id(), plan::Type::BIGINT);
}

TEST(Translate, OptionsOfAggregatesHoldInWindowsToo) {
  const std::string call = "function_reference: 7 " + Value(Field(0)) +
                           " options { name: 'distribution' preference: 'POPULATION' }";
  const auto aggregated =
      Made(PlanOf(std::string("aggregate { input { ") + kTable +
                  " } groupings {} measures { measure { " + call + " } } }"));
  EXPECT_THAT(aggregated.DebugString(), HasSubstr("stddev_pop"));
  const auto windowed = Made(
      PlanOf(std::string("project { common { emit { output_mapping: 2 } } input { ") +
             kTable + " } expressions { window_function { " + call + " } } }"));
  EXPECT_THAT(windowed.DebugString(), HasSubstr("stddev_pop"));
}

// Fields that the specification has replaced since.
TEST(Translate, ReadsOlderPlans) {
  const auto fetched =
      Made(PlanOf(std::string("fetch { offset: 3 count: 4 input { ") + kTable + " } }",
                  "names: ['x', 'y']"));
  EXPECT_EQ(fetched.root().limit().limit().literal().int_(), 4);
  EXPECT_EQ(fetched.root().limit().offset().literal().int_(), 3);
  const std::string aggregate =
      std::string("aggregate { input { ") + kTable +
      " } groupings { grouping_expressions { " + Field(1) +
      " } } measures { measure { function_reference: 2 args { " + Field(0) + " } } } }";
  const auto grouped = Made(PlanOf(aggregate, "names: ['x', 'y']"));
  EXPECT_EQ(grouped.root().inputs(0).aggregate().groups(0).column(), 1u);
  const auto values = Made(PlanOf(
      "read { base_schema { names: 'a' struct { types { i32 {} } } } virtual_table { "
      "values { fields { i32: 7 } } } }"));
  EXPECT_EQ(values.root().inputs(0).values().rows(0).cells(0).literal().int_(), 7);
}

// The outer row's column is after those of the sub-query's own input.
TEST(Translate, CountsOuterColumnsAfterItsOwn) {
  const std::string outer = "outer_reference { steps_out: 1 }";
  const std::string exists =
      std::string(
          "subquery { set_predicate { predicate_op: PREDICATE_OP_EXISTS tuples { "
          "filter { input { ") +
      kTable + " } condition { " + Call(1, {Field(0), Field(1, outer)}) + " } } } } }";
  const auto frame = Made(PlanOf(
      std::string("filter { input { ") + kTable + " } condition { " + exists + " } }",
      "names: ['x', 'y']"));
  EXPECT_EQ(frame.root().filter().predicates(0).column(), 2u);
  const auto& below = frame.root().subqueries(0).relation();
  EXPECT_EQ(below.filter().predicates(0).args(0).column(), 0u);
  EXPECT_EQ(below.filter().predicates(0).args(1).column(), 3u);
  EXPECT_THAT(ErrorOf(PlanOf(std::string("filter { input { ") + kTable +
                                 " } condition { " + Field(0, outer) + " } }",
                             "names: ['x', 'y']")),
              HasSubstr("1 sub-queries further out"));
}

TEST(Translate, ExtractTakesItsPartFromAList) {
  const auto extract = [](const std::string& part) {
    return PlanOf(
        std::string("project { common { emit { output_mapping: 2 } } input { ") + kTable +
        " } expressions { scalar_function { function_reference: 5 arguments { "
        "enum: '" +
        part + "' } " + Value(Field(0)) + " } } }");
  };
  const auto made = Made(extract("YEAR"));
  const auto& call = made.root().inputs(0).project().expressions(2);
  EXPECT_EQ(call.call().name(), "date_part");
  EXPECT_EQ(call.args(0).literal().varchar(), "year");
  EXPECT_THAT(ErrorOf(extract("PICOSECOND")), HasSubstr("'extract' of PICOSECOND"));
}

TEST(Translate, LongChainsOfAndAreOneLevel) {
  std::string condition = Call(1, {Field(0), Field(1)});
  for (int i = 0; i < 400; ++i)
    condition = Call(4, {condition, Call(1, {Field(0), Field(1)})});
  const auto frame = Made(PlanOf(
      std::string("filter { input { ") + kTable + " } condition { " + condition + " } }",
      "names: ['x', 'y']"));
  EXPECT_EQ(frame.root().filter().predicates(0).args_size(), 401);
}

TEST(Translate, NamesWhatItDoesNotSupport) {
  const auto filter = [](const std::string& condition) {
    return PlanOf(std::string("filter { input { ") + kTable + " } condition { " +
                      condition + " } }",
                  "names: ['x', 'y']");
  };
  EXPECT_THAT(ErrorOf(filter(Call(6, {Field(0)}))), HasSubstr("'teleport'"));
  EXPECT_THAT(ErrorOf(filter(Call(9, {Field(0)}))), HasSubstr("function 9"));
  EXPECT_THAT(ErrorOf(filter(Field(2))), HasSubstr("column 2 of 2"));
  EXPECT_THAT(ErrorOf(filter("lambda {}")), HasSubstr("'lambda'"));
  EXPECT_THAT(ErrorOf(PlanOf("extension_leaf {}")), HasSubstr("'extension_leaf'"));
  EXPECT_THAT(ErrorOf(PlanOf(std::string("join { type: JOIN_TYPE_LEFT_SINGLE left { ") +
                             kTable + " } right { " + kTable + " } }")),
              HasSubstr("JOIN_TYPE_LEFT_SINGLE"));
  EXPECT_THAT(ErrorOf(PlanOf(kTable)), HasSubstr("1 names for a result of 2 columns"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("no root relation"));
  EXPECT_THAT(ErrorOf("\xff\xff"), HasSubstr("no serialized substrait.Plan"));
}

TEST(Translate, DepthAndSizeAreBounded) {
  std::string deep = Field(0);
  for (int i = 0; i < 300; ++i) deep = Call(3, {deep, Field(1)});
  EXPECT_THAT(ErrorOf(PlanOf(std::string("filter { input { ") + kTable +
                             " } condition { " + deep + " } }")),
              HasSubstr("expressions nested more than 180"));
  std::string sorts = kTable;
  for (int i = 0; i < 300; ++i) sorts = "sort { input { " + sorts + " } }";
  EXPECT_THAT(ErrorOf(PlanOf(sorts)), HasSubstr("relations nested more than 180"));
  // Each relation is made of the one before, twice; the last of itself.
  ::substrait::Plan plan;
  for (int i = 0; i < 40; ++i) {
    auto* cross = plan.add_relations()->mutable_rel()->mutable_cross();
    cross->mutable_left()->mutable_reference()->set_subtree_ordinal(i + 1);
    cross->mutable_right()->mutable_reference()->set_subtree_ordinal(i + 1);
  }
  plan.add_relations()->mutable_root()->mutable_input()->mutable_reference();
  EXPECT_THAT(ErrorOf(plan.SerializeAsString()), HasSubstr("relations"));
}

TEST(Translate, SurvivesDamagedBytes) {
  const std::string good =
      PlanOf(std::string("filter { input { ") + kTable + " } condition { " +
                 Call(1, {Field(0),
                          "literal { decimal { value: '0123456789012345' precision: "
                          "38 scale: 2 } }"}) +
                 " } }",
             "names: ['x', 'y']");
  std::mt19937 random(11);
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = good;
    for (int k = 0; k < 3; ++k) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    const auto frame = Translate(bytes);
    if (!frame.ok() || !plan::Validate(*frame).ok()) ++refused;
  }
  EXPECT_GT(refused, 5000);
}

}  // namespace
}  // namespace ballista::substrait
