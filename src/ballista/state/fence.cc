#include "ballista/state/fence.h"

#include <utility>

#include "ballista/state/state_error.h"

namespace ballista::state {

arrow::Result<std::optional<Fence>> Claim(StateBackend* backend, const std::string& key,
                                          const std::string& owner, LeaseId lease,
                                          Deadline deadline) {
  Transaction claim;
  claim.compares.push_back({key, 0});
  claim.puts.push_back({key, owner, lease});
  ARROW_ASSIGN_OR_RAISE(const Committed committed, backend->Commit(claim, deadline));
  if (committed.committed) return Fence{key, committed.revision};
  ARROW_ASSIGN_OR_RAISE(const auto held, backend->Get(key, deadline));
  if (held.has_value() && held->value == owner && held->lease == lease) {
    return Fence{key, held->revision};
  }
  return std::nullopt;
}

arrow::Result<Committed> CommitFenced(StateBackend* backend, const Fence& fence,
                                      Transaction transaction, Deadline deadline) {
  if (!transaction.compares.empty()) {
    return arrow::Status::Invalid(
        "a transaction under a fence has no compare of its own");
  }
  transaction.compares.push_back(fence.Guard());
  ARROW_ASSIGN_OR_RAISE(const Committed committed,
                        backend->Commit(transaction, deadline));
  if (!committed.committed) {
    return MakeStateError(StateError::kFenced,
                          "the claim on " + fence.key + " with token " +
                              std::to_string(fence.token) + " is another's by now");
  }
  return committed;
}

}  // namespace ballista::state
