// The end of a COPY ... TO: its tasks have written their files out of sight; here they
// get their names.
#pragma once

#include <arrow/result.h>
#include <arrow/table.h>

#include <cstdint>
#include <memory>
#include <string>

#include "ballista/plan.pb.h"

namespace ballista::sql {

// `written`: one row a task, as plan.proto says of Write: rows, staged, final. Renames
// every file, removes the hidden folder, and gives the number of rows. Files that were
// there under the same names are replaced. Errors: IOError, which names the file; files
// renamed before it stay.
arrow::Result<int64_t> CommitCopy(const arrow::Table& written);

// Removes what the tasks of a job that failed have left in the hidden folder. `write`: of
// the job's plan.
void AbandonCopy(const plan::Write& write, const std::string& job_id);

}  // namespace ballista::sql
