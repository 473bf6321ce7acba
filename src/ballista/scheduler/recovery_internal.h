// Records of how a stage was formed, and choosing among what executors hold of a job of
// which only such records are left. Pure functions.
//
// An output belongs to a formation exactly if it has its fingerprint, so neither a graph
// nor a formation that was kept a little too late or too early can mix tasks that divide
// the work differently. Attempts of a stage that is not repeatable, or reads one that is
// not, give different rows: what has read such outputs is taken only if it has read the
// very attempts that are taken, too (JobState::InputsDigest).
#pragma once

#include <vector>

#include "ballista/scheduler/job_state_internal.h"
#include "ballista/state.pb.h"

namespace ballista::scheduler {

// With its fingerprint.
record::StageFormation MakeFormation(const job::Stage& stage,
                                     const std::vector<TaskShare>& shares);

// Whether the record is one of this very stage.
bool IsFormationOf(const record::StageFormation& formation, const job::Stage& stage);

std::vector<TaskShare> SharesOf(const record::StageFormation& formation);

// Of each stage and task: the position in `held` of what is gone on with, or -1. `held`
// of stages that are not formed, or of other formations, is left out.
std::vector<std::vector<int>> ChooseHeld(const JobState& job,
                                         const std::vector<JobRecovery::Held>& held);

}  // namespace ballista::scheduler
