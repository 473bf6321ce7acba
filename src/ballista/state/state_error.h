// What went wrong at a state backend, typed: carried as the detail of an arrow::Status.
// All functions are thread-safe.
#pragma once

#include <arrow/status.h>

#include <optional>
#include <string>

namespace ballista::state {

enum class StateError {
  kUnavailable,  // not reachable, or no answer in time
  kCompacted,    // the changes asked for are not kept any more
  kLeaseGone,    // the lease has ended
  kFenced,       // the claim that guards the write is another's by now
  kInUse,        // another process has it open
  kDamaged,      // what is stored cannot be read
};

arrow::Status MakeStateError(StateError kind, const std::string& message);

// No value for a status without such a detail.
std::optional<StateError> GetStateError(const arrow::Status& status);
bool IsStateError(const arrow::Status& status, StateError kind);

}  // namespace ballista::state
