// Text of values that hold no other values; shared by the SQL and the JSON form.
#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "ballista/client/shell/temporal_text.h"

namespace ballista::shell {

enum class ScalarKind {
  kNumber,     // finite; its text is a JSON number too
  kBoolean,    // true, false
  kNotFinite,  // nan, inf, -inf
  kString,     // anything else
  kJson,       // already JSON
};

// Appends the text of a value that is neither null nor nested.
ScalarKind AppendScalar(const arrow::Array& array, int64_t row, TemporalStyle style,
                        std::string* out);

// The type's values inside others: the array that a dictionary, extension or run-end
// encoded array stands for, and the row in it. Returns false where `array` is none of
// these.
bool Unwrap(const arrow::Array& array, int64_t row, const arrow::Array** inner,
            int64_t* inner_row);

}  // namespace ballista::shell
