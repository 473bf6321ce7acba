#include "ballista/plan/repeatable.h"

#include <gtest/gtest.h>

#include "ballista/plan/plan.h"

namespace ballista::plan {
namespace {

Node Read() {
  Node node;
  node.mutable_exchange_read();
  return node;
}

Node Over(const Node& input) {
  Node node;
  *node.add_inputs() = input;
  return node;
}

Node Aggregated(const std::string& function) {
  Node node = Over(Read());
  node.mutable_aggregate()->add_aggregates()->mutable_aggregate()->set_name(function);
  return node;
}

TEST(IsRepeatable, KnowsWhatDependsOnOrderOrChance) {
  EXPECT_TRUE(IsRepeatable(Read()));
  EXPECT_TRUE(IsRepeatable(Aggregated("sum")));
  EXPECT_FALSE(IsRepeatable(Aggregated("string_agg")));
  EXPECT_FALSE(IsRepeatable(Aggregated("first")));

  Node limit = Over(Read());
  limit.mutable_limit();
  EXPECT_FALSE(IsRepeatable(limit));
  EXPECT_FALSE(IsRepeatable([&] {
    Node filter = Over(limit);
    filter.mutable_filter();
    return filter;
  }()));

  Node sort = Over(Read());
  sort.mutable_sort();
  EXPECT_TRUE(IsRepeatable(sort));
  sort.mutable_sort()->set_limit(10);
  EXPECT_FALSE(IsRepeatable(sort));

  Node random = Over(Read());
  Expression call = MakeCall("random", MakeType(Type::DOUBLE), {});
  call.mutable_call()->set_is_volatile(true);
  *random.mutable_project()->add_expressions() = call;
  EXPECT_FALSE(IsRepeatable(random));

  Node window = Over(Read());
  window.mutable_window()->add_calls()->mutable_window()->set_name("rank");
  EXPECT_TRUE(IsRepeatable(window));
  window.mutable_window()->mutable_calls(0)->mutable_window()->set_name("row_number");
  EXPECT_FALSE(IsRepeatable(window));
}

}  // namespace
}  // namespace ballista::plan
