#include "ballista/base/signals.h"

#include <pthread.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace ballista {
namespace {

sigset_t Signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

arrow::Result<StopSignals> StopSignals::Catch() {
  const sigset_t set = Signals();
  const int error = pthread_sigmask(SIG_BLOCK, &set, nullptr);
  if (error != 0) {
    return arrow::Status::IOError("pthread_sigmask: ", std::strerror(error));
  }
  std::signal(SIGPIPE, SIG_IGN);
  return StopSignals();
}

void StopSignals::Wait() {
  const sigset_t set = Signals();
  int signal = 0;
  while (sigwait(&set, &signal) == EINTR) {
  }
}

}  // namespace ballista
