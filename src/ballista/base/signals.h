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

  // From now on the next one ends the process at once, with the code that a shell gives
  // for it (128 and its number): whoever asks twice does not want to wait.
  void ExitAtNext();

 private:
  StopSignals() = default;
  int WaitForNumber();
};

}  // namespace ballista
