// Substrait plans (substrait.io) as data frames.
//
// Relations and functions keep Substrait's meaning where it differs from SQL's: integers
// divide to integers, sums of integers are BIGINT. What a plan declares as the type of a
// result's column is that column's type. Types of all else are SQL's, which the planner
// finds.
//
// Thread-safe (no state).
#pragma once

#include <arrow/result.h>

#include <string_view>

#include "ballista/dataframe.pb.h"

namespace ballista::substrait {

// The specification whose messages are known; plans of others are read as far as these
// messages hold.
inline constexpr const char* kVersion = "0.85.0";
inline constexpr const char* kOldestVersion = "0.20.0";

// Of relations below each other, and of expressions.
inline constexpr int kMaxPlanDepth = 180;
inline constexpr int kMaxPlanExpressionDepth = 180;  // a chain of ANDs counts as one

// `bytes`: a serialized substrait.Plan with one root. The result is still to be validated
// (plan/data_frame.h), for it may be nested too deeply. Errors: UserError, NOT_SUPPORTED
// with the name of what is not understood, BINDER for a plan that contradicts itself.
// Never crashes on any bytes.
arrow::Result<dataframe::CommandDataFrame> Translate(std::string_view bytes);

}  // namespace ballista::substrait
