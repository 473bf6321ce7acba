#include "ballista/profile/ended.h"

namespace ballista::profile {

QueryProfile Ended(const std::string& job_id, JobState state, const std::string& error) {
  QueryProfile outline;
  outline.mutable_job()->set_job_id(job_id);
  outline.mutable_job()->set_state(state);
  outline.mutable_job()->set_error(error);
  return outline;
}

}  // namespace ballista::profile
