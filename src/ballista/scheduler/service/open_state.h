// Opens the state backend that a scheduler's options name.
#pragma once

#include <arrow/result.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "ballista/config/config.h"
#include "ballista/scheduler/service/state_keeper.h"

namespace ballista::scheduler {

// Makes the error for an option whose value turned out bad.
using RefuseOption =
    std::function<arrow::Status(const std::string& option, std::string_view reason)>;

// Null for the backend that keeps nothing. Errors: those that `refuse` makes, of options
// that do not go together or a backend that cannot be opened.
arrow::Result<std::unique_ptr<StateKeeper>> OpenState(
    const config::SchedulerConfig& config, const RefuseOption& refuse);

}  // namespace ballista::scheduler
