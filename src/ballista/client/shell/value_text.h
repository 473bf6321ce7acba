// One value of an Arrow array as text, in SQL's way or in JSON's.
//
// Every Arrow type is taken, with the extension types under which DuckDB exports what
// Arrow has no type for (arrow.uuid, arrow.json, arrow.bool8, arrow.opaque hugeint,
// uhugeint, bignum, bit and time_tz). `row` counts from the array's own offset.
// Thread-safe.
#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace ballista::shell {

// As SQL's CAST(… AS VARCHAR) gives it: NULL; lists as [a, b], structs as {'k': v}, maps
// as {k=v}; blobs with \xAB for each byte that is not printable ASCII. Within a list,
// struct or map, text that could be mistaken for more than one value is quoted.
void AppendText(const arrow::Array& array, int64_t row, std::string* out);

// As JSON: numbers exact, with all their digits; NaN and infinities, temporal values,
// blobs and intervals as strings, timestamps in ISO 8601; structs and maps as objects; a
// union as its value.
void AppendJson(const arrow::Array& array, int64_t row, std::string* out);

// Whether the value is NULL, also within a union, a dictionary or a run.
bool IsNullValue(const arrow::Array& array, int64_t row);

// A JSON string literal.
void AppendJsonString(std::string_view text, std::string* out);

// Whether people expect the type's values in line at the right.
bool IsNumeric(const arrow::DataType& type);

}  // namespace ballista::shell
