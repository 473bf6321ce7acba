// Plans, fragments, job graphs and data frames from outside: whatever the bytes are,
// parsing and validation end in an answer, and what is valid can be walked, printed and
// given types.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ballista/plan/data_frame.h"
#include "ballista/plan/plan.h"

namespace ballista {
namespace {

void Use(const plan::Node& root) {
  plan::VisitNodes(root, [](const plan::Node& node) {
    for (const auto& type : node.types()) (void)plan::ToArrowType(type, "UTC");
    plan::ForEachExpression(node, [](const plan::Expression& expression) {
      plan::VisitExpression(expression, [](const plan::Expression& part) {
        (void)plan::IsVolatile(part);
        (void)plan::ExpressionsEqual(part, part);
      });
    });
  });
  (void)plan::ToString(root);
}

void TryAll(std::string_view bytes) {
  plan::Plan whole;
  if (plan::ParseMessage(bytes, &whole).ok() && plan::Validate(whole).ok()) {
    Use(whole.root());
  }
  plan::Node fragment;
  if (plan::ParseMessage(bytes, &fragment).ok() &&
      plan::ValidateFragment(fragment, 2).ok()) {
    Use(fragment);
  }
  job::JobGraph graph;
  if (plan::ParseMessage(bytes, &graph).ok() && plan::ValidateGraph(graph).ok()) {
    (void)plan::ToString(graph);
  }
  dataframe::CommandDataFrame frame;
  if (plan::ParseMessage(bytes, &frame).ok()) {
    (void)plan::Validate(frame);
    (void)plan::Summary(frame);
  }
}

}  // namespace
}  // namespace ballista

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ballista::TryAll({reinterpret_cast<const char*>(data), size});
  return 0;
}
