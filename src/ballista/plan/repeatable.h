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

// Whether running it leaves more than its rows behind: files that it writes, or whatever
// a statement does that is passed on as text.
bool HasEffects(const Node& fragment);

}  // namespace ballista::plan
