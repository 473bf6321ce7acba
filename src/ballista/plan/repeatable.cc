#include "ballista/plan/repeatable.h"

#include <set>
#include <string>

#include "ballista/plan/plan.h"

namespace ballista::plan {

namespace {

// Aggregates whose value does not depend on the order of the rows.
bool IgnoresOrder(const std::string& aggregate) {
  static const std::set<std::string> kNames = {"approx_count_distinct",
                                               "avg",
                                               "bit_and",
                                               "bit_or",
                                               "bit_xor",
                                               "bool_and",
                                               "bool_or",
                                               "corr",
                                               "count",
                                               "count_star",
                                               "covar_pop",
                                               "covar_samp",
                                               "fsum",
                                               "kahan_sum",
                                               "kurtosis",
                                               "kurtosis_pop",
                                               "max",
                                               "median",
                                               "min",
                                               "mad",
                                               "product",
                                               "quantile",
                                               "quantile_cont",
                                               "quantile_disc",
                                               "regr_avgx",
                                               "regr_avgy",
                                               "regr_count",
                                               "regr_intercept",
                                               "regr_r2",
                                               "regr_slope",
                                               "regr_sxx",
                                               "regr_sxy",
                                               "regr_syy",
                                               "sem",
                                               "skewness",
                                               "stddev",
                                               "stddev_pop",
                                               "stddev_samp",
                                               "sum",
                                               "sum_no_overflow",
                                               "sumkahan",
                                               "var_pop",
                                               "var_samp",
                                               "variance",
                                               "entropy"};
  return kNames.contains(aggregate);
}

bool IsRepeatable(const Expression& expression) {
  bool repeatable = !IsVolatile(expression);
  VisitExpression(expression, [&](const Expression& e) {
    if (e.has_aggregate()) {
      // min(x, n) and max(x, n) keep some of equal values; equal ones do not differ.
      repeatable = repeatable && IgnoresOrder(e.aggregate().name());
    } else if (e.has_window()) {
      const std::string& name = e.window().name();
      repeatable = repeatable && (name == "rank" || name == "dense_rank" ||
                                  name == "percent_rank" || name == "cume_dist");
    }
  });
  return repeatable;
}

bool IsRepeatableKind(const Node& node) {
  switch (node.kind_case()) {
    case Node::kLimit:
    case Node::kSample:
    case Node::kTableFunction:
    case Node::kWrite:
    case Node::kStatement:
      return false;
    case Node::kSort:
      return !node.sort().has_limit() && node.sort().offset() == 0;
    case Node::kDistinct:
      return node.distinct().on().empty();
    default:
      return true;
  }
}

}  // namespace

bool IsRepeatable(const Node& fragment) {
  bool repeatable = true;
  VisitNodes(fragment, [&](const Node& node) {
    repeatable = repeatable && IsRepeatableKind(node);
    ForEachExpression(node, [&](const Expression& expression) {
      repeatable = repeatable && IsRepeatable(expression);
    });
  });
  return repeatable;
}

bool HasEffects(const Node& fragment) {
  bool effects = false;
  VisitNodes(fragment, [&](const Node& node) {
    effects = effects || node.has_write() || node.has_statement();
  });
  return effects;
}

}  // namespace ballista::plan
