// The line of the log about a query that took long.
#pragma once

#include <string>

#include "ballista/profile.pb.h"

namespace ballista::history {

// One line: the job, how long it took, where that time went, what made it slow.
std::string SlowQueryLine(const profile::QueryProfile& profile);

}  // namespace ballista::history
