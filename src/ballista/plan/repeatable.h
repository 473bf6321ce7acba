// Whether a stage that is run again gives the same rows again.
#pragma once

#include "ballista/plan.pb.h"

namespace ballista::plan {

// True: from the same rows of input, in whatever order they come, `fragment` gives the
// same rows of output. False where it may choose others: random values, a limit or a
// top-N with ties, samples, numbers given by order, and functions not known to be
// independent of order. Sums of floating point numbers count as repeatable although their
// last digits are not.
bool IsRepeatable(const Node& fragment);

}  // namespace ballista::plan
