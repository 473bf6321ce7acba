// Exclusive claims with fencing tokens, over any state backend.
//
// A claim is an entry that lives as long as its owner's lease. Its revision is the token:
// every later claim of the same key has a larger one. Whoever writes under a claim adds
// its guard to the transaction, so that a former owner that wakes up late changes
// nothing; whoever takes orders from owners keeps the largest token that it has seen and
// refuses smaller ones.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <optional>
#include <string>

#include "ballista/state/state_backend.h"

namespace ballista::state {

struct Fence {
  std::string key;
  int64_t token = 0;

  // Holds while this claim stands.
  Compare Guard() const { return {key, token}; }
};

// Claims the key for `owner` (any bytes) while `lease` lives. No value: somebody else has
// it. Taking it again with the same owner and lease gives the same claim (so that a call
// whose answer was lost can be made again).
arrow::Result<std::optional<Fence>> Claim(StateBackend* backend, const std::string& key,
                                          const std::string& owner, LeaseId lease,
                                          Deadline deadline);

// Commits under the fence. kFenced: the claim is another's by now, nothing was changed.
// A transaction with compares of its own: Invalid (they could not be told apart).
arrow::Result<Committed> CommitFenced(StateBackend* backend, const Fence& fence,
                                      Transaction transaction, Deadline deadline);

}  // namespace ballista::state
