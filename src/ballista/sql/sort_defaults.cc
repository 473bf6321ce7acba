#include "ballista/sql/sort_defaults.h"

#include <set>

#include "ballista/sql/expression_translator.h"

namespace ballista::sql {
namespace {

std::string Setting(duckdb::ClientContext& context, const char* name) {
  duckdb::Value value;
  if (!context.TryGetCurrentSetting(name, value)) return "";
  return duckdb::StringUtil::Upper(value.ToString());
}

bool NullsFirst(const std::string& default_null_order, bool descending) {
  if (default_null_order == "NULLS_FIRST") return true;
  if (default_null_order == "NULLS_FIRST_ON_ASC_LAST_ON_DESC") return !descending;
  if (default_null_order == "NULLS_LAST_ON_ASC_FIRST_ON_DESC") return descending;
  return false;
}

plan::Expression Text(const char* text) {
  return ExpressionTranslator::Literal(duckdb::Value(text));
}

}  // namespace

void MakeSortOrderExplicit(duckdb::ClientContext& context, plan::Expression* call) {
  static const std::set<std::string> forward = {
      "list_sort", "array_sort", "list_grade_up", "array_grade_up", "grade_up"};
  static const std::set<std::string> reverse = {"list_reverse_sort",
                                                "array_reverse_sort"};
  const auto name = call->call().name();
  const bool reversed = reverse.count(name) > 0;
  if (!reversed && !forward.count(name)) return;
  const auto null_order = Setting(context, "default_null_order");
  const bool descending_default = Setting(context, "default_order").rfind("DESC", 0) == 0;
  if (!descending_default && null_order == "NULLS_LAST") return;

  bool descending = descending_default != reversed;
  if (reversed) {
    if (call->args_size() !=
        1) {  // has its null order; the rest is the default's reverse
      plan::Expression nulls = call->args(1);
      call->mutable_args()->RemoveLast();
      *call->add_args() = Text(descending ? "DESC" : "ASC");
      *call->add_args() = std::move(nulls);
      call->mutable_call()->set_name("list_sort");
      return;
    }
    call->mutable_call()->set_name("list_sort");
  }
  if (call->args_size() == 1) {
    *call->add_args() = Text(descending ? "DESC" : "ASC");
  } else if (call->args_size() == 2) {
    const auto order = duckdb::StringUtil::Upper(call->args(1).literal().varchar());
    descending = order.rfind("DESC", 0) == 0;
  } else {
    return;
  }
  *call->add_args() =
      Text(NullsFirst(null_order, descending) ? "NULLS FIRST" : "NULLS LAST");
}

}  // namespace ballista::sql
