// Opens a state backend.
#pragma once

#include <arrow/result.h>

#include <memory>
#include <string>
#include <vector>

#include "ballista/state/state_backend.h"

namespace ballista::state {

std::unique_ptr<StateBackend> OpenMemory();

// Makes the folder where it is not there. One process at a time may have it open.
// Errors: kInUse, kDamaged, kUnavailable, IOError; sentences for people.
arrow::Result<std::unique_ptr<StateBackend>> OpenSqlite(const std::string& folder);

// Splits "host:2379,https://other:2379"; without a scheme it is http. Invalid, half a
// sentence that begins with the bad part, for what is no such list.
arrow::Result<std::vector<std::string>> ParseEtcdUrls(const std::string& list);

// Every key is put below `root`. Waits for the server until the deadline. Errors:
// kUnavailable; Invalid for a server that is too old or something else.
arrow::Result<std::unique_ptr<StateBackend>> OpenEtcd(std::vector<std::string> urls,
                                                      const std::string& root,
                                                      Deadline deadline);

}  // namespace ballista::state
