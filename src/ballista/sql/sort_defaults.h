// list_sort() and its kin without explicit orders read the session's default_order and
// default_null_order when they are bound, which is on an executor. This makes the orders
// explicit, where a session has changed the defaults.
#pragma once

#include "ballista/plan.pb.h"
#include "ballista/sql/pch_internal.h"

namespace ballista::sql {

// Adds the missing arguments to `call`, a Call expression; leaves other functions alone.
void MakeSortOrderExplicit(duckdb::ClientContext& context, plan::Expression* call);

}  // namespace ballista::sql
