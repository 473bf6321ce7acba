// Removes the columns that nothing above reads, so that exchanges do not carry them.
#pragma once

#include <arrow/status.h>

#include "ballista/plan.pb.h"

namespace ballista::planner {

// Rewrites the plan in place; the root keeps its columns. Inputs of operators that may
// move rows lose every column that is not needed, by a Project where no other way is.
// Errors: Internal for a plan that breaks the IR's rules.
arrow::Status PruneColumns(plan::Node* root);

}  // namespace ballista::planner
