// SIGINT and SIGTERM as an event to wait for, instead of a handler.
#pragma once

#include <arrow/result.h>

namespace ballista {

class StopSignals {
 public:
  // Blocks the signals in this thread and those that it makes from now on: call it before
  // any thread. SIGPIPE is ignored: a peer that goes away is an error of the call.
  static arrow::Result<StopSignals> Catch();

  // Returns when one of them has arrived.
  void Wait();

 private:
  StopSignals() = default;
};

}  // namespace ballista
