// Where in a statement an error is.
#pragma once

#include <arrow/status.h>

#include <string>

namespace ballista::sql {

// A user error with the place drawn below its message, for clients that show no more than
// that:
//
//   Table with name nowhere does not exist!
//
//   LINE 2: FROM nowhere
//                ^
//
// Errors of execution and of files come without a position, since plans have none: where
// their message quotes one literal or name that stands once in `sql`, that is it. Errors
// of execution are placed at literals only: names in them may be those of the plan. Any
// other status comes back as it is, as does one that has a drawing.
arrow::Status PlaceError(const arrow::Status& status, const std::string& sql);

}  // namespace ballista::sql
