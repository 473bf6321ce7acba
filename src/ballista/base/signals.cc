#include "ballista/base/signals.h"

#include <pthread.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

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

int StopSignals::WaitForNumber() {
  const sigset_t set = Signals();
  int signal = 0;
  while (sigwait(&set, &signal) == EINTR) {
  }
  return signal;
}

void StopSignals::Wait() {
  (void)WaitForNumber();
}

void StopSignals::ExitAtNext() {
  std::thread([signals = *this]() mutable {
    std::_Exit(128 + signals.WaitForNumber());
  }).detach();
}

}  // namespace ballista
