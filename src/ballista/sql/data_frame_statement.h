// A client's data frame as DuckDB's parse tree: what SQL text that means the same would
// be parsed to. So types, overloads, coercions and join order are found as for SQL.
#pragma once

#include <arrow/result.h>

#include "ballista/dataframe.pb.h"
#include "ballista/security/path_guard.h"
#include "ballista/sql/pch_internal.h"

namespace ballista::sql {

// A SELECT, an EXPLAIN of one, or a COPY ... TO. `frame` has been validated
// (plan/data_frame.h). A folder that `guard` (null: none) does not allow is not looked
// at. Errors: UserError.
arrow::Result<duckdb::unique_ptr<duckdb::SQLStatement>> MakeStatement(
    const dataframe::CommandDataFrame& frame, const security::PathGuard* guard);

}  // namespace ballista::sql
