// Makes the profile that people read of the one that the core gives
// (SchedulerCore::Profile).
#pragma once

#include <string>
#include <string_view>

#include "ballista/job.pb.h"
#include "ballista/profile.pb.h"

namespace ballista::profile {

// Adds the texts that are made of the job's graph: plans, inputs, outputs, descriptions.
void AddPlan(const job::JobGraph& graph, QueryProfile* profile);

// Adds what is made of the tasks: spreads and sums of their figures, operators, skew.
void AddFigures(QueryProfile* profile);

// The plan of all stages, as EXPLAIN shows it.
std::string PlanText(const QueryProfile& profile);

// Cuts `text` to at most `size` bytes, between characters of UTF-8.
std::string Cut(std::string_view text, size_t size);

}  // namespace ballista::profile
