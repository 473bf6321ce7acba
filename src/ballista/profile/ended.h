// The outline of a job of which only its end is known.
#pragma once

#include <string>

#include "ballista/profile.pb.h"

namespace ballista::profile {

QueryProfile Ended(const std::string& job_id, JobState state, const std::string& error);

}  // namespace ballista::profile
